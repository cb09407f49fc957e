"""Found faces drawn into a photograph: which are switched on, which off, and which cannot be restored."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np

from facesr_ext.inference.face_record import FaceRecord

_ON, _OFF, _LEFT = (0, 200, 150), (235, 235, 235), (240, 150, 40)
_DARK = (20, 20, 20)
_Corners = tuple[tuple[int, int], tuple[int, int]]


def outlined(view: np.ndarray, scale: float, faces: Sequence[FaceRecord], on: Collection[int]) -> np.ndarray:
    """A photograph with its faces outlined.

    A face that is on has a thick frame and a filled number; one that is off, a thin frame that is crossed out; one that
    cannot be restored, the corners of a frame. They differ in shape, not in colour alone.

    Args:
        view (ndarray): (H, W, 3) uint8 RGB, the photograph as it is shown.
        scale (float): Its pixels for one of the photograph.
        faces (Sequence[FaceRecord]): In pixels of the photograph.
        on (Collection[int]): The numbers of those that are switched on.

    Returns:
        ndarray: Like ``view``.
    """
    drawn = np.ascontiguousarray(view).copy()
    width = max(1, round(max(view.shape[:2]) / 600))
    for face in reversed(faces):  # the largest on top
        left, top, right, bottom = (round(scale * value) for value in face.box)
        corners = ((left, top), (right, bottom))
        if face.reason is not None:
            _corner_marks(drawn, corners, width)
            continue
        colour, thick = (_ON, 2 * width) if face.number in on else (_OFF, width)
        cv2.rectangle(drawn, *corners, _DARK, thick + width, cv2.LINE_AA)
        cv2.rectangle(drawn, *corners, colour, thick, cv2.LINE_AA)
        if face.number not in on:
            cv2.line(drawn, (left, bottom), (right, top), _DARK, 2 * width, cv2.LINE_AA)
            cv2.line(drawn, (left, bottom), (right, top), colour, width, cv2.LINE_AA)
        _number(drawn, face.number, corners, colour, width)
    return drawn


def _number(drawn: np.ndarray, number: int, corners: _Corners, colour: tuple[int, ...], width: int) -> None:
    """The number of a face in a filled field above its frame, or within it where there is no room."""
    (left, top), (right, _) = corners
    text, size = str(number), min(0.4 * width, max(0.35, (right - left) / 80))
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, width)
    pad = 2 * width
    left = min(max(left - width, 0), drawn.shape[1] - wide - 2 * pad)
    top = max(top - high - 2 * pad, 0)
    cv2.rectangle(drawn, (left, top), (left + wide + 2 * pad, top + high + 2 * pad), colour, -1)
    cv2.putText(drawn, text, (left + pad, top + high + pad), cv2.FONT_HERSHEY_SIMPLEX, size, _DARK, width, cv2.LINE_AA)


def _corner_marks(drawn: np.ndarray, corners: _Corners, width: int) -> None:
    (left, top), (right, bottom) = corners
    long = max(3, (right - left) // 4)
    for x, toward_x in ((left, long), (right, -long)):
        for y, toward_y in ((top, long), (bottom, -long)):
            cv2.line(drawn, (x, y), (x + toward_x, y), _LEFT, width, cv2.LINE_AA)
            cv2.line(drawn, (x, y), (x, y + toward_y), _LEFT, width, cv2.LINE_AA)


def face_at(faces: Sequence[FaceRecord], x: float, y: float) -> int | None:
    """The number of the face at a place of the photograph, pixels: the smallest, of several; None where there is none.

    Those that cannot be restored are none.
    """
    there = [
        face
        for face in faces
        if face.reason is None and face.box[0] <= x <= face.box[2] and face.box[1] <= y <= face.box[3]
    ]
    if not there:
        return None
    return min(there, key=lambda face: (face.box[2] - face.box[0]) * (face.box[3] - face.box[1])).number
