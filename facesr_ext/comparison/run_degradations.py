"""Running a comparison of degradations: every one on every HR face of every set, several times."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from tqdm import tqdm

from facesr_ext.comparison.cache import Entry
from facesr_ext.comparison.drawn_faces import Drawn, draw_faces
from facesr_ext.comparison.draws import KID, MEASURES, MeasuredDraws, kid_column
from facesr_ext.comparison.measure import CACHE
from facesr_ext.comparison.open_degradations import Faces, OpenDegradation, open_degradations, open_hr_sets, open_pool
from facesr_ext.comparison.pictures import Picture
from facesr_ext.comparison.results import Comparison, ResultFolder, WholeFigure
from facesr_ext.comparison.run import noted, require_any
from facesr_ext.comparison.whole_sets import whole_figure
from facesr_ext.errors import FaceSRError
from facesr_ext.imaging import to_images
from facesr_ext.metrics.diversity import STATISTICS
from facesr_ext.models.device import choose_device, default_device, describe_device
from facesr_ext.settings.degradations import DegradationsFile


def run_degradations(file: DegradationsFile, folder: ResultFolder) -> tuple[Comparison, list[Picture]]:
    """Measures what a file asks for; what an earlier run has measured is taken from its cache.

    Args:
        file (DegradationsFile): The file.
        folder (ResultFolder): Where results, cache and pictures go.

    Returns:
        tuple[Comparison, list[Picture]]: What was found, and the pictures of draws, which are written.

    Raises:
        OptionError: if no set can be opened, or no degradation.
    """
    with noted() as notes:
        device = default_device() if file.num_gpu == 'auto' else choose_device({'num_gpu': file.num_gpu})
        degradations, sets = open_degradations(file), open_hr_sets(file)
        require_any('degradations', [one.facts.problem for one in degradations])
        require_any('datasets', [one.facts.problem for one in sets])
        found = Comparison(
            name=file.name,
            reference=file.reference or degradations[0].facts.name,
            methods=[one.facts for one in degradations],
            metrics=[*MEASURES, *(kid_column(name) for name in file.real)],
            machine={
                'device': describe_device(device),
                'system': platform.platform(),
                'PyTorch': torch.__version__,
                'Python': platform.python_version(),
            },
            level=file.level,
            what='degradation',
        )
        measured, pictures = MeasuredDraws(folder.root / CACHE, device, file.draws), []
        for one in sets:
            pictures += _SetRun(file, one, degradations, measured, notes).into(found, folder)
        found.notes = list(dict.fromkeys(notes))
    return found, pictures


class _SetRun:
    """One set of HR faces: face by face, its degradations in turns."""

    def __init__(
        self,
        file: DegradationsFile,
        one: Faces,
        degradations: Sequence[OpenDegradation],
        measured: MeasuredDraws,
        notes: list[str],
    ) -> None:
        self.file, self.one, self.measured, self.notes = file, one, measured, notes
        self.problems: dict[str, str] = {}
        self.degradations = [degradation for degradation in degradations if degradation.degradation is not None]
        self.rows: dict[str, list[Entry]] = {degradation.facts.name: [] for degradation in self.degradations}
        self.images: list[str] = []
        self.sides: tuple[int, int] = (0, 0)
        self.shown: list[Drawn] = []

    def into(self, found: Comparison, folder: ResultFolder) -> list[Picture]:
        """Measures the set, adds what was found and draws what is shown."""
        facts, name = self.one.facts, self.one.facts.name
        if facts.problem:
            found.sets.append(facts)
            return []
        self._measure()
        if not self.images:
            found.sets.append(replace(facts, problem='none of its images can be used; the notes say why'))
            return []
        found.sets.append(replace(facts, images=tuple(self.images), size=self.sides))
        known = {key: row for key, row in self.rows.items() if any(entry.figures for entry in row)}
        found.values[name] = {
            key: {one.name: [self.measured.figure(entry, one.name) for entry in row] for one in MEASURES}
            for key, row in known.items()
        }
        found.problems[name] = {key: why for key, why in self.problems.items() if key not in known}
        found.whole[name] = {}
        pools = {}
        for pool in self.file.real:
            pools[pool] = self._against(pool, known, found.whole[name])
        labels = {one.facts.name: one.facts.label for one in self.degradations if one.facts.name in known}
        return draw_faces(folder, name, self.shown, labels, pools)

    def _measure(self) -> None:
        num = len(self.one)
        wanted = {round(i * (num - 1) / max(1, self.file.pictures.num - 1)) for i in range(self.file.pictures.num)}
        faces = tqdm(self.one.read(self.notes), desc=self.one.facts.name, total=num, unit='face', disable=None)
        for number, (name, stem, hr) in enumerate(faces):
            if self.sides == (0, 0):
                self.sides = (hr.shape[-2], hr.shape[-1])
            self.images.append(name)
            drawn = Drawn(name, to_images(hr)[0], {})
            for one in self.degradations:
                try:
                    entry = self.measured.of(one, stem, hr)
                    if number in wanted:
                        drawn.draws[one.facts.name] = to_images(self.measured.draws(one, stem, hr))
                except (FaceSRError, RuntimeError) as err:  # a size that a network does not take, too little memory
                    entry = Entry()
                    if one.facts.name not in self.problems:
                        self.problems[one.facts.name] = str(err).strip().splitlines()[0]
                        self.notes.append(f'{self.one.facts.name}, {name}: {one.facts.label}: {err}')
                self.rows[one.facts.name].append(entry)
            if number in wanted:
                self.shown.append(drawn)

    def _against(
        self, pool: str, rows: dict[str, list[Entry]], whole: dict[str, dict[str, WholeFigure]]
    ) -> list[np.ndarray]:
        """Adds KID of all degradations to a pool, and returns some of its pictures; a note says what it is."""
        try:
            faces = open_pool(pool, self.file.real[pool], self.file.scale, min(self.sides) // self.file.scale)
        except FaceSRError as err:
            self.notes.append(f'real LR {pool} could not be used: {err}')
            return []
        entries: list[Entry] = []
        shown: list[np.ndarray] = []
        for _, _, image in faces.read(self.notes):
            entries.append(self.measured.real(image))
            shown.append(to_images(image)[0])
        column, key = kid_column(pool).name, self.measured.keys[KID]
        truth = _features(entries, key)
        for name, row in rows.items():
            features = _features(row, key)
            if min(len(features), len(truth)) > 1:
                whole.setdefault(name, {})[column] = whole_figure(self.measured.metrics, KID, features, truth)
        self.notes.append(self._pool_note(faces, entries, truth))
        step = max(1, len(shown) // (self.file.draws + 1))  # of names in order, neighbours may be of one photograph
        return shown[::step][: self.file.draws + 1]

    def _pool_note(self, faces: Faces, entries: Sequence[Entry], truth: np.ndarray) -> str:
        """What the pool's pictures are like, and how far its own halves lie apart."""
        means = [_mean([entry.figures.get(name, math.nan) for entry in entries]) for name in STATISTICS]
        told = ', '.join(f'{name} {mean:.2f}' for name, mean in list(zip(STATISTICS, means, strict=True))[1:])
        text = f'real LR {faces.facts.name}: {len(entries)} {faces.facts.lq}; {told}'
        if len(truth) > 3:
            halves = whole_figure(self.measured.metrics, KID, truth[::2], truth[1::2])
            text += f'; KID of one half to the other {halves.value:.4f}'
            if not math.isnan(halves.low):
                text += f' [{halves.low:.4f}, {halves.high:.4f}]'
        return text


def _features(entries: Sequence[Entry], key: str) -> np.ndarray:
    known = [entry.features[key] for entry in entries if key in entry.features]
    finite = [features for features in known if np.isfinite(features).all()]
    return np.stack(finite) if finite else np.empty((0, 0), np.float32)


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
