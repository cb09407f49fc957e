"""Memory that is freed: by a training on the CPU, which takes it again, and by a server, which gives it back."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = """
import resource, sys
import numpy as np
from facesr_ext.host.memory import keep_freed_memory
kept = keep_freed_memory()
np.ones(1 << 23)  # 64 MB
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(1 << 23)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

HOLES = """
from pathlib import Path
from facesr_ext.host.memory import give_freed_memory_back
def held():
    return int(Path('/proc/self/statm').read_text().split()[1])
blocks = [b'x' * 65536 for _ in range(2000)]  # 131 MB
kept = blocks[::50]
del blocks
before = held()
give_freed_memory_back()
print(before - held())
"""

THREADS = """
import ctypes, sys, threading
from facesr_ext.host.memory import share_memory_among_threads
shared = share_memory_among_threads()
gate = threading.Barrier(13)
def turn():
    block = bytearray(1000)
    gate.wait()
    gate.wait()
for _ in range(12):
    threading.Thread(target=turn).start()
gate.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
report = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b'w'))
libc.malloc_info(0, report)
libc.fclose(report)
gate.wait()
print(int(shared))
"""


def _kept_and_faults(**variables: str) -> tuple[bool, int]:
    known = {key: value for key, value in os.environ.items() if not key.startswith(('MALLOC_', 'GLIBC_TUNABLES'))}
    run = subprocess.run(
        [sys.executable, '-c', COUNT], env={**known, **variables}, capture_output=True, text=True, check=True
    )
    kept, faults = run.stdout.split()
    return kept == '1', int(faults)


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='glibc only')
def test_freed_memory_is_used_again_and_what_the_user_sets_stands() -> None:
    kept, faults = _kept_and_faults()
    if not kept:
        pytest.skip('this C library has no mallopt')
    left_alone, many = _kept_and_faults(MALLOC_MMAP_MAX_='65536')
    assert not left_alone
    assert many >= 8 * (64 // 2)  # pages of 4 KiB that the system has cleared again; of 2 MiB at most
    assert faults < many / 10


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc only')
def test_holes_between_what_is_held_are_given_back() -> None:
    run = subprocess.run([sys.executable, '-c', HOLES], capture_output=True, text=True, check=True)
    assert int(run.stdout) * os.sysconf('SC_PAGE_SIZE') > 100e6


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc only')
def test_threads_share_heaps_unless_the_user_says_how_many(tmp_path: Path) -> None:
    def shared_and_heaps(**variables: str) -> tuple[str, int]:
        known = {key: value for key, value in os.environ.items() if not key.startswith(('MALLOC_', 'GLIBC_TUNABLES'))}
        report = tmp_path / 'report.xml'
        command = [sys.executable, '-c', THREADS, str(report)]
        run = subprocess.run(command, env={**known, **variables}, capture_output=True, text=True, check=True)
        return run.stdout.strip(), report.read_text().count('<heap nr=')  # glibc's own count

    assert shared_and_heaps() == ('1', 2)
    left_alone, heaps = shared_and_heaps(MALLOC_ARENA_MAX='12')
    assert left_alone == '0' and heaps > 3
