"""Main effects and interactions: report S1's table, and responses whose effects are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from facesr_ext.sweeps.designs import design_points, read_axes
from facesr_ext.sweeps.effects import interactions, main_effects

S1_AXES = (
    'train:optim_g:lr=0.01,0.001,0.0001',
    'train:optim_g:type=RMSprop,Adam,Adagrad',
    'network_g:activation=tanh,sigmoid,relu',
    'network_g:num_feat=32,64,128',
)
S1_RUNS = (
    (0, 0, 0, 0), (0, 1, 1, 1), (0, 2, 2, 2), (1, 0, 1, 2), (1, 1, 2, 0), (1, 2, 0, 1), (2, 0, 2, 1), (2, 1, 0, 2),
    (2, 2, 1, 0),
)  # fmt: skip
S1_LOSSES = (0.8670, 0.7261, 0.0385, 0.0282, 0.0297, 0.0296, 0.0353, 0.0363, 0.0414)


def test_the_order_of_report_s1_is_that_of_the_design() -> None:
    pytest.importorskip('pyDOE3', reason='the extra sweep is missing')
    assert design_points('L9', read_axes(S1_AXES)) == list(S1_RUNS)


def test_main_effects_of_report_s1() -> None:
    effects = main_effects(S1_RUNS, S1_LOSSES, (3, 3, 3, 3), higher=False)
    published = (
        (0.5439, 0.0292, 0.0377),
        (0.3102, 0.2640, 0.0365),
        (0.3110, 0.2652, 0.0345),
        (0.3127, 0.2637, 0.0343),
    )
    for effect, means in zip(effects.factors, published, strict=True):
        assert effect.means == pytest.approx(means, abs=5.1e-5) and effect.counts == (3, 3, 3)
    axes = read_axes(S1_AXES)
    optimum = [axis.label(level) for axis, level in zip(axes, effects.optimum, strict=True)]
    assert optimum == ['0.001', 'Adagrad', 'relu', '128'] and effects.optimum not in S1_RUNS
    assert S1_RUNS[int(np.argmin(S1_LOSSES))] == (1, 0, 1, 2)  # its number 4 is the best that it has trained
    assert [effect.rank for effect in effects.factors] == [1, 4, 3, 2]
    # the effects do not add up: the model says a loss below zero
    assert effects.predicted == pytest.approx(0.0292 + 0.0365 + 0.0345 + 0.0343 - 3 * np.mean(S1_LOSSES), abs=3e-4)
    assert effects.predicted < 0 and effects.balanced and math.isnan(effects.spread)
    assert sum(effect.share for effect in effects.factors) == pytest.approx(1)  # four factors take all that L9 has


def test_effects_that_add_up_are_found_whatever_the_design() -> None:
    own = ([0.0, 1.0, 4.0], [2.0, 0.0, -1.0], [0.0, 0.5, 0.25], [0.0, 0.0, 3.0])
    responses = [sum(own[i][level] for i, level in enumerate(run)) for run in S1_RUNS]
    effects = main_effects(S1_RUNS, responses, (3, 3, 3, 3), higher=True)
    for effect, values in zip(effects.factors, own, strict=True):
        assert np.diff(effect.means) == pytest.approx(np.diff(values))
    assert effects.optimum == (2, 0, 1, 2) and effects.predicted == pytest.approx(4 + 2 + 0.5 + 3)
    assert main_effects(S1_RUNS, responses, (3, 3, 3, 3), higher=False).optimum == (0, 2, 0, 0)


def test_several_runs_a_point_and_failed_ones() -> None:
    points = [point for point in itertools.product(range(2), range(2)) for _ in range(2)]
    values = [1.0, 3.0, 2.0, 4.0, 11.0, 13.0, 12.0, 14.0]
    effects = main_effects(points, values, (2, 2), higher=True)
    assert effects.factors[0].means == (2.5, 12.5) and effects.factors[1].means == (7, 8)
    assert effects.spread == pytest.approx(math.sqrt(2)) and effects.balanced and effects.predicted == 13
    values[6] = values[7] = math.nan
    effects = main_effects(points, values, (2, 2), higher=True)
    assert effects.factors[0].counts == (4, 2) and effects.factors[0].means == (2.5, 12) and not effects.balanced
    values[4] = values[5] = math.nan
    effects = main_effects(points, values, (2, 2), higher=True)
    assert math.isnan(effects.factors[0].means[1]) and effects.optimum[0] == 0 and effects.factors[0].delta == 0
    with pytest.raises(ValueError, match='no response is finite'):
        main_effects(points, [math.nan] * 8, (2, 2), higher=True)


def test_equal_responses() -> None:
    effects = main_effects(S1_RUNS, [2.0] * 9, (3, 3, 3, 3), higher=True)
    assert effects.predicted == 2 and effects.optimum == (0, 0, 0, 0) and math.isnan(effects.factors[0].share)


def test_interactions() -> None:
    points = list(itertools.product(range(2), range(2), range(2)))
    values = [10.0 * a + (3.0 if a == b else 0.0) + 0.1 * c for a, b, c in points]
    first, *others = interactions(points, values, (2, 2, 2))
    assert first.factors == (0, 1) and np.allclose(first.cells, [[3.05, 0.05], [10.05, 13.05]])
    squares = np.sum((np.array(values) - np.mean(values)) ** 2)
    assert first.share == pytest.approx(8 * 1.5**2 / squares)
    assert all(item.share == pytest.approx(0, abs=1e-12) for item in others)


def test_interactions_that_nothing_tells_from_chance() -> None:
    pairs = list(itertools.product(range(2), range(3)))
    assert interactions(pairs, [float(i) for i in range(6)], (2, 3)) == []
    assert len(interactions(pairs * 2, [float(i) for i in range(12)], (2, 3))) == 1
    assert interactions(pairs * 2, [math.nan, *range(11)], (2, 3)) == []
    assert interactions(S1_RUNS, S1_LOSSES, (3, 3, 3, 3)) == []
