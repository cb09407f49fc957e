"""Photographs to try the page with, made where it runs: drawn faces, and where scikit-image is there, its astronaut."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import cv2
import numpy as np

from facesr_ext.data.photo_io import PhotoFile, encode_photo_file
from facesr_ext.faces.drawn.face import render_face

_SEED, _FACES = 7, ((0, 3, 4), (6, 2, 1))
_SIDE, _QUALITY = 128, 60  # px of a drawn portrait; of JPEG


def write_examples(folder: Path) -> list[Path]:
    """Writes the examples: small, soft JPEGs, as old photographs of the net are.

    Args:
        folder (Path): Where to; made if it is missing.

    Returns:
        list[Path]: The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {'drawn_faces.jpg': _group(), 'drawn_face.jpg': _worn(render_face(_SEED, 5, 256).image, 192)}
    if importlib.util.find_spec('skimage') is not None:
        from skimage import data  # a photograph by NASA, in the public domain

        pictures['astronaut.jpg'] = _worn(data.astronaut(), 256)
    for name, picture in pictures.items():
        (folder / name).write_bytes(encode_photo_file(PhotoFile(picture, suffix='.jpg'), _QUALITY)[0])
    return [folder / name for name in pictures]


def _group() -> np.ndarray:
    """Six portraits side by side."""
    rows = [np.concatenate([render_face(_SEED, index, 2 * _SIDE).image for index in row], 1) for row in _FACES]
    picture = np.concatenate(rows, 0)
    return _worn(picture, picture.shape[1] // 2)


def _worn(picture: np.ndarray, width: int) -> np.ndarray:
    """Smaller and a little blurred."""
    height = round(picture.shape[0] * width / picture.shape[1])
    return cv2.GaussianBlur(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), (0, 0), 1.0)
