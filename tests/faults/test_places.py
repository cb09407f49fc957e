"""Disks that are full, read-only or cut a file off, lost workers, a second run, a training that collapses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.faults.contents import assert_same_run
from tests.faults.processes import Ended, Running, run
from tests.faults.test_killed import gan
from tests.support import OPTIONS, small_options, write_options

pytestmark = pytest.mark.skipif(os.name != 'posix', reason='fork, mounts and limits')
TOTAL = 12


def toy(total: int = TOTAL, **train_set: Any) -> dict[str, Any]:
    """A SRCNN and its average, saved every two iterations and validated every three."""
    opt = small_options(OPTIONS / 'srcnn.yml')
    opt['name'] = 'toy'
    opt['train']['total_iter'] = total
    opt['datasets']['train'].update(num_faces=5, **train_set)
    opt['logger']['keep_last'] = 2
    opt['val']['val_freq'] = 3
    return opt


def train(folder: Path, opt: dict[str, Any], *more: str, **how: Any) -> Ended:
    return run(words(folder, opt, *more), folder, **how)


def words(folder: Path, opt: dict[str, Any], *more: str) -> list[str]:
    file = folder.with_name(f'{folder.name}.yml')
    return ['basicsr.train', '-opt', str(write_options(opt, file)), *more]


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """experiments/toy of a run that nothing has stopped."""
    folder = tmp_path_factory.mktemp('toy') / 'unbroken'
    done = train(folder, toy())
    assert done.status == 0, done.said
    return folder / 'experiments' / 'toy'


def assert_goes_on(folder: Path, unbroken: Path) -> None:
    """By the same command, to the same end."""
    done = train(folder, toy(), '--auto_resume')
    assert done.status == 0 and 'Resuming training from epoch' in done.said, done.said
    assert_same_run(unbroken, folder / 'experiments' / 'toy', TOTAL)


# ---- disks --------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MiB."""
    place = tmp_path / 'disk'
    place.mkdir()
    made = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', str(place)], capture_output=True)
    if made.returncode:
        pytest.skip('mounting needs root')
    yield place
    subprocess.run(['umount', '-l', str(place)], check=True)


def test_a_full_disk(disk: Path, unbroken: Path) -> None:
    """Filled up to some pages once six iterations are saved; then there is room again."""
    assert train(disk, toy(6)).status == 0
    here, ballast = disk / 'experiments' / 'toy', disk / 'ballast'
    (here / 'models' / 'net_g_latest.pth').unlink()
    for left in (0, 16, 40):  # nothing, a part of the first pictures, checkpoints without their states
        ballast.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - left * 4096)))
        done = train(disk, toy(), '--auto_resume')
        ballast.unlink()
        assert done.status == 2 and 'Traceback' not in done.said.replace(LOGGED, ''), done.said
        assert 'No space left' in done.said or 'are free' in done.said, done.said
        assert list((here / 'training_states').iterdir()) and not list(here.rglob('.*'))
    assert_goes_on(disk, unbroken)


LOGGED = '--- Logging error ---\nTraceback'
"""What Python says where a line finds no room in a log."""


def test_a_disk_that_is_read_only(disk: Path, unbroken: Path) -> None:
    assert train(disk, toy(6)).status == 0
    (disk / 'experiments' / 'toy' / 'models' / 'net_g_latest.pth').unlink()
    subprocess.run(['mount', '-o', 'remount,ro', str(disk)], check=True)
    done = train(disk, toy(), '--auto_resume')
    subprocess.run(['mount', '-o', 'remount,rw', str(disk)], check=True)
    assert done.status == 2 and 'Traceback' not in done.said, done.said
    assert 'Read-only file system' in done.said and 'toy' in done.said
    assert_goes_on(disk, unbroken)


def test_files_that_may_not_grow(tmp_path: Path, unbroken: Path) -> None:
    """As on a disk with a quota; also where nobody may mount."""
    here = tmp_path / 'here' / 'experiments' / 'toy'
    assert train(tmp_path / 'here', toy(6)).status == 0
    (here / 'models' / 'net_g_latest.pth').unlink()
    size = (here / 'models' / 'net_g_6.pth').stat().st_size
    done = train(tmp_path / 'here', toy(), '--auto_resume', largest=size - 100)
    assert done.status == 2 and 'File too large' in done.said and f'cannot write {here}' in done.said, done.said
    assert_goes_on(tmp_path / 'here', unbroken)


