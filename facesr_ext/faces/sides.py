"""Left and right in masks: 58 of 866 masks of CelebAMask-HQ's faces, looked at by hand, have the eyes confused."""

from __future__ import annotations

import numpy as np

from facesr_ext.faces.labels import LabelSet

PAIRS = ('eye', 'brow', 'ear')
_LEAST = 4  # pixels that a class must have to be believed


def confused_sides(mask: np.ndarray, labels: LabelSet, across: np.ndarray) -> list[str]:
    """Pairs of classes whose left one lies where the right one belongs.

    Args:
        mask (ndarray): (H, W) uint8, values of ``labels``.
        labels (LabelSet): What they mean; 'l_eye' is the person's left, on the image's right.
        across (ndarray): (2,) from the eye on the image's left to the one on its right, pixels.

    Returns:
        list[str]: Of 'eye', 'brow' and 'ear' those that are confused; what is not to be seen on both sides cannot be.
    """
    return [pair for pair in PAIRS if f'l_{pair}' in labels.classes and _confused(mask, labels, pair, across)]


def _confused(mask: np.ndarray, labels: LabelSet, pair: str, across: np.ndarray) -> bool:
    middles = []
    for side in ('r', 'l'):
        places = np.argwhere(mask == labels.value(f'{side}_{pair}'))
        if len(places) < _LEAST:
            return False
        middles.append(places.mean(0)[::-1])
    return float((middles[1] - middles[0]) @ across) < 0


def with_sides_swapped(mask: np.ndarray, labels: LabelSet, pairs: list[str]) -> np.ndarray:
    """The mask with the two classes of each of these pairs exchanged."""
    table = np.arange(256, dtype=np.uint8)
    for pair in pairs:
        left, right = labels.value(f'l_{pair}'), labels.value(f'r_{pair}')
        table[[left, right]] = right, left
    return table[mask]
