"""Intervals contain the truth as often as they say, and tests find differences that are there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from facesr_ext.comparison.statistics import difference_of_means, holm, mean_interval, paired


def test_the_interval_contains_the_mean_in_95_of_100_sets() -> None:
    rng = np.random.default_rng(7)
    population = 25 + 2 * rng.standard_normal(5000) + rng.gamma(1.5, 1.0, 5000)  # as PSNR: skewed to the right
    sets = rng.choice(population, (1000, 50))
    intervals = [mean_interval(values, resamples=999) for values in sets]
    covered = np.mean([interval.low <= population.mean() <= interval.high for interval in intervals])
    assert 0.93 <= covered <= 0.965


def test_p_is_below_five_percent_in_five_of_a_hundred_equal_pairs() -> None:
    rng = np.random.default_rng(3)
    p = [paired(*rng.standard_normal((2, 12))).p for _ in range(300)]
    assert 0.025 <= np.mean(np.array(p) < 0.05) <= 0.08
    assert stats.kstest(p, 'uniform').pvalue > 0.01


def test_a_pair_is_told_apart_by_its_images_not_by_its_means() -> None:
    rng = np.random.default_rng(0)
    base = 25 + 3 * rng.standard_normal(40)
    better = base + 0.2 + 0.1 * rng.standard_normal(40)
    found = paired(better, base)
    assert found.p < 0.001 and 0.15 < found.difference.low < 0.2 < found.difference.high < 0.3
    assert stats.ttest_ind(better, base).pvalue > 0.5
    assert paired(base, base).p == 1 and paired(base, base).difference[:3] == (0, 0, 0)


def test_few_values_and_missing_ones() -> None:
    assert mean_interval([]).num == 0 and math.isnan(mean_interval([math.nan]).mean)
    one = mean_interval([3.0, math.nan])
    assert one.mean == 3 and one.num == 1 and math.isnan(one.low)
    assert mean_interval([2.0, 2.0, 2.0])[:3] == (2, 2, 2)
    assert mean_interval([1.0, math.inf]).mean == math.inf
    found = paired([1.0, math.nan, 3.0], [0.0, 5.0, math.nan])
    assert found.difference.mean == 1 and found.difference.num == 1 and math.isnan(found.p)
    assert paired([math.inf, math.inf, 2], [math.inf, 1, 1]).difference.num == 2


def test_the_gap_of_two_sets() -> None:
    rng = np.random.default_rng(1)
    gap = difference_of_means(24 + rng.standard_normal(200), 22 + rng.standard_normal(100))
    assert gap.low < 2 < gap.high and gap.high - gap.low < 0.7 and gap.num == 100
    assert math.isnan(difference_of_means([1.0], [2.0, 3.0]).low) and difference_of_means([], [1.0]).num == 0


@pytest.mark.parametrize(
    ('p', 'corrected'),
    [((0.01, 0.04, 0.03), (0.03, 0.06, 0.06)), ((0.9, math.nan, 0.5), (1.0, math.nan, 1.0)), ((), ())],
)
def test_holm(p: tuple[float, ...], corrected: tuple[float, ...]) -> None:
    assert holm(p) == pytest.approx(corrected, nan_ok=True)
