"""Flicker of aligned faces."""

from __future__ import annotations

import math

import numpy as np
import pytest

from facesr_ext.metrics.flicker import Flicker, temporal_difference


def test_the_difference_of_luma_is_taken_where_the_mask_is() -> None:
    earlier = np.full((8, 8, 3), 100, np.uint8)
    later = earlier.copy()
    later[:, :4] += 10
    later[:, 4:, 0] += 100
    left, right = np.zeros((2, 8, 8), np.float32)
    left[:, :4] = right[:, 4:] = 0.5
    assert temporal_difference(earlier, later, left) == pytest.approx(10)
    assert temporal_difference(earlier, later, right) == pytest.approx(29.9, abs=0.01)
    assert temporal_difference(earlier, earlier, left) == 0
    assert math.isnan(temporal_difference(earlier, later, np.zeros((8, 8), np.float32)))


def test_the_mean_is_that_of_all_pairs_with_a_value() -> None:
    one, two = Flicker(), Flicker()
    assert one.means() is None
    one.add(4, 2)
    one.add(math.nan, 1)
    two.add(2, 2)
    two.add(3, 2)
    one.join(two)
    assert one.pairs == 3 and one.means() == (3, 2)
