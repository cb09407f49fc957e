"""What the folder of a training says: BasicSR's log, and the validations' CSV files."""

from __future__ import annotations

import ast
import contextlib
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from facesr_ext.errors import DatasetError
from facesr_ext.runs.folder import RunFolder
from facesr_ext.runs.tables import read_means

_ITERATION = re.compile(r'\[epoch: *(\d+), iter: *(\d[\d,]{,20}), lr:\((\d+(?:\.\d*)?(?:e[-+]\d+)?)')
_SECONDS = re.compile(r'time \(data\): (\d+\.?\d*)')
_FIGURE = re.compile(r'(\w+): (-?\d+(?:\.\d*)?(?:e[-+]\d+)?|nan|-?inf)')
_NETWORK = re.compile(r'Network: (\w+), (\d[\d,]{,20}) parameters')
_IMAGES = re.compile(r'train images: *(\d[\d,]{,20}) *$')
_TIME = re.compile(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d{3})?')
_LONGEST = 30 * 86_400  # seconds between two lines: what is longer, is a clock that was set
_MACHINE = ('Machine: ', 'PyTorch: ', 'TorchVision: ', 'BasicSR: ', 'Time consumed: ')


class LoggedStep(NamedTuple):
    """A line of the log: iteration, learning rate, seconds an iteration, and its figures by name."""

    iteration: int
    lr: float
    seconds: float
    figures: dict[str, float]


class RunLog(NamedTuple):
    """What is known of a training.

    Attributes:
        name (str): Of the run.
        options (dict): Key path 'train:optim_g:lr' -> value, as the run had them with ``--force_yml``.
        networks (dict): Class name -> parameters, the generator first.
        machine (dict): What it ran on: 'Machine', 'PyTorch', ..., as far as the log says.
        images (int | None): Training images.
        steps (list[LoggedStep]): In the order of iterations.
        validations (dict): Set -> iteration -> mean of each metric, in the order of iterations.
        seconds (float): From the first to the last line of each log, summed: validations are in it, pauses are not.
    """

    name: str
    options: dict[str, str]
    networks: dict[str, int]
    machine: dict[str, str]
    images: int | None
    steps: list[LoggedStep]
    validations: dict[str, dict[int, dict[str, float]]]
    seconds: float = 0.0


def read_run(folder: Path) -> RunLog:
    """Reads the folder of a training, ``experiments/<name>``.

    Where the run was resumed, the later log counts for what both have.

    Raises:
        DatasetError: if it is not the folder of a training.
    """
    logs = RunFolder(folder).logs()
    if not logs:
        raise DatasetError(f'{folder} is not the folder of a training: it has no train_*.log; name experiments/<name>')
    steps: dict[int, LoggedStep] = {}
    networks: dict[str, int] = {}
    machine: dict[str, str] = {}
    seconds = 0.0
    for log in logs:
        lines = log.read_text(encoding='utf-8', errors='replace').splitlines()
        options = logged_options(lines)
        seconds += _duration(lines)
        steps.update((step.iteration, step) for step in map(_read_step, lines) if step is not None)
        for line in lines:
            if found := _NETWORK.search(line):
                networks[found[1]] = _whole(found[2])
            for key in _MACHINE:
                if key in line:
                    machine[key.strip(': ')] = line.partition(key)[2].strip()
        images = next((_whole(found[1]) for found in map(_IMAGES.search, lines) if found), None)
    ordered = [steps[i] for i in sorted(steps)]
    name = options.get('name', folder.name)
    return RunLog(name, options, networks, machine, images, ordered, read_validations(RunFolder(folder)), seconds)


def _duration(lines: Sequence[str]) -> float:
    """Seconds from the first to the last line that has a time, without those by which the clock was set."""
    found = [match[0].replace(',', '.') for match in map(_TIME.match, lines) if match is not None]
    times: list[datetime] = []
    for text in found:
        with contextlib.suppress(ValueError):  # no time of any day
            times.append(datetime.fromisoformat(text))
    steps = [(after - before).total_seconds() for before, after in itertools.pairwise(times)]
    return sum(step for step in steps if 0 < step < _LONGEST)


def logged_options(lines: Iterable[str]) -> dict[str, str]:
    """The options as BasicSR logs them: 'key: value' lines, sections as 'key:[' ... ']', indented."""
    options: dict[str, str] = {}
    place: list[str] = []
    for line in lines:
        text = line.strip()
        if not options and not text.startswith('name: '):
            continue
        if not line.startswith('  '):
            break  # the next message
        key, colon, value = text.partition(':')
        if text == ']':
            place = place[:-1]
        elif value.strip() == '[':
            place.append(key)
        elif colon:
            options[':'.join([*place, key])] = value.strip()
    return options


def logged_value(text: str) -> Any:
    """A list or mapping of a log, as Python writes it, as data; the text itself where it is none.

    Sections within a list are logged as ``OrderedDict(...)``, which option files are read into.
    """
    try:
        return ast.literal_eval(_WithoutClasses().visit(ast.parse(text, mode='eval')))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # MemoryError: of brackets in brackets
        return text


class _WithoutClasses(ast.NodeTransformer):
    """``OrderedDict({'a': 1})`` and, before Python 3.12, ``OrderedDict([('a', 1)])`` as ``{'a': 1}``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if getattr(node.func, 'id', None) != 'OrderedDict':
            return node
        inner = node.args[0] if node.args else ast.Dict([], [])
        if not isinstance(inner, ast.List):
            return inner
        pairs = [entry.elts for entry in inner.elts if isinstance(entry, ast.Tuple)]
        return ast.Dict([key for key, _ in pairs], [value for _, value in pairs])


def _whole(text: str) -> int:
    return int(text.replace(',', ''))


def _read_step(line: str) -> LoggedStep | None:
    found = _ITERATION.search(line)
    if found is None:
        return None
    seconds = _SECONDS.search(line)
    figures = {name: float(value) for name, value in _FIGURE.findall(line.rpartition(']')[2])}
    iteration = _whole(found[2])
    return LoggedStep(iteration, float(found[3]), float(seconds[1]) if seconds else math.nan, figures)


def read_validations(folder: RunFolder) -> dict[str, dict[int, dict[str, float]]]:
    """Means of the tables that validations have written, by set and iteration."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for name, iteration, path in folder.tables():
        means = read_means(path)
        found.setdefault(name, {})[iteration] = means
    return {name: dict(sorted(means.items())) for name, means in found.items()}
