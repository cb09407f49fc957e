"""What a data set does to a face before it becomes tensors: functions of the sample and, to draw, a generator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch

from facesr_ext.faces.labels import CELEBAMASK19, landmark_flip
from facesr_ext.imaging import to_planes, to_tensor

WHOLE = (0.0, 0.0, 1.0, 1.0)
_FLIPPED = CELEBAMASK19.flip_table()


class FaceSample(NamedTuple):
    """One face before it becomes tensors.

    Attributes:
        image (ndarray): (H, W, 3) uint8 RGB.
        parsing (ndarray | None): (H, W) uint8, values of celebamask19, 255 unknown.
        landmarks (ndarray | None): (L, 2) float32, pixels, NaN unknown.
        position (tuple | None): Of a crop: left, top, right and bottom as shares of the face's width and height.
    """

    image: np.ndarray
    parsing: np.ndarray | None = None
    landmarks: np.ndarray | None = None
    position: tuple[float, float, float, float] | None = None


def frame(
    sample: FaceSample, size: int, crop_scale: tuple[float, float], rng: np.random.Generator | None
) -> FaceSample:
    """Crops a square and resizes it: by area where it shrinks, bicubic where it grows.

    A crop is at least as large as the result where the image allows it, so that only smaller images are enlarged.

    Args:
        sample (FaceSample): The face as it is stored.
        size (int): Height and width of the result, pixels.
        crop_scale (tuple[float, float]): Lowest and highest side of the square as a share of the shorter side, (0, 1].
        rng (Generator | None): Draws side and place; None takes the mean side in the middle.

    Returns:
        FaceSample: with labels that have moved with the image.
    """
    height, width = sample.image.shape[:2]
    low, high = crop_scale
    share = (low + high) / 2 if rng is None else rng.uniform(low, high)
    side = max(1, round(share * min(height, width)), min(size, height, width))
    room = np.array([height - side, width - side])
    y, x = (int(v) for v in (room // 2 if rng is None else rng.integers(0, room + 1)))
    image, parsing, landmarks = _cut(sample.image, y, x, side), sample.parsing, sample.landmarks
    parsing = None if parsing is None else _cut(parsing, y, x, side)
    if side != size:
        how = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
        image = cv2.resize(image, (size, size), interpolation=how)
        parsing = None if parsing is None else cv2.resize(parsing, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    if landmarks is not None:
        landmarks = (landmarks + 0.5 - np.array([x, y], np.float32)) * np.float32(size / side) - 0.5
    return FaceSample(image, parsing, landmarks)


def random_crop(
    samples: Sequence[FaceSample], size: int, rng: np.random.Generator, ratios: Sequence[int] = (1,)
) -> list[FaceSample]:
    """Crops the same square from all images of a pair.

    Args:
        samples (Sequence[FaceSample]): The GT first.
        size (int): Side of the square, pixels of the GT; at most its shorter side, a multiple of the largest ratio.
        rng (Generator): Draws the place.
        ratios (Sequence[int]): How many times smaller than the GT each image is.

    Returns:
        list[FaceSample]: with their position; the samples as they are where the GT has that size already.
    """
    height, width = samples[0].image.shape[:2]
    if (height, width) == (size, size):
        return list(samples)
    step = max(ratios)
    y, x = (int(v) * step for v in rng.integers((0, 0), ((height - size) // step + 1, (width - size) // step + 1)))
    return [crop(s, y // r, x // r, size // r) for s, r in zip(samples, ratios, strict=True)]


def crop(sample: FaceSample, y: int, x: int, side: int) -> FaceSample:
    """The square of ``side`` pixels whose corner at the left top is (y, x), with its position in the face."""
    height, width = sample.image.shape[:2]
    return FaceSample(
        _cut(sample.image, y, x, side),
        None if sample.parsing is None else _cut(sample.parsing, y, x, side),
        None if sample.landmarks is None else sample.landmarks - np.array([x, y], np.float32),
        (x / width, y / height, (x + side) / width, (y + side) / height),
    )


def mirror(sample: FaceSample) -> FaceSample:
    """The face mirrored; left and right labels change places.

    Raises:
        OptionError: if no left / right pairs are known for so many landmarks.
    """
    parsing = None if sample.parsing is None else _FLIPPED[sample.parsing[:, ::-1]]
    landmarks = sample.landmarks
    if landmarks is not None:
        landmarks = landmarks[landmark_flip(len(landmarks))].copy()
        landmarks[:, 0] = sample.image.shape[1] - 1 - landmarks[:, 0]
    position = sample.position
    if position is not None:
        position = (1 - position[2], position[1], 1 - position[0], position[3])
    return FaceSample(sample.image[:, ::-1], parsing, landmarks, position)


def draw_turns(image: np.ndarray, rng: np.random.Generator) -> int:
    """How many quarter turns an image gets: 0 to 3, and 0 or 2 where they would exchange its height and width."""
    turns = int(rng.integers(4))
    return turns if image.shape[0] == image.shape[1] else turns // 2 * 2


def turn(sample: FaceSample, turns: int) -> FaceSample:
    """The face turned counter-clockwise by so many times 90 degrees; left and right stay the person's."""
    for _ in range(turns):
        parsing, landmarks, position = sample.parsing, sample.landmarks, sample.position
        if landmarks is not None:
            landmarks = np.stack([landmarks[:, 1], sample.image.shape[1] - 1 - landmarks[:, 0]], axis=1)
        if position is not None:
            left, top, right, bottom = position
            position = (top, 1 - right, bottom, 1 - left)
        parsing = None if parsing is None else np.rot90(parsing)
        sample = FaceSample(np.rot90(sample.image), parsing, landmarks, position)
    return sample


def tensors(sample: FaceSample, as_bytes: bool = False) -> dict[str, torch.Tensor]:
    """A sample as a model takes it.

    Args:
        sample (FaceSample): The sample.
        as_bytes (bool): Image and mask stay uint8, which a process passes on to another at a quarter, and an eighth,
            of the cost. Default: False.

    Returns:
        dict[str, Tensor]: ``gt`` (3, H, W) float32 RGB [0, 1]; where the sample has them ``parsing`` (H, W) int64 and
        ``landmarks`` (L, 2) float32.
    """
    out = {'gt': to_planes(sample.image) if as_bytes else to_tensor(sample.image)}
    if sample.parsing is not None:
        out['parsing'] = torch.from_numpy(sample.parsing.astype(np.uint8 if as_bytes else np.int64))
    if sample.landmarks is not None:
        out['landmarks'] = torch.from_numpy(np.ascontiguousarray(sample.landmarks, np.float32))
    return out


def _cut(array: np.ndarray, y: int, x: int, side: int) -> np.ndarray:
    return array[y : y + side, x : x + side]
