"""Running a comparison: every method on every image of every set, in turns, measured and kept as it goes."""

from __future__ import annotations

import logging
import math
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.utils import get_root_logger
from tqdm import tqdm

from facesr_ext.comparison.cache import Cache, Entry, metric_key, pixels_key
from facesr_ext.comparison.costs import count_cost
from facesr_ext.comparison.methods import OpenMethod, open_method
from facesr_ext.comparison.results import Comparison, Cost, MetricFacts, Published, ResultFolder
from facesr_ext.comparison.sets import OpenSet, Pair, open_sets
from facesr_ext.comparison.whole_sets import whole_figures
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import DatasetError, FaceSRError, OptionError
from facesr_ext.imaging import to_images, to_tensor
from facesr_ext.metrics.metric_info import Metrics, needs_reference
from facesr_ext.models.device import choose_device, describe_device
from facesr_ext.settings.comparison import CompareFile

CACHE = 'cache'
TIMED = 20
"""So many images of a set are timed on each machine; others, where their results are not known yet."""
_UNITS = {'psnr': 'dB', 'px': 'px'}


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
    with _noted() as notes:
        return _Run(file, folder, notes).all()


class _Run:
    """One run of one file."""

    def __init__(self, file: CompareFile, folder: ResultFolder, notes: list[str]) -> None:
        self.file, self.folder, self.notes = file, folder, notes
        self.device = choose_device({'num_gpu': file.num_gpu})
        self.metrics = Metrics(file.val.metrics)
        self.keys = {name: metric_key(section) for name, section in file.val.metrics.items()}
        self.machine = f'{describe_device(self.device)}, {torch.get_num_threads()} threads, {file.precision}'
        self.methods = [open_method(name, method, file, self.device) for name, method in file.methods.items()]
        self.sets = open_sets(file)
        for place, problems in (
            ('methods', [method.facts.problem for method in self.methods]),
            ('datasets', [one.facts.problem for one in self.sets]),
        ):
            if all(problems):
                raise OptionError('none can be used:\n' + '\n'.join(problems), (place,))
        self.caches = {m.facts.name: Cache(folder.root / CACHE, m.key) for m in self.methods if m.restorer}
        self.caches[ResultFolder.GT] = Cache(folder.root / CACHE, 'ground_truth')
        self._warm: set[tuple[str, tuple[int, ...]]] = set()

    def all(self) -> tuple[Comparison, dict[str, Path]]:
        """Every set in turn."""
        file = self.file
        found = Comparison(
            name=file.name,
            reference=file.reference or next(iter(file.methods)),
            methods=[method.facts for method in self.methods],
            metrics=[self._facts(name) for name in file.val.metrics],
            published=[Published(r.method, r.figures, r.protocol, r.source, r.set or '') for r in file.published],
            machine=_machine(self.machine),
            level=file.level,
        )
        for one in self.sets:
            if one.facts.problem:
                found.sets.append(one.facts)
                continue
            self._set(one, found)
        found.notes = list(dict.fromkeys(self.notes))
        return found, {m.facts.name: m.run for m in self.methods if m.run is not None}

    def _facts(self, name: str) -> MetricFacts:
        kind = str(self.file.val.metrics[name]['type'])
        unit = next((unit for part, unit in _UNITS.items() if part in kind.split('_')), '')
        whole = name in self.metrics.set_metrics
        return MetricFacts(name, kind, self.metrics.higher_is_better(name), unit, whole)

    # ---- a set --------------------------------------------------------------------------------------------------

    def _set(self, one: OpenSet, found: Comparison) -> None:
        """Measures a set, image by image, its methods in turns."""
        name = one.facts.name
        problems = found.problems.setdefault(
            name, {m.facts.name: m.facts.problem for m in self.methods if m.facts.problem}
        )
        running = [method for method in self.methods if self._fits(method, one, problems)]
        rows: dict[str, list[Entry]] = {method.facts.name: [] for method in running}
        truth: list[Entry] = []
        images: list[str] = []
        size: tuple[int, int] | None = None
        lq_size: tuple[int, int] | None = None
        for pair in self._progress(one):
            size = size or (pair.gt.shape[:2] if pair.gt is not None else None)
            lq_size = lq_size or pair.lq.shape[:2]
            images.append(pair.name)
            self._keep(one, ResultFolder.LQ, pair.name, pair.lq)
            if pair.gt is not None:
                self._keep(one, ResultFolder.GT, pair.name, pair.gt)
                truth.append(self._truth(pair.gt))
            for method in running:
                timed = len(images) <= TIMED
                rows[method.facts.name].append(self._entry(method, one, pair, timed, problems))
        found.sets.append(replace(one.facts, images=tuple(images), size=size))
        if not images:
            found.sets[-1] = replace(one.facts, problem='none of its images can be used; the notes say why')
            return
        for method in running:
            self._conclude(method, one, rows[method.facts.name], found, lq_size)
        found.whole[name] = whole_figures(
            self.metrics, self.keys, {k: v for k, v in rows.items() if k in found.values[name]}, self._real(one, truth)
        )

    def _fits(self, method: OpenMethod, one: OpenSet, problems: dict[str, str]) -> bool:
        """Whether a method can be run on a set at all; why not goes into ``problems``."""
        restorer, name = method.restorer, method.facts.name
        if restorer is None:
            return False
        if restorer.scale != one.facts.scale and not (one.enlarged and restorer.info.scale == 1):
            problems[name] = f'it is for scale {restorer.scale}, the set has {one.facts.scale}'
        elif one.enlarged and restorer.info.input != 'enlarged' and not _is_interpolation(method):
            problems[name] = 'it takes the small LQ, and the set has it enlarged'
        return name not in problems

    def _conclude(
        self, method: OpenMethod, one: OpenSet, entries: Sequence[Entry], found: Comparison, lq_size: Any
    ) -> None:
        """The values of a method on a set; those of one that made no image are the reason why."""
        name, set_name = method.facts.name, one.facts.name
        values = found.values.setdefault(set_name, {})
        if not any(entry.result for entry in entries):
            found.problems[set_name].setdefault(name, 'it made no image of this set')
            return
        found.problems[set_name].pop(name, None)
        per_image = [key for key in self.file.val.metrics if key not in self.metrics.set_metrics]
        values[name] = {key: [e.figures.get(self.keys[key], math.nan) for e in entries] for key in per_image}
        assert method.restorer is not None
        seconds = tuple(s for e in entries if math.isfinite(s := e.seconds.get(self.machine, math.nan)))
        macs, memory = count_cost(method.restorer, lq_size, one.enlarged)
        found.costs.setdefault(set_name, {})[name] = Cost(macs, memory, seconds)

    def _progress(self, one: OpenSet) -> Iterator[Pair]:
        pbar = self.file.val.pbar
        hidden = None if pbar is None else not pbar
        yield from tqdm(one.pairs(self.notes), desc=one.facts.name, total=len(one), unit='image', disable=hidden)

    # ---- an image -----------------------------------------------------------------------------------------------

    def _entry(self, method: OpenMethod, one: OpenSet, pair: Pair, timed: bool, problems: dict[str, str]) -> Entry:
        """What there is to know of a method's result for an image; only what is not known yet is computed."""
        cache = self.caches[method.facts.name]
        key = pixels_key(pair.lq, pair.gt)
        entry = cache[key]
        missing = [name for name, section in self.keys.items() if self._lacks(entry, name, pair)]
        kept = self.folder.image(one.facts.name, method.facts.name, pair.name)
        complete = not missing and (kept.is_file() or not self.file.val.save_img)
        stale = timed and self.machine not in entry.seconds
        if entry.result and complete and not stale:
            return entry
        try:
            result = self._result(method, one, pair, entry, stale)
            self._measure(entry, missing, result, pair)
        except (FaceSRError, RuntimeError) as err:  # a size that a network does not take, too little memory
            problems.setdefault(method.facts.name, str(err).strip().splitlines()[0])
            self.notes.append(f'{one.facts.name}, {pair.name}: {method.facts.label}: {err}')
            return Entry()
        cache.write(key)
        return entry

    def _lacks(self, entry: Entry, name: str, pair: Pair) -> bool:
        if name in self.metrics.set_metrics:
            return self.keys[name] not in entry.features
        has = pair.gt is not None or not needs_reference(str(self.file.val.metrics[name]['type']))
        return has and self.keys[name] not in entry.figures

    def _result(self, method: OpenMethod, one: OpenSet, pair: Pair, entry: Entry, stale: bool) -> np.ndarray:
        """The result, from its file where that is what was measured and timed, else made anew."""
        kept = self.folder.image(one.facts.name, method.facts.name, pair.name)
        if entry.result and not stale and kept.is_file():
            image = _read(kept)
            if image is not None and pixels_key(image) == entry.result:
                return image
        image, seconds = self._restore(method, pair.lq, one.enlarged)
        entry.result = pixels_key(image)
        entry.seconds[self.machine] = seconds
        self._keep(one, method.facts.name, pair.name, image)
        return image

    def _restore(self, method: OpenMethod, lq: np.ndarray, enlarged: bool) -> tuple[np.ndarray, float]:
        """The result for an image, and its seconds; the first image of a size is run once before."""
        assert method.restorer is not None
        if enlarged and _is_interpolation(method):
            return lq, math.nan  # it is what interpolating has made of the small one
        batch = to_tensor(lq)[None].to(self.device)
        restore = method.restorer.restore_batch
        warm = (method.facts.name, lq.shape)
        if warm not in self._warm:
            restore(batch, enlarged)
            self._warm.add(warm)
        self._wait()
        start = time.perf_counter()
        sr = restore(batch, enlarged)
        self._wait()
        seconds = time.perf_counter() - start
        return to_images(sr)[0], seconds

    def _wait(self) -> None:
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)

    def _measure(self, entry: Entry, missing: Sequence[str], result: np.ndarray, pair: Pair) -> None:
        """What is missing of an entry."""
        per_image = [name for name in missing if name not in self.metrics.set_metrics]
        if per_image:
            gt = result if pair.gt is None else pair.gt
            sections = {name: self.file.val.metrics[name] for name in per_image}
            for name, value in Metrics(sections).measure(result, gt).items():
                entry.figures[self.keys[name]] = value
        for name in missing:
            if name in self.metrics.set_metrics:
                entry.features[self.keys[name]] = self.metrics.features(name, result)

    # ---- faces that metrics of whole sets compare with --------------------------------------------------------------

    def _real(self, one: OpenSet, truth: list[Entry]) -> list[Entry]:
        """What is known of the set's real faces: of others where it names some, else of its GT."""
        if one.real is None or not self.metrics.set_metrics:
            return truth
        return [self._truth(pair.lq) for pair in one.real.pairs(self.notes)]

    def _truth(self, image: np.ndarray) -> Entry:
        """The features of an image that is no result."""
        cache, key = self.caches[ResultFolder.GT], pixels_key(image)
        entry = cache[key]
        missing = [name for name in self.metrics.set_metrics if self.keys[name] not in entry.features]
        for name in missing:
            entry.features[self.keys[name]] = self.metrics.features(name, image)
        if missing:
            cache.write(key)
        return entry

    def _keep(self, one: OpenSet, what: str, name: str, image: np.ndarray) -> None:
        """Writes an image where results are kept, unless the same is there."""
        if not self.file.val.save_img:
            return
        path = self.folder.image(one.facts.name, what, name)
        if what in (ResultFolder.GT, ResultFolder.LQ) and path.is_file():
            there = _read(path)
            if there is not None and there.shape == image.shape and (there == image).all():
                return
        write_image(path, image)


def _read(path: Path) -> np.ndarray | None:
    """An image, None where the file is broken."""
    try:
        return read_image(path)
    except DatasetError:
        return None


def _is_interpolation(method: OpenMethod) -> bool:
    """Whether it is plain enlarging, which an LQ that is stored enlarged has had already."""
    return method.facts.network == 'Bicubic'


def _machine(line: str) -> dict[str, str]:
    return {
        'device': line,
        'system': platform.platform(),
        'PyTorch': torch.__version__,
        'Python': platform.python_version(),
    }


@contextmanager
def _noted() -> Iterator[list[str]]:
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
