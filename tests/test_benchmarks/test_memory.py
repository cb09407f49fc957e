"""benchmarks/memory.py: readings of a training on the way, and their slope."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.memory import readings, resident, slope, small_recipe
from facesr_ext.errors import FaceSRError
from tests.support import OPTIONS

linux = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')


@linux
def test_a_training_is_read_a_hundred_times(tmp_path: Path) -> None:
    found = readings(small_recipe(OPTIONS / 'srcnn.yml', 100), tmp_path)
    assert [iteration for iteration, _ in found] == list(range(1, 101))
    assert all(100 < value < 4000 for _, value in found)
    assert (tmp_path / 'experiments/memory/models/net_g_latest.pth').is_file()


@linux
def test_a_training_that_fails_is_told_of(tmp_path: Path) -> None:
    opt = small_recipe(OPTIONS / 'srcnn.yml', 100)
    opt['scale'] = 3
    with pytest.raises(FaceSRError, match='(?s)the training ended with 2.*scale is 3; make them agree'):
        readings(opt, tmp_path)


def test_the_slope_is_that_of_the_line() -> None:
    assert slope([(100 * i, 800 + 0.05 * i) for i in range(10)]) == pytest.approx(0.5)


@linux
def test_memory_of_this_process() -> None:
    before = resident(os.getpid())
    held = bytearray(os.urandom(1)) * 50_000_000
    assert 40 < resident(os.getpid()) - before < 70 and len(held)
