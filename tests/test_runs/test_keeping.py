"""What a run keeps: old checkpoints, the best one, room on the disk, and its last state when a signal ends it."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from facesr_ext.cli.run import run_pipeline
from facesr_ext.errors import CheckpointError
from facesr_ext.host import interrupts
from facesr_ext.models.validation import Validation
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint
from facesr_ext.runs.folder import RunFolder
from facesr_ext.runs.keeping import BestOf, Keeping, is_better, tensor_bytes
from tests.support import OPTIONS, small_options, write_options

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def _keeping(folder: Path, **arguments: Any) -> Keeping:
    for key in ('models', 'training_states'):
        (folder / key).mkdir(exist_ok=True)
    return Keeping(RunFolder(folder), **arguments)


def _fill(folder: Path, iterations: list[Any]) -> None:
    for i in iterations:
        for name in (f'models/net_g_{i}.pth', f'models/net_d_{i}.pth', f'training_states/{i}.state'):
            (folder / name).touch()


def _left(folder: Path) -> list[list[str]]:
    return [sorted(p.name for p in (folder / sub).iterdir()) for sub in ('models', 'training_states')]


@pytest.mark.parametrize(
    ('arguments', 'newest', 'stay'),
    [
        ({}, 50, [10, 20, 30, 40, 50]),
        ({'last': 2}, 50, [40, 50]),
        ({'last': 1, 'every': 20}, 50, [20, 40, 50]),
        ({'last': 1}, 30, [30, 40, 50]),  # resumed from an earlier state: what it has not reached again stays
        ({'last': 9}, 50, [10, 20, 30, 40, 50]),
    ],
)
def test_old_checkpoints_go(arguments: dict[str, int], newest: int, stay: list[int], tmp_path: Path) -> None:
    keeping = _keeping(tmp_path, **arguments)
    _fill(tmp_path, [10, 20, 30, 40, 50])
    _fill(tmp_path, ['best', 'latest'])
    keeping.prune(newest)
    models = sorted(f'net_{label}_{i}.pth' for label in 'gd' for i in (*stay, 'best', 'latest'))
    assert _left(tmp_path) == [models, sorted(f'{i}.state' for i in (*stay, 'best', 'latest'))]


def test_the_best_is_of_the_first_set_and_never_nan(tmp_path: Path) -> None:
    keeping = _keeping(tmp_path, best=BestOf('v', 'psnr_y'))
    assert keeping.new_best('w', {'psnr_y': 50.0}, 1) is None
    values = [(20.0, True), (math.nan, False), (19.0, False), (21.0, True)]
    assert [bool(keeping.new_best('v', {'psnr_y': v}, i)) for i, (v, _) in enumerate(values)] == [w for _, w in values]
    assert keeping.record == {'set': 'v', 'metric': 'psnr_y', 'value': 21.0, 'iteration': 3}
    lower = _keeping(tmp_path, best=BestOf('v', 'niqe', higher=False))
    assert [bool(lower.new_best('v', {'niqe': v}, 1)) for v in (3.0, 4.0, 2.0)] == [True, False, True]


@pytest.mark.parametrize('higher', [True, False])
def test_nan_is_neither_the_best_nor_stands_in_its_way(higher: bool) -> None:
    assert not is_better(math.nan, None, higher) and not is_better(math.nan, 3.0, higher)
    assert is_better(3.0, math.nan, higher) and not is_better(math.nan, math.nan, higher)


def test_room_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = _keeping(tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=10 * 2**20))
    keeping.check_space(9 * 2**20)
    with pytest.raises(CheckpointError, match=r'needs 10\.2 MB, 10\.0 MB are free\. The last one saved is whole'):
        keeping.check_space(10 * 2**20)


def test_bytes_of_nested_tensors() -> None:
    half = torch.ones(3, dtype=torch.float16)
    assert tensor_bytes([{'a': torch.ones(2, 2), 'b': {0: [half, 'x']}, 'c': (1, half)}]) == 16 + 6 + 6


# ---- whole runs ----------------------------------------------------------------------------------------------------


def _options(total: int, **logger: Any) -> dict[str, Any]:
    opt = small_options(OPTIONS / 'fsrgan.yml')
    opt['train'].update(total_iter=total, scheduler={**opt['train']['scheduler'], 'periods': [40]})
    opt['logger'].update(logger)
    return opt


def test_a_run_keeps_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opt = _options(6, save_checkpoint_freq=1, keep_last=2, keep_every=3, keep_best='ssim_rgb')
    run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'opt.yml'))])
    run = tmp_path / 'experiments' / opt['name']
    assert sorted(p.stem for p in (run / 'training_states').iterdir()) == ['3', '5', '6']
    names = {p.name for p in (run / 'models').iterdir()}
    assert names == {f'net_{label}_{i}.pth' for label in 'gd' for i in (3, 5, 6, 'latest')} | {'net_g_best.pth'}
    best = load_checkpoint(run / 'models' / 'net_g_best.pth')
    record = best[META_KEY]['best']
    assert (
        record['metric'] == 'ssim_rgb' and record['iteration'] == best[META_KEY]['iteration'] and 'params_ema' in best
    )

    # A resumed run knows it, unless it comes from a later iteration.
    keeping = Keeping(RunFolder(run), best=BestOf('val', 'ssim_rgb'))
    keeping.recall(record['iteration'] - 1)
    assert keeping.record is None
    keeping.recall(record['iteration'])
    assert keeping.record == record


def test_a_full_disk_ends_the_run_with_its_last_state_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opt = _options(4, save_checkpoint_freq=1)
    frees = iter([2**40, 0])
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: SimpleNamespace(free=next(frees)))
    with pytest.raises(CheckpointError, match=r'0\.0 B are free'):
        run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'opt.yml'))])
    run = tmp_path / 'experiments' / opt['name']
    assert _left(run) == [['net_d_1.pth', 'net_g_1.pth'], ['1.state']]


def test_a_signal_ends_a_validation_between_two_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opt = _options(4, save_checkpoint_freq=1000)
    came: list[int] = []
    take = Validation._take

    def take_and_signal(self: Validation, *args: Any) -> None:
        take(self, *args)
        signal.raise_signal(signal.SIGTERM)
        came.append(1)

    monkeypatch.setattr(Validation, '_take', take_and_signal)
    monkeypatch.setattr('facesr_ext.models.validation.leaves_a_core', lambda device: False)  # else two come, from aside
    with pytest.raises(interrupts.RunInterrupted) as ended:
        run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'opt.yml'))])
    assert ended.value.status == 143 and came == [1]
    assert _left(tmp_path / 'experiments' / opt['name']) == [['net_d_2.pth', 'net_g_2.pth'], ['2.state']]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def _start(file: Path, cwd: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, '-m', 'basicsr.train', '-opt', str(file), *more],
        cwd=cwd,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,  # as a terminal does, the signal can go to the loader's workers too
    )


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An option file with two workers, and the weights that a run of it ends with."""
    folder = tmp_path_factory.mktemp('unbroken')
    opt = _options(30, save_checkpoint_freq=1000)
    opt['datasets']['train'].update(num_faces=10, batch_size_per_gpu=4, num_worker_per_gpu=2, persistent_workers=True)
    opt['val']['val_freq'] = 1000
    file = write_options(opt, folder / 'opt.yml')
    with _start(file, folder) as process:
        process.communicate(timeout=300)
    return file, load_checkpoint(folder / 'experiments' / opt['name'] / 'models' / 'net_g_latest.pth')


