"""One training at a time in a run's folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from facesr_ext.errors import CheckpointError
from facesr_ext.host import run_lock
from tests.support import child_environment

pytestmark = pytest.mark.skipif(os.name != 'posix', reason='POSIX locks')
HOLD = """
import sys
from pathlib import Path
from facesr_ext.host import run_lock
run_lock.take({'path': {'experiments_root': sys.argv[1]}, 'rank': 0})
print('held', flush=True)
sys.stdin.read()
"""


def options(folder: Path, rank: int = 0) -> dict[str, Any]:
    return {'path': {'experiments_root': str(folder)}, 'rank': rank}


def test_the_second_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    folder = tmp_path / 'experiments' / 'run'
    words = [sys.executable, '-c', HOLD, str(folder)]
    environment = child_environment(PYTHONPATH=str(Path(__file__).resolve().parents[2]))
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as first:
        assert first.stdout is not None and first.stdout.readline() == 'held\n'
        with pytest.raises(CheckpointError, match=rf'experiments/run: process {first.pid} of .* trains there'):
            run_lock.take(options(folder))
        run_lock.take(options(folder, rank=1))  # the first process of a group has asked
        run_lock.take(options(folder.with_name('other')))
        assert run_lock.is_held(folder.with_name('other')) and not run_lock.is_held(folder)
        first.kill()
    with run_lock.released():
        run_lock.take(options(folder))  # a killed process holds nothing
        run_lock.take(options(folder))
        assert run_lock.is_held(folder) and run_lock.lock_file(folder).is_file()
    assert not run_lock.is_held(folder) and not run_lock.lock_file(folder).exists()


def test_a_damaged_note_and_a_lock_that_is_removed_while_it_is_asked_for(tmp_path: Path) -> None:
    assert run_lock._holder('[') == run_lock._holder('{"process": "x"}') == 'another process'
    folder = tmp_path / 'run'
    with run_lock.released():
        run_lock.take(options(folder))
        run_lock.lock_file(folder).unlink()
    assert not run_lock.is_held(folder)
