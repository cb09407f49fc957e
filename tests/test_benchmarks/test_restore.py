"""benchmarks/restore.py: photographs out of photographs, and its rows."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import restore
from facesr_ext.errors import DatasetError


def test_a_photograph_of_many_faces() -> None:
    photos = [np.full((300, 400, 3), 9, np.uint8), np.full((64, 64, 3), 5, np.uint8)]

    def count(square: np.ndarray) -> int:
        return 2 if square[0, 0, 0] == 5 else 0

    group = restore.group_photo(photos, 5, count)
    assert group.shape == (512, 512, 3)  # three squares of two faces, and an empty one
    assert (group[:256] == 5).all() and (group[256:, :256] == 5).all() and (group[256:, 256:] == 0).all()
    with pytest.raises(DatasetError, match='no face'):
        restore.group_photo(photos[:1], 5, count)


def test_rows() -> None:
    seen: list[int] = []
    runs = {restore.OURS: lambda photos: seen.append(len(photos)), restore.PEER: lambda photos: sum(range(10**5))}
    ours, peer = restore.compare('two', [np.zeros((4, 4, 3), np.uint8)] * 2, 6, runs, 2, 'cpu')
    assert set(seen) == {2} and ours[f'times {restore.OURS}'].value == 1.0
    assert peer['s'] > ours['s'] and peer['CPU ms a face'] == pytest.approx(1000 * peer['CPU s'] / 6)
    assert set(restore.COLUMNS) == set(ours)
