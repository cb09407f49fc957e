"""What a training logs: its lines, and TensorBoard and W&B where it goes on after a killed run."""

from __future__ import annotations

import atexit
import datetime
import functools
import importlib
import logging
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only
from basicsr.utils.logger import MessageLogger

from facesr_ext.errors import DependencyError, OptionError
from facesr_ext.host import resume

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
    resume.FOUND.writer = _open_writer(opt) if logger_opt.get('use_tb_logger') else None
    return resume.FOUND.writer


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


# ---- the lines of the log -----------------------------------------------------------------------------------------


class LineLogger(MessageLogger):  # type: ignore[misc]
    """BasicSR's lines of the log, with the time that is left and figures that can be read.

    Args:
        opt (dict): Options of the run.
        start_iter (int): Iterations that are done. Default: 1.
        tb_logger (SummaryWriter | None): TensorBoard.
    """

    def __init__(self, opt: dict[str, Any], start_iter: int = 1, tb_logger: Any = None) -> None:
        super().__init__(opt, start_iter, tb_logger)
        self.timed_from = start_iter

    def reset_start_time(self) -> None:
        """Times from here on; the runner calls it after the first iteration."""
        super().reset_start_time()
        self.timed_from = 1

    @master_only
    def __call__(self, log_vars: dict[str, Any]) -> None:
        """Logs a line.

        Args:
            log_vars (dict): epoch, iter, lrs (list), time and data_time (seconds an iteration), and the figures.
        """
        figures = dict(log_vars)
        epoch, iteration = figures.pop('epoch'), figures.pop('iter')
        rates = ''.join(f'{rate:.3e},' for rate in figures.pop('lrs'))
        message = f'[{self.exp_name[:5]}..][epoch:{epoch:3d}, iter:{iteration:8,d}, lr:({rates})] '
        if 'time' in figures:
            seconds, loading = figures.pop('time'), figures.pop('data_time')
            left = datetime.timedelta(seconds=int(self._left(iteration, seconds)))
            message += f'[eta: {left}, time (data): {seconds:.3f} ({loading:.3f})] '
        message += ''.join(f'{name}: {figure_text(name, value)} ' for name, value in figures.items())
        if self.use_tb_logger and 'debug' not in self.exp_name:
            for name, value in figures.items():
                self.tb_logger.add_scalar(f'losses/{name}' if name.startswith('l_') else name, value, iteration)
        self.logger.info(message)

    def _left(self, iteration: int, seconds: float) -> float:
        """Seconds from this iteration to the end; ``seconds`` an iteration while there is no mean yet."""
        timed = iteration - self.timed_from
        each = (time.time() - self.start_time) / timed if timed > 0 else seconds
        return each * max(0, self.max_iters - iteration)


def figure_text(name: str, value: float) -> str:
    """A figure of the log: losses, which fall, by their power of ten; others as they are read: 22.00, not 2.2e+01."""
    return f'{value:.4e}' if name.startswith('l_') else f'{value:#.4g}'


def repair_lines() -> None:
    """Replaces basicsr.train.MessageLogger by `LineLogger`.

    Symptom: the last line of a training says "eta: -1 day, 23:59:59"; PSNR is logged as 2.1999e+01.
    Cause: one iteration too many is taken from those that are left; one format for every figure.
    """
    train: Any = sys.modules['basicsr.train']
    stock = train.MessageLogger
    if stock is MessageLogger and _ends_below_zero(stock):
        train.MessageLogger = LineLogger


def _ends_below_zero(stock: Any) -> bool:
    """Whether the line of the last iteration tells of time below zero; no log is opened for it."""
    told: list[str] = []
    probe = stock.__new__(stock)
    vars(probe).update(
        exp_name='probe', start_iter=0, max_iters=1, use_tb_logger=False, tb_logger=None, start_time=time.time() - 10
    )
    probe.logger = SimpleNamespace(info=told.append)
    probe({'epoch': 0, 'iter': 1, 'lrs': [], 'time': 1.0, 'data_time': 0.0})
    return '-1 day' in told[0]


# ---- what stands before the first iteration -----------------------------------------------------------------------


def repair_greeting() -> None:
    """Lets the screen show one line where basicsr.train and basicsr.test log versions and options at full length.

    Symptom: 160 lines run by before the first one that tells of the run. The log file has them as before.
    """
    for kind in ('train', 'test'):
        module: Any = sys.modules[f'basicsr.{kind}']
        for name, line in (('get_env_info', _versions), ('dict2str', _options)):
            make = getattr(module, name, None)
            if callable(make) and not hasattr(make, '__wrapped__'):
                setattr(module, name, _in_the_file(make, line))


def _in_the_file(make: Callable[..., str], line: Callable[[str, str], str]) -> Callable[..., str]:
    """A function that makes a text, which then goes to the log's file alone; the screen gets a line about it.

    Args:
        make (Callable): It.
        line (Callable): What the screen gets, of the text and the file's path.
    """

    @functools.wraps(make)
    def made(*args: Any) -> str:
        text = make(*args)
        handlers = get_root_logger().handlers
        file = next((h.baseFilename for h in handlers if isinstance(h, logging.FileHandler)), None)
        screens = [
            h for h in handlers if isinstance(h, logging.StreamHandler) and not isinstance(h, logging.FileHandler)
        ]
        if file is None or not screens:
            return text
        for screen in screens:
            screen.addFilter(lambda record: record.msg != text)
        get_root_logger().info(line(text, file))
        return text

    return made


def _versions(text: str, file: str) -> str:
    pairs = [part.split(': ') for part in map(str.strip, text.splitlines()) if part.count(': ') == 1]
    return ', '.join(' '.join(pair) for pair in pairs)


def _options(text: str, file: str) -> str:
    return f'Options: {text.count(chr(10))} lines in {file}'
