"""Smoothing what is measured of a moving face: a Kalman filter forwards, and Rauch, Tung and Striebel's pass back.

Every coordinate moves with a velocity that white noise drives. How restless it is, compared with the noise of what is
measured, is chosen by maximum likelihood for each track, so that a still face stands still and a fast one does not lag.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

RATIOS = tuple(float(ratio) for ratio in np.logspace(-6, 1, 15))
"""Of the noise that drives the velocity to the noise of a measurement, for the mean interval between frames: from an
average over some thirty frames to next to none."""
_UNKNOWN = 1e6  # variance of what is not known yet, in variances of a measurement
_ENOUGH = 600  # frames by which the ratio is chosen
_BLOCK, _MARGIN = 1000, 60  # frames that are smoothed together, and so many before and after, that are then dropped


def smoothed(times: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Smooths coordinates that move together.

    Args:
        times (ndarray): (T,) rising, any unit.
        values (ndarray): (T, D); a row of NaN where nothing was seen, which is filled in.

    Returns:
        ndarray: (T, D) float64; rows of NaN if no row is known.
    """
    seen = np.flatnonzero(~np.isnan(values).any(1))
    if len(seen) < 3:
        return _held(values, seen)
    steps = np.diff(times, prepend=times[0])
    steps = np.maximum(steps / max(float(np.diff(times).mean()), 1e-12), 1e-3)
    start_at = values[seen[0]].astype(np.float64)
    values, out = values - start_at, np.empty(values.shape, np.float64)
    ratio = max(RATIOS, key=lambda ratio: _likelihood(steps[:_ENOUGH], values[:_ENOUGH], ratio))
    for start in range(0, len(values), _BLOCK):
        stop = min(start + _BLOCK, len(values))
        first, last = max(0, start - _MARGIN), min(len(values), stop + _MARGIN)
        block = _both_ways(steps[first:last], values[first:last], ratio)
        out[start:stop] = block[start - first : stop - first]
    return out + start_at


def _held(values: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Each row as the nearest one that is known: too few to tell movement from noise."""
    if not len(seen):
        return np.full(values.shape, np.nan)
    nearest = np.abs(np.arange(len(values))[:, None] - seen[None]).argmin(1)
    return values[seen[nearest]].astype(np.float64)


_Covariance = tuple[float, float, float]
"""Of place and velocity: the variance of the place, what they share, and the variance of the velocity."""


def _predicted(p: _Covariance, step: float, ratio: float) -> _Covariance:
    """After a step of time; the driving noise adds the integral of what it has moved meanwhile."""
    a, b, c = p
    return (
        a + 2 * step * b + step * step * c + ratio * step**3 / 3,
        b + step * c + ratio * step**2 / 2,
        c + ratio * step,
    )


def _likelihood(steps: np.ndarray, values: np.ndarray, ratio: float) -> float:
    """The logarithm, but for a constant; the measurements' own noise is the one that fits best."""
    place, speed = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    p: _Covariance = (_UNKNOWN, 0.0, _UNKNOWN)
    squares, logs, count = 0.0, 0.0, 0
    for step, value in zip(steps.tolist(), values, strict=True):
        p, place = _predicted(p, step, ratio), place + step * speed
        if math.isnan(value[0]):
            continue
        total, error = p[0] + 1, value - place
        if total < 1e3:  # the first two say where it begins, and nothing of the noise
            squares += float(error @ error) / total
            logs += math.log(total) * len(error)
            count += len(error)
        gain, share = p[0] / total, p[1] / total
        place, speed = place + gain * error, speed + share * error
        p = ((1 - gain) * p[0], (1 - gain) * p[1], p[2] - share * p[1])
    if not count:
        return 0.0
    return -0.5 * (count * math.log(max(squares / count, 1e-12)) + logs)


def _both_ways(steps: np.ndarray, values: np.ndarray, ratio: float) -> np.ndarray:
    """Forwards and back again; (T, D)."""
    number, width = values.shape
    states, guesses = np.zeros((number, 2, width)), np.zeros((number, 2, width))
    after: list[_Covariance] = []
    before: list[_Covariance] = []
    state, p = np.zeros((2, width)), (_UNKNOWN, 0.0, _UNKNOWN)
    for index, (step, value) in enumerate(zip(steps.tolist(), values, strict=True)):
        p = _predicted(p, step, ratio)
        state = np.stack([state[0] + step * state[1], state[1]])
        guesses[index] = state
        before.append(p)
        if not np.isnan(value).any():
            total, error = p[0] + 1, value - state[0]
            gain, share = p[0] / total, p[1] / total
            state = np.stack([state[0] + gain * error, state[1] + share * error])
            p = ((1 - gain) * p[0], (1 - gain) * p[1], p[2] - share * p[1])
        states[index] = state
        after.append(p)
    for index in range(number - 2, -1, -1):
        gains = _backward_gain(after[index], before[index + 1], float(steps[index + 1]))
        states[index] += gains @ (states[index + 1] - guesses[index + 1])
    return states[:, 0]


def _backward_gain(now: _Covariance, ahead: _Covariance, step: float) -> np.ndarray:
    """(2, 2): how much of what the next frame has taught is handed back."""
    a, b, c = now
    carried = np.array([[a + step * b, b], [b + step * c, c]])  # covariance times the transposed transition
    return carried @ np.linalg.inv(np.array([[ahead[0], ahead[1]], [ahead[1], ahead[2]]]))


def share_in_time(length: int, fades: Sequence[bool], frames: int) -> np.ndarray:
    """How much of a change is made in each frame, so that it neither pops up nor vanishes at once.

    Args:
        length (int): Frames of the track.
        fades (Sequence[bool]): Whether it comes up slowly, and whether it goes slowly.
        frames (int): How long each takes; at most half the track.

    Returns:
        ndarray: (length,) in (0, 1].
    """
    long = max(1, min(frames, length // 2))
    rise = np.minimum((np.arange(length) + 1) / (long + 1), 1.0)
    return (rise if fades[0] else np.ones(length)) * (rise[::-1] if fades[1] else np.ones(length))
