"""The same face over frames."""

from __future__ import annotations

import numpy as np

from facesr_ext.faces.detection import Face
from facesr_ext.faces.tracking import Sight, tracks_of

FIVE = np.array([[0.35, 0.4], [0.65, 0.4], [0.5, 0.58], [0.38, 0.75], [0.62, 0.75]])


def _sight(x: float, y: float, size: float = 60.0, noise: np.ndarray | None = None) -> Sight:
    points = FIVE * size + (x, y) + (0 if noise is None else noise)
    box = np.array([x, y, x + size, y + size])
    return Sight(Face(box.astype(np.float32), 0.9, points.astype(np.float32)))


def test_two_faces_that_pass_each_other_keep_their_tracks() -> None:
    sights = [[_sight(10 + 8 * i, 20), _sight(330 - 8 * i, 95)] for i in range(40)]
    tracks = tracks_of(np.arange(40) / 25, [pair if i % 2 else pair[::-1] for i, pair in enumerate(sights)])
    assert [(track.first, len(track), track.seen) for track in tracks] == [(0, 40, 40)] * 2
    ends = sorted(float(track.boxes[-1, 0]) for track in tracks)
    assert np.allclose(ends, [18, 322], atol=1)
    assert all((track.share == 1).all() for track in tracks)


def test_a_face_that_goes_unseen_for_a_moment_goes_on_and_one_that_is_gone_for_long_begins_anew() -> None:
    sights = [[] if 10 <= i < 16 or 40 <= i < 60 else [_sight(10 + 3 * i, 20)] for i in range(80)]
    tracks = tracks_of(np.arange(80) / 25, sights)
    assert [(track.first, len(track), track.seen) for track in tracks] == [(0, 40, 34), (60, 20, 20)]
    assert np.allclose(tracks[0].boxes[:, 0], 10 + 3 * np.arange(40), atol=0.5)
    assert tracks[0].share[0] == 1 and tracks[0].share[-1] < 0.5 and tracks[1].share[0] < 0.5 < tracks[1].share[-1]


def test_another_face_elsewhere_or_of_another_size_is_no_continuation() -> None:
    sights = [[_sight(10, 20)] if i < 10 else [_sight(200, 20)] if i < 20 else [_sight(170, 0, 150)] for i in range(30)]
    assert [(track.first, len(track)) for track in tracks_of(np.arange(30) / 25, sights)] == [
        (0, 10),
        (10, 10),
        (20, 10),
    ]


def test_the_aligned_square_stands_still_where_the_detector_trembles() -> None:
    rng = np.random.default_rng(0)
    sights = [[_sight(100, 50, noise=rng.normal(0, 1, (5, 2)))] for _ in range(100)]
    track = tracks_of(np.arange(100) / 25, sights)[0]
    still = np.array([track.frame(i).side for i in range(100)])
    alone = np.array([_alone(sight[0]) for sight in sights])
    assert still.std() < 0.2 * alone.std()


def _alone(sight: Sight) -> float:
    return tracks_of(np.zeros(1), [[sight]])[0].frame(0).side


def test_nothing_is_found_where_nothing_is() -> None:
    assert tracks_of(np.arange(3) / 25, [[], [], []]) == []
