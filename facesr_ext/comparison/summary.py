"""From the values of single images to what tables show: worked out once, for every format."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from facesr_ext.comparison.results import Comparison, Cost, MethodFacts, MetricFacts, Published, SetFacts
from facesr_ext.comparison.statistics import (
    Interval,
    Paired,
    difference_of_means,
    holm,
    mean_interval,
    paired_all,
)

Mark = Literal['', 'best', 'tied']
NO_FIGURE = Interval(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Cell:
    """A metric of a method on a set.

    Attributes:
        figure (Interval): Mean over the images.
        missing (int): Images without a value.
        difference (Interval): To the reference, on the images that both have; without figures for the reference
            itself and for metrics of whole sets.
        p, p_holm (float): Of that difference, alone and corrected for all of the comparison; NaN where there is none.
        mark (str): 'best' of its column; 'tied' where it cannot be told from the best.
        rank (float): Among the methods of the set, 1 the best, equal ones share theirs; NaN without a figure.
    """

    figure: Interval
    missing: int = 0
    difference: Interval = NO_FIGURE
    p: float = math.nan
    p_holm: float = math.nan
    mark: Mark = ''
    rank: float = math.nan


class Quartiles(NamedTuple):
    """Median and quartiles of times, seconds."""

    low: float
    median: float
    high: float


@dataclass(frozen=True)
class Row:
    """A method on a set.

    Attributes:
        method (MethodFacts): Which.
        cells (dict): Metric -> cell, for every metric of the set.
        cost (Cost): What it costs.
        seconds (Quartiles | None): Of single images; None where no time was taken.
        quality (float): Mean of its ranks over the metrics; NaN without any, and where some metrics have no direction.
        speed (float): Rank of its median time, 1 the fastest; NaN without one.
    """

    method: MethodFacts
    cells: Mapping[str, Cell]
    cost: Cost
    seconds: Quartiles | None
    quality: float
    speed: float


@dataclass(frozen=True)
class SetTable:
    """All of a set.

    Attributes:
        facts (SetFacts): Which.
        metrics (tuple[MetricFacts, ...]): That some method has values of.
        rows (tuple[Row, ...]): In the order of the option file.
        absent (tuple): Label of a method that could not be run here, and why.
        published (tuple[Published, ...]): Rows of others, to be shown below.
        seeds (dict): Method that was trained several times -> metric -> the mean of each run.
        notes (tuple[str, ...]): What is missing.
    """

    facts: SetFacts
    metrics: tuple[MetricFacts, ...]
    rows: tuple[Row, ...]
    absent: tuple[tuple[str, str], ...]
    published: tuple[Published, ...]
    seeds: Mapping[str, Mapping[str, Sequence[float]]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Gap:
    """A metric of a method on a training and a test set, and the first less the second."""

    train: Interval
    test: Interval
    gap: Interval


@dataclass(frozen=True)
class GapTable:
    """Training beside test.

    Attributes:
        train, test (SetFacts): The sets.
        metrics (tuple[MetricFacts, ...]): That both have.
        methods (tuple[MethodFacts, ...]): That were run on both.
        cells (dict): Method -> metric -> figures.
    """

    train: SetFacts
    test: SetFacts
    metrics: tuple[MetricFacts, ...]
    methods: tuple[MethodFacts, ...]
    cells: Mapping[str, Mapping[str, Gap]]


@dataclass(frozen=True)
class Summary:
    """All that tables show.

    Attributes:
        name (str): Of the comparison.
        reference (MethodFacts): With which others are compared.
        sets (tuple[SetTable, ...]): That could be used.
        gaps (tuple[GapTable, ...]): Of every pair of a training and a test set.
        broken (tuple): What could not be used at all, a set, method or row of others, and why.
        tests (int): P-values that were corrected together.
        level (float): Of the intervals.
        what (str): What is compared: 'method' or 'degradation'.
    """

    name: str
    reference: MethodFacts
    sets: tuple[SetTable, ...]
    gaps: tuple[GapTable, ...]
    broken: tuple[tuple[str, str], ...]
    tests: int
    level: float
    what: str = 'method'


Key = tuple[str, str, str]
"""Set, method, metric."""


class _Tests(NamedTuple):
    """Paired comparisons of all sets, by set, method and metric.

    Attributes:
        reference (dict): With the reference.
        best (dict): With the best of the column.
        holm (dict): P-values of the first, corrected together.
    """

    reference: dict[Key, Paired]
    best: dict[Key, Paired]
    holm: dict[Key, float]


def summarise(found: Comparison) -> Summary:
    """Works out every figure of a comparison.

    Args:
        found (Comparison): What was measured.

    Returns:
        Summary: Its p-values are corrected by Holm's method for all methods, metrics and sets together.
    """
    figures = dict(_figures(found))
    tests = _tests(found, figures)
    sets = tuple(_set_table(found, facts, figures, tests) for facts in found.sets if found.values.get(facts.name))
    broken = [(method.label, method.problem) for method in found.methods if method.problem]
    broken += [
        (facts.name, facts.problem or 'no method could be run on it')
        for facts in found.sets
        if facts.problem or not found.values.get(facts.name)
    ]
    shown = ('', *(table.facts.name for table in sets))
    broken += [
        (f'{row.method} (published)', f'it belongs to the set {row.set}, which has no table')
        for row in found.published
        if row.set not in shown
    ]
    known = sum(not math.isnan(test.p) for test in tests.reference.values())
    gaps = tuple(_gap_tables(found, figures))
    reference = found.method(found.reference)
    return Summary(found.name, reference, sets, gaps, tuple(broken), known, found.level, found.what)


def _figures(found: Comparison) -> Iterator[tuple[Key, Interval]]:
    """Mean and interval of every method and metric of every set."""
    for facts in found.sets:
        for method in found.ran(facts.name):
            for metric in found.metrics:
                key = (facts.name, method.name, metric.name)
                if metric.whole_set:
                    whole = found.whole.get(facts.name, {}).get(method.name, {}).get(metric.name)
                    if whole is not None:
                        yield key, Interval(whole.value, whole.low, whole.high, len(facts.images))
                elif metric.name in found.values[facts.name][method.name]:
                    yield key, mean_interval(_values(found, key), found.level)


def _values(found: Comparison, key: Key) -> Sequence[float]:
    return found.values[key[0]][key[1]][key[2]]


def _columns(found: Comparison, figures: Mapping[Key, Interval]) -> Iterator[tuple[str, MetricFacts, list[Key]]]:
    """Set, metric, and the keys of the methods that have it."""
    for facts in found.sets:
        for metric in found.metrics:
            keys = [(facts.name, method.name, metric.name) for method in found.ran(facts.name)]
            if keys := [key for key in keys if key in figures]:
                yield facts.name, metric, keys


def _best(keys: Sequence[Key], metric: MetricFacts, figures: Mapping[Key, Interval]) -> Key | None:
    """The key of the best mean, the first of several; None where none has a figure, or neither direction is better."""
    if metric.higher_is_better is None:
        return None
    known = [key for key in keys if not math.isnan(figures[key].mean)]
    sign = 1 if metric.higher_is_better else -1
    return max(known, key=lambda key: sign * figures[key].mean, default=None)


def _tests(found: Comparison, figures: Mapping[Key, Interval]) -> _Tests:
    with_reference: dict[Key, Key] = {}
    with_best: dict[Key, Key] = {}
    for set_name, metric, keys in _columns(found, figures):
        if metric.whole_set:
            continue
        if (reference := (set_name, found.reference, metric.name)) in keys:
            with_reference.update((key, reference) for key in keys if key != reference)
        if (best := _best(keys, metric, figures)) is not None:
            with_best.update((key, best) for key in keys if key != best)
    pairs = list(dict.fromkeys([*with_reference.items(), *with_best.items()]))
    results = paired_all([(_values(found, a), _values(found, b)) for a, b in pairs], found.level)
    known = dict(zip(pairs, results, strict=True))
    referred = {pair[0]: known[pair] for pair in with_reference.items()}
    ranked = {pair[0]: known[pair] for pair in with_best.items()}
    return _Tests(referred, ranked, dict(zip(referred, holm([test.p for test in referred.values()]), strict=True)))


def _set_table(found: Comparison, facts: SetFacts, figures: Mapping[Key, Interval], tests: _Tests) -> SetTable:
    columns = {metric.name: (metric, keys) for name, metric, keys in _columns(found, figures) if name == facts.name}
    metrics = tuple(metric for metric, _ in columns.values())
    directed = all(metric.higher_is_better is not None for metric in metrics)  # else ranks say nothing of the whole
    methods = found.ran(facts.name)
    marks: dict[Key, Mark] = {}
    ranks: dict[Key, float] = {}
    for metric, keys in columns.values():
        marks.update(_marks(metric, keys, figures, tests, found.level))
        if metric.higher_is_better is not None:
            ranks.update(_ranks(metric, keys, figures))
    costs = {method.name: found.costs.get(facts.name, {}).get(method.name, Cost()) for method in methods}
    times = {name: quartiles(cost.seconds) for name, cost in costs.items()}
    medians = [time.median if time else math.nan for time in times.values()]
    speeds = dict(zip(times, stats.rankdata(medians, nan_policy='omit'), strict=True))
    rows = []
    for method in methods:
        cells = {}
        for metric in metrics:
            key = (facts.name, method.name, metric.name)
            cells[metric.name] = _cell(found, metric, key, figures, tests, marks.get(key, ''), ranks.get(key, math.nan))
        own = [cell.rank for cell in cells.values() if not math.isnan(cell.rank)]
        quality = float(np.mean(own)) if own and directed else math.nan
        name = method.name
        rows.append(Row(method, cells, costs[name], times[name], quality, float(speeds[name])))
    absent = tuple(
        (method.label, found.problems.get(facts.name, {}).get(method.name) or method.problem or 'not run')
        for method in found.methods
        if method not in methods
    )
    published = tuple(row for row in found.published if row.set in ('', facts.name))
    seeds = found.seeds.get(facts.name, {})
    return SetTable(facts, metrics, tuple(rows), absent, published, seeds, tuple(_set_notes(facts, metrics, rows)))


def _cell(
    found: Comparison,
    metric: MetricFacts,
    key: Key,
    figures: Mapping[Key, Interval],
    tests: _Tests,
    mark: Mark,
    rank: float,
) -> Cell:
    figure = figures.get(key, NO_FIGURE)
    missing = 0 if metric.whole_set or key not in figures else len(_values(found, key)) - figure.num
    test = tests.reference.get(key)
    if test is None:
        return Cell(figure, missing, mark=mark, rank=rank)
    return Cell(figure, missing, test.difference, test.p, tests.holm[key], mark, rank)


def _marks(
    metric: MetricFacts, keys: Sequence[Key], figures: Mapping[Key, Interval], tests: _Tests, level: float
) -> Iterator[tuple[Key, Mark]]:
    """The best of a column, and those that cannot be told from it; none where there is nothing to compare."""
    best = _best(keys, metric, figures)
    others = [key for key in keys if key != best and not math.isnan(figures[key].mean)]
    if best is None or not others:
        return
    yield best, 'best'
    if metric.whole_set:  # no values of single images, so no test: intervals that overlap
        low, high = figures[best][1:3]
        for key in others:
            if figures[key].low <= high and low <= figures[key].high:
                yield key, 'tied'
        return
    corrected = holm([tests.best[key].p for key in others])
    for key, p in zip(others, corrected, strict=True):
        if not p < 1 - level:  # NaN, too: nothing tells them apart
            yield key, 'tied'


def _ranks(metric: MetricFacts, keys: Sequence[Key], figures: Mapping[Key, Interval]) -> Iterator[tuple[Key, float]]:
    means = np.array([figures[key].mean for key in keys])
    ranks = stats.rankdata(-means if metric.higher_is_better else means, nan_policy='omit')
    yield from ((key, float(rank)) for key, rank in zip(keys, ranks, strict=True))


def quartiles(times: Sequence[float]) -> Quartiles | None:
    """Median and quartiles of times; None of none."""
    return Quartiles(*(float(value) for value in np.percentile(times, (25, 50, 75)))) if len(times) else None


def _set_notes(facts: SetFacts, metrics: Sequence[MetricFacts], rows: Sequence[Row]) -> Iterator[str]:
    if len(facts.images) == 1:
        yield 'one image only: no intervals and no tests'
    for metric in metrics:
        missing = {row.method.label: row.cells[metric.name].missing for row in rows if row.cells[metric.name].missing}
        if missing:
            told = ', '.join(f'{label} {count}' for label, count in missing.items())
            yield f'{metric.name}: of {len(facts.images)} images without a value: {told}; they are left out of its mean'
        empty = [row.method.label for row in rows if not row.cells[metric.name].figure.num]
        if empty and not all(missing.get(label) for label in empty):
            yield f'{metric.name}: no value at all: {", ".join(empty)}'


def _gap_tables(found: Comparison, figures: Mapping[Key, Interval]) -> Iterator[GapTable]:
    for train in found.sets:
        for test in found.sets:
            if (train.split, test.split) == ('train', 'test'):
                table = _gap_table(found, figures, train, test)
                if table.metrics:
                    yield table


def _gap_table(found: Comparison, figures: Mapping[Key, Interval], train: SetFacts, test: SetFacts) -> GapTable:
    ran = [method for method in found.ran(train.name) if method in found.ran(test.name)]
    cells: dict[str, dict[str, Gap]] = {method.name: {} for method in ran}
    metrics = []
    for metric in found.metrics:
        for method in [] if metric.whole_set else ran:
            first, second = ((facts.name, method.name, metric.name) for facts in (train, test))
            if first in figures and second in figures:
                gap = difference_of_means(_values(found, first), _values(found, second), found.level)
                cells[method.name][metric.name] = Gap(figures[first], figures[second], gap)
        if any(metric.name in row for row in cells.values()):
            metrics.append(metric)
    return GapTable(train, test, tuple(metrics), tuple(ran), cells)
