"""Masks alone: which of them have left and right confused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from facesr_ext.data.image_io import list_images, read_mask
from facesr_ext.faces.labels import LabelSet
from facesr_ext.faces.sides import confused_sides
from facesr_ext.places import user_path

_UPRIGHT = np.array([1.0, 0.0])


def confused_masks(folders: Sequence[Path], labels: LabelSet) -> Iterator[tuple[Path, list[str]]]:
    """Looks every mask below the folders through; a face in it is taken to be about upright.

    Args:
        folders (Sequence[Path]): Folders of masks (palette or grey PNG).
        labels (LabelSet): What their values mean.

    Yields:
        tuple: Each mask and its confused pairs, of 'eye', 'brow' and 'ear'; mostly none.

    Raises:
        DatasetError: if a folder is missing or empty, or a mask cannot be read.
    """
    for folder in folders:
        for name in list_images(folder, ('SRC',)):
            path = user_path(folder) / name
            yield path, confused_sides(read_mask(path), labels, _UPRIGHT)
