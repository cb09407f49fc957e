"""Which faces of a photograph are there, and which of them are to be restored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from facesr_ext.errors import OptionError
from facesr_ext.faces.detection import Detector, Face, without_doubles

Choice = Literal['all', 'largest', 'center']
INSIDE = 'lies inside another face'
_INSIDE = 0.8  # of a box's area within a larger one: an eye or a mouth that was taken for a face


def find_faces(image: np.ndarray, detector: Detector, angles: Sequence[int] = (0,)) -> list[Face]:
    """The faces of a photograph that is looked at upright, turned or both.

    Args:
        image (ndarray): (H, W, 3) uint8 RGB.
        detector (Detector): What finds upright faces.
        angles (Sequence[int]): By how many degrees it is turned against the clock for each look: 0, 90, 180, 270.

    Returns:
        list[Face]: The largest first, in the photograph's pixels. Eyes and mouth's corners are ordered as they are in
            the upright face; of a face that several looks see, the one of the best score.
    """
    found = [face for angle in angles for face in _seen_turned(image, detector, angle)]
    faces = without_doubles(found) if len(angles) > 1 else found
    return sorted(faces, key=lambda face: -face.size)


def _seen_turned(image: np.ndarray, detector: Detector, angle: int) -> list[Face]:
    turns = angle // 90 % 4
    if not turns:
        return list(detector(image))
    height, width = image.shape[:2]
    faces = detector(np.ascontiguousarray(np.rot90(image, turns)))
    return [_turned_back(face, turns, height, width) for face in faces]


def _turned_back(face: Face, turns: int, height: int, width: int) -> Face:
    """A face of a photograph that `np.rot90` has turned, in the pixels of the photograph."""
    points = np.concatenate([face.points, face.box.reshape(2, 2)])
    x, y = points[:, 0], points[:, 1]
    back = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}[turns]
    points = np.stack(back, 1).astype(np.float32)
    box = np.concatenate([points[5:].min(0), points[5:].max(0)])
    return Face(box, face.score, points[:5])


def inner_faces(faces: Sequence[Face]) -> set[int]:
    """The indices of those that lie in the box of a larger one (the largest come first)."""
    return {
        index
        for index, face in enumerate(faces)
        if any(_share_within(face.box, larger.box) > _INSIDE for larger in faces[:index])
    }


def _share_within(box: np.ndarray, other: np.ndarray) -> float:
    """The share of a box's area that lies in another one."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    return float(np.prod(np.maximum(sides, 0)) / max(float(np.prod(box[2:] - box[:2])), 1e-9))


def read_choice(faces: str | Sequence[int]) -> str | tuple[int, ...]:
    """What `PhotoRestorer` and ``--faces`` are told: 'all', 'largest', 'center', numbers, or '1,3'.

    Raises:
        OptionError: for anything else.
    """
    if isinstance(faces, str) and faces in get_args(Choice):
        return faces
    words = faces.split(',') if isinstance(faces, str) else list(faces)
    try:
        numbers = tuple(int(word) for word in words)
    except (TypeError, ValueError) as err:
        raise OptionError(f'{faces!r} is none of all, largest, center and numbers as 1,3', ('faces',)) from err
    if not numbers or min(numbers) < 1:
        raise OptionError('faces are numbered from 1 on, the largest first', ('faces',))
    return numbers


def chosen(choice: str | tuple[int, ...], faces: Sequence[Face], shape: Sequence[int]) -> set[int]:
    """The indices of the faces that are asked for, of those of a photograph of ``shape`` (H, W), the largest first."""
    if not faces or choice == 'all':
        return set(range(len(faces)))
    if choice == 'largest':
        return {0}
    if choice == 'center':
        middle = np.array([shape[1], shape[0]]) / 2
        away = [float(np.linalg.norm((face.box[:2] + face.box[2:]) / 2 - middle)) for face in faces]
        return {int(np.argmin(away))}
    return {number - 1 for number in choice if isinstance(number, int) and number <= len(faces)}
