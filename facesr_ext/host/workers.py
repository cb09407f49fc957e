"""What the runner's training loader and its worker processes are told beyond BasicSR's options."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from basicsr.utils.registry import MODEL_REGISTRY
from torch.utils.data import DataLoader, Dataset

from facesr_ext.errors import OptionError
from facesr_ext.host.samplers import EpochIndex

ADDED = ('phase', 'section', 'scale', 'manual_seed', 'degradation', 'skipped_file', 'as_bytes')
"""What a dataset's options hold beside its section: BasicSR's parser adds the set's phase (train, val or test) and the
file's scale, `complete_dataset_options` the file's manual_seed, which the draws of our data sets are a function of, its
degradation where ``degrade_in_workers`` is set, where ``skip_bad_files`` is the list of what a run has left out, and
for a model that takes it, that the training set is to give images and masks as bytes."""
TERM_GRACE = 60.0
"""Seconds that a worker outlives a SIGTERM, for the training process to finish its iteration."""


class WorkerInit:
    """Start of a loader's worker: OpenCV without threads of its own, and signals left to the process that trains.

    Ctrl-C in a terminal and a scheduler's SIGTERM reach the workers as well; if these ended, the iteration that is
    to be finished and saved would end with "DataLoader worker exited unexpectedly".

    Args:
        inner (Callable | None): What BasicSR has set.
    """

    def __init__(self, inner: Callable[[int], None] | None) -> None:
        self.inner = inner

    def __call__(self, worker_id: int) -> None:
        cv2.setNumThreads(0)  # a pool of threads in each worker fights for the same cores, and may hang after a fork
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, _leave_later)
        if self.inner is not None:
            self.inner(worker_id)


def _leave_later(signum: int, frame: Any) -> None:
    timer = threading.Timer(TERM_GRACE, os._exit, (0,))
    timer.daemon = True
    timer.start()


_LOST = re.compile(r'DataLoader worker \((pid|pid\(s\)) [\d, ]+\) ')


def is_lost_worker(err: BaseException) -> bool:
    """Whether torch says by it that a loader's worker was killed, wherever the process that trains was then.

    Torch has no class of its own for it.
    """
    return isinstance(err, RuntimeError) and _LOST.search(str(err)) is not None


class SeededDataset(Dataset[Any]):
    """Somebody else's training set, whose random choices become a function of (manual_seed, epoch, draw).

    BasicSR's sets draw from the global streams of ``random`` and numpy, of which a resumed run knows nothing. Here each
    sample begins with streams of its own, and the global ones go on where they were: a run is the same with any number
    of workers, and a resumed one goes on in mid-epoch as if it had not stopped. Plain indices, of other samplers than
    ours, change nothing.

    Args:
        inner (Dataset): The set; everything but its samples is asked of it.
        manual_seed (int): The file's.
    """

    def __init__(self, inner: Dataset[Any], manual_seed: int) -> None:
        self.inner, self.manual_seed = inner, manual_seed

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or name == 'inner':  # the latter while it is unpickled
            raise AttributeError(name)
        return getattr(self.inner, name)

    def __len__(self) -> int:
        return len(self.inner)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        if not isinstance(index, EpochIndex):
            return self.inner[index]
        with _streams((self.manual_seed, index.epoch, index.draw)):
            return self.inner[index]


@contextlib.contextmanager
def _streams(seeds: tuple[int, int, int]) -> Iterator[None]:
    """The global streams of random, numpy and torch's CPU, seeded anew for a while."""
    first, second, third = map(int, np.random.SeedSequence(seeds).generate_state(3))
    with kept_streams():
        random.seed(first)
        np.random.seed(second)
        torch.default_generator.manual_seed(third)
        yield


@contextlib.contextmanager
def kept_streams() -> Iterator[None]:
    """The global streams of random, numpy and torch's CPU go on after it where they were before."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def prepare_loader(loader: DataLoader[Any], dataset_opt: dict[str, Any]) -> None:
    """Sets a training loader's start of workers and its ``timeout`` (seconds that a batch may take; default: any).

    Raises:
        OptionError: for a ``timeout`` that is no number of seconds, or without workers to wait for.
    """
    timeout = dataset_opt.get('timeout') or 0
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout < 0:
        raise OptionError(f'must be a number of seconds, not {timeout!r}', ('datasets', 'train', 'timeout'))
    if timeout and not loader.num_workers:
        raise OptionError(
            'needs workers: set num_worker_per_gpu above 0, or remove it', ('datasets', 'train', 'timeout')
        )
    loader.timeout = timeout
    if loader.num_workers:
        loader.worker_init_fn = WorkerInit(loader.worker_init_fn)


def complete_dataset_options(opt: dict[str, Any]) -> None:
    """Writes into each dataset's options what it needs of the rest of the file: our part of `ADDED`.

    Args:
        opt (dict): Options of a training run.
    """
    for dataset_opt in opt['datasets'].values():
        dataset_opt['manual_seed'] = opt['manual_seed']
        if dataset_opt.get('degrade_in_workers'):
            dataset_opt['degradation'] = opt.get('degradation')
        if dataset_opt.get('skip_bad_files'):
            dataset_opt['skipped_file'] = str(Path(opt['path']['experiments_root']) / 'skipped.txt')
    if getattr(_model_class(opt['model_type']), 'TAKES_BYTES', False):
        opt['datasets']['train']['as_bytes'] = True


def _model_class(name: str) -> Any:
    """None for a model that nobody has registered: the runner says so, later."""
    return MODEL_REGISTRY.get(name) if name in MODEL_REGISTRY else None
