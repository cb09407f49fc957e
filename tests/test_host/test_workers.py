"""The training loader and its workers."""

from __future__ import annotations

import signal
from typing import Any

import cv2
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from facesr_ext.errors import OptionError
from facesr_ext.host.workers import prepare_loader


class _Threads(Dataset[torch.Tensor]):
    """Says what its worker process is like."""

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> torch.Tensor:
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        return torch.tensor([cv2.getNumThreads(), ignored, torch.initial_seed() == 0])


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
