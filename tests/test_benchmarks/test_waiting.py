"""benchmarks/waiting.py: settings of OpenMP beside busy processes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import waiting
from benchmarks.train_sides import Case
from tests.support import OPTIONS, small_options, write_options
from tests.test_benchmarks.here import Here


def test_busy_processes_end_with_the_block() -> None:
    started: list[subprocess.Popen[bytes]] = []
    with waiting.busy(2) as processes:
        started += processes
        assert len(started) == 2 and all(process.poll() is None for process in started)
    assert all(process.poll() is not None for process in started)


def test_rows_beside_a_busy_process(tmp_path: Path) -> None:
    path = write_options(small_options(OPTIONS / 'quickstart.yml'), tmp_path / 'quickstart.yml')
    worker: Any = Here()
    worker.ask('build', Case(path, 64, 2, torch.get_num_threads(), 'fp32'), False, tmp_path / 'files')
    start = time.perf_counter()
    plain, few = waiting.measure({waiting.PLAIN: worker, 'few': worker}, 1, (2, 0.0))
    assert plain['load'] == few['load'] == 1 and 0 < plain['s'] <= plain['longest, s'] < time.perf_counter() - start
    assert plain[f'times {waiting.PLAIN}'].value == 1.0
    assert set(waiting.COLUMNS) == set(few)
