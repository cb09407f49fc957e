"""What may change between a kill and the resumed run: what gives the same weights, and what is told."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from facesr_ext.host.loading import usable_cores
from tests.faults.contents import assert_same, assert_same_run
from tests.faults.test_places import TOTAL, toy, train
from tests.support import ROOT, child_environment
from tests.test_models.test_distributed import command
from tests.training import weights

pytestmark = pytest.mark.skipif(os.name != 'posix', reason='fork, kill -9')


@pytest.fixture(scope='module')
def half(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folders of a run to its end, and of one that has come to iteration 6."""
    folder = tmp_path_factory.mktemp('changes')
    for place, total in (('whole', TOTAL), ('half', 6)):
        assert train(folder / place, toy(total)).status == 0
    (folder / 'half' / 'experiments' / 'toy' / 'models' / 'net_g_latest.pth').unlink()
    return folder / 'whole', folder / 'half'


def resumed(half: tuple[Path, Path], folder: Path, **train_set: int) -> str:
    """Goes on with a copy of the half; what it said."""
    shutil.copytree(half[1] / 'experiments', folder / 'experiments')
    done = train(folder, toy(**train_set), '--auto_resume')
    assert done.status == 0, done.said
    return done.said


def test_workers(half: tuple[Path, Path], tmp_path: Path) -> None:
    said = resumed(half, tmp_path / 'here', num_worker_per_gpu=2)
    assert_same_run(half[0] / 'experiments' / 'toy', tmp_path / 'here' / 'experiments' / 'toy', TOTAL)
    assert 'not those of the training state' not in said


@pytest.mark.skipif(usable_cores() < 2, reason='two cores')
def test_a_machine_with_more_cores(half: tuple[Path, Path], tmp_path: Path) -> None:
    """``num_worker_per_gpu: auto`` is 0 where the training has one core, and 2 where it goes on."""
    auto: dict[str, Any] = {'num_worker_per_gpu': 'auto', 'persistent_workers': True}
    for total, more, cores, workers in ((6, (), 1, 0), (TOTAL, ('--auto_resume',), 2, 2)):
        done = train(tmp_path / 'here', toy(total, **auto), *more, cores=cores)
        assert done.status == 0, done.said
        assert f'num_worker_per_gpu: auto is {workers} here' in done.said
    assert 'Resuming training from epoch' in done.said and 'not those of the training state' not in done.said
    assert_same_run(half[0] / 'experiments' / 'toy', tmp_path / 'here' / 'experiments' / 'toy', TOTAL)


def test_threads(half: tuple[Path, Path], tmp_path: Path) -> None:
    """Sums may be taken in another order: equal up to the last digits."""
    shutil.copytree(half[1] / 'experiments', tmp_path / 'here' / 'experiments')
    done = train(tmp_path / 'here', toy(), '--auto_resume', threads=2)
    assert done.status == 0, done.said
    one, other = (weights(folder, toy()) for folder in (half[0], tmp_path / 'here'))
    assert max(float((one[key] - other[key]).abs().max()) for key in one) < 1e-5


def test_a_batch_of_another_size_is_told(half: tuple[Path, Path], tmp_path: Path) -> None:
    said = resumed(half, tmp_path / 'here', batch_size_per_gpu=4)
    assert 'not those of the training state' in said and 'datasets:train:batch_size_per_gpu: 2 -> 4' in said


@pytest.mark.slow
def test_a_killed_process_of_torchrun_is_started_again_with_the_others(tmp_path: Path) -> None:
    """``--max-restarts 1`` and ``--auto_resume``: the same weights; then another number of processes is told."""
    opt = toy(40)
    opt['val']['val_freq'] = 40
    for place in ('unbroken', 'broken'):
        cwd = tmp_path / place
        words = command(cwd, opt, '--auto_resume')
        words = [*words[:3], '--max-restarts', '1', *words[3:]]
        with (tmp_path / f'{place}.txt').open('w', encoding='utf-8') as said:
            group = subprocess.Popen(
                words, cwd=cwd, env=child_environment(PYTHONPATH=str(ROOT)), stdout=said, stderr=subprocess.STDOUT
            )
            with group:
                if place == 'broken':
                    kill_the_second(group, cwd / 'experiments' / 'toy' / 'training_states' / '6.state')
        assert group.returncode == 0, (tmp_path / f'{place}.txt').read_text(encoding='utf-8')
    assert 'Resuming training from epoch' in (tmp_path / 'broken.txt').read_text(encoding='utf-8')
    one, other = (weights(tmp_path / place, opt) for place in ('unbroken', 'broken'))
    assert_same(one, other)
    done = train(tmp_path / 'broken', toy(42), '--auto_resume')
    assert done.status == 0 and 'processes: 2 -> 1' in done.said, done.said


def kill_the_second(group: subprocess.Popen[bytes], state: Path) -> None:
    """kill -9 for the process of rank 1, once a state is there."""
    while group.poll() is None and not state.exists():
        time.sleep(0.01)
    children = Path(f'/proc/{group.pid}/task/{group.pid}/children').read_text(encoding='ascii').split()
    second = [pid for pid in children if b'\0RANK=1\0' in Path(f'/proc/{pid}/environ').read_bytes()]
    os.kill(int(second[0]), signal.SIGKILL)
