"""How the C library hands out memory: for a training on the CPU, and between two turns of a server."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # mallopt's names for them, malloc.h
_VARIABLES = ('MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_MAX_', 'MALLOC_MMAP_THRESHOLD_', 'GLIBC_TUNABLES')


def keep_freed_memory() -> bool:
    """Has glibc keep the memory that is freed, for the next iteration, instead of giving it back to the system.

    A training on the CPU frees its activations in each iteration and asks for the same sizes in the next. glibc returns
    large blocks to the system at once, which then fills every page with zeros when it hands them out again: up to 40 %
    of the time of a step. The most memory that a training holds stays what it was; the process keeps it to its end.

    Returns:
        bool: False, and nothing is done, on other systems and C libraries, or where the user has set glibc's own
        variables (``MALLOC_MMAP_MAX_`` and the like): ``MALLOC_MMAP_MAX_=65536`` is how one switches this off.
    """
    if any(name in os.environ for name in _VARIABLES):
        return False
    return _set(_MMAP_MAX, 0) and _set(_TRIM_THRESHOLD, 2**31 - 1)


def share_memory_among_threads() -> bool:
    """Has glibc keep two heaps for all threads together, instead of eight for each core.

    A server works in any of some forty threads by turns. What a turn leaves free in the heap of its thread, a turn of
    another thread does not take: the process grows for hundreds of turns. Call it before there are many threads.

    Returns:
        bool: False, and nothing is done, on other systems and C libraries, or where the user has set glibc's own
        variables (``MALLOC_ARENA_MAX``).
    """
    if 'MALLOC_ARENA_MAX' in os.environ or 'GLIBC_TUNABLES' in os.environ:
        return False
    return _set(_ARENA_MAX, 2)


def _set(name: int, value: int) -> bool:
    if not sys.platform.startswith('linux'):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(name, value))
    except (AttributeError, OSError):  # another C library, such as musl
        return False


def give_freed_memory_back() -> None:
    """Has glibc give the system what is freed and lies between what is not; elsewhere nothing is done.

    Between the little that stays of a turn of a server, its pictures leave holes that the next turn does not fill.
    """
    if sys.platform.startswith('linux'):
        with contextlib.suppress(AttributeError, OSError):  # another C library, such as musl
            ctypes.CDLL(None).malloc_trim(0)
