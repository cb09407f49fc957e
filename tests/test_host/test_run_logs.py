"""TensorBoard and W&B of a resumed run: no step twice, one W&B run."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from facesr_ext.errors import DependencyError, OptionError
from facesr_ext.host import run_logs

train = sys.modules['basicsr.train']


def _opt(folder: Path, **changes: Any) -> dict[str, Any]:
    logger = {'use_tb_logger': True, 'wandb': {'project': None, 'resume_id': None}}
    paths = {'experiments_root': str(folder)}
    return {'name': 'run', 'rank': 0, 'root_path': str(folder), 'logger': logger, 'path': paths, **changes}


def _steps(folder: Path) -> list[int]:
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    events = accumulator.EventAccumulator(str(folder / 'tb_logger' / 'run'))
    events.Reload()
    return [event.step for event in events.Scalars('loss')]


def _log(opt: dict[str, Any], steps: range) -> None:
    writer = train.init_tb_loggers(opt)  # type: ignore[attr-defined]
    for step in steps:
        writer.add_scalar('loss', 1.0, step)
    writer.close()


def test_resumed_steps_stand_in_tensorboard_once(tmp_path: Path) -> None:
    """Saved at 6, killed at 9, resumed: 7 to 9 come from the resumed run alone."""
    _log(_opt(tmp_path), range(1, 10))
    _log(_opt(tmp_path, resume_iter=6), range(7, 13))
    assert _steps(tmp_path) == list(range(1, 13))


def test_other_processes_and_debug_runs_log_nothing(tmp_path: Path) -> None:
    assert run_logs.init_tb_loggers(_opt(tmp_path, rank=1)) is None
    assert run_logs.init_tb_loggers(_opt(tmp_path, name='debug_run')) is None
    assert not list(tmp_path.iterdir())


def test_wandb_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    wandb = ModuleType('wandb')
    wandb.init = lambda **kwargs: calls.append(kwargs)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, 'wandb', wandb)
    for more in ({}, {'resume_iter': 5}, {}):
        opt = _opt(tmp_path, **more)
        opt['logger']['wandb']['project'] = 'faces'
        _log(opt, range(1))
    opt['logger']['wandb']['resume_id'] = 'mine'
    _log(opt, range(1))
    first, resumed, fresh, given = (call['id'] for call in calls)
    assert first == resumed != fresh and given == 'mine'
    assert all(call['resume'] == 'allow' and call['sync_tensorboard'] for call in calls)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _opt(tmp_path)
    opt['logger'] = {'use_tb_logger': False, 'wandb': {'project': 'faces'}}
    with pytest.raises(OptionError, match='set use_tb_logger: true'):
        run_logs.init_tb_loggers(opt)
    monkeypatch.setitem(sys.modules, 'wandb', None)
    opt['logger']['use_tb_logger'] = True
    with pytest.raises(DependencyError, match='pip install wandb'):
        run_logs.init_tb_loggers(opt)
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    with pytest.raises(DependencyError, match='pip install tensorboard'):
        run_logs.init_tb_loggers(_opt(tmp_path))


# ---- lines --------------------------------------------------------------------------------------------------------


def _lines(monkeypatch: pytest.MonkeyPatch, start: int, total: int) -> tuple[Any, list[str], list[float]]:
    told: list[str] = []
    now = [100.0]
    monkeypatch.setattr(run_logs.time, 'time', lambda: now[0])
    opt = {'name': 'long_name', 'logger': {'print_freq': 1, 'use_tb_logger': False}, 'train': {'total_iter': total}}
    logger = train.MessageLogger(opt, start)  # type: ignore[attr-defined]
    monkeypatch.setattr(logger.logger, 'info', told.append)
    return logger, told, now


def _line(logger: Any, iteration: int, **figures: float) -> None:
    logger({'epoch': 0, 'iter': iteration, 'lrs': [1e-4], 'time': 2.0, 'data_time': 0.1, **figures})


def test_time_left_is_that_of_the_iterations_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds an iteration, the first one much slower; a resumed run counts from where it goes on."""
    logger, told, now = _lines(monkeypatch, 0, 10)
    now[0] += 60
    logger.reset_start_time()
    for iteration in range(1, 11):
        _line(logger, iteration)
        now[0] += 2
    assert ['eta: 0:00:18,' in told[0], 'eta: 0:00:16,' in told[1], 'eta: 0:00:00,' in told[9]] == [True] * 3
    assert not any('day' in text for text in told)
    logger, told, now = _lines(monkeypatch, 6, 10)
    now[0] += 2
    _line(logger, 7)
    assert 'eta: 0:00:06,' in told[0]


def test_figures_are_those_that_people_say(monkeypatch: pytest.MonkeyPatch) -> None:
    logger, told, _ = _lines(monkeypatch, 0, 10)
    _line(logger, 1, l_pix=0.0123456, psnr=21.9991, grad_norm=0.51234, tiny=1.25e-7)
    assert told[0].endswith('l_pix: 1.2346e-02 psnr: 22.00 grad_norm: 0.5123 tiny: 1.250e-07 ')


def test_a_stock_logger_that_is_in_order_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mended(run_logs.MessageLogger):  # type: ignore[misc]
        def __call__(self, log_vars: dict[str, Any]) -> None:
            self.logger.info('[eta: 0:00:00]')

    monkeypatch.setattr(run_logs, 'MessageLogger', Mended)
    monkeypatch.setattr(train, 'MessageLogger', Mended)
    run_logs.repair_lines()
    assert train.MessageLogger is Mended  # type: ignore[attr-defined]


# ---- what stands before the first iteration -----------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['train', 'test'])
def test_versions_and_options_go_to_the_file(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen has a line each; what is logged later is on both."""
    module: Any = sys.modules[f'basicsr.{kind}']
    logger, screen = logging.Logger('probe'), io.StringIO()
    logger.addHandler(logging.StreamHandler(screen))
    monkeypatch.setattr(run_logs, 'get_root_logger', lambda: logger)
    opt = {'name': 'x', 'train': {'lr': 1e-4}}
    assert 'lr: 0.0001' in module.dict2str(opt) and not screen.getvalue()  # no file: nothing is hidden
    logger.addHandler(logging.FileHandler(tmp_path / 'run.log'))
    logger.info(module.get_env_info())
    logger.info(module.dict2str(opt))
    logger.info('later\n' * 9)
    shown, kept = screen.getvalue().splitlines(), (tmp_path / 'run.log').read_text()
    assert shown[0].startswith('BasicSR ') and 'PyTorch' in shown[0]
    assert shown[1] == f'Options: 5 lines in {tmp_path / "run.log"}' and shown[2:11] == ['later'] * 9
    assert 'Version Information' in kept and '    lr: 0.0001' in kept and kept.count('later') == 9
