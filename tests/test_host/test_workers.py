"""The training loader and its workers."""

from __future__ import annotations

import pickle
import random
import signal
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from facesr_ext.errors import OptionError
from facesr_ext.host.samplers import EpochIndex
from facesr_ext.host.workers import SeededDataset, is_lost_worker, prepare_loader


class _Threads(Dataset[torch.Tensor]):
    """Says what its worker process is like."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> torch.Tensor:
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return torch.tensor([cv2.getNumThreads(), ignored, torch.initial_seed() == 0])


class _Draws(Dataset[tuple[float, ...]]):
    """Draws from every global stream."""

    opt = {'name': 'draws'}

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[float, ...]:
        return float(index), random.random(), float(np.random.rand()), float(torch.rand(()))


def test_draws_of_others_are_those_of_their_place_and_the_global_streams_go_on() -> None:
    def streams() -> list[float]:
        return [*_Draws()[0]]

    def seeded(*seeds: int) -> list[float]:
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        before = [*pickle.loads(pickle.dumps(SeededDataset(_Draws(), seeds[0])))[EpochIndex(1, *seeds[1:])]]
        assert before[0] == 1 and streams() == expected
        return before

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = streams()
    first = seeded(5, 2, 4)
    assert first == seeded(5, 2, 4)
    for other in ((6, 2, 4), (5, 3, 4), (5, 2, 3)):
        assert not set(first[1:]) & set(seeded(*other)[1:])
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    dataset = SeededDataset(_Draws(), 5)
    assert [*dataset[0]] == expected, 'an index of another sampler'
    assert (len(dataset), dataset.opt, hasattr(dataset, 'nothing')) == (3, {'name': 'draws'}, False)


def _mark(worker_id: int) -> None:
    torch.manual_seed(0)


def test_workers_have_no_threads_and_leave_signals_alone() -> None:
    loader = DataLoader(_Threads(), 2, num_workers=1, worker_init_fn=_mark)
    prepare_loader(loader, {'timeout': 120})
    assert loader.timeout == 120
    (batch,) = loader
    assert batch.tolist() == [[1, 1, 1]] * 2  # OpenCV says 1 where it was told 0: no pool
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


@pytest.mark.parametrize(
    ('timeout', 'workers', 'message'),
    [('1m', 1, 'must be a number of seconds'), (-1, 1, 'must be a number of seconds'), (5, 0, 'needs workers')],
)
def test_unfit_timeouts(timeout: Any, workers: int, message: str) -> None:
    loader = DataLoader(_Threads(), 2, num_workers=workers)
    with pytest.raises(OptionError, match=message):
        prepare_loader(loader, {'timeout': timeout})


def test_a_lost_worker_is_known_by_what_torch_says() -> None:
    said = (
        'DataLoader worker (pid 12) is killed by signal: Killed. ',
        'DataLoader worker (pid(s) 1, 2) exited unexpectedly',
    )
    assert all(is_lost_worker(RuntimeError(text)) for text in said)
    assert not is_lost_worker(RuntimeError('DataLoader timed out after 5 seconds')) and not is_lost_worker(
        OSError(said[0])
    )
