"""Bounds that every attack is tried within."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

_ROOM = 1 << 30
_SECONDS = 60


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    """Of memory 1 GiB more than the process has, and a minute of the processor."""
    if not sys.platform.startswith('linux'):
        yield
        return
    has = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
    memory = resource.getrlimit(resource.RLIMIT_AS)

    def late(signum: int, frame: FrameType | None) -> None:
        pytest.fail(f'more than {_SECONDS} s')

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, _SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (has + _ROOM, memory[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, memory)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    signal.signal(signal.SIGVTALRM, before)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """The folder that an exploit makes."""
    return tmp_path / 'marker'
