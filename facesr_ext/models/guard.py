"""Whether a step is taken: only one whose gradient is finite is, without waiting for a GPU to say so."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import torch


class _Verdict(NamedTuple):
    """Whether the gradient of an iteration is finite, once the device has come that far."""

    finite: torch.Tensor
    event: torch.cuda.Event | None
    iteration: int

    def read(self) -> bool:
        if self.event is not None:
            self.event.synchronize()
        return bool(self.finite)


class Guard:
    """Counts bad steps, and tells of them one iteration late where that spares the device a wait.

    To ask a GPU for one value is to wait until it has done all that it was given, and to have nothing to give it then.
    So the optimiser itself leaves out a step that is not finite, on the device, and the answer is read when the next
    iteration has been handed over. After a bad step, each is waited for, until one is good again.

    Args:
        optimizer (Optimizer): Of the network.
        device (device): Where it is.
        patience (int): So many bad steps in a row are too many.

    Attributes:
        bad (int): Bad steps in a row, as far as is known.
        late (bool): Steps are left out on the device, and told of one iteration late.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, device: torch.device, patience: int) -> None:
        fused = all(group.get('fused') for group in optimizer.param_groups)  # those can leave a step out by themselves
        self.optimizer, self.patience = optimizer, patience
        self.late = device.type == 'cuda' and fused and patience > 1
        self.bad = 0
        self._unread: deque[_Verdict] = deque()

    @property
    def exhausted(self) -> bool:
        """Whether there were too many bad steps in a row."""
        return self.bad >= self.patience

    def step(self, finite: torch.Tensor, iteration: int) -> list[tuple[int, int]]:
        """Steps the optimiser where the gradient is finite.

        Args:
            finite (Tensor): (), bool, whether it is.
            iteration (int): Of the training.

        Returns:
            list[tuple[int, int]]: Iterations now known to have been bad, the oldest first, and which in a row each was.
        """
        self.optimizer.found_inf = (~finite).float()  # type: ignore[attr-defined]
        try:
            self.optimizer.step()
        finally:
            del self.optimizer.found_inf  # type: ignore[attr-defined]
        self._unread.append(_asked(finite, iteration))
        return self._read()

    def count(self, finite: bool) -> None:
        """Counts a step whose verdict is known."""
        self.bad = 0 if finite else self.bad + 1

    def _read(self) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        while len(self._unread) > (0 if self.bad else 1) and not self.exhausted:
            verdict = self._unread.popleft()
            self.count(verdict.read())
            found += [(verdict.iteration, self.bad)] if self.bad else []
        return found


def _asked(finite: torch.Tensor, iteration: int) -> _Verdict:
    """Has the device hand over its verdict when it comes to it."""
    if finite.device.type != 'cuda':
        return _Verdict(finite.clone(), None, iteration)
    told = torch.empty((), dtype=torch.bool, pin_memory=True)
    told.copy_(finite, non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return _Verdict(told, event, iteration)
