"""What a design tells: the mean of each level, how far the levels of a factor lie apart, and the best point.

The model is additive: grand mean plus the effect of each factor's level. It is as good as the confirmation run says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from facesr_ext.sweeps.designs import Levels
from facesr_ext.sweeps.plan import Plan
from facesr_ext.sweeps.trainings import Result


class Effect(NamedTuple):
    """The main effect of a factor.

    Attributes:
        means (tuple[float, ...]): By level: the mean response of its runs; NaN where all have failed.
        counts (tuple[int, ...]): By level: how many runs that are.
        delta (float): The largest mean less the smallest.
        rank (int): 1 for the largest delta.
        share (float): Of the sum of squares of all runs, in [0, 1]; NaN where all are equal.
        best (int): The level with the best mean.
    """

    means: tuple[float, ...]
    counts: tuple[int, ...]
    delta: float
    rank: int
    share: float
    best: int


class Effects(NamedTuple):
    """Main effects of all factors.

    Attributes:
        mean (float): Of all runs.
        factors (tuple[Effect, ...]): In the order of the axes.
        optimum (Levels): The best level of each.
        predicted (float): What the additive model says of the optimum.
        spread (float): Standard deviation between runs of one point (seeds), pooled; NaN where each has one run.
        balanced (bool): Whether each level of a factor has as many runs.
    """

    mean: float
    factors: tuple[Effect, ...]
    optimum: Levels
    predicted: float
    spread: float
    balanced: bool


class Interaction(NamedTuple):
    """What two factors do together beyond their own effects.

    Attributes:
        factors (tuple[int, int]): Their numbers.
        cells (ndarray): Mean response by the levels of both.
        share (float): Of the sum of squares of all runs, in [0, 1].
    """

    factors: tuple[int, int]
    cells: np.ndarray
    share: float


def main_effects(points: Sequence[Levels], responses: Sequence[float], sizes: Sequence[int], higher: bool) -> Effects:
    """Main effects from the runs of a design.

    Args:
        points (Sequence[Levels]): One a run; a point may come several times.
        responses (Sequence[float]): Of each run; those that are not finite (failed) are left out.
        sizes (Sequence[int]): Levels of each axis.
        higher (bool): Whether a larger response is a better one.

    Raises:
        ValueError: if no response is finite.
    """
    array, values = _known(points, responses)
    grand = float(values.mean())
    total = float(((values - grand) ** 2).sum())
    columns = [[values[array[:, i] == level] for level in range(size)] for i, size in enumerate(sizes)]
    means = [[float(group.mean()) if len(group) else math.nan for group in column] for column in columns]
    deltas = [float(np.nanmax(row) - np.nanmin(row)) for row in means]
    order = sorted(range(len(sizes)), key=lambda i: -deltas[i])
    factors = []
    for i, (row, column) in enumerate(zip(means, columns, strict=True)):
        squares = sum(len(group) * (mean - grand) ** 2 for mean, group in zip(row, column, strict=True) if len(group))
        best = int(np.nanargmax(row) if higher else np.nanargmin(row))
        counts = tuple(map(len, column))
        share = squares / total if total > 0 else math.nan
        factors.append(Effect(tuple(row), counts, deltas[i], order.index(i) + 1, share, best))
    predicted = grand + sum(effect.means[effect.best] - grand for effect in factors)
    balanced = len(values) == len(responses) and all(len(set(effect.counts)) == 1 for effect in factors)
    optimum = tuple(effect.best for effect in factors)
    return Effects(grand, tuple(factors), optimum, predicted, _spread(array, values), balanced)


def interactions(points: Sequence[Levels], responses: Sequence[float], sizes: Sequence[int]) -> list[Interaction]:
    """Two-factor interactions, where the runs can tell them from chance: the strongest first.

    That is so in a complete full factorial design of three factors or more, or with several runs a point.

    Returns:
        list: Empty where they cannot be told.
    """
    array, values = _known(points, responses)
    counts = {point: list(map(tuple, array.tolist())).count(point) for point in itertools.product(*map(range, sizes))}
    each = set(counts.values())
    whole = len(values) == len(responses) and len(each) == 1 and 0 not in each
    if not whole or len(sizes) < 2 or (len(sizes) == 2 and each == {1}):
        return []
    grand = float(values.mean())
    total = float(((values - grand) ** 2).sum())
    found = []
    for i, j in itertools.combinations(range(len(sizes)), 2):
        cells = np.array(
            [[values[(array[:, i] == a) & (array[:, j] == b)].mean() for b in range(sizes[j])] for a in range(sizes[i])]
        )
        beyond = cells - cells.mean(1, keepdims=True) - cells.mean(0, keepdims=True) + grand
        squares = float((beyond**2).sum()) * len(values) / cells.size
        found.append(Interaction((i, j), cells, squares / total if total > 0 else math.nan))
    return sorted(found, key=lambda interaction: -interaction.share)


def effects_of(plan: Plan, results: Mapping[str, Result]) -> Effects | None:
    """Main effects by what is known so far; None where nothing is."""
    runs = [run for run in plan.runs() if run.name in results]
    responses = [results[run.name].response(plan) for run in runs]
    if not any(map(math.isfinite, responses)):
        return None
    return main_effects([run.point for run in runs], responses, plan.sizes, plan.higher)


def _known(points: Sequence[Levels], responses: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(responses, np.float64)
    known = np.isfinite(values)
    if not known.any():
        raise ValueError('no response is finite')
    return np.asarray(points)[known], values[known]


def _spread(array: np.ndarray, values: np.ndarray) -> float:
    groups: dict[Levels, list[float]] = {}
    for point, value in zip(map(tuple, array.tolist()), values.tolist(), strict=True):
        groups.setdefault(point, []).append(value)
    squares = sum(float(np.sum((np.asarray(group) - np.mean(group)) ** 2)) for group in groups.values())
    freedom = len(values) - len(groups)
    return math.sqrt(squares / freedom) if freedom else math.nan
