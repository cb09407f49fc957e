"""Whether labels can be those of their image: what is wrong with them is said, and never passed over."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from facesr_ext.errors import DatasetError, KeyPath
from facesr_ext.faces.labels import CELEBAMASK19, UNKNOWN, LabelSet
from facesr_ext.faces.sides import confused_sides

LEAST_SHARE = 8
"""Of the side of an image a mask has at least the so-many-th part: less holds no eye or lip."""


def tell(text: str, level: int = logging.INFO) -> None:
    """Writes a line to the run's log; where none is open nothing is said: to open it is for the run."""
    logger = logging.getLogger('basicsr')
    if logger.handlers and not logger.disabled:
        logger.log(level, text)


def require_mask_size(stored: tuple[int, ...], size: tuple[int, int], where: str, key: KeyPath) -> None:
    """Refuses a mask whose size cannot be that of its image's; one that is smaller or larger as a whole can be.

    Args:
        stored (tuple[int, ...]): Height and width of the mask.
        size (tuple[int, int]): Height and width of the image.
        where (str): The mask, for messages.
        key (KeyPath): The option that names the masks.

    Raises:
        DatasetError: if its sides are not as those of the image, or less than a part of :data:`LEAST_SHARE` of them.
    """
    (height, width), (rows, columns) = size, stored
    both = f'{where} is {columns}x{rows} px, its image {width}x{height} px'
    if abs(rows * width - columns * height) > max(height, width):  # more than a pixel of the mask
        raise DatasetError(f'{both}: not of one shape', key)
    if rows * LEAST_SHARE < height:
        raise DatasetError(f'{both}: less than 1/{LEAST_SHARE} of it is no mask of a face', key)


def require_mask_values(mask: np.ndarray, labels: LabelSet, where: str, key: KeyPath) -> None:
    """Refuses a mask (h, w) uint8 with values, as they are stored, that the label set does not have.

    Raises:
        DatasetError: naming the mask, ``where``, and some of the values.
    """
    beyond = [int(v) for v in np.unique(mask) if v >= len(labels.classes) and v != UNKNOWN]
    if beyond:
        raise DatasetError(
            f'{where} holds {_listed(beyond)}, but {labels.name} has 0 to {len(labels.classes) - 1} ({UNKNOWN}: '
            'unknown); correct parsing_labels or the masks',
            key,
        )


def require_landmarks(points: np.ndarray, size: tuple[int, int], where: str, key: KeyPath) -> None:
    """Refuses landmarks that cannot be pixels of their image; a few may lie outside of it.

    Args:
        points (ndarray): (L, 2) float32, x and y, NaN unknown.
        size (tuple[int, int]): Height and width of the image.
        where (str): The image, for messages.
        key (KeyPath): The option that names the landmarks.

    Raises:
        DatasetError: if all lie in -1..1 or on one point, their centre lies outside of the image, or one lies outside
            by more than the image's own size.
    """
    known = points[np.isfinite(points).all(1)]
    if len(known) < 2:
        return
    if np.abs(known).max() <= 1:
        raise DatasetError(f'the landmarks of {where} lie in -1..1; they must be pixels of the image', key)
    if (known == known[0]).all():
        raise DatasetError(f'the landmarks of {where} all lie on one point, {known[0].tolist()}', key)
    sides = np.array(size[::-1])
    centre = known.mean(0)
    if (centre < 0).any() or (centre > sides).any() or (known < -sides).any() or (known > 2 * sides).any():
        low, high = known.min(0), known.max(0)
        raise DatasetError(
            f'the landmarks of {where} (x {low[0]:.0f} to {high[0]:.0f}, y {low[1]:.0f} to {high[1]:.0f}) lie outside '
            f'of the image of {size[1]}x{size[0]} px; they must be its pixels, not those of another size',
            key,
        )


def require_classes(masks: Sequence[np.ndarray], labels: str, where: str, key: KeyPath) -> None:
    """Refuses masks of which none holds a class beside the background.

    Args:
        masks (Sequence[ndarray]): Some of the set, (H, W) uint8 in celebamask19, 255 unknown.
        labels (str): The label set that they are stored in.
        where (str): Where they lie.
        key (KeyPath): The option that names them.

    Raises:
        DatasetError: if they teach nothing.
    """
    empty = sum(not ((mask != 0) & (mask != UNKNOWN)).any() for mask in masks)
    if masks and empty == len(masks):
        raise DatasetError(
            f'none of {empty} masks in {where} holds a value but 0 (background) and {UNKNOWN} (unknown); they must '
            f'hold class values of {labels}',
            key,
        )
    if empty:
        tell(f'{empty} of {len(masks)} masks looked at in {where} hold background alone')


def tell_confused_sides(masks: Sequence[np.ndarray], where: str) -> None:
    """Warns of masks that call the right eye the left one, as some of CelebAMask-HQ do; of faces about upright.

    Args:
        masks (Sequence[ndarray]): Some of the set, (H, W) uint8 in celebamask19, 255 unknown.
        where (str): Where they lie.
    """
    confused = sum('eye' in confused_sides(mask, CELEBAMASK19, np.array([1.0, 0.0])) for mask in masks)
    if confused:
        remedy = 'facesr prepare MASKS --check-labels lists them, --fix-labels makes a set without'
        tell(f'{confused} of {len(masks)} masks looked at in {where} have the eyes confused; {remedy}', logging.WARNING)


def spread(count: int, most: int) -> list[int]:
    """Up to ``most`` of so many numbers, evenly spread, the first among them."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []


def _listed(values: Sequence[int]) -> str:
    text = ', '.join(map(str, values[:5]))
    return f'the value{"s" * (len(values) > 1)} {text}{", ..." * (len(values) > 5)}'
