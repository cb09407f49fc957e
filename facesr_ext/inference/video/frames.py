"""The second pass over a clip: faces of several frames through the network together, steadied, and put back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from facesr_ext.faces.paste import Patch, paste, stored_square
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.video.plan import Placed, Plan
from facesr_ext.inference.video.sources import Given
from facesr_ext.metrics.flicker import LUMA, Flicker, temporal_difference

REACH = 2
"""Frames before and after one that steady its faces."""
_WEIGHTS = (6.0, 4.0, 1.0)  # of a frame and of those 1 and 2 away, as far as they show the same
_ALIKE = 6.0  # levels of 255 by which two restored faces differ where the neighbour's weight has fallen to 1 / e
_MEASURED = 128  # px at which flicker is measured
_TOGETHER, _FACES, _PIXELS = 16, 32, 30_000_000  # frames, faces and pixels that go on together, at most


@dataclass
class _Restored:
    """A frame whose faces have been through the network: of each its place and its restored square."""

    given: Given
    placed: list[Placed]
    squares: dict[int, np.ndarray]


@dataclass
class FlickerMeter:
    """How much followed faces differ from themselves one frame before.

    Attributes:
        flicker (dict[int, Flicker]): Of each `Person`, over frames that were given one after the other.
    """

    flicker: dict[int, Flicker] = field(default_factory=dict)
    _last: dict[int, tuple[int, np.ndarray, np.ndarray]] = field(default_factory=dict)

    def add(self, number: int, placed: Sequence[Placed], before: np.ndarray, after: np.ndarray) -> None:
        """Takes a frame.

        Args:
            number (int): Of the frame.
            placed (Sequence[Placed]): Its faces.
            before, after (ndarray): (H, W, 3) RGB as it was given, and restored; that may be larger.
        """
        scale = np.array(after.shape[1::-1]) / before.shape[1::-1]
        for one in placed:
            old = stored_square(before, one.frame, _MEASURED)
            new = stored_square(after, one.frame.enlarged(scale), _MEASURED)
            last = self._last.get(one.number)
            self._last[one.number] = (number, old, new)
            if last is None or last[0] != number - 1:
                continue
            mask = cv2.resize(one.mask, (_MEASURED, _MEASURED), interpolation=cv2.INTER_AREA)
            differences = (temporal_difference(last[1], old, mask), temporal_difference(last[2], new, mask))
            self.flicker.setdefault(one.number, Flicker()).add(*differences)


@dataclass
class FrameRestorer:
    """Restores frames of a clip; what becomes of one depends on it and its neighbours alone.

    Args:
        restorer (PhotoRestorer): What restores.
        plan (Plan): Where the faces are.

    Attributes:
        meter (FlickerMeter): Has all frames that were restored.
    """

    restorer: PhotoRestorer
    plan: Plan
    meter: FlickerMeter = field(default_factory=FlickerMeter)

    def frames(self, given: Iterable[Given], first: int, stop: int) -> Iterator[tuple[Given, np.ndarray]]:
        """Restores some frames.

        Args:
            given (Iterable[Given]): From `REACH` before ``first`` on, as far as there are so many, in order.
            first, stop (int): The frames that are wanted.

        Yields:
            tuple[Given, ndarray]: Each, and its restored picture, of its kind.
        """
        window: deque[_Restored] = deque(maxlen=2 * REACH + 1)
        wanted = first
        for item in self._through(given):
            window.append(item)
            while wanted < stop and item.given.number >= wanted + REACH:
                yield self._finished(window, wanted)
                wanted += 1
            if wanted >= stop:
                return
        while wanted < stop and window and window[-1].given.number >= wanted:
            yield self._finished(window, wanted)
            wanted += 1

    def _through(self, given: Iterable[Given]) -> Iterator[_Restored]:
        """Frames with their faces restored, several at once."""
        batch: list[_Restored] = []
        faces = pixels = 0
        for frame in given:
            batch.append(_Restored(frame, self.plan.placed(frame.number), {}))
            faces, pixels = faces + len(batch[-1].placed), pixels + frame.image.size // 3
            if len(batch) >= _TOGETHER or faces >= _FACES or pixels > _PIXELS:
                yield from self._restored(batch)
                batch, faces, pixels = [], 0, 0
        yield from self._restored(batch)

    def _restored(self, batch: Sequence[_Restored]) -> Sequence[_Restored]:
        places = [(item, placed) for item in batch for placed in item.placed]
        squares = [stored_square(item.given.image, placed.frame, placed.size) for item, placed in places]
        for (item, placed), square in zip(places, self.restorer.restore_squares(squares), strict=True):
            item.squares[placed.number] = square
        return batch

    def _finished(self, window: Sequence[_Restored], number: int) -> tuple[Given, np.ndarray]:
        """A frame with its faces put back."""
        item = next(item for item in window if item.given.number == number)
        photo = item.given.image
        ground = self.restorer.ground(photo)
        scale = np.array(ground.shape[1::-1]) / photo.shape[1::-1]
        patches = []
        for placed in item.placed:
            near = [
                (abs(other.given.number - number), other.squares[placed.number])
                for other in window
                if 0 < abs(other.given.number - number) <= REACH and placed.number in other.squares
            ]
            image, frame = steadied(item.squares[placed.number], near), placed.frame.enlarged(scale)
            if placed.share < 1:
                given = stored_square(ground, frame, image.shape[0]).astype(np.float32)
                image = np.rint(given + placed.share * (image - given)).astype(np.uint8)
            patches.append(Patch(frame, image, placed.mask))
        gray = self.plan.gray(number) if self.restorer.keep_gray is None else self.restorer.keep_gray
        made = paste(ground, patches, self.restorer.strength, gray, seed=number)
        self.meter.add(number, item.placed, photo, made)
        return item.given, made


def steadied(image: np.ndarray, others: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    """A restored face, averaged with those of neighbouring frames wherever they show the same.

    Args:
        image (ndarray): (S, S, 3) uint8 RGB.
        others (Sequence[tuple[int, ndarray]]): The same face, aligned alike, and by how many frames each is away.

    Returns:
        ndarray: (S, S, 3) uint8; ``image`` itself without others.
    """
    if not others:
        return image
    mine = image.astype(np.float32)
    total, weights = _WEIGHTS[0] * mine, np.full(image.shape[:2], _WEIGHTS[0], np.float32)
    reach = max(3, image.shape[0] // 64 | 1)
    for away, other in others:
        theirs = other.astype(np.float32)
        apart = cv2.blur(np.abs((theirs - mine) @ LUMA), (reach, reach)) / _ALIKE
        weight = _WEIGHTS[away] * np.exp(-(apart**2))
        total += weight[..., None] * theirs
        weights += weight
    return np.rint(total / weights[..., None]).astype(np.uint8)


def total(flicker: Iterable[Flicker]) -> Flicker:
    """Of several faces together."""
    whole = Flicker()
    for one in flicker:
        whole.join(one)
    return whole


def rounded(flicker: Flicker) -> dict[str, float | int | None]:
    """As it is told: levels of 255 before and after, and how many pairs of frames they are the mean of."""
    means = flicker.means()
    before, after = means if means else (math.nan, math.nan)
    return {
        'before': None if means is None else round(before, 3),
        'after': None if means is None else round(after, 3),
        'pairs': flicker.pairs,
    }
