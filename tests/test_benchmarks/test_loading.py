"""benchmarks/loading.py: loaders with different numbers of processes give batches to one model, in turns."""

from __future__ import annotations

from pathlib import Path

from benchmarks import loading
from tests.support import OPTIONS, small_options, write_options


def test_rows(tmp_path: Path) -> None:
    path = write_options(small_options(OPTIONS / 'srcnn.yml'), tmp_path / 'srcnn.yml')
    rows = loading.rows(path, ('builtin', 2, [0, 1], 'cpu'), (2, 0.0))
    assert [(row['workers'], row['batch'], row['rounds']) for row in rows] == [(0, 2, 2), (1, 2, 2)]
    assert rows[0]['times 0 workers'].value == 1.0 and all(row['s'] > 0 and row['alone, s'] > 0 for row in rows)
    assert set(loading.COLUMNS) == {'recipe'} | set(rows[0]) - {'rounds', 'seconds'}
