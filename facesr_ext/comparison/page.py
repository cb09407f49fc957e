"""The comparison as one HTML page: everything in it, nothing fetched, nothing of strangers executed."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from facesr_ext.comparison.figures import decimals, number, one_line
from facesr_ext.comparison.gallery import Choice, Gallery, Shown, choose
from facesr_ext.comparison.layout import TIED, gap_table, method_table, metric_head, set_line, set_tables
from facesr_ext.comparison.pictures import CURVES, Picture, Pictures, error_maps, largest_error
from facesr_ext.comparison.plots import colour_bar, error_colours
from facesr_ext.comparison.results import Comparison, ResultFolder
from facesr_ext.comparison.statistics import Interval
from facesr_ext.comparison.summary import SetTable, Summary
from facesr_ext.data.image_io import encode_image, read_image
from facesr_ext.errors import DatasetError

BUDGET = 6_000_000
"""Bytes that the page's images take at most; faces that would need more are left out."""
_LOSSLESS, _SHOWN, _MAP = 160, 512, 128  # sides, pixels: exact up to; most of a face; most of an error map
_LARGE_LQ = 3  # an LQ that is so many times smaller than the GT shows its pixels
_COMMANDS = ('command', 'commands')
_ON_PAGE = ('draws', 'extremes', 'cost')


class Embedded(NamedTuple):
    """An image as part of the page: its data, its size in pixels, and whether its pixels are to be seen."""

    uri: str
    width: int
    height: int
    pixels: bool = False
    title: str = ''


class FaceColumn(NamedTuple):
    """A face in a column: headline, image, enlarged part, error map, and the value of the metric in words."""

    label: str
    images: Embedded
    zooms: Embedded
    errors: Embedded | None
    value: str


class Face(NamedTuple):
    """A face in every column; ``left`` and ``right`` are the columns that the slider begins with."""

    name: str
    columns: list[FaceColumn]
    left: int
    right: int

    @property
    def width(self) -> int:
        """Of the largest image, pixels."""
        return max(column.images.width for column in self.columns)

    @property
    def height(self) -> int:
        """Of the largest image, pixels."""
        return max(column.images.height for column in self.columns)

    @property
    def has_errors(self) -> bool:
        """Whether there are error maps."""
        return any(column.errors for column in self.columns)

    @property
    def bytes(self) -> int:
        """That its images take on the page."""
        images = [image for c in self.columns for image in (c.images, c.zooms, c.errors) if image is not None]
        return sum(len(image.uri) for image in images)


class _Faces(NamedTuple):
    """The faces of a set as far as they were made, and what its error maps are drawn with."""

    gallery: Gallery
    choice: Choice
    images: list[str]
    made: list[Face]
    largest: float


def embed(img: np.ndarray, side: int = _SHOWN, pixels: bool = False, exact: bool = False, title: str = '') -> Embedded:
    """An image as a data URI.

    Args:
        img (ndarray): (H, W, 3) uint8 RGB.
        side (int): Its longer side at most, pixels; larger ones are reduced. Default: 512.
        pixels (bool): Its pixels are to be seen when it is enlarged.
        exact (bool): Lossless, whatever the size; small ones are in any case.
        title (str): What it shows.
    """
    largest = max(img.shape[:2])
    if largest > side:
        size = (max(1, round(img.shape[1] * side / largest)), max(1, round(img.shape[0] * side / largest)))
        img = cv2.resize(img, size, interpolation=cv2.INTER_AREA)
    kind = 'webp' if exact or max(img.shape[:2]) <= _LOSSLESS else 'jpeg'  # OpenCV's WebP is lossless
    data = base64.b64encode(encode_image(img, f'.{kind}')).decode('ascii')
    return Embedded(f'data:image/{kind};base64,{data}', img.shape[1], img.shape[0], pixels, title)


def html_page(
    found: Comparison, summary: Summary, folder: ResultFolder, shown: Shown, pictures: Pictures
) -> tuple[str, list[str]]:
    """The page's text.

    Args:
        found (Comparison): What was measured.
        summary (Summary): Of it.
        folder (ResultFolder): Where its images lie.
        shown (Shown): How many faces, and which.
        pictures (Pictures): What was drawn.

    Returns:
        tuple: HTML, and what to tell of images that it does not hold.
    """
    figures = {picture: _figure(picture) for picture in pictures.drawn if picture.kind in (*_ON_PAGE, CURVES)}
    room = BUDGET - sum(len(figure.uri) for figure in figures.values())
    faces, notes = _all_faces(found, summary, folder, shown, room)
    script, style = _resource('page.js'), _resource('page.css')
    machine = {key: value for key, value in found.machine.items() if key.lower() not in _COMMANDS}
    text = _environment().from_string(_resource('page.html.j2')).render(
        title=one_line(found.name) or 'Comparison',
        lead=_lead(summary, found),
        sets=[_section(summary, table, faces.get(table.facts.name), figures) for table in summary.sets],
        gaps=[gap_table(summary, gap) for gap in summary.gaps],
        curves=next((figure for picture, figure in figures.items() if picture.kind == CURVES), None),
        methods=method_table(found),
        broken=[(one_line(what), one_line(reason)) for what, reason in summary.broken],
        notes=[one_line(note) for note in (*found.notes, *pictures.notes, *notes)],
        machine={one_line(key): one_line(value) for key, value in machine.items()},
        commands=[one_line(value) for key, value in found.machine.items() if key.lower() in _COMMANDS],
        tied=TIED,
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
    )  # fmt: skip
    return text, notes


