"""Running a comparison: every method on every image of every set, in turns."""

from __future__ import annotations

import logging
import math
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from basicsr.utils import get_root_logger
from tqdm import tqdm

from facesr_ext.comparison.cache import Entry
from facesr_ext.comparison.costs import count_cost
from facesr_ext.comparison.measure import Measuring
from facesr_ext.comparison.methods import OpenMethod, open_methods
from facesr_ext.comparison.results import Comparison, Cost, MetricFacts, Published, ResultFolder
from facesr_ext.comparison.sets import OpenSet, open_sets
from facesr_ext.comparison.whole_sets import whole_figures
from facesr_ext.errors import FaceSRError, OptionError
from facesr_ext.metrics.metric_info import unit
from facesr_ext.models.device import choose_device, default_device
from facesr_ext.runs.atomic import remove_unfinished
from facesr_ext.settings.comparison import CompareFile

TIMED = 20
"""So many images of a set are timed on each machine; others, where their results are not known yet."""


def run_comparison(file: CompareFile, folder: ResultFolder) -> tuple[Comparison, dict[str, Path]]:
    """Measures what a file asks for; what an earlier run has measured is taken from its cache.

    Args:
        file (CompareFile): The file.
        folder (ResultFolder): Where results, cache and images go.

    Returns:
        tuple[Comparison, dict[str, Path]]: What was found, and the folders of the methods' trainings.

    Raises:
        OptionError: if no set can be opened, or no method.
    """
    remove_unfinished(folder.root)
    with noted() as notes:
        device = default_device() if file.num_gpu == 'auto' else choose_device({'num_gpu': file.num_gpu})
        methods, sets = open_methods(file, device), open_sets(file)
        require_any('methods', [method.facts.problem for method in methods])
        require_any('datasets', [one.facts.problem for one in sets])
        measuring = Measuring(file, folder, device)
        found = _empty(file, methods, measuring)
        for one in sets:
            _SetRun(one, methods, measuring, notes).into(found)
        found.notes = list(dict.fromkeys(notes))
    return found, {method.facts.name: method.run for method in methods if method.run and not method.seed}


def require_any(place: str, problems: Sequence[str]) -> None:
    """OptionError, which tells why, where none of a section's entries can be used."""
    if all(problems):
        raise OptionError('none can be used:\n' + '\n'.join(dict.fromkeys(problems)), (place,))


def _empty(file: CompareFile, methods: Sequence[OpenMethod], measuring: Measuring) -> Comparison:
    """All but what has to be measured."""
    metrics = measuring.metrics
    facts = []
    for name, section in file.val.metrics.items():
        kind = str(section['type'])
        higher, whole = metrics.higher_is_better(name), name in metrics.set_metrics
        facts.append(MetricFacts(name, kind, higher, unit(kind), whole))
    return Comparison(
        name=file.name,
        reference=file.reference or next(iter(file.methods)),
        methods=[method.facts for method in methods if not method.seed],
        metrics=facts,
        published=[
            Published(method, figures, table.protocol, table.source, table.set or '')
            for table in file.published
            for method, figures in table.rows.items()
        ],
        machine={
            'device': measuring.machine,
            'system': platform.platform(),
            'PyTorch': torch.__version__,
            'Python': platform.python_version(),
        },
        level=file.level,
    )


