"""``num_worker_per_gpu: auto``: cores, processes, device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from facesr_ext.host import loading
from facesr_ext.host.entry import read_options
from tests.support import OPTIONS, small_options, write_options


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cgroups, of which none has a limit; 64 cores by affinity; this process is in /job/step."""
    monkeypatch.setattr(loading, '_CGROUPS', tmp_path)
    monkeypatch.setattr(loading, '_OWN_CGROUP', tmp_path / 'own')
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(64)), raising=False)
    (tmp_path / 'own').write_text('0::/job/step\n', encoding='utf-8')
    return tmp_path


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def test_affinity_counts(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loading.usable_cores() == 64
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {3, 5}, raising=False)
    assert loading.usable_cores() == 2


def test_without_affinity_the_cores_of_the_machine_count(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, 'sched_getaffinity')
    monkeypatch.setattr(os, 'cpu_count', lambda: 10)
    (cgroups / 'own').unlink()
    assert loading.usable_cores() == 10


@pytest.mark.parametrize(
    ('place', 'text', 'cores'),
    [
        ('job/step', '400000 100000\n', 4),
        ('job', '250000 100000\n', 2),  # of the group above, in halves
        ('.', '50000 100000\n', 1),
        ('job/step', 'max 100000\n', 64),
        ('other', '100000 100000\n', 64),
        ('job', 'nonsense', 64),
    ],
)
def test_the_quota_of_a_cgroup_counts(cgroups: Path, place: str, text: str, cores: int) -> None:
    _write(cgroups / place / 'cpu.max', text)
    assert loading.usable_cores() == cores


@pytest.mark.parametrize(('quota', 'cores'), [('300000', 3), ('-1', 64)])
def test_the_quota_of_an_older_cgroup_counts(cgroups: Path, quota: str, cores: int) -> None:
    (cgroups / 'own').write_text('4:memory:/job\n3:cpu,cpuacct:/job\n', encoding='utf-8')
    _write(cgroups / 'cpu' / 'job' / 'cpu.cfs_quota_us', quota)
    _write(cgroups / 'cpu' / 'job' / 'cpu.cfs_period_us', '100000')
    assert loading.usable_cores() == cores


@pytest.mark.parametrize(('told', 'processes'), [('4', 4), ('1', 1), ('0', 1), ('', 1), ('many', 1)])
def test_processes_are_those_of_torchrun(monkeypatch: pytest.MonkeyPatch, told: str, processes: int) -> None:
    monkeypatch.setenv('LOCAL_WORLD_SIZE', told)
    assert loading.training_processes() == processes


@pytest.mark.parametrize(
    ('cores', 'sharing', 'number'), [(1, 1, 1), (2, 1, 1), (4, 1, 3), (16, 1, 8), (16, 4, 3), (8, 8, 1), (256, 8, 8)]
)
def test_a_gpu_gets_what_the_training_leaves(cores: int, sharing: int, number: int) -> None:
    assert loading.workers_beside_gpu(cores, sharing).number == number


@pytest.mark.parametrize(
    ('cores', 'sharing', 'number'), [(1, 1, 0), (2, 1, 2), (3, 1, 2), (64, 1, 2), (16, 8, 2), (16, 9, 0), (2, 4, 0)]
)
def test_a_cpu_training_of_one_core_loads_itself(cores: int, sharing: int, number: int) -> None:
    assert loading.workers_beside_cpu(cores, sharing).number == number


def test_why_is_told() -> None:
    assert loading.workers_beside_gpu(16).why == '16 cores; 1 for the training itself; at most 8'
    assert loading.workers_beside_gpu(16, 4).why == '16 cores shared by 4, 4 each; 1 for the training itself'
    assert loading.workers_beside_cpu(2).why == '2 cores; always 2 from 2 cores on'
    assert loading.workers_beside_cpu(1).why == '1 core; the training needs it'


def test_gpus_of_one_process_share_its_cores_and_processes_those_of_the_machine(
    cgroups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(12)), raising=False)
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    assert loading.automatic_workers(4, several=False).number == 2  # BasicSR takes it times four
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '3')
    assert loading.automatic_workers(4, several=True).number == 3  # num_gpu counts those of the machine
    assert loading.automatic_workers(0, several=True).number == 2
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '8')
    assert loading.automatic_workers(0, several=True).number == 0


def _read(folder: Path, cores: int, monkeypatch: pytest.MonkeyPatch, **train_set: Any) -> dict[str, Any]:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(cores)), raising=False)
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    opt = small_options(OPTIONS / 'srcnn.yml')
    opt['datasets']['train'].update(num_worker_per_gpu='auto', **train_set)
    section: dict[str, Any] = read_options(str(write_options(opt, folder / 'file.yml')), (), folder)['datasets'][
        'train'
    ]
    return section


def test_a_number_is_there_before_the_loader_is_made(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = _read(cgroups, 2, monkeypatch, persistent_workers=True, timeout=60)
    assert section['num_worker_per_gpu'] == 2 and section['persistent_workers'] is True and section['timeout'] == 60


def test_none_have_nothing_that_processes_have(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = _read(cgroups, 1, monkeypatch, persistent_workers=True, timeout=60)
    assert section['num_worker_per_gpu'] == 0 and not section['persistent_workers'] and not section['timeout']


@pytest.mark.parametrize(
    'opt',
    [
        {}, {'datasets': None}, {'datasets': {'train': None}}, {'datasets': {'train': {'num_worker_per_gpu': 2}}},
        {'datasets': {'train': {'num_worker_per_gpu': 'auto'}}},
        {'num_gpu': 'two', 'datasets': {'train': {'num_worker_per_gpu': 'auto'}}},
    ],
)  # fmt: skip
def test_the_log_says_nothing_without_auto_or_of_a_wrong_file(opt: dict[str, Any]) -> None:
    assert loading.workers_note(opt, False) is None


def test_the_log_says_what_auto_is(cgroups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('LOCAL_WORLD_SIZE', raising=False)
    said = loading.workers_note({'num_gpu': 0, 'datasets': {'train': {'num_worker_per_gpu': 'auto'}}}, False)
    assert said == 'num_worker_per_gpu: auto is 2 here (64 cores; always 2 from 2 cores on).'