def _environment() -> Environment:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters['capitalize_first'] = lambda text: text[:1].upper() + text[1:]
    return environment


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding='utf-8')


def _hash(text: str) -> str:
    """By which the page's security policy knows its own script and style."""
    return 'sha256-' + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')


def _lead(summary: Summary, found: Comparison) -> str:
    num = len({row.method.name for table in summary.sets for row in table.rows})
    sets = len(summary.sets)
    reference = one_line(summary.reference.label)
    compared = f'{num} {found.what}{"" if num == 1 else "s"} on {sets} set{"" if sets == 1 else "s"} of images'
    return f'{compared}. Differences are to {reference}; intervals are of {found.level:.0%}.'


def _figure(picture: Picture) -> Embedded:
    """A drawn figure, exact; a sheet of photographs as JPEG."""
    return embed(read_image(picture.path), 2000, exact=picture.kind != 'extremes', title=one_line(picture.title))


def _section(
    summary: Summary, table: SetTable, faces: _Faces | None, figures: Mapping[Picture, Embedded]
) -> dict[str, Any]:
    """What the template shows of a set."""
    own = [(picture.kind, figure) for picture, figure in figures.items() if picture.set == table.facts.name]
    made = faces.made if faces else []
    drawn = faces is not None and any(face.has_errors for face in made)
    return {
        'name': one_line(table.facts.name),
        'line': set_line(table.facts),
        'tables': set_tables(summary, table),
        'absent': [(one_line(label), one_line(reason)) for label, reason in table.absent],
        'notes': [one_line(note) for note in table.notes],
        'faces': made,
        'by': metric_head(faces.choice.metric) if faces and faces.choice.metric else '',
        'scale': embed(colour_bar(faces.largest, 480), exact=True) if faces and drawn else None,
        'pictures': [figure for wanted in _ON_PAGE for kind, figure in own if kind == wanted],
    }


def _all_faces(
    found: Comparison, summary: Summary, folder: ResultFolder, shown: Shown, room: int
) -> tuple[dict[str, _Faces], list[str]]:
    """Faces of all sets in turns, until the page is full; and what to tell of those that it has no room for."""
    sets: dict[str, _Faces] = {}
    notes = []
    for table in summary.sets:
        gallery = Gallery(found, folder, table.facts)
        images = gallery.spread(shown.page_images)
        try:
            largest = largest_error(gallery, images) if gallery.has_gt else 1.0
        except DatasetError as err:
            notes.append(f'{table.facts.name}: no faces on the page: {err}')
            continue
        sets[table.facts.name] = _Faces(gallery, choose(found, table.facts.name, shown), images, [], largest)
    for faces, image in _in_turns(list(sets.values())):
        try:
            face = _face(found, faces, image, shown)
        except DatasetError as err:
            notes.append(f'{image} is not on the page: {err}')
            continue
        if face.bytes > room:
            held, wanted = (sum(len(items) for items in part) for part in _counts(sets))
            notes.append(f'the page shows {held} of {wanted} faces, to stay small; the pictures beside it show more')
            break
        room -= face.bytes
        faces.made.append(face)
    return sets, notes


def _counts(sets: Mapping[str, _Faces]) -> tuple[list[list[Face]], list[list[str]]]:
    return [faces.made for faces in sets.values()], [faces.images for faces in sets.values()]


def _in_turns(sets: Sequence[_Faces]) -> Iterator[tuple[_Faces, str]]:
    for i in range(max((len(faces.images) for faces in sets), default=0)):
        yield from ((faces, faces.images[i]) for faces in sets if i < len(faces.images))


def _face(found: Comparison, faces: _Faces, image: str, shown: Shown) -> Face:
    gallery, choice = faces.gallery, faces.choice
    maps = error_maps(gallery, image) if gallery.has_gt else {}
    whole = [gallery.read(column.name, image) for column in gallery.columns]
    side = max(max(img.shape[:2]) for img in whole)
    columns = []
    for column, img, part in zip(gallery.columns, whole, gallery.zoom(image, shown.box), strict=True):
        error = maps.get(column.name)
        drawn = None if error is None else embed(error_colours(error, faces.largest), _MAP)
        value = _value(found, faces, column.name, image)
        whole_image = embed(img, pixels=max(img.shape[:2]) * _LARGE_LQ <= side)
        columns.append(FaceColumn(one_line(column.label), whole_image, embed(part, pixels=True), drawn, value))
    names = [column.name for column in gallery.columns]
    left = names.index(found.reference) if found.reference in names else 0
    right = names.index(choice.method) if choice.method in names else len(names) - 1
    return Face(one_line(image), columns, left, right)


def _value(found: Comparison, faces: _Faces, method: str, image: str) -> str:
    """The value of the metric by which faces are chosen; '' of what is no method."""
    metric, facts = faces.choice.metric, faces.gallery.facts
    values = found.values[facts.name].get(method, {}).get(metric.name, []) if metric else []
    if not values or metric is None:
        return ''
    value = values[facts.images.index(image)]
    return number(value, decimals([Interval(value, math.nan, math.nan, 1)], metric.unit))