class _SetRun:
    """One set: image by image, its methods in turns."""

    def __init__(self, one: OpenSet, methods: Sequence[OpenMethod], measuring: Measuring, notes: list[str]) -> None:
        self.one, self.measuring, self.notes = one, measuring, notes
        self.problems = {m.place: problem for m in methods if (problem := _misfit(m, one))}
        self.methods = methods
        self.rows: dict[str, list[Entry]] = {m.place: [] for m in methods if m.place not in self.problems}
        self.truth: list[Entry] = []
        self.images: list[str] = []
        self.size: tuple[int, int] | None = None
        self.lq_size: tuple[int, int] | None = None

    def into(self, found: Comparison) -> None:
        """Measures the set, and adds what was found."""
        one, name = self.one, self.one.facts.name
        if one.facts.problem:
            found.sets.append(one.facts)
            return
        self._measure()
        if not self.images:
            found.sets.append(replace(one.facts, problem='none of its images can be used; the notes say why'))
            return
        found.sets.append(replace(one.facts, images=tuple(self.images), size=self.size))
        found.values[name], found.costs[name], found.seeds[name], found.problems[name] = {}, {}, {}, {}
        rows = {}
        for method in self.methods:
            if method.seed:
                continue
            runs = [m for m in self.methods if m.facts.name == method.facts.name and self._made(m.place)]
            if runs:
                rows[method.facts.name] = self.rows[runs[0].place]
                self._add(method.facts.name, runs, found)
            else:
                found.problems[name][method.facts.name] = self.problems.get(
                    method.place, 'it made no image of this set'
                )
        found.whole[name] = whole_figures(self.measuring.metrics, self.measuring.keys, rows, self._real())

    def _made(self, place: str) -> bool:
        return any(entry.result for entry in self.rows.get(place, ()))

    def _measure(self) -> None:
        one, measuring, pbar = self.one, self.measuring, self.measuring.file.val.pbar
        hidden = None if pbar is None else not pbar
        pairs = tqdm(one.pairs(self.notes), desc=one.facts.name, total=len(one), unit='image', disable=hidden)
        for pair in pairs:
            self.lq_size = self.lq_size or pair.lq.shape[:2]
            self.images.append(pair.name)
            measuring.keep(one, ResultFolder.LQ, pair.name, pair.lq)
            if pair.gt is not None:
                self.size = self.size or pair.gt.shape[:2]
                measuring.keep(one, ResultFolder.GT, pair.name, pair.gt)
                self.truth.append(measuring.truth(pair.gt))
            for method in self.methods:
                if method.place not in self.rows:
                    continue
                try:
                    entry = measuring.result(method, one, pair, len(self.images) <= TIMED)
                except (FaceSRError, RuntimeError) as err:  # a size that a network does not take, too little memory
                    entry = Entry()
                    self.problems.setdefault(method.place, str(err).strip().splitlines()[0])
                    self.notes.append(f'{one.facts.name}, {pair.name}: {method.place}: {err}')
                self.rows[method.place].append(entry)

    def _add(self, name: str, runs: Sequence[OpenMethod], found: Comparison) -> None:
        """A method's values; of several runs the mean of each image, and each run's mean."""
        measuring, set_name = self.measuring, self.one.facts.name
        values: dict[str, list[float]] = {}
        for metric, key in measuring.keys.items():
            if metric in measuring.metrics.set_metrics:
                continue
            columns = [[entry.figures.get(key, math.nan) for entry in self.rows[run.place]] for run in runs]
            values[metric] = [_mean(image) for image in zip(*columns, strict=True)]
            if len(runs) > 1:
                found.seeds[set_name].setdefault(name, {})[metric] = [_mean(column) for column in columns]
        found.values[set_name][name] = values
        missing = [m.place for m in self.methods if m.facts.name == name and m not in runs]
        self.notes.extend(
            f'{set_name}: {place} is missing: {self.problems.get(place, "no image")}' for place in missing
        )
        assert runs[0].restorer is not None and self.lq_size is not None
        times = [entry.seconds.get(measuring.machine, math.nan) for entry in self.rows[runs[0].place]]
        macs, memory = count_cost(runs[0].restorer, self.lq_size, self.one.enlarged)
        found.costs[set_name][name] = Cost(macs, memory, tuple(time for time in times if math.isfinite(time)))

    def _real(self) -> Sequence[Entry]:
        """What is known of the set's real faces: of others where it names some, else of its GT."""
        if self.one.real is None or not self.measuring.metrics.set_metrics:
            return self.truth
        return [self.measuring.truth(pair.lq) for pair in self.one.real.pairs(self.notes)]


def _misfit(method: OpenMethod, one: OpenSet) -> str:
    """Why a method cannot be run on a set; '' where it can."""
    restorer = method.restorer
    if restorer is None:
        return method.facts.problem
    if restorer.scale != one.facts.scale and not (one.enlarged and restorer.info.scale == 1):
        return f'it is for scale {restorer.scale}, the set has {one.facts.scale}'
    if one.enlarged and restorer.info.input != 'enlarged' and not method.is_bicubic:
        return 'it takes the small LQ, and the set has it enlarged'
    return ''


def _mean(values: Sequence[float]) -> float:
    """NaN where there is no value."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


@contextmanager
def noted() -> Iterator[list[str]]:
    """The warnings that BasicSR's logger is given within."""
    notes: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            notes.append(record.getMessage())

    handler = Handler(logging.WARNING)
    logger = get_root_logger()
    logger.addHandler(handler)
    try:
        yield notes
    finally:
        logger.removeHandler(handler)