@pytest.mark.skipif(os.name == 'nt', reason='POSIX signals')
@pytest.mark.parametrize('signum', SIGNALS)
def test_a_signal_saves_and_a_resumed_run_ends_with_the_same_weights(
    signum: signal.Signals, unbroken: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    file, expected = unbroken
    with _start(file, tmp_path) as process:
        while process.poll() is None and not list(tmp_path.glob('experiments/*/visualization/first_batch.png')):
            time.sleep(0.02)
        os.killpg(process.pid, signum)
        told = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + signum and 'Traceback' not in told and 'Stopped and saved' in told
    (state,) = tmp_path.glob('experiments/*/training_states/*.state')
    models = state.parents[1] / 'models'
    assert 0 < int(state.stem) < 30 and not (models / 'net_g_latest.pth').exists()
    with _start(file, tmp_path, '--auto_resume') as process:
        process.communicate(timeout=300)
    resumed = load_checkpoint(models / 'net_g_latest.pth')
    for key in ('params', 'params_ema'):
        assert all(torch.equal(resumed[key][k], expected[key][k]) for k in expected[key])


@pytest.mark.skipif(os.name == 'nt', reason='POSIX signals')
def test_the_second_signal_ends_the_run_at_once_and_handlers_are_put_back(run_python: Any, tmp_path: Path) -> None:
    """In one process: the first signal is noted, the second one takes the way it took before the run."""
    code = """
import signal
from facesr_ext.host import interrupts
before = signal.getsignal(signal.SIGINT)
try:
    with interrupts.watched():
        try:
            signal.raise_signal(signal.SIGINT)  # nothing trains yet: as ever
        except KeyboardInterrupt:
            print('at once')
    assert signal.getsignal(signal.SIGINT) is before
    with interrupts.watched():
        interrupts.arm()
        signal.raise_signal(signal.SIGINT)
        print('noted', interrupts.requested())
        signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print('second')
assert signal.getsignal(signal.SIGINT) is before and interrupts.requested() == 0
"""
    done = run_python(code)
    assert done.stdout.split('\n')[:3] == ['at once', f'noted {int(signal.SIGINT)}', 'second']
    assert 'SIGINT: saving after this iteration' in done.stderr
