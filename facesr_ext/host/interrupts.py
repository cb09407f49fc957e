"""Ctrl-C and SIGTERM during a training: the first lets it finish the iteration and save, the second ends it at once.

Signals are only noted here. The model asks for them at the beginning of an iteration and between validation images,
where everything is consistent, saves, and raises :class:`RunInterrupted`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch


class RunInterrupted(KeyboardInterrupt):
    """A signal has ended a training after its state was saved.

    Args:
        signum (int): The signal.

    Attributes:
        status (int): Exit status of the process by convention: 128 + the signal's number.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f'ended by {signal.Signals(signum).name}')
        self.status = 128 + signum


@dataclass
class _Watch:
    """What `watched` has installed, and what has come in since.

    Attributes:
        process (int): The process that trains; forked workers inherit its handlers.
        armed (bool): Iterations have begun, so there is somebody who asks.
        signum (int): The first signal; 0 for none.
        previous (dict): The handlers to put back.
    """

    process: int = 0
    armed: bool = False
    signum: int = 0
    previous: dict[int, Any] = field(default_factory=dict)


_watch = _Watch()


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Notes SIGINT and SIGTERM while a training runs in the main thread; in another one nothing is done."""
    global _watch
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer, _watch = _watch, _Watch(process=os.getpid())
    for watched_signal in (signal.SIGINT, signal.SIGTERM):
        handler = signal.getsignal(watched_signal)
        if handler not in (None, signal.SIG_IGN):  # ignored on purpose (nohup, a shell's background job)
            _watch.previous[watched_signal] = handler
            signal.signal(watched_signal, _note)
    try:
        yield
    finally:
        for signum, handler in _watch.previous.items():
            signal.signal(signum, handler)
        _watch = outer


def arm() -> None:
    """Says that iterations begin: from now on the first signal is answered by `requested` alone."""
    _watch.armed = True


def requested() -> int:
    """The signal that asks this process to stop, 0 for none."""
    return _watch.signum


def requested_anywhere(device: torch.device) -> int:
    """The same over all processes of a distributed run, so that they stop at one iteration. All must call it."""
    signum = torch.tensor(_watch.signum, device=device)
    torch.distributed.all_reduce(signum, torch.distributed.ReduceOp.MAX)
    return int(signum)


def _note(signum: int, frame: Any) -> None:
    if os.getpid() != _watch.process and signum == signal.SIGINT:
        return  # Ctrl-C reaches loader workers too; they end with the process that trains
    if os.getpid() != _watch.process or not _watch.armed or _watch.signum:
        signal.signal(signum, _watch.previous[signum])
        signal.raise_signal(signum)
        return
    _watch.signum = signum
    name = signal.Signals(signum).name  # no logger in a signal handler: it may interrupt one that is writing
    os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f'\n{name}: saving after this iteration.\n'.encode())
