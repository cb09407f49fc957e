"""What is worth keeping: sharpness and information of an image, as figures with thresholds that the user may change."""

from __future__ import annotations

import warnings

import cv2
import numpy as np
from scipy.cluster.vq import kmeans2

from facesr_ext.errors import OptionError

SHARPNESS_SIDE = 128
_COLOURS, _COLOUR_SIDE = 5, 32
_LARGEST, _NEARLY_ALL, _LEAST_SPREAD = 0.85, 0.95, 8.0


def sharpness(image: np.ndarray) -> float:
    """Standard deviation of the Laplacian of the grey levels, of 255, with the longer side reduced to 128 px.

    It measures what a network that makes faces of 128 px could learn from; a smaller image is taken as it is.

    Args:
        image (ndarray): (H, W, 3), uint8, RGB.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    factor = SHARPNESS_SIDE / max(grey.shape)
    if factor < 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey.astype(np.float32), cv2.CV_32F).std())


def lacks_information(image: np.ndarray) -> str | None:
    """Why an image teaches nothing, as report S2 sorts tiles out: its colours are too few; None where it may stay.

    The colours of the image, reduced to 32 x 32, are clustered into five. It is left out where one cluster has 85 % of
    them, where two have 95 %, or where the grey levels spread by less than 8 of 255.

    Args:
        image (ndarray): (H, W, 3), uint8, RGB.
    """
    spread = float(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).std())
    if spread < _LEAST_SPREAD:
        return f'low information: grey levels spread by {spread:.1f} of 255'
    small = cv2.resize(image, (_COLOUR_SIDE, _COLOUR_SIDE), interpolation=cv2.INTER_AREA)
    shares = _shares_of_colours(small.reshape(-1, 3).astype(np.float64))
    if shares[0] >= _LARGEST:
        return f'low information: {shares[0]:.0%} of it has one colour'
    if shares[:2].sum() >= _NEARLY_ALL:
        return f'low information: {shares[:2].sum():.0%} of it has two colours'
    return None


def _shares_of_colours(colours: np.ndarray) -> np.ndarray:
    """(N, 3) -> the shares of five clusters, the largest first; they begin at colours from dark to bright."""
    ordered = colours[np.argsort(colours.sum(1), kind='stable')]
    begin = ordered[np.linspace(0, len(ordered) - 1, _COLOURS).astype(int)]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # a cluster may become empty: there are fewer colours
        labels = kmeans2(colours, begin, minit='matrix')[1]
    return np.sort(np.bincount(labels, minlength=_COLOURS))[::-1] / labels.size


def tiles(height: int, width: int, side: int) -> list[tuple[int, int]]:
    """Top and left of the whole tiles of an image, edge to edge from its middle, by rows; none where it is smaller.

    Raises:
        OptionError: for a side below 1.
    """
    if side < 1:
        raise OptionError(f'{side} px is no size of a tile', ('--tile',))
    rows, cols = height // side, width // side
    top, left = (height - rows * side) // 2, (width - cols * side) // 2
    return [(top + row * side, left + col * side) for row in range(rows) for col in range(cols)]
