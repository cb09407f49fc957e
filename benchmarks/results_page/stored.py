"""The figures of a comparison without its images: what the page is written from, small enough for the repository."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.results_page.trainings import Training, trainings_of
from facesr_ext.comparison.results import Comparison
from facesr_ext.comparison.statistics import Interval, difference_of_means, mean_interval
from facesr_ext.errors import DatasetError
from facesr_ext.runs.atomic import write_text

VERSION = 1
_DIGITS = 6
_PATH = re.compile(r'(?<![\w.])(?:[A-Za-z]:)?[/\\](?:[^/\\\s;,]+[/\\])+')
"""All but the last part of an absolute path: of the machine that it was measured on."""


class StoredSet(NamedTuple):
    """A set: where its LQ comes from, factor, how many images, and the names of the first and the last."""

    name: str
    lq: str
    scale: int
    images: int
    first: str
    last: str


class StoredMethod(NamedTuple):
    """A method: as `facesr_ext.comparison.results.MethodFacts`, without files."""

    name: str
    label: str
    network: str
    parameters: int | None
    sha256: str
    problem: str


class StoredMetric(NamedTuple):
    """A metric, its direction (None: neither is better) and unit."""

    name: str
    higher_is_better: bool | None
    unit: str


@dataclass
class Figures:
    """All that the page needs of a comparison.

    Attributes:
        sets, methods, metrics (dict): By name.
        means (dict): Set -> method -> metric -> mean over the images, with its interval.
        differences (dict): Set -> metric -> 'a - b' -> mean paired difference of the methods a and b.
        gaps (dict): 'train - test', of sets -> method -> metric -> difference of their means.
        seeds (dict): Set -> method -> metric -> mean of each run, for methods that were trained several times.
        seconds (dict): Set -> method -> lower quartile, median and upper quartile of the time of one image.
        trainings (dict): Method -> its trainings, as far as there are logs.
        machine (dict): What the comparison ran on.
        remarks (list[str]): What a reader has to know of these runs.
    """

    sets: dict[str, StoredSet] = field(default_factory=dict)
    methods: dict[str, StoredMethod] = field(default_factory=dict)
    metrics: dict[str, StoredMetric] = field(default_factory=dict)
    means: dict[str, dict[str, dict[str, Interval]]] = field(default_factory=dict)
    differences: dict[str, dict[str, dict[str, Interval]]] = field(default_factory=dict)
    gaps: dict[str, dict[str, dict[str, Interval]]] = field(default_factory=dict)
    seeds: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    trainings: dict[str, list[Training]] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def measured(self) -> set[tuple[str, str]]:
        """Set and method of everything that has figures."""
        return {(name, method) for name, methods in self.means.items() for method in methods}

    def difference(self, set_name: str, metric: str, method: str, than: str) -> Interval | None:
        """A method less another, image by image; None where there is none."""
        of_metric = self.differences.get(set_name, {}).get(metric, {})
        if (found := of_metric.get(_pair(method, than))) is not None:
            return found
        turned = of_metric.get(_pair(than, method))
        return None if turned is None else Interval(-turned.mean, -turned.high, -turned.low, turned.num)

    def same_images(self, other: Figures) -> bool:
        """Whether both were measured on images of the same names."""
        return [one[2:] for one in self.sets.values()] == [one[2:] for one in other.sets.values()]

    def write(self, path: Path) -> None:
        """Writes the figures as JSON, a set, method or pair a line, so that a change can be read."""
        content = {'version': VERSION, **_plain(asdict(self))}
        lines = [f' {json.dumps(key)}: {_laid_out(value, 2)}' for key, value in content.items()]
        write_text(path, '{\n' + ',\n'.join(lines) + '\n}\n')

    @classmethod
    def read(cls, path: Path) -> Figures:
        """Reads a file that `write` has written.

        Raises:
            DatasetError: if it is none.
        """
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            if content.pop('version') != VERSION:
                raise ValueError('written by another version')
            for key, kind in (('sets', StoredSet), ('methods', StoredMethod), ('metrics', StoredMetric)):
                content[key] = {name: kind(*value) for name, value in content[key].items()}
            for key in ('means', 'differences', 'gaps'):
                content[key] = _each(content[key], 3)
            content['trainings'] = {
                name: [Training(*one) for one in runs] for name, runs in content['trainings'].items()
            }
            return cls(**content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
            raise DatasetError(f'{path} has no figures of a comparison ({err}); write it anew') from err


def figures_of(found: Comparison, remarks: Sequence[str] = ()) -> Figures:
    """Means, differences of every pair of methods, gaps, runs, times and trainings of a comparison.

    Args:
        found (Comparison): What ``facesr compare`` has measured.
        remarks (Sequence[str]): What a reader has to know of these runs. Default: nothing.
    """
    figures = Figures(remarks=list(remarks), seeds=found.seeds)
    figures.methods = {
        m.name: StoredMethod(m.name, m.label, m.network, m.parameters, m.sha256[:12], _without_paths(m.problem))
        for m in found.methods
    }
    figures.metrics = {m.name: StoredMetric(m.name, m.higher_is_better, m.unit) for m in found.metrics}
    for facts in found.sets:
        if found.values.get(facts.name):
            ends = facts.images[0], facts.images[-1]
            figures.sets[facts.name] = StoredSet(
                facts.name, _without_paths(facts.lq), facts.scale, len(facts.images), *ends
            )
            _add_set(figures, found, facts.name)
    _add_gaps(figures, found)
    for method in found.methods:
        runs = trainings_of(Path(method.files[-1])) if method.files else []
        figures.trainings.update({method.name: runs} if runs else {})
    keep = ('device', 'PyTorch', 'Python')
    figures.machine = {key: value for key, value in found.machine.items() if key in keep}
    return figures


def _add_set(figures: Figures, found: Comparison, name: str) -> None:
    means: dict[str, dict[str, Interval]] = {}
    differences: dict[str, dict[str, Interval]] = {}
    whole = found.whole.get(name, {})
    for metric in found.metrics:
        values: dict[str, list[float]] = {}
        for method in found.ran(name):
            if metric.name in whole.get(method.name, {}):
                figure = whole[method.name][metric.name]
                known = Interval(figure.value, figure.low, figure.high, len(found.values[name]))
                means.setdefault(method.name, {})[metric.name] = known
            elif metric.name in found.values[name][method.name]:
                values[method.name] = found.values[name][method.name][metric.name]
                known = mean_interval(values[method.name], found.level)
                means.setdefault(method.name, {}).update({metric.name: known} if known.num else {})
        for first, second in itertools.combinations(values, 2):
            apart = np.subtract(values[first], values[second])
            if np.isfinite(apart).any():
                known = mean_interval(np.where(np.isfinite(apart), apart, np.nan), found.level)
                differences.setdefault(metric.name, {})[_pair(first, second)] = known
    figures.means[name], figures.differences[name] = means, differences
    costs = found.costs.get(name, {})
    figures.seconds[name] = {
        method: np.quantile(cost.seconds, (0.25, 0.5, 0.75)).tolist() for method, cost in costs.items() if cost.seconds
    }


def _add_gaps(figures: Figures, found: Comparison) -> None:
    """Means on training sets less those on test sets."""
    by_split = {split: [one.name for one in found.sets if one.split == split] for split in ('train', 'test')}
    for train, test in itertools.product(by_split['train'], by_split['test']):
        of_methods: dict[str, dict[str, Interval]] = {}
        for method in sorted(set(found.values.get(train, {})) & set(found.values.get(test, {}))):
            a, b = found.values[train][method], found.values[test][method]
            gaps = {metric: difference_of_means(a[metric], b[metric], found.level) for metric in a if metric in b}
            of_methods[method] = {metric: gap for metric, gap in gaps.items() if gap.num}
        if of_methods:
            figures.gaps[_pair(train, test)] = of_methods


def _pair(first: str, second: str) -> str:
    return f'{first} - {second}'


def _without_paths(text: str) -> str:
    """A text without the folders of the machine; names of files and of runs stay."""
    return _PATH.sub('', text)


def _plain(value: Any) -> Any:
    """As JSON has it: rounded, NaN as null, tuples as lists."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f'{value:.{_DIGITS}g}') if math.isfinite(value) else None
    return value


def _laid_out(value: Any, depth: int) -> str:
    """JSON with a line an entry of the outer dicts, and lists in one."""
    if not isinstance(value, dict) or not value or depth < 0:
        return json.dumps(value, ensure_ascii=False)
    pad = ' ' * (4 - depth)
    inner = (f'{pad}{json.dumps(key)}: {_laid_out(item, depth - 1)}' for key, item in value.items())
    return '{\n' + ',\n'.join(inner) + '\n' + pad[:-1] + '}'


def _each(value: Any, depth: int) -> Any:
    if depth:
        return {key: _each(item, depth - 1) for key, item in value.items()}
    mean, low, high = (math.nan if number is None else float(number) for number in value[:3])
    return Interval(mean, low, high, value[3])
