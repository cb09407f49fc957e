"""Which stored images of a set are shown, and reading them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facesr_ext.comparison.results import Comparison, MetricFacts, ResultFolder, SetFacts
from facesr_ext.data.image_io import read_image
from facesr_ext.settings.comparison import Pictures as PicturesSection

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in thousandths of an image's width and height."""
FACE_BOX: Box = (188, 250, 812, 812)
"""Eyes and mouth of a face that is aligned and cropped as CelebA's and FFHQ's are."""


@dataclass(frozen=True)
class Shown:
    """What is shown of a comparison: ``pictures`` of its option file.

    Attributes:
        num (int): Faces of each set.
        by (str): Name of the metric by which best, median and worst image are chosen; '' for the first one.
        method (str): Name of the method whose they are; '' for the last one.
        zoom (tuple | None): The part that is shown enlarged, as `Box`; None for eyes and mouth of an aligned face.
        page_images (int): Faces of each set that the page holds.
    """

    num: int = 6
    by: str = ''
    method: str = ''
    zoom: Box | None = None
    page_images: int = 6

    @classmethod
    def of(cls, pictures: PicturesSection) -> Shown:
        """As the section ``pictures:`` of a file says."""
        zoom = pictures.zoom
        box = None if zoom is None else tuple(round(1000 * side) for side in zoom)
        return cls(pictures.num, pictures.by or '', pictures.method or '', box, pictures.page_images)  # type: ignore[arg-type]

    @property
    def box(self) -> Box:
        """The part that is shown enlarged."""
        return self.zoom or FACE_BOX


class Column(NamedTuple):
    """A column of pictures: the name of its folder, and its headline."""

    name: str
    label: str


class Extreme(NamedTuple):
    """An image that stands out: 'best', 'median' or 'worst', its name and its value."""

    what: str
    image: str
    value: float


class Gallery:
    """The stored images of a set.

    Args:
        found (Comparison): What was measured.
        folder (ResultFolder): Where its images lie.
        facts (SetFacts): The set.

    Attributes:
        columns (list[Column]): LQ, methods and GT, as far as there are images of each.
        images (list[str]): Names of the images that every column has, in the set's order.
        absent (list[str]): Labels of methods without any stored image.
    """

    def __init__(self, found: Comparison, folder: ResultFolder, facts: SetFacts) -> None:
        self._folder, self.facts = folder, facts
        methods = [Column(method.name, method.label) for method in found.ran(facts.name)]
        every = [Column(folder.LQ, 'LQ'), *methods, Column(folder.GT, 'GT')]
        stored = {column: [n for n in facts.images if self._path(column.name, n).is_file()] for column in every}
        self.columns = [column for column in every if stored[column]]
        self.absent = [column.label for column in methods if not stored[column]]
        if len(self.absent) == len(methods):
            self.columns = []  # LQ and GT alone are nothing to compare
        common = [set(stored[column]) for column in self.columns]
        self.images = [name for name in facts.images if common and all(name in names for names in common)]

    @property
    def methods(self) -> list[Column]:
        """The columns of methods."""
        return [column for column in self.columns if column.name not in (self._folder.LQ, self._folder.GT)]

    @property
    def has_gt(self) -> bool:
        """Whether there is a GT."""
        return any(column.name == self._folder.GT for column in self.columns)

    def read(self, column: str, image: str) -> np.ndarray:
        """An image of a column, (H, W, 3) uint8 RGB.

        Raises:
            DatasetError: if it cannot be read.
        """
        return read_image(self._path(column, image))

    def gt(self, image: str) -> np.ndarray:
        """The GT of an image, as `read`."""
        return self.read(self._folder.GT, image)

    def zoom(self, image: str, box: Box) -> list[np.ndarray]:
        """The part of an image that a box names, in every column; its edges are those of pixels of the smallest."""
        shown = [self.read(column.name, image) for column in self.columns]
        height, width = min((img.shape[:2] for img in shown), default=(1, 1))
        left, right = _edges(box[0], box[2], width)
        top, bottom = _edges(box[1], box[3], height)
        return [
            img[
                round(top * img.shape[0] / height) : round(bottom * img.shape[0] / height),
                round(left * img.shape[1] / width) : round(right * img.shape[1] / width),
            ]
            for img in shown
        ]

    def _path(self, column: str, image: str) -> Path:
        return self._folder.image(self.facts.name, column, image)

    def spread(self, num: int) -> list[str]:
        """So many images, evenly over the set, the first and the last among them."""
        count = min(num, len(self.images))
        if count < 2:
            return self.images[:count]
        return [self.images[round(i * (len(self.images) - 1) / (count - 1))] for i in range(count)]

    def extremes(self, values: Sequence[float], higher_is_better: bool) -> list[Extreme]:
        """The best, the median and the worst image.

        Args:
            values (Sequence[float]): One an image of the set; images with NaN or without a file are left out.
            higher_is_better (bool): Direction of the metric.
        """
        stored = set(self.images)
        known = [
            (value, name)
            for name, value in zip(self.facts.images, values, strict=True)
            if name in stored and not math.isnan(value)
        ]
        ordered = sorted(known, key=lambda item: item[0], reverse=higher_is_better)
        chosen = {0: 'best', len(ordered) // 2: 'median', len(ordered) - 1: 'worst'} if ordered else {}
        return [Extreme(what, ordered[i][1], ordered[i][0]) for i, what in sorted(chosen.items())]


def _edges(first: int, last: int, length: int) -> tuple[int, int]:
    """Thousandths of a length as pixels, one pixel apart at least."""
    start = min(max(round(length * first / 1000), 0), length - 1)
    return start, min(max(round(length * last / 1000), start + 1), length)


class Choice(NamedTuple):
    """Whose best and worst images are shown, by which metric, and what was asked for and is not there."""

    method: str
    metric: MetricFacts | None
    notes: list[str]


def choose(found: Comparison, set_name: str, shown: Shown) -> Choice:
    """The method and metric that `Shown` means, on a set."""
    values, notes = found.values.get(set_name, {}), []
    ran = [method.name for method in found.ran(set_name)]
    others = [name for name in ran if name != found.reference] or ran
    method = others[-1] if others else ''
    if shown.method in ran:
        method = shown.method
    elif shown.method:
        notes.append(f'{set_name}: {shown.method} has no images; best, median and worst are those of {method}')
    metrics = {m.name: m for m in found.metrics if not m.whole_set and m.name in values.get(method, {})}
    metric = metrics.get(shown.by) or next(iter(metrics.values()), None)
    if shown.by and metric is not None and metric.name != shown.by:
        notes.append(f'{set_name}: no value of {shown.by} an image; best, median and worst are by {metric.name}')
    return Choice(method, metric, notes)
