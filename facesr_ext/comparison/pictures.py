"""The pictures of a comparison: the same faces in every method, zooms, error maps, best and worst, cost, curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from facesr_ext.comparison.figures import decimals, number, one_line, shortened
from facesr_ext.comparison.gallery import Box, Extreme, Gallery, Shown, choose
from facesr_ext.comparison.layout import metric_head
from facesr_ext.comparison.plots import colour_bar, draw_cost, draw_run_curves, error_colours
from facesr_ext.comparison.results import Comparison, MetricFacts, ResultFolder
from facesr_ext.comparison.statistics import Interval
from facesr_ext.comparison.summary import Summary
from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import encode_image
from facesr_ext.errors import DatasetError
from facesr_ext.runs.atomic import replaced_when_whole

_LEAST, _MOST = 128, 256  # of a cell, pixels
_LETTER = 6  # pixels that a letter of a headline takes
_MOST_ERRORS = 0.995  # share of all pixels whose errors are below the lightest colour
CURVES = 'curves'


class Picture(NamedTuple):
    """A written picture.

    Attributes:
        path (Path): The file.
        title (str): What it shows.
        set (str): Name of the set; '' for the whole comparison.
        kind (str): 'faces', 'zooms', 'errors', 'extremes', 'cost', 'curves' or, of degradations, 'draws'.
    """

    path: Path
    title: str
    set: str
    kind: str


class Pictures(NamedTuple):
    """What was drawn, and what could not be."""

    drawn: list[Picture]
    notes: list[str]

    def of(self, set_name: str) -> list[Picture]:
        """Those of a set; '' for those of the whole comparison."""
        return [picture for picture in self.drawn if picture.set == set_name]


def error_maps(gallery: Gallery, image: str) -> dict[str, np.ndarray]:
    """Mean absolute difference of every method's result to the GT, over the channels.

    Args:
        gallery (Gallery): With GT.
        image (str): Which image.

    Returns:
        dict: Name of the column -> (H, W) float32, levels of 255; without results that have another size than the GT.
    """
    gt = gallery.gt(image).astype(np.float32)
    results = {column.name: gallery.read(column.name, image) for column in gallery.methods}
    return {name: np.abs(img - gt).mean(-1) for name, img in results.items() if img.shape == gt.shape}


def largest_error(gallery: Gallery, images: Sequence[str]) -> float:
    """What has the lightest colour in the error maps of some images: all but the largest 0.5 % are below it."""
    counts = np.zeros(256, np.int64)
    for image in images:
        for error in error_maps(gallery, image).values():
            counts += np.bincount(np.ceil(error).astype(np.int64).ravel(), minlength=256)
    share = np.cumsum(counts) / max(counts.sum(), 1)
    return float(max(1, int(np.searchsorted(share, _MOST_ERRORS))))


def draw_pictures(
    found: Comparison, summary: Summary, folder: ResultFolder, shown: Shown, runs: Mapping[str, Path]
) -> Pictures:
    """Draws and writes all pictures of a comparison.

    Args:
        found (Comparison): What was measured.
        summary (Summary): Of it.
        folder (ResultFolder): Where its images lie, and where the pictures go.
        shown (Shown): How many faces, and which.
        runs (Mapping[str, Path]): Method -> folder of its training.

    Returns:
        Pictures: An image that cannot be read costs the pictures that it is in, and is named in the notes.
    """
    pictures = Pictures([], [])
    for table in summary.sets:
        gallery = Gallery(found, folder, table.facts)
        _draw_set(found, gallery, folder, shown, pictures)
        metric = None if found.what == 'degradation' else next((m for m in table.metrics if not m.whole_set), None)
        cost = draw_cost(table, metric, found.level) if metric else None
        if metric and cost is not None:
            title = f'{metric_head(metric)} against time and parameters'
            _save(folder, 'cost', table.facts.name, title, cost, pictures)
    labels = {method.name: method.label for method in found.methods}
    curves, notes = draw_run_curves({labels.get(name, name): path for name, path in runs.items()})
    pictures.notes.extend(notes)
    if curves is not None:
        _save(folder, CURVES, '', 'Validations of the trainings', curves, pictures)
    return pictures


def _draw_set(found: Comparison, gallery: Gallery, folder: ResultFolder, shown: Shown, pictures: Pictures) -> None:
    name, images = gallery.facts.name, gallery.spread(shown.num)
    if not images:
        if shown.num:
            pictures.notes.append(f'{name}: no pictures, as its images were not saved for all methods alike')
        return
    if gallery.absent:
        pictures.notes.append(f'{name}: no images were saved of {", ".join(gallery.absent)}')
    choice = choose(found, name, shown)
    pictures.notes.extend(choice.notes)

    def draw(kind: str, title: str, make: Callable[[], np.ndarray]) -> None:
        try:
            _save(folder, kind, name, title, make(), pictures)
        except DatasetError as err:
            pictures.notes.append(f'{name}: no picture of {kind}: {err}')

    draw('faces', 'The same faces in every method', lambda: _faces(gallery, images))
    draw('zooms', 'A part of each, enlarged', lambda: _zooms(gallery, images, shown.box))
    if gallery.has_gt:
        draw('errors', 'Error maps, one scale for all', lambda: _errors(gallery, images))
    metric = choice.metric
    if metric is None:
        return
    extremes = gallery.extremes(found.values[name][choice.method][metric.name], bool(metric.higher_is_better))
    if extremes and any(column.name == choice.method for column in gallery.methods):
        label = found.method(choice.method).label
        title = f'Best, median and worst of {label} by {metric.name}'
        draw('extremes', title, lambda: _extremes(found, gallery, extremes, choice.method, metric))


def _save(folder: ResultFolder, kind: str, set_name: str, title: str, img: np.ndarray, pictures: Pictures) -> None:
    pictures.drawn.append(write_picture(folder, kind, set_name, title, img))


def write_picture(
    folder: ResultFolder, name: str, set_name: str, title: str, img: np.ndarray, kind: str = ''
) -> Picture:
    """Writes a picture whole or not at all.

    Args:
        folder (ResultFolder): Where it goes.
        name (str): Of the file, before that of the set.
        set_name (str): Name of the set; '' for the whole comparison.
        title (str): What it shows.
        img (ndarray): (H, W, 3) uint8 RGB.
        kind (str): As in `Picture`. Default: ``name``.
    """
    path = folder.picture(f'{name}_{set_name}' if set_name else name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_whole(path) as temporary:
        temporary.write_bytes(encode_image(img, path.suffix))
    return Picture(path, title, set_name, kind or name)


def _faces(gallery: Gallery, images: Sequence[str]) -> np.ndarray:
    rows = [[_small(gallery.read(column.name, image)) for column in gallery.columns] for image in images]
    return _sheet(rows, [column.label for column in gallery.columns], images)


def _zooms(gallery: Gallery, images: Sequence[str], box: Box) -> np.ndarray:
    rows = [[_small(part) for part in gallery.zoom(image, box)] for image in images]
    return _sheet(rows, [column.label for column in gallery.columns], images)


def _errors(gallery: Gallery, images: Sequence[str]) -> np.ndarray:
    """Error maps and the GT, with the scale of their colours below."""
    largest, rows = largest_error(gallery, images), []
    for image in images:
        maps, gt = error_maps(gallery, image), _small(gallery.gt(image))
        white = np.full_like(gt, 255)  # of a result that has another size than its GT
        shown = [maps.get(column.name) for column in gallery.methods]
        rows.append([*(white if e is None else _small(error_colours(e, largest)) for e in shown), gt])
    sheet = _sheet(rows, [*(column.label for column in gallery.methods), 'GT'], images)
    bar = colour_bar(largest, max(sheet.shape[1], 400))
    wide = max(sheet.shape[1], bar.shape[1])
    parts = [np.pad(part, ((0, 0), (0, wide - part.shape[1]), (0, 0)), constant_values=255) for part in (sheet, bar)]
    return np.concatenate(parts, 0)


def _extremes(
    found: Comparison, gallery: Gallery, extremes: Sequence[Extreme], method: str, metric: MetricFacts
) -> np.ndarray:
    """A row for each of best, median and worst: LQ, reference, method, GT, with both values above."""
    wanted = [found.reference, method]
    columns = [column for column in gallery.columns if column.name in wanted or column not in gallery.methods]
    known = found.values[gallery.facts.name]
    places = decimals([Interval(extreme.value, float('nan'), float('nan'), 1) for extreme in extremes], metric.unit)
    captions = []
    for extreme in extremes:
        index = gallery.facts.images.index(extreme.image)
        shown = ', '.join(
            f'{found.method(name).label} {_ascii(number(known[name][metric.name][index], places))}'
            for name in dict.fromkeys(wanted)
            if metric.name in known.get(name, {})
        )
        captions.append(f'{extreme.what}: {extreme.image}: {shown}')
    rows = [[_small(gallery.read(column.name, extreme.image)) for column in columns] for extreme in extremes]
    return _sheet(rows, [column.label for column in columns], captions)


def _ascii(text: str) -> str:
    """A figure in letters that contact sheets have."""
    return text.replace('−', '-').replace('∞', 'inf').replace('–', 'none')


def _small(img: np.ndarray) -> np.ndarray:
    """An image no larger than a cell, so that a sheet of large ones needs little memory."""
    largest = max(img.shape[:2])
    if largest <= _MOST:
        return img
    size = (max(1, round(img.shape[1] * _MOST / largest)), max(1, round(img.shape[0] * _MOST / largest)))
    return cv2.resize(img, size, interpolation=cv2.INTER_AREA)


def _sheet(rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str], captions: Sequence[str]) -> np.ndarray:
    """A contact sheet whose headlines do not run into each other."""
    largest = max(max(img.shape[:2]) for row in rows for img in row)
    cell = min(_MOST, max(_LEAST, largest))
    if largest < cell:  # whole pixels, where that is possible
        cell = largest * -(-_LEAST // largest)
    rows = [[_enlarged(img, cell) for img in row] for row in rows]
    short = [shortened(title, cell // _LETTER) for title in titles]
    return contact_sheet(rows, short, cell, [one_line(caption) for caption in captions])


def _enlarged(img: np.ndarray, cell: int) -> np.ndarray:
    """Small images by a whole factor as near to the cell's size as there is, so that all pixels are of one size."""
    factor = cell // max(img.shape[:2])
    return img if factor < 2 else cv2.resize(img, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
