"""The first pass over a clip: its faces, and how much each frame differs from the one before, noted line by line.

What is noted lies in a file that a second run goes on with; pictures are never kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facesr_ext.faces.alignment import Frame, frame_of
from facesr_ext.faces.detection import Face
from facesr_ext.faces.paste import stored_square
from facesr_ext.faces.tracking import Sight
from facesr_ext.inference.photo import PhotoRestorer, is_gray
from facesr_ext.inference.video.sources import Source
from facesr_ext.inference.which_faces import find_faces, inner_faces

_LOOK = 256  # px at which landmarks of an aligned face are taken
_SMALL = (64, 36)  # px to which a frame is reduced to be compared with the one before
_FLUSHED = 25  # frames after which what is noted goes to the disk


@dataclass
class Noted:
    """What is known of a frame.

    Attributes:
        time, duration (int): Ticks.
        change (float): Mean difference from the frame before, both reduced, levels of 255; 0 for the first.
        gray (bool): It has no colours.
        sights (list[Sight]): Its faces.
    """

    time: int
    duration: int
    change: float
    gray: bool
    sights: list[Sight]

    def as_line(self) -> str:
        """One line of JSON."""
        faces = [[*_numbers(s.face.box), s.face.score, *_numbers(s.face.points), *_numbers(s.landmarks)] for s in
                 self.sights]  # fmt: skip
        return json.dumps([self.time, self.duration, round(self.change, 3), self.gray, faces]) + '\n'


def noted_of(line: bytes) -> Noted:
    """The other way.

    Raises:
        ValueError: for a line that was cut off, or any other.
    """
    try:
        time, duration, change, gray, faces = json.loads(line)
        return Noted(int(time), int(duration), float(change), bool(gray), [_sight(face) for face in faces])
    except (RecursionError, TypeError, OverflowError) as err:
        raise ValueError('no line of this file') from err


def _numbers(values: np.ndarray | None) -> list[float]:
    return [] if values is None else [round(float(value), 2) for value in values.ravel()]


def _sight(row: list[float]) -> Sight:
    values = np.array(row, np.float32)
    if values.shape not in ((15,), (151,)):  # box, score, five points, and 68 landmarks where there are any
        raise ValueError('no face of this file')
    face = Face(values[:4], row[4], values[5:15].reshape(5, 2))
    return Sight(face, values[15:].reshape(68, 2) if len(values) > 15 else None)


def lines_of(file: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a file and where each begins."""
    place = 0
    with file.open('rb') as stream:
        for line in stream:
            if line.endswith(b'\n'):
                yield place, line
            place += len(line)


def look(source: Source, restorer: PhotoRestorer, file: Path, seen: Callable[[], Any]) -> None:
    """Looks at every frame that is not noted yet.

    Args:
        source (Source): The clip.
        restorer (PhotoRestorer): Its detector and landmarks are used.
        file (Path): Where it is noted; a last line that was cut off is taken away.
        seen (Callable): Called after each frame, also those that were noted before.
    """
    known = whole = 0
    if file.is_file():
        for place, line in lines_of(file):
            known, whole = known + 1, place + len(line)
            seen()
        os.truncate(file, whole)
    last: np.ndarray | None = None
    with file.open('a', encoding='utf-8') as stream:
        for given in source.frames(max(0, known - 1)):  # the frame before tells how much the next one differs
            image = given.image if given.image.dtype == np.uint8 else (given.image // 257).astype(np.uint8)
            small = cv2.resize(image, _SMALL, interpolation=cv2.INTER_AREA).astype(np.float32)
            change = 0.0 if last is None else float(np.abs(small - last).mean())
            last = small
            if given.number < known:
                continue
            noted = Noted(given.time, given.duration, change, is_gray(image), _sights(image, restorer))
            stream.write(noted.as_line())
            if given.number % _FLUSHED == _FLUSHED - 1:
                stream.flush()
            seen()


def _sights(image: np.ndarray, restorer: PhotoRestorer) -> list[Sight]:
    faces = find_faces(image, restorer.detector, restorer.angles)
    inside = inner_faces(faces)
    return [Sight(face, _landmarks(image, face, restorer)) for i, face in enumerate(faces) if i not in inside]


def _landmarks(image: np.ndarray, face: Face, restorer: PhotoRestorer) -> np.ndarray | None:
    """(68, 2) pixels of the frame, looked for in the aligned face; None without dlib."""
    if restorer.landmarks is None:
        return None
    frame = frame_of('ffhq', face)
    five = frame.points(face.points, _LOOK).astype(np.float32)
    points = restorer.landmarks(stored_square(image, frame, _LOOK), face._replace(points=five))
    return _in_the_frame(points, frame)


def _in_the_frame(points: np.ndarray, frame: Frame) -> np.ndarray:
    """Points of the square at _LOOK px -> pixels of the image that it was cut out of."""
    matrix = frame.to_pixels(_LOOK)
    return ((points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T).astype(np.float32)
