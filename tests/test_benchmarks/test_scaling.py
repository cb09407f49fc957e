"""benchmarks/scaling.py and startup.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import scaling, startup
from facesr_ext.errors import FaceSRError
from tests.support import OPTIONS, small_options, write_options
from tests.test_benchmarks.here import workers_here


def test_where_a_cost_is_in_proportion() -> None:
    assert scaling.powers([1, 2, 4], [3.0, 6.0, 24.0]) == [1.0, 2.0]
    assert scaling.verdict([1, 2, 4, 8], [0.3, 1.0, 1.1]) == 'in proportion from 2 to 8'
    assert scaling.verdict([1, 2, 4, 8], [1.0, 0.9, 1.5]) == (
        'in proportion from 1 to 4; beyond, it grows by the power 1.50'
    )
    assert scaling.verdict([1, 2], [2.0]) == 'in proportion nowhere'
    assert scaling.held([1, 2, 4], [1.0, 1.1, 2.0]) == '2 at once take no longer than one'


def test_iterations_and_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, 'RECIPE', write_options(small_options(OPTIONS / 'nafsr.yml'), tmp_path / 'nafsr.yml'))
    monkeypatch.setattr(scaling, 'workers', workers_here)
    rows, text = scaling.measure('size', (16, 32), 1, 1)
    assert [row['amount'] for row in rows] == [16, 32] and rows[0]['power'] is None
    assert rows[1]['for each, ms'] == pytest.approx(1000 * rows[1]['s'] / 32**2)
    assert text.startswith('in proportion')
    (row,), text = scaling.measure('processes', (1,), 1, 1)
    assert row['s'] > 0 and text == '1 at once take no longer than one'


def test_files() -> None:
    rows, _ = scaling.measure('files', (5, 20), 1, 1)
    assert all(row['s'] > 0 for row in rows)


def test_a_start_is_measured_and_one_that_fails_is_told(tmp_path: Path) -> None:
    cost = startup.start(startup.commands()[startup.PLAIN], tmp_path)
    assert 0 < cost.cpu < 5 and cost.wall > 0
    with pytest.raises(FaceSRError, match='status 3'):
        startup.start(['-c', 'raise SystemExit(3)'], tmp_path)


def test_every_start_ends_well(tmp_path: Path) -> None:
    for name in ('the hook', 'import facesr_ext', 'facesr --help'):
        startup.start(startup.commands()[name], tmp_path)


@pytest.mark.slow
def test_the_first_iteration_is_reached(tmp_path: Path) -> None:
    startup.start(startup.commands()[startup.FIRST], tmp_path)
    assert list(tmp_path.glob('experiments/quickstart/models/net_g_1.pth'))


@pytest.mark.skipif(not hasattr(__import__('os'), 'posix_fadvise'), reason='Linux')
def test_files_out_of_the_cache_are_as_they_were(tmp_path: Path) -> None:
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'a').write_text('kept', encoding='utf-8')
    assert startup.forget([tmp_path]) == 1 and (tmp_path / 'in' / 'a').read_text(encoding='utf-8') == 'kept'
