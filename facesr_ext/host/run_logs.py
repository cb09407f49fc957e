"""TensorBoard and W&B of a training that goes on where a killed one has logged further than it has saved."""

from __future__ import annotations

import atexit
import importlib
import secrets
import sys
from pathlib import Path
from typing import Any

from basicsr.utils import get_root_logger

from facesr_ext.errors import DependencyError, OptionError

WANDB_FILE = 'wandb_id.txt'


def repair_loggers() -> None:
    """Replaces basicsr.train.init_tb_loggers by `init_tb_loggers`.

    Symptom: after a resume TensorBoard shows the steps between the last state and the end of the killed run twice, and
    W&B begins another run; figures of the last two minutes are missing where a run is ended.
    Cause: the writer is not told where the run goes on; W&B's id is drawn anew and kept nowhere; nothing closes the
    writer but the end of the last iteration.
    """
    repair_loggers_of(vars(sys.modules['basicsr.train']))


def repair_loggers_of(runner: dict[str, Any]) -> None:
    """Does it in a runner, given by the names of its module."""
    code = getattr(runner.get('init_tb_loggers'), '__code__', None)
    if code is not None and {'init_tb_logger', 'init_wandb_logger'} <= set(code.co_names):
        runner['init_tb_loggers'] = init_tb_loggers


def init_tb_loggers(opt: dict[str, Any]) -> Any:
    """Opens the loggers that ``logger: use_tb_logger`` and ``logger: wandb: project`` ask for.

    Args:
        opt (dict): Options of the run; ``resume_iter`` where it goes on.

    Returns:
        SummaryWriter | None: TensorBoard's writer, in the first process alone.

    Raises:
        DependencyError: TensorBoard or W&B is not installed.
        OptionError: W&B without TensorBoard, whose figures it takes.
    """
    logger_opt = opt['logger']
    if 'debug' in opt['name'] or opt['rank'] != 0:
        return None
    if (logger_opt.get('wandb') or {}).get('project'):
        if not logger_opt.get('use_tb_logger'):
            raise OptionError('wandb takes its figures from TensorBoard; set use_tb_logger: true', ('logger',))
        _init_wandb(opt)  # before TensorBoard's writer, which it listens to
    return _open_writer(opt) if logger_opt.get('use_tb_logger') else None


def _open_writer(opt: dict[str, Any]) -> Any:
    try:
        tensorboard = importlib.import_module('torch.utils.tensorboard')
    except ImportError as err:
        raise DependencyError(
            f'logger: use_tb_logger: TensorBoard cannot be imported ({err}): pip install tensorboard, or set '
            'use_tb_logger: false'
        ) from err
    done = opt.get('resume_iter', 0)
    folder = Path(opt['root_path']) / 'tb_logger' / opt['name']
    writer = tensorboard.SummaryWriter(log_dir=str(folder), purge_step=done + 1 if done else None)
    atexit.register(writer.close)  # it writes every two minutes; a run that a signal or an error ends has not closed it
    return writer


def _init_wandb(opt: dict[str, Any]) -> None:
    """Starts W&B under an id that the run's folder keeps, so that ``--auto_resume`` goes on with the same W&B run."""
    settings, file = opt['logger']['wandb'], Path(opt['path']['experiments_root']) / WANDB_FILE
    if not settings.get('resume_id'):
        if opt.get('resume_iter') and file.is_file():
            settings['resume_id'] = file.read_text(encoding='utf-8').strip()
        else:
            settings['resume_id'] = secrets.token_hex(4)
    file.write_text(f'{settings["resume_id"]}\n', encoding='utf-8')
    try:
        wandb = importlib.import_module('wandb')
    except ImportError as err:
        raise DependencyError('logger: wandb: W&B is not installed: pip install wandb, or set project: ~') from err
    wandb.init(
        id=settings['resume_id'],
        resume='allow',
        name=opt['name'],
        config=opt,
        project=settings['project'],
        sync_tensorboard=True,
    )
    get_root_logger().info(f'W&B run {settings["resume_id"]} in project {settings["project"]}.')
