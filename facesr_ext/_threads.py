"""How threads of one computation wait for each other: a setting of the process, made before torch is loaded.

Standard library only: the start-up hook makes it where BasicSR is imported, the command ``facesr`` where it begins.
"""

from __future__ import annotations

import os
import sys

SPINS = 'GOMP_SPINCOUNT'
FEW = '10000'
"""Looks before a thread sleeps; GNU's OpenMP by itself takes 300,000, which are milliseconds. With fewer than this,
threads sleep too soon where nobody else wants the cores: 1,000 cost an iteration of quickstart.yml 8 % there."""
_OWN = (SPINS, 'OMP_WAIT_POLICY')


def wait_briefly() -> bool:
    """Has a thread that waits for the others sleep soon, instead of keeping a core busy with looking.

    Where another program has one of the cores, the part of the work that runs there waits for its turn, and the threads
    that have finished theirs take the time from it: GNU's OpenMP, which torch brings on Linux, made small networks
    many times slower so than a single thread is. What is computed stays the same.

    Returns:
        bool: False, and nothing is done, on other systems, where torch is loaded already, or where the user has set
        ``GOMP_SPINCOUNT`` or ``OMP_WAIT_POLICY``: ``GOMP_SPINCOUNT=300000`` is how one switches this off.
    """
    found = {} if 'torch' in sys.modules else wanted()
    os.environ.update(found)
    return bool(found)


def wanted() -> dict[str, str]:
    """What `wait_briefly` adds to the environment; for a process that is about to be started."""
    own = not sys.platform.startswith('linux') or any(name in os.environ for name in _OWN)
    return {} if own else {SPINS: FEW}
