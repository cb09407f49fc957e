"""How sure a mean over images is, and whether two methods differ: intervals and paired tests by scipy.

An interval is the bias-corrected and accelerated bootstrap's (Efron, 1987), over images. A test is the paired
permutation test of the mean difference, two-sided, whose p-values are corrected for their number by Holm's method
(1979).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

RESAMPLES = 2000
FLIPS = 9999
LEVEL = 0.95
_TOGETHER = 500_000
"""Values of several rows that are tested in one go: more need memory, fewer time."""


class Interval(NamedTuple):
    """A mean and its interval.

    Attributes:
        mean (float): NaN where there is no value.
        low, high (float): Ends of the interval; NaN where a single value gives none.
        num (int): Values that it stands on.
    """

    mean: float
    low: float
    high: float
    num: int


class Paired(NamedTuple):
    """The mean difference of two methods on the same images.

    Attributes:
        difference (Interval): The first less the second.
        p (float): Of the hypothesis that neither is better; NaN below two images.
    """

    difference: Interval
    p: float


def mean_interval(
    values: Sequence[float] | np.ndarray, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean of values, one an image, and its bootstrap interval.

    Args:
        values (Sequence[float]): NaN for images without one, which are left out.
        level (float): Share of intervals that contain the true mean. Default: 0.95.
        resamples (int): Bootstrap samples. Default: 2000.
        seed (int): Of the generator that draws them. Default: 0.
    """
    known = _known(values)
    if not len(known):
        return Interval(math.nan, math.nan, math.nan, 0)
    mean = float(known.mean())
    if len(known) == 1 or not np.isfinite(known).all():  # an infinite PSNR: equal images
        return Interval(mean, math.nan, math.nan, len(known))
    if np.ptp(known) == 0:
        return Interval(mean, mean, mean, len(known))
    return Interval(mean, *_bootstrap((known,), _mean, level, resamples, seed), len(known))


def difference_of_means(
    first: Sequence[float], second: Sequence[float], level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The mean of one set of images less that of another, both drawn anew: the gap of training and test.

    Args:
        first, second (Sequence[float]): Values of different images; NaN is left out.
        level, resamples, seed: As for `mean_interval`.

    Returns:
        Interval: Its num is that of the smaller set.
    """
    a, b = _known(first), _known(second)
    count = min(len(a), len(b))
    if not count:
        return Interval(math.nan, math.nan, math.nan, 0)
    gap = float(a.mean() - b.mean())
    if count == 1 or not math.isfinite(gap):
        return Interval(gap, math.nan, math.nan, count)
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return Interval(gap, gap, gap, count)
    return Interval(gap, *_bootstrap((a, b), _mean_difference, level, resamples, seed), count)


def paired(
    first: Sequence[float], second: Sequence[float], level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0
) -> Paired:
    """How far one method's mean lies from another's on the same images.

    Args:
        first, second (Sequence[float]): A value an image, in one order; images where either has none are left out.
        level, resamples, seed: As for `mean_interval`.
    """
    return paired_all([(first, second)], level, resamples, seed)[0]


def paired_all(
    pairs: Sequence[tuple[Sequence[float], Sequence[float]]],
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[Paired]:
    """`paired` of many pairs: the same figures, but pairs on equally many images share the drawing of signs.

    Args:
        pairs (Sequence[tuple]): Values of the one and of the other method, as `paired` takes them.
        level, resamples, seed: As for `mean_interval`.

    Returns:
        list[Paired]: One a pair, in order; none depends on what other pairs there are.
    """
    with np.errstate(invalid='ignore'):  # infinity less infinity: both images equal the GT
        differences = [_known(np.asarray(a, np.float64) - np.asarray(b, np.float64)) for a, b in pairs]
    p = [math.nan] * len(pairs)
    groups: dict[int, list[int]] = {}
    for i, values in enumerate(differences):
        if len(values) >= 2 and np.isfinite(values).all():
            if values.any():
                groups.setdefault(len(values), []).append(i)
            else:
                p[i] = 1.0
    for count, group in groups.items():
        step = max(1, _TOGETHER // count)
        for part in (group[k : k + step] for k in range(0, len(group), step)):
            for i, value in zip(part, _flipped(np.stack([differences[i] for i in part]), seed), strict=True):
                p[i] = value
    return [
        Paired(mean_interval(values, level, resamples, seed), value)
        for values, value in zip(differences, p, strict=True)
    ]


def _flipped(rows: np.ndarray, seed: int) -> list[float]:
    """P-values of rows of differences (R, N): how often means with random signs lie as far from 0 as a row's own."""
    test = stats.permutation_test(
        (rows,), _mean, permutation_type='samples', vectorized=True, n_resamples=FLIPS,
        batch=max(1, 2_000_000 // rows.size), axis=-1, rng=np.random.default_rng(seed),
    )  # fmt: skip
    return [float(value) for value in test.pvalue]


def holm(p: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm, 1979), in the same order; NaN ones stay and do not count."""
    known = sorted((value, i) for i, value in enumerate(p) if not math.isnan(value))
    corrected, most = [math.nan] * len(p), 0.0
    for rank, (value, i) in enumerate(known):
        most = max(most, min(1.0, value * (len(known) - rank)))
        corrected[i] = most
    return corrected


def _known(values: Sequence[float] | np.ndarray) -> np.ndarray:
    array = np.asarray(values, np.float64)
    return array[~np.isnan(array)]


def _mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(values, axis)


def _mean_difference(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(first, axis) - np.mean(second, axis)


def _bootstrap(
    data: tuple[np.ndarray, ...], statistic: object, level: float, resamples: int, seed: int
) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', stats.DegenerateDataWarning)  # answered by the percentiles below
        for method in ('BCa', 'percentile'):
            found = stats.bootstrap(
                data, statistic, n_resamples=resamples, confidence_level=level, method=method, vectorized=True,
                batch=max(1, 2_000_000 // sum(map(len, data))), rng=np.random.default_rng(seed),
            ).confidence_interval  # fmt: skip
            if math.isfinite(found.low) and math.isfinite(found.high):
                break
    return float(found.low), float(found.high)
