"""The picture of a comparison of degradations: one HR face, and what each of them makes of it, draw by draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from facesr_ext.comparison.figures import one_line
from facesr_ext.comparison.pictures import Picture, write_picture
from facesr_ext.comparison.results import ResultFolder
from facesr_ext.data.contact_sheet import contact_sheet

_LEAST = 96  # of a cell, pixels


class Drawn(NamedTuple):
    """An HR face, (H, W, 3) uint8 RGB, and the LR faces of each degradation, by its name."""

    name: str
    hr: np.ndarray
    draws: dict[str, list[np.ndarray]]


def draw_faces(
    folder: ResultFolder,
    set_name: str,
    faces: Sequence[Drawn],
    labels: Mapping[str, str],
    pools: Mapping[str, Sequence[np.ndarray]],
) -> list[Picture]:
    """Writes a picture for each HR face.

    Args:
        folder (ResultFolder): Where it goes.
        set_name (str): The set's name.
        faces (Sequence[Drawn]): What is shown.
        labels (Mapping[str, str]): Degradation -> label, in order.
        pools (Mapping[str, Sequence[ndarray]]): Real LR faces, of others, which are the last rows.
    """
    pictures = []
    for number, face in enumerate(faces, 1):
        rows = {label: face.draws[name] for name, label in labels.items() if name in face.draws}
        if not rows:
            continue
        sheet = _sheet(face.hr, rows, {name: images for name, images in pools.items() if images})
        title = f'{face.name}: the LR faces that each degradation makes of it'
        pictures.append(write_picture(folder, f'draws{number}', set_name, title, sheet, 'draws'))
    return pictures


def _sheet(
    hr: np.ndarray, rows: Mapping[str, Sequence[np.ndarray]], pools: Mapping[str, Sequence[np.ndarray]]
) -> np.ndarray:
    """A row a degradation: HR face, then its draws; pixels of LR faces are whole numbers of the picture's."""
    first = next(iter(rows.values()))
    side = max(first[0].shape[:2])
    cell = side * max(1, -(-_LEAST // side))
    large = [_fitted(hr, cell), *([np.full((cell, cell, 3), 255, np.uint8)] * (len(rows) - 1))]
    lines = [[large[i], *(_fitted(img, cell) for img in images)] for i, images in enumerate(rows.values())]
    lines += [[_fitted(img, cell) for img in images[: len(first) + 1]] for images in pools.values()]
    captions = [*map(one_line, rows), *(f'real: {one_line(name)} (other people)' for name in pools)]
    return contact_sheet(lines, ['HR', *(f'z {i}' for i in range(1, len(first) + 1))], cell, captions)


def _fitted(img: np.ndarray, cell: int) -> np.ndarray:
    factor = cell / max(img.shape[:2])
    size = (max(1, round(img.shape[1] * factor)), max(1, round(img.shape[0] * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    return img if factor == 1 else cv2.resize(img, size, interpolation=how)
