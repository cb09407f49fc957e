"""How the C library hands out memory: for a training on the CPU, and between two turns of a server."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # mallopt's names for them, malloc.h
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
    if not sys.platform.startswith('linux') or any(name in os.environ for name in _VARIABLES):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library, such as musl
        return False
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, 2**31 - 1))


def give_freed_memory_back() -> None:
    """Has glibc give the system what is freed and lies between what is not; elsewhere nothing is done.

    A server works in several threads by turns, and each has memory of its own. What pictures of one turn leave free,
    between the little that stays, the next turn does not take.
    """
    if sys.platform.startswith('linux'):
        with contextlib.suppress(AttributeError, OSError):  # another C library, such as musl
            ctypes.CDLL(None).malloc_trim(0)
