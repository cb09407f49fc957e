"""Places of moving faces: noise goes, movement stays."""

from __future__ import annotations

import numpy as np
import pytest

from facesr_ext.faces.smoothing import share_in_time, smoothed

TIMES = np.arange(200) / 25


def _error(made: np.ndarray, true: np.ndarray) -> float:
    return float(np.sqrt(np.mean((made - true) ** 2)))


@pytest.mark.parametrize(
    ('swing', 'most'),
    [(0.0, 0.25), (40.0, 0.65)],
    ids=['a still face', 'one that swings by 40 px'],
)
def test_noise_goes_and_movement_stays(swing: float, most: float) -> None:
    rng = np.random.default_rng(0)
    true = 300 + swing * np.sin(TIMES[:, None] * 4 + np.arange(10))
    noisy = true + rng.normal(0, 1, true.shape)
    assert _error(noisy, true) == pytest.approx(1, abs=0.05)
    assert _error(smoothed(TIMES, noisy), true) < most


def test_a_movement_without_noise_stays_as_it_is() -> None:
    true = 50 * np.sin(TIMES[:, None] * 6 + np.arange(4))
    assert _error(smoothed(TIMES, true), true) < 0.1


def test_frames_in_which_nothing_was_seen_are_filled_in() -> None:
    true = np.stack([100 + 30 * TIMES, 50 - 10 * TIMES], 1)
    holed = true.copy()
    holed[[0, 50, 51, 52, 53, 199]] = np.nan
    assert np.abs(smoothed(TIMES, holed) - true).max() < 1e-3


def test_frames_at_uneven_times() -> None:
    rng = np.random.default_rng(1)
    times = np.cumsum(rng.choice([0.01, 0.04, 0.09], 200))
    true = np.stack([400 * times, -200 * times], 1)
    assert _error(smoothed(times, true + rng.normal(0, 1, true.shape)), true) < 0.4


def test_too_few_are_held() -> None:
    values = np.full((4, 2), np.nan)
    assert np.isnan(smoothed(TIMES[:4], values)).all()
    values[1], values[3] = 5, 9
    assert smoothed(TIMES[:4], values)[:, 0].tolist() == [5, 5, 5, 9]


def test_long_tracks_are_smoothed_in_blocks_without_a_step_between_them() -> None:
    rng, times = np.random.default_rng(2), np.arange(1100) / 25
    true = 30 * np.sin(times[:, None])
    made = smoothed(times, true + rng.normal(0, 1, true.shape))
    steps = np.abs(np.diff(made[:, 0]))
    assert _error(made, true) < 0.5 and steps[999] < 2 * steps[950:1050].mean() + 0.1


def test_a_face_that_comes_up_within_a_shot_is_restored_more_and_more() -> None:
    assert share_in_time(6, (True, False), 3).tolist() == [0.25, 0.5, 0.75, 1, 1, 1]
    assert share_in_time(6, (False, True), 3).tolist() == [1, 1, 1, 0.75, 0.5, 0.25]
    assert share_in_time(3, (False, False), 3).tolist() == [1, 1, 1]
    assert share_in_time(1, (True, True), 5).tolist() == [0.25]
