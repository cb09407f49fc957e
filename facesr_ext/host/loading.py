"""``num_worker_per_gpu: auto``: how many processes load the faces of a training, by the machine that it runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

AUTO = 'auto'
MOST = 8
"""For each GPU. Four loaded 64 faces in 44 ms, on which an H200 computed for 20; each takes memory."""
BESIDE_CPU = 2
"""Loading is at most a tenth of an iteration there; on two cores, none, one and two could not be told apart."""
_CGROUPS = Path('/sys/fs/cgroup')
_OWN_CGROUP = Path('/proc/self/cgroup')


class Workers(NamedTuple):
    """A number of loading processes, and why it is that."""

    number: int
    why: str


def usable_cores() -> int:
    """Cores that this process may use: of the machine, as far as affinity and the quota of its cgroups allow.

    Returns:
        int: At least 1; a quota of 2.5 cores counts as 2.
    """
    try:
        cores = len(os.sched_getaffinity(0))  # type: ignore[attr-defined,unused-ignore]
    except (AttributeError, OSError):  # macOS and Windows have none
        cores = os.cpu_count() or 1
    return max(1, int(min([cores, *_quotas()])))


def _quotas() -> Iterator[float]:
    """Cores that each cgroup of this process, and those above it, may use; nothing for those without a limit."""
    try:
        own = _OWN_CGROUP.read_text(encoding='utf-8').splitlines()
    except OSError:
        return
    for line in own:
        _, controllers, place = line.split(':', 2)
        if controllers and 'cpu' not in controllers.split(','):
            continue
        root = _CGROUPS / 'cpu' if controllers else _CGROUPS
        folder = root / place.lstrip('/')
        while folder.is_relative_to(root):  # a container does not see the folders above its own
            yield from _quota(folder)
            folder = folder.parent


def _quota(folder: Path) -> Iterator[float]:
    try:
        if (folder / 'cpu.max').is_file():
            quota, period = (folder / 'cpu.max').read_text(encoding='utf-8').split()
        else:
            quota, period = (
                (folder / f'cpu.cfs_{name}_us').read_text(encoding='utf-8') for name in ('quota', 'period')
            )
        cores = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # not there, or max
        return
    if cores > 0:  # -1: no limit
        yield cores


def training_processes() -> int:
    """Training processes of this machine, as torchrun says."""
    told = os.environ.get('LOCAL_WORLD_SIZE', '')
    return max(1, int(told)) if told.isdecimal() else 1


def workers_beside_gpu(cores: int, sharing: int = 1) -> Workers:
    """Loading processes for each GPU: the cores that the training itself leaves, at least one.

    Args:
        cores (int): That may be used.
        sharing (int): GPUs, or training processes, that share them. Default: 1.
    """
    left = cores // sharing - 1
    capped = f'; at most {MOST}' if left > MOST else ''
    return Workers(min(MOST, max(1, left)), f'{_shared(cores, sharing)}; 1 for the training itself{capped}')


def workers_beside_cpu(cores: int, sharing: int = 1) -> Workers:
    """Loading processes of a training on the CPU: two, or none where it has one core and nothing can go on beside.

    Args:
        cores (int): That may be used.
        sharing (int): Training processes that share them. Default: 1.
    """
    if cores // sharing < BESIDE_CPU:
        return Workers(0, f'{_shared(cores, sharing)}; the training needs it')
    return Workers(BESIDE_CPU, f'{_shared(cores, sharing)}; always 2 from 2 cores on')


def _shared(cores: int, sharing: int) -> str:
    """As '16 cores shared by 4, 4 each'."""
    whole = f'{cores} core{"s" if cores > 1 else ""}'
    return whole if sharing == 1 else f'{whole} shared by {sharing}, {cores / sharing:g} each'


def automatic_workers(num_gpu: int, several: bool) -> Workers:
    """What ``num_worker_per_gpu: auto`` is for a training of this process.

    Args:
        num_gpu (int): Of the option file; 0: the CPU.
        several (bool): There is a process for each GPU; else one feeds all of them, and BasicSR multiplies the number.
    """
    sharing = training_processes()
    if num_gpu == 0:
        return workers_beside_cpu(usable_cores(), sharing)
    return workers_beside_gpu(usable_cores(), sharing if several else sharing * num_gpu)


def settle_workers(opt: dict[str, Any]) -> None:
    """Writes the number into every data set whose ``num_worker_per_gpu`` is ``auto``, in place.

    Where it is 0, so are what only worker processes have: ``persistent_workers`` and ``timeout``.

    Args:
        opt (dict): The option file as BasicSR has read it: ``num_gpu`` is a number, ``dist`` is there.
    """
    for section in opt['datasets'].values():
        if section.get('num_worker_per_gpu') != AUTO:
            continue
        number = automatic_workers(int(opt['num_gpu']), bool(opt.get('dist'))).number
        section['num_worker_per_gpu'] = number
        if not number:
            section.update({key: False for key in ('persistent_workers', 'timeout') if section.get(key)})


def workers_note(opt: Mapping[str, Any], several: bool) -> str | None:
    """What the log says of ``auto`` in the training set of an option file; None where there is no ``auto``.

    Args:
        opt (Mapping): The option file as it is written; what is wrong with it is for others to say.
        several (bool): As in `automatic_workers`.
    """
    sets = opt.get('datasets')
    section = sets.get('train') if isinstance(sets, dict) else None
    if not isinstance(section, dict) or section.get('num_worker_per_gpu') != AUTO:
        return None
    gpus = torch.cuda.device_count() if opt.get('num_gpu') == AUTO else opt.get('num_gpu')
    if not isinstance(gpus, int):
        return None
    number, why = automatic_workers(gpus, several)
    return f'num_worker_per_gpu: auto is {number} here ({why}).'
