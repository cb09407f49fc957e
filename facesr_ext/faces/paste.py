"""Putting restored faces back into their photograph, so that nothing tells where they were put.

What is pasted is the *change* that a network has made, not its picture: the restored square minus the same square of
the photograph, warped back and added. A network that changes nothing leaves the photograph bit for bit as it is, and
what of the photograph is finer than the square stays in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from facesr_ext.faces.alignment import Frame, cut
from facesr_ext.imaging import imresize

_SMALL, _REACH = 64, 6.0  # px to which a change is reduced to find its colour at the border, and its reach there
_NEAR = 1.25  # times its place: a square that is larger is reduced first, for it would alias
_SHARED = 0.08  # of a face's side: over which two neighbours fade into each other, halfway between their centres
_DISTANCE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6
"""Of noise of deviation s it makes noise of deviation s, and of planes and edges nearly nothing (Immerkaer, 1996)."""
_MOST_GRAIN, _GRAIN_INSIDE = 8.0, 0.3  # of 255; the share of the missing grain that the middle of a face is given
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


class Patch(NamedTuple):
    """A restored face and where it belongs.

    Attributes:
        frame (Frame): Its square of the photograph that it is pasted into.
        image (ndarray): (S, S, 3) uint8 RGB: the square, restored, at any size.
        mask (ndarray): (M, M) float32 [0, 1]: where it counts; 0 at its edges.
    """

    frame: Frame
    image: np.ndarray
    mask: np.ndarray


def paste(
    photo: np.ndarray, patches: Sequence[Patch], strength: float = 1.0, keep_gray: bool = False, seed: int = 0
) -> np.ndarray:
    """Pastes restored faces.

    Colour follows the photograph along the mask's border, grain that a network has removed comes back there, and
    a pixel that two squares share belongs to the face whose centre is nearer, in sides of its square.

    Args:
        photo (ndarray): (H, W, 3), uint8 or uint16, RGB; stays as it is.
        patches (Sequence[Patch]): The faces.
        strength (float): Which share of the change is made, in [0, 1]. Default: 1.
        keep_gray (bool): Only the luma changes; the chroma stays the photograph's. Default: False.
        seed (int): Of the grain. Default: 0.

    Returns:
        ndarray: Of the same shape and kind; where no mask reaches, and for strength 0, the photograph's own values.
    """
    out, peak = photo.copy(), np.iinfo(photo.dtype).max
    for index, patch in enumerate(patches):
        rows, columns = patch.frame.extent(*photo.shape[:2])
        if not strength or rows.start == rows.stop or columns.start == columns.stop:
            continue
        weight = _warped(patch.mask, patch.frame, rows, columns, cv2.INTER_LINEAR)
        weight = np.clip(weight, 0, 1) * _ownership(index, patches, rows, columns)
        change = _warped(_change(photo, patch, keep_gray), patch.frame, rows, columns, cv2.INTER_CUBIC)
        change *= weight[..., None]
        before = _to_8_bits(photo[rows, columns])
        change += _missing_grain(before, change, weight, np.random.default_rng([seed, index]))[..., None]
        changed = out[rows, columns] + change * (strength * peak / 255)
        out[rows, columns] = np.clip(np.rint(changed), 0, peak).astype(photo.dtype)
    return out


def stored_square(photo: np.ndarray, frame: Frame, size: int) -> np.ndarray:
    """A square of a photograph, uint8 or uint16, as it is stored: (size, size, 3) uint8 RGB, of which changes count."""
    rows, columns, frame = _surroundings(photo, frame)
    return cut(_to_8_bits(photo[rows, columns]), frame, [size])[size]


def seam(photo: np.ndarray, pasted: np.ndarray, patch: Patch) -> float:
    """How visible the border of a pasted face is.

    Args:
        photo, pasted (ndarray): (H, W, 3) uint8 RGB: before and after.
        patch (Patch): The face, and the mask along whose border (values from 0.05 to 0.5) it is measured.

    Returns:
        float: Mean luma gradient of the difference along the border, levels of 255 per pixel; 0 for no change.
    """
    rows, columns = patch.frame.extent(*photo.shape[:2])
    weight = _warped(patch.mask, patch.frame, rows, columns, cv2.INTER_LINEAR)
    made = (pasted[rows, columns].astype(np.float32) - photo[rows, columns]) @ _LUMA
    gradient = np.hypot(cv2.Sobel(made, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(made, cv2.CV_32F, 0, 1) / 8)
    border = (weight > 0.05) & (weight < 0.5)
    return float(gradient[border].mean()) if border.any() else 0.0


def _change(photo: np.ndarray, patch: Patch, keep_gray: bool) -> np.ndarray:
    """(P, P, 3) float32, of 255: restored minus stored, near the resolution of the place; no colour step at the border.

    A square that is much larger than its place is reduced first, with antialiasing.
    """
    place, size = math.ceil(patch.frame.side), patch.image.shape[0]
    change = patch.image.astype(np.float32) - stored_square(photo, patch.frame, size)
    if size > _NEAR * place:
        planes = torch.from_numpy(change).permute(2, 0, 1)
        change = imresize(planes, (place, place)).permute(1, 2, 0).contiguous().numpy()
    if keep_gray:
        change = np.repeat((change @ _LUMA)[..., None], 3, axis=2)
    return change - _border_colour(change, patch.mask)


def _surroundings(photo: np.ndarray, frame: Frame) -> tuple[slice, slice, Frame]:
    """The part of a photograph that a square needs, and the square in it; the whole where it lies over the edge."""
    rows, columns = frame.extent(*photo.shape[:2])
    if frame.outside(*photo.shape[:2]) > 0:
        return slice(0, photo.shape[0]), slice(0, photo.shape[1]), frame
    rows = slice(max(0, rows.start - 4), rows.stop + 4)
    columns = slice(max(0, columns.start - 4), columns.stop + 4)
    moved = frame.matrix[:, 2] + frame.matrix[:, :2] @ np.array([columns.start, rows.start])
    return rows, columns, Frame(np.column_stack([frame.matrix[:, :2], moved]), frame.side)


def _border_colour(change: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The colour step along the mask's border, carried on smoothly over the square; of the shape of ``change``."""
    small = cv2.resize(change, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA)
    weight = cv2.resize(mask, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA)
    border = weight * (1 - weight)
    total = cv2.GaussianBlur(small * border[..., None], (0, 0), _REACH)
    known = cv2.GaussianBlur(border, (0, 0), _REACH)[..., None]
    step = np.where(known > 1e-6, total / np.maximum(known, 1e-6), 0).astype(np.float32)
    return cv2.resize(step, change.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _warped(square: np.ndarray, frame: Frame, rows: slice, columns: slice, kernel: int) -> np.ndarray:
    """A square (S, S) or (S, S, C) float32, back in a part of the photograph; 0 beside it."""
    matrix = frame.to_pixels(square.shape[0])
    matrix[:, 2] += matrix[:, :2] @ np.array([columns.start, rows.start])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return cv2.warpAffine(square, matrix, size, flags=kernel | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT)


def _ownership(index: int, patches: Sequence[Patch], rows: slice, columns: slice) -> np.ndarray | float:
    """(h, w) float32: which share of each pixel is this face's; of two neighbours the shares add up to 1."""
    mine = _from_centre(patches[index].frame, rows, columns)
    share: np.ndarray | float = 1.0
    for other, patch in enumerate(patches):
        if other == index:
            continue
        theirs = _from_centre(patch.frame, rows, columns)
        if theirs.min() < math.sqrt(0.5):  # its square reaches in here
            share = share * np.clip((theirs - mine) / _SHARED + 0.5, 0, 1)
    return share


def _from_centre(frame: Frame, rows: slice, columns: slice) -> np.ndarray:
    """(h, w) float32: how far each pixel is from the square's centre, in its sides."""
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    (a, b, c), (d, e, f) = frame.matrix.astype(np.float32).tolist()
    return np.hypot(a * x + b * y + (c - 0.5), d * x + e * y + (f - 0.5))


def _missing_grain(before: np.ndarray, change: np.ndarray, weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(h, w) float32, of 255: noise for the grain that the change takes away, as far as the surroundings have it."""
    inside, around = weight > 0.8, weight < 0.3
    if min(inside.sum(), around.sum()) < 64:
        return np.zeros_like(weight)
    old = cv2.filter2D(before @ _LUMA, cv2.CV_32F, _DISTANCE)
    new = old + cv2.filter2D(change @ _LUMA, cv2.CV_32F, _DISTANCE)
    had = min(_deviation(old[inside]), _deviation(old[around]))
    missing = math.sqrt(max(0.0, had**2 - _deviation(new[inside]) ** 2))
    if missing < 0.25:
        return np.zeros_like(weight)
    noise = rng.normal(0, min(missing, _MOST_GRAIN), weight.shape).astype(np.float32)
    return noise * weight * (1 - (1 - _GRAIN_INSIDE) * weight**2)


def _deviation(values: np.ndarray) -> float:
    """Standard deviation of noise by the median, which a few edges do not move."""
    return 1.4826 * float(np.median(np.abs(values)))


def _to_8_bits(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else (image // 257).astype(np.uint8)
