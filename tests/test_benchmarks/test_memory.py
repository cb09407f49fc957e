"""benchmarks/memory.py: readings of a training on the way, and their slope."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.memory import readings, readings_of_restoring, resident, slope, small_recipe
from facesr_ext.data.image_io import write_image
from facesr_ext.errors import FaceSRError
from facesr_ext.faces.drawn.face import render_face
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


@linux
def test_restoring_is_read_on_the_way(tmp_path: Path) -> None:
    photo = tmp_path / 'photo.png'
    write_image(photo, render_face(0, 0, 128).image)
    found = readings_of_restoring([photo], 12, tmp_path)
    assert 0 < found[0][0] <= found[-1][0] <= 12 and all(100 < value < 4000 for _, value in found)
    with pytest.raises(FaceSRError, match='facesr restore ended with'):
        (tmp_path / 'bad').mkdir()
        photo.write_bytes(b'no image')
        readings_of_restoring([photo], 1, tmp_path / 'bad')


def test_the_slope_is_that_of_the_line() -> None:
    assert slope([(100 * i, 800 + 0.05 * i) for i in range(10)]) == pytest.approx(0.5)


@linux
def test_memory_of_a_process() -> None:
    code = "held = b'x' * 50_000_000; print(len(held), flush=True); input()"
    words = [sys.executable, '-S', '-c', code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert 50 < resident(process.pid) < 90
        process.communicate(b'\n')