@pytest.mark.parametrize('cut', ['training_states/12.state', 'models/net_g_12.pth'])
def test_the_newest_file_is_cut_off(cut: str, tmp_path: Path, unbroken: Path) -> None:
    here = tmp_path / 'here' / 'experiments' / 'toy'
    shutil.copytree(unbroken, here)
    path = here / cut
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (here / 'models' / 'net_g_latest.pth').unlink()
    assert_goes_on(tmp_path / 'here', unbroken)


# ---- processes ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_that_reads_images_is_killed(tmp_path: Path) -> None:
    """And the run goes on without workers, which changes nothing."""
    opt = toy(60)
    opt['val']['val_freq'] = 60
    assert train(tmp_path / 'unbroken', opt).status == 0
    folder, here = tmp_path / 'here', tmp_path / 'here' / 'experiments' / 'toy'
    opt['datasets']['train'].update(num_worker_per_gpu=1, persistent_workers=True)
    running = Running(words(folder, opt), folder)
    running.wait_for(here / 'training_states' / '4.state')
    os.kill(running.workers()[0], signal.SIGKILL)
    done = running.end()
    assert done.status == 2 and 'Traceback' not in done.said, done.said
    assert 'DataLoader worker' in done.said and 'Set num_worker_per_gpu lower' in done.said
    assert here.is_dir() and not list(here.rglob('.*'))
    opt['datasets']['train'].update(num_worker_per_gpu=0, persistent_workers=False)
    assert train(folder, opt, '--auto_resume').status == 0
    assert_same_run(tmp_path / 'unbroken' / 'experiments' / 'toy', here, 60)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path: Path, unbroken: Path) -> None:
    folder = tmp_path / 'here'
    first = Running(words(folder, toy()), folder)
    first.wait_for(folder / 'experiments' / 'toy' / 'models')
    os.kill(first.process.pid or 0, signal.SIGSTOP)
    second = run(words(folder, toy()), tmp_path / 'second')  # elsewhere
    assert second.status == 0
    for more in ((), ('--auto_resume',)):
        beside = subprocess_in(folder, more)
        assert beside.status == 2 and f'process {first.process.pid} of' in beside.said and 'trains there' in beside.said
    os.kill(first.process.pid or 0, signal.SIGCONT)
    done = first.end()
    assert done.status == 0, done.said
    assert_same_run(unbroken, folder / 'experiments' / 'toy', TOTAL)


def subprocess_in(folder: Path, more: tuple[str, ...]) -> Ended:
    """Another run in the folder, whose words go elsewhere."""
    link = folder.with_name('link')
    if not link.exists():
        link.symlink_to(folder)
    return run(words(link, toy(), *more), link)


# ---- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('lr', [1.0e30, 1.0e39])
def test_a_collapse_leaves_finite_checkpoints(lr: float, tmp_path: Path) -> None:
    """Steps so large that the weights leave fp32; what was saved before can be gone on with."""
    opt = gan()
    opt['name'] = 'toy'
    opt['train'].update(total_iter=40, nonfinite_patience=3)
    opt['train']['scheduler'].update(periods=[40])
    first = train(tmp_path / 'here', {**opt, 'train': {**opt['train'], 'total_iter': 4}})
    assert first.status == 0, first.said
    here = tmp_path / 'here' / 'experiments' / 'toy'
    (here / 'models' / 'net_g_latest.pth').unlink()
    (here / 'models' / 'net_d_latest.pth').unlink()
    for label in ('optim_g', 'optim_d'):
        opt['train'][label]['lr'] = lr
    done = train(tmp_path / 'here', opt, '--auto_resume')
    assert done.status == 2 and 'not finite' in done.said and 'Traceback' not in done.said, done.said
    assert 'Lower train:optim_' in done.said
    for path in here.rglob('*.*'):
        if path.suffix in ('.pth', '.state'):
            assert all(value.isfinite().all() for value in tensors(torch.load(path, weights_only=True))), path.name
    assert (here / 'training_states' / '4.state').is_file()


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor of numbers that are no whole ones."""
    if isinstance(value, torch.Tensor) and value.is_floating_point():
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
        yield from tensors(inner)
