"""What stands in which table and cell, as text: the same for Markdown, LaTeX and the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from facesr_ext.comparison.figures import NONE, decimals, interval, large, number, one_line, p_value, seconds
from facesr_ext.comparison.results import Comparison, MetricFacts, SetFacts
from facesr_ext.comparison.statistics import Interval
from facesr_ext.comparison.summary import NO_FIGURE, Cell, Gap, GapTable, Mark, Row, SetTable, Summary

TIED = '≈'
"""Stands behind a figure that cannot be told from the best."""
_FOLDERS = 3  # of a file's path, the file among them
_NO_GAP = Gap(NO_FIGURE, NO_FIGURE, NO_FIGURE)


@dataclass(frozen=True)
class Text:
    """A cell.

    Attributes:
        text (str): Its figure or words, one line.
        more (tuple[str, ...]): What stands smaller beside or below: interval, p-value.
        mark (str): 'best', 'tied' or ''.
        sort (float): What a table is sorted by; NaN stands last, and words are sorted as words.
    """

    text: str
    more: tuple[str, ...] = ()
    mark: Mark = ''
    sort: float = math.nan


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name (str): Short, for references: 'figures', 'differences', 'seeds', 'cost', 'gap', 'published',
            'methods'.
        title (str): Above it.
        head (tuple[str, ...]): Of the columns.
        rows (tuple): Cells, as many as there are columns.
        below (tuple[str, ...]): How to read it.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    below: tuple[str, ...] = ()

    @property
    def of_words(self) -> bool:
        """Whether its cells are words rather than figures, which stand on the left."""
        return self.name in ('published', 'methods')


def set_tables(summary: Summary, table: SetTable) -> list[Table]:
    """Figures, differences to the reference, runs of several seeds, cost, rows of others: as far as there are any."""
    what = summary.what.capitalize()
    found = [_figures(summary, table), _differences(summary, table), _seeds(table, what), _cost(table, what)]
    found.append(_published(table, what))
    return [item for item in found if item.rows]


def set_line(facts: SetFacts) -> str:
    """A set in a line: how many images, their size, and where the LQ comes from."""
    size = f', {facts.size[1]}x{facts.size[0]} px' if facts.size else ''
    count = len(facts.images)
    return f'{count} image{"" if count == 1 else "s"}{size}, scale {facts.scale}; LQ: {one_line(facts.lq)}'


def metric_head(metric: MetricFacts) -> str:
    """Name, unit and direction of a metric."""
    unit = f', {one_line(metric.unit)}' if metric.unit else ''
    arrow = {True: ' ↑', False: ' ↓', None: ''}[metric.higher_is_better]
    return f'{one_line(metric.name)}{unit}{arrow}'


def _label(row: Row) -> Text:
    return Text(one_line(row.method.label))


def _rank(value: float) -> Text:
    text = NONE if math.isnan(value) else f'{value:.1f}'.removesuffix('.0')
    return Text(text, sort=value)


def _places(cells: Iterable[Interval], metric: MetricFacts) -> int:
    return decimals(cells, metric.unit)


def _figures(summary: Summary, table: SetTable) -> Table:
    places = {m.name: _places((row.cells[m.name].figure for row in table.rows), m) for m in table.metrics}
    ranked = any(not math.isnan(row.quality) for row in table.rows)
    rows = tuple(
        (_label(row), *(_figure(row.cells[name], places[name]) for name in places), *[_rank(row.quality)] * ranked)
        for row in table.rows
    )
    level = f'{summary.level:.0%}'
    below = [f'mean over the images and its {level} interval (bootstrap)'] if _has_intervals(table) else []
    marks = {(m.whole_set, row.cells[m.name].mark) for row in table.rows for m in table.metrics}
    if any(mark for _, mark in marks):
        below.append('bold: the best')
    if (False, 'tied') in marks:
        below.append(f'{TIED}: cannot be told from the best (paired test, corrected for the column)')
    if any(metric.whole_set for metric in table.metrics):
        names = ', '.join(one_line(metric.name) for metric in table.metrics if metric.whole_set)
        overlap = f'; {TIED} there: the spreads overlap' if (True, 'tied') in marks else ''
        below.append(f'{names}: of the whole set, with the spread of its random halves{overlap}')
    if ranked:
        below.append('quality rank: mean of the ranks over the metrics, 1 the best')
    head = (summary.what.capitalize(), *map(metric_head, table.metrics), *['Quality rank'] * ranked)
    return Table('figures', 'Figures', head, rows, tuple(below))


def _has_intervals(table: SetTable) -> bool:
    return any(not math.isnan(cell.figure.low) for row in table.rows for cell in row.cells.values())


def _figure(cell: Cell, places: int) -> Text:
    missing = f'{cell.missing} missing' if cell.missing else ''
    return Text(
        number(cell.figure.mean, places), _told(interval(cell.figure, places), missing), cell.mark, cell.figure.mean
    )


def _told(*parts: str) -> tuple[str, ...]:
    return tuple(part for part in parts if part)


def _differences(summary: Summary, table: SetTable) -> Table:
    """Methods less the reference; no rows where there is nothing to compare."""
    metrics = [metric for metric in table.metrics if not metric.whole_set]
    others = [row for row in table.rows if row.method.name != summary.reference.name]
    if len(others) == len(table.rows):
        return Table('differences', '', (), ())
    places = {m.name: _places((row.cells[m.name].difference for row in others), m) for m in metrics}
    rows = tuple((_label(row), *(_difference(row.cells[m.name], places[m.name]) for m in metrics)) for row in others)
    below = (
        f'mean paired difference over the images with its {summary.level:.0%} interval; p: paired permutation test, '
        f"alone, and corrected by Holm's method for the {summary.tests} tests of this comparison",
    )
    title = f'Difference to {one_line(summary.reference.label)}'
    head = (summary.what.capitalize(), *map(metric_head, metrics))
    return Table('differences', title, head, rows if metrics else (), below)


def _difference(cell: Cell, places: int) -> Text:
    ends = interval(cell.difference, places, signed=True)
    tested = '' if math.isnan(cell.p) else f'p {p_value(cell.p)}, Holm {p_value(cell.p_holm)}'
    return Text(number(cell.difference.mean, places, signed=True), _told(ends, tested), sort=cell.difference.mean)


def _seeds(table: SetTable, what: str) -> Table:
    """How much the runs of methods that were trained several times differ."""
    several = [
        row for row in table.rows if any(len(runs) > 1 for runs in table.seeds.get(row.method.name, {}).values())
    ]
    metrics = [
        metric for metric in table.metrics if any(metric.name in table.seeds[row.method.name] for row in several)
    ]
    rows = tuple(
        (_label(row), *(_spread(table.seeds[row.method.name].get(metric.name, ()), metric) for metric in metrics))
        for row in several
    )
    below = (
        'mean over the runs, which differ by their seed alone, their standard deviation, the smallest and the largest',
        'intervals and tests above are over images and say nothing of this spread',
    )
    return Table('seeds', 'Trained several times', (what, *map(metric_head, metrics)), rows, below)


def _spread(means: Sequence[float], metric: MetricFacts) -> Text:
    runs = [mean for mean in means if not math.isnan(mean)]
    if not runs:
        return Text(NONE)
    mean, deviation = float(np.mean(runs)), float(np.std(runs, ddof=1)) if len(runs) > 1 else math.nan
    places = _places([Interval(mean, mean - deviation, mean + deviation, len(runs))], metric)
    ends = interval(Interval(mean, min(runs), max(runs), len(runs)), places)
    return Text(number(mean, places), _told(f'SD {number(deviation, places)} of {len(runs)} runs', ends), sort=mean)


def _cost(table: SetTable, what: str) -> Table:
    """What each method costs; columns that nothing is known of are left out."""
    rows = []
    for row in table.rows:
        time = row.seconds
        spread = f'[{seconds(time.low)}, {seconds(time.high)}]' if time and len(row.cost.seconds) > 1 else ''
        rows.append(
            (
                _label(row),
                _count(row.method.parameters),
                _count(row.cost.macs),
                _count(row.cost.memory, 'B'),
                Text(seconds(time.median), _told(spread), sort=time.median) if time else Text(NONE),
                _rank(row.quality),
                _rank(row.speed),
            )
        )
    head = (what, 'Parameters', 'MACs', 'Memory', 'Time per image', 'Quality rank', 'Speed rank')
    known = [i for i in range(len(head)) if any(row[i].text != NONE for row in rows)]
    if known == [0]:
        return Table('cost', '', (), ())
    told = {'Time per image': 'time: median and quartiles', 'Memory': 'memory: most held at once, weights included'}
    return Table(
        'cost',
        'Cost, and quality against speed' if head.index('Quality rank') in known else 'Cost',
        tuple(head[i] for i in known),
        tuple(tuple(row[i] for i in known) for row in rows),
        tuple(told[head[i]] for i in known if head[i] in told),
    )


def _count(value: int | None, unit: str = '') -> Text:
    return Text(large(value, unit), sort=math.nan if value is None else float(value))


def _published(table: SetTable, what: str) -> Table:
    """Rows of others, with protocol and source: no mark, no rank."""
    known = [metric for metric in table.metrics if any(metric.name in row.figures for row in table.published)]
    names = [metric.name for metric in known]
    names += sorted({name for row in table.published for name in row.figures} - set(names))
    heads = {metric.name: metric_head(metric) for metric in known}
    rows = tuple(
        (
            Text(one_line(row.method)),
            *(Text(f'{row.figures[name]:g}') if name in row.figures else Text(NONE) for name in names),
            Text(one_line(row.protocol)),
            Text(one_line(row.source)),
        )
        for row in table.published
    )
    head = (what, *(heads.get(name, one_line(name)) for name in names), 'Protocol', 'Source')
    below = ('measured by others under the protocol named: not ranked, and not to be compared figure by figure',)
    return Table('published', 'Published by others', head, rows, below)


def gap_table(summary: Summary, table: GapTable) -> Table:
    """Training, test and their gap: three rows a metric, a column a method."""
    rows = []
    for metric in table.metrics:
        cells = [table.cells[method.name].get(metric.name, _NO_GAP) for method in table.methods]
        both = _places([figure for cell in cells for figure in (cell.train, cell.test)], metric)
        gap = _places([cell.gap for cell in cells], metric)
        name = metric_head(metric)
        rows.append((Text(f'{name} train'), *(_plain(cell.train, both) for cell in cells)))
        rows.append((Text(f'{name} test'), *(_plain(cell.test, both) for cell in cells)))
        rows.append((Text(f'{name} gap'), *(_plain(cell.gap, gap, signed=True) for cell in cells)))
    title = f'Training and test: {one_line(table.train.name)} less {one_line(table.test.name)}'
    head = ('Metric', *(one_line(method.label) for method in table.methods))
    below = (f'means with their {summary.level:.0%} intervals; gap: training less test, both sets drawn anew',)
    return Table('gap', title, head, tuple(rows), below)


def _plain(figure: Interval, places: int, signed: bool = False) -> Text:
    return Text(number(figure.mean, places, signed), _told(interval(figure, places, signed)), sort=figure.mean)


def _place(file: str) -> str:
    """A file by its last folders: what lies above is of no interest to others."""
    parts = PurePath(one_line(file)).parts
    return '/'.join(parts) if len(parts) <= _FOLDERS else '…/' + '/'.join(parts[-_FOLDERS:])


def method_table(found: Comparison) -> Table:
    """What each method is: network, weights and their checksum, or why it could not be run."""
    rows = tuple(
        (
            Text(one_line(method.label)),
            Text(one_line(method.network) or NONE),
            Text(', '.join(map(_place, method.files)) or NONE),
            Text(method.sha256[:12] or NONE),
            Text(one_line(method.problem) or NONE),
        )
        for method in found.methods
    )
    what = found.what.capitalize()
    head = (what, 'Network' if what == 'Method' else 'Kind', 'Weights', 'SHA-256', 'Problem')
    if all(not method.problem for method in found.methods):
        return Table('methods', f'{what}s', head[:-1], tuple(row[:-1] for row in rows))
    return Table('methods', f'{what}s', head, rows)
