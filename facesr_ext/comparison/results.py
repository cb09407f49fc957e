"""What a comparison has found: written as ``comparison.json``, read by tables, pictures, page and model cards."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from facesr_ext.errors import DatasetError
from facesr_ext.runs.atomic import write_text

FILE = 'comparison.json'
VERSION = 1


@dataclass(frozen=True)
class MethodFacts:
    """A method, and what it costs.

    Attributes:
        name (str): Its key in the option file: unique, also its folder's name.
        label (str): What tables call it.
        network (str): Class name; '' where it could not be built.
        files (tuple[str, ...]): Its checkpoints; empty for one without weights.
        sha256 (str): Of the last of them; '' without.
        parameters (int | None): None where it could not be built, 0 for one without weights.
        problem (str): Why it has no figures at all; '' where it has.
    """

    name: str
    label: str
    network: str = ''
    files: tuple[str, ...] = ()
    sha256: str = ''
    parameters: int | None = None
    problem: str = ''


@dataclass(frozen=True)
class Cost:
    """What a method costs on the images of a set's size.

    Attributes:
        macs (int | None): Multiply-accumulates of one image; None where they cannot be counted.
        memory (int | None): Most bytes of tensors alive at once, weights included.
        seconds (tuple[float, ...]): Of single images, taken in turns with the other methods, after one that warms up.
    """

    macs: int | None = None
    memory: int | None = None
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class SetFacts:
    """A set of images.

    Attributes:
        name (str): Its name: unique, also its folder's.
        lq (str): Where its LQ comes from, in words.
        scale (int): LR-to-HR factor.
        images (tuple[str, ...]): Names, in the order of the values.
        size (tuple[int, int] | None): Height and width of the first GT, pixels.
        problem (str): Why it could not be used; '' where it could.
        split (str): 'train', 'test' or '': the gap of the two is told.
    """

    name: str
    lq: str
    scale: int
    images: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    problem: str = ''
    split: str = ''


@dataclass(frozen=True)
class MetricFacts:
    """A metric: its name in tables, the name of its function, its direction, unit, and whether it is of whole sets.

    A direction of None: neither is better, so that nothing is ranked or marked by it.
    """

    name: str
    type: str
    higher_is_better: bool | None
    unit: str = ''
    whole_set: bool = False


@dataclass(frozen=True)
class WholeFigure:
    """A metric of a whole set: its value, and the central 95 % of random halves of the images."""

    value: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Published:
    """A row of others: shown beside, never ranked.

    Attributes:
        method (str): What they call it.
        figures (dict): Metric, by its name here, -> value.
        protocol (str): Data, LQ and metric that it stands on.
        source (str): Where it was read.
        set (str): The set that it is shown beside; '' for all.
    """

    method: str
    figures: Mapping[str, float]
    protocol: str
    source: str
    set: str = ''


@dataclass
class Comparison:
    """All that is known.

    Attributes:
        name (str): Of the comparison.
        reference (str): Name of the method that others are compared with.
        methods, sets, metrics: In the order of the option file.
        published (list[Published]): Rows of others.
        values (dict): Set -> method -> metric -> a value an image, in the set's order; NaN where there is none. Only
            methods that could be run on a set are in it.
        whole (dict): Set -> method -> metric of whole sets -> its figure.
        costs (dict): Set -> method -> what it costs on images of that size.
        seeds (dict): Set -> method that was trained several times -> metric -> the mean of each run; what ``values``
            has of it are the means of an image over the runs.
        problems (dict): Set -> method -> why it could not be run there.
        machine (dict): What it ran on, 'CPU' -> ..., in words.
        notes (list[str]): What a reader has to know: warnings of the run.
        level (float): Of the intervals.
        what (str): What is compared: 'method' or 'degradation'.
    """

    name: str
    reference: str
    methods: list[MethodFacts] = field(default_factory=list)
    sets: list[SetFacts] = field(default_factory=list)
    metrics: list[MetricFacts] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    values: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    whole: dict[str, dict[str, dict[str, WholeFigure]]] = field(default_factory=dict)
    costs: dict[str, dict[str, Cost]] = field(default_factory=dict)
    seeds: dict[str, dict[str, dict[str, list[float]]]] = field(default_factory=dict)
    problems: dict[str, dict[str, str]] = field(default_factory=dict)
    machine: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    level: float = 0.95
    what: str = 'method'

    def method(self, name: str) -> MethodFacts:
        """The method of a name.

        Raises:
            DatasetError: if there is none, as in a file that was changed by hand.
        """
        found = next((method for method in self.methods if method.name == name), None)
        if found is None:
            raise DatasetError(f'the comparison has no method {name!r}; run it again')
        return found

    def ran(self, set_name: str) -> list[MethodFacts]:
        """The methods that have figures on a set, in order."""
        return [method for method in self.methods if method.name in self.values.get(set_name, {})]

    def write(self, folder: Path) -> Path:
        """Writes ``comparison.json`` into a folder and returns its path."""
        content = {'version': VERSION, **_plain(asdict(self))}
        path = folder / FILE
        write_text(path, json.dumps(content, indent=1) + '\n')
        return path

    @classmethod
    def read(cls, path: Path) -> Comparison:
        """Reads a file that `write` has written.

        Raises:
            DatasetError: if it is none.
        """
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            if content.pop('version') != VERSION:
                raise DatasetError(f'{path} was written by another version; run the comparison again')
            found = cls(
                **{
                    **content,
                    'methods': [MethodFacts(**_tuples(item)) for item in content['methods']],
                    'sets': [SetFacts(**_tuples(item)) for item in content['sets']],
                    'metrics': [MetricFacts(**item) for item in content['metrics']],
                    'published': [Published(**item) for item in content['published']],
                    'values': _numbers(content['values']),
                    'seeds': _numbers(content['seeds']),
                    'whole': _each(content['whole'], lambda item: WholeFigure(**_numbers(item)), 3),
                    'costs': _each(content['costs'], lambda item: Cost(**_tuples(item)), 2),
                }
            )
            found._require_a_value_an_image()
            return found
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
            raise DatasetError(f'{path} is no {FILE} of facesr compare ({err})') from err

    def _require_a_value_an_image(self) -> None:
        """ValueError where a metric has more or fewer values than its set has images."""
        counts = {facts.name: len(facts.images) for facts in self.sets}
        for set_name, methods in self.values.items():
            for method, metrics in methods.items():
                for metric, values in metrics.items():
                    if len(values) != counts[set_name]:
                        raise ValueError(f'{set_name}, {method}: {len(values)} values of {metric}')


class ResultFolder:
    """Where the files of a comparison lie, below its folder.

    Args:
        root (Path): Such as ``results/<name>``.
    """

    GT, LQ = 'GT', 'LQ'
    """What stands in place of a method's name for these images."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.root / 'index.html'

    @property
    def report(self) -> Path:
        """Markdown: all tables, and the pictures."""
        return self.root / 'report.md'

    @property
    def latex(self) -> Path:
        """The tables for LaTeX."""
        return self.root / 'tables.tex'

    def table(self, set_name: str) -> Path:
        """CSV of a set: a row a method."""
        return self.root / f'table_{set_name}.csv'

    def per_image(self, set_name: str) -> Path:
        """CSV of a set: a row an image and method."""
        return self.root / f'images_{set_name}.csv'

    def image(self, set_name: str, method: str, name: str) -> Path:
        """A method's result for an image, :attr:`GT` or :attr:`LQ`: a PNG."""
        return self.root / 'images' / set_name / method / f'{name}.png'

    def picture(self, name: str) -> Path:
        """A figure: contact sheets, curves."""
        return self.root / 'pictures' / f'{name}.png'


def _plain(value: Any) -> Any:
    """As JSON has it: no NaN (null) and no infinity (text)."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ('inf' if value > 0 else '-inf')
    return value


def _numbers(value: Any) -> Any:
    """The way back of `_plain`, where every leaf is a number."""
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return math.nan if value is None else float(value)


def _tuples(item: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in item.items()}


def _each(value: Any, build: Any, depth: int) -> Any:
    return build(value) if depth == 0 else {key: _each(item, build, depth - 1) for key, item in value.items()}
