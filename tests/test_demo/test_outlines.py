"""Found faces drawn into a photograph, and found again by a click."""

from __future__ import annotations

import numpy as np

from facesr_ext.demo.outlines import face_at, outlined
from facesr_ext.inference.face_record import FaceRecord

FACES = [
    FaceRecord(1, (20.0, 30.0, 120.0, 150.0), 0.9, 200.0, 0.0),
    FaceRecord(2, (100.0, 40.0, 160.0, 110.0), 0.8, 120.0, 0.0),
    FaceRecord(3, (170.0, 10.0, 190.0, 30.0), 0.7, 12.0, 0.0, reason='smaller than 16 px'),
]


def test_on_off_and_left_alone_look_different_and_the_photograph_stays() -> None:
    view = np.full((320, 400, 3), 100, np.uint8)
    on, off = outlined(view, 2.0, FACES, [1, 2]), outlined(view, 2.0, FACES, [])
    assert (view == 100).all() and on.shape == view.shape
    for face in FACES[:2]:
        left, top, right, bottom = (int(2 * value) for value in face.box)
        assert np.abs(on[(top + bottom) // 2, left].astype(int) - (0, 200, 150)).max() < 40
        assert off[bottom, (left + right) // 2].min() > 180
        middle = np.s_[(top + bottom) // 2 - 2 : (top + bottom) // 2 + 2, (left + right) // 2 - 2 : (left + right) // 2]
        assert (off[middle] != 100).any() and (on[middle] == 100).all()
    assert (on[20:60, 340:380] != 100).any() and np.array_equal(on[20:60, 340:380], off[20:60, 340:380])
    assert (on[30:50, 380] == 100).any()  # corners, no frame


def test_nothing_outside_the_photograph_breaks_it() -> None:
    face = FaceRecord(12, (-5.0, -8.0, 30.0, 500.0), 0.9, 40.0, 0.0)
    assert outlined(np.zeros((24, 32, 3), np.uint8), 1.0, [face], [12]).any()


def test_a_click_means_the_smallest_face_there_that_can_be_restored() -> None:
    assert face_at(FACES, 50, 50) == 1 and face_at(FACES, 110, 60) == 2 and face_at(FACES, 150, 100) == 2
    assert face_at(FACES, 180, 20) is None and face_at(FACES, 5, 5) is None
