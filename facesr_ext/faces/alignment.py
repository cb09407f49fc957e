"""The square of a photograph that becomes a face of a data set, and cutting it out without aliasing.

A :class:`Frame` maps the photograph's pixels to a unit square. Each size is resampled from the photograph's own
pixels, never from another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np

from facesr_ext.faces.detection import Face
from facesr_ext.host.parts import known_name
from facesr_ext.imaging import imresize, to_images, to_tensor

CropName = Literal['ffhq', 'celeba', 'fsrnet', 'box']
Kernel = Literal['cubic', 'area']

FFHQ = np.array([[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]]) / 512
"""Where the five points lie in an aligned face of FFHQ, as facexlib and GFPGAN have them; shares of its sides."""
CELEBA = (np.array([[69.5, 111.3], [107.9, 111.3], [88.0, 135.8], [72.7, 152.0], [105.0, 152.0]]) - (0, 20)) / 178
"""In the central 178 x 178 px of an aligned face of CelebA (178 x 218): about the means of its landmarks."""
_TEMPLATES = {'ffhq': FFHQ, 'celeba': CELEBA}
_ENOUGH = 4  # times the largest size that is asked for: more of a photograph's pixels are averaged first


class Frame(NamedTuple):
    """A square of a photograph, upright or turned.

    Attributes:
        matrix (ndarray): (2, 3) float64: pixels of the photograph (x, y, 1) -> shares of the square's sides.
        side (float): The length of its sides, pixels of the photograph.
    """

    matrix: np.ndarray
    side: float

    def points(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points (N, 2) of the photograph in pixels of the square cut out at ``size`` px; NaN stays NaN."""
        return (points @ self.matrix[:, :2].T + self.matrix[:, 2]) * size - 0.5

    def outside(self, height: int, width: int) -> float:
        """The share of the square that lies outside a photograph of this size, in [0, 1]."""
        corners = self._back(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)).astype(np.float32)
        frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
        return 1 - min(1.0, cv2.intersectConvexConvex(corners, frame)[0] / self.side**2)

    def to_pixels(self, size: int) -> np.ndarray:
        """(2, 3): as OpenCV warps, pixels of the photograph -> those of the square at ``size`` px."""
        return _in_pixels(self.matrix, size)

    def enlarged(self, scale: np.ndarray) -> Frame:
        """The same square of a copy of the photograph whose width and height are ``scale`` (x, y) times as large."""
        return Frame(_scaled(self.matrix, 1 / scale), self.side * float(np.sqrt(scale.prod())))

    def extent(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of a photograph of this size that the square touches; empty where it lies beside it."""
        corners = self._back(np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64))
        left, top = np.clip(np.floor(corners.min(0)), 0, (width, height)).astype(int).tolist()
        right, bottom = np.clip(np.ceil(corners.max(0)) + 1, 0, (width, height)).astype(int).tolist()
        return slice(top, max(top, bottom)), slice(left, max(left, right))

    def _back(self, shares: np.ndarray) -> np.ndarray:
        """Shares of the sides (N, 2) -> pixels of the photograph."""
        return (shares - self.matrix[:, 2]) @ np.linalg.inv(self.matrix[:, :2]).T


def frame_of(crop: str, face: Face, landmarks: np.ndarray | None = None, margin: float = 0.3) -> Frame:
    """The square around a face.

    Args:
        crop (str): 'ffhq' or 'celeba' (turned, so that the five points lie where those of the set do), 'fsrnet'
            (upright, from the middle of the face as far as it is wide or high to each side, as FSRNet's
            reimplementations crop CelebA) or 'box' (upright, the detector's box and a margin).
        face (Face): As a detector gives it.
        landmarks (ndarray | None): (68, 2) pixels: more exact, for all but 'box'.
        margin (float): For 'box': share of the box's longer side, added on each side.

    Raises:
        OptionError: for another crop.
    """
    known_name(('--crop',), crop, get_args(CropName))
    if crop in _TEMPLATES:
        points = face.points if landmarks is None else five_of_68(landmarks)
        return _similarity(points.astype(np.float64), _TEMPLATES[crop])
    if crop == 'fsrnet':
        box = face.box if landmarks is None else np.concatenate([landmarks.min(0), landmarks.max(0)])
        return _upright((box[:2] + box[2:]) / 2, 2 * float((box[2:] - box[:2]).max()))
    return _upright((face.box[:2] + face.box[2:]) / 2, (1 + 2 * margin) * face.size)


def whole(height: int, width: int) -> Frame:
    """The central square of a photograph that shows one face already."""
    side = min(height, width)
    return _upright(np.array([width - 1, height - 1]) / 2, side)


def five_of_68(landmarks: np.ndarray) -> np.ndarray:
    """The five points of 68 in 300-W's order: eyes' centres, nose's tip, mouth's corners; (5, 2)."""
    eyes = [landmarks[36:42].mean(0), landmarks[42:48].mean(0)]
    return np.stack([*eyes, landmarks[30], landmarks[48], landmarks[54]])


def cut(image: np.ndarray, frame: Frame, sizes: Sequence[int], kernel: Kernel = 'cubic') -> dict[int, np.ndarray]:
    """Cuts a square out, once for each size.

    Args:
        image (ndarray): (H, W, 3), uint8, RGB. Beyond its edges it is mirrored.
        frame (Frame): Which square of it.
        sizes (Sequence[int]): Heights and widths, pixels.
        kernel (str): 'cubic' (MATLAB's imresize) or 'area'. Default: 'cubic'.

    Returns:
        dict: (size, size, 3), uint8, RGB, for each size.
    """
    side = max(1, min(round(frame.side), _ENOUGH * max(sizes)))
    source = image
    if side < round(frame.side):  # far more pixels than are asked for
        factor = side / frame.side
        source = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    scale = np.array(image.shape[1::-1]) / source.shape[1::-1]
    native = _cut_out(source, _scaled(frame.matrix, scale), side)
    return {size: _resized(native, size, kernel) for size in sizes}


def cut_mask(mask: np.ndarray, frame: Frame, size: int, shape: tuple[int, int]) -> np.ndarray:
    """The same of a mask (h, w) uint8 of a photograph of ``shape`` (H, W), perhaps larger; 255 beyond its edges."""
    matrix = _scaled(frame.matrix, np.array(shape[::-1]) / mask.shape[::-1])
    to_pixels = _in_pixels(matrix, size)
    flags = cv2.INTER_NEAREST
    return cv2.warpAffine(mask, to_pixels, (size, size), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=255)


def _similarity(points: np.ndarray, template: np.ndarray) -> Frame:
    """Turned, scaled and moved so that the points lie best on the template's, by least squares (Umeyama, 1991)."""
    source, target = (array @ [1, 1j] for array in (points, template))
    centre, goal = source.mean(), target.mean()
    turn = np.vdot(source - centre, target - goal) / max(np.vdot(source - centre, source - centre).real, 1e-12)
    move = goal - turn * centre
    matrix = np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])
    return Frame(matrix, 1 / max(abs(turn), 1e-12))


def _upright(centre: np.ndarray, side: float) -> Frame:
    """A square of whole pixels around a point."""
    side = max(1, round(side))
    left, top = (round(float(value) - (side - 1) / 2) for value in centre)
    return Frame(np.array([[1 / side, 0, (0.5 - left) / side], [0, 1 / side, (0.5 - top) / side]]), side)


def _scaled(matrix: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """The matrix for a copy of the photograph that is ``scale`` (x, y) times smaller; pixels' centres stay centres."""
    linear = matrix[:, :2] * scale
    return np.column_stack([linear, matrix[:, :2] @ (0.5 * scale - 0.5) + matrix[:, 2]])


def _in_pixels(matrix: np.ndarray, size: int) -> np.ndarray:
    """As OpenCV warps: photograph -> pixels of the square, of which the first one's centre is 0."""
    return np.column_stack([matrix[:, :2] * size, matrix[:, 2] * size - 0.5])


def _cut_out(image: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    """The square at the photograph's own resolution; an upright one of whole pixels is not interpolated."""
    to_pixels = _in_pixels(matrix, side)
    left, top = (round(-float(value)) for value in to_pixels[:, 2])
    exact = np.allclose(to_pixels, [[1, 0, -left], [0, 1, -top]], atol=1e-6)
    if exact and min(left, top) >= 0 and left + side <= image.shape[1] and top + side <= image.shape[0]:
        return image[top : top + side, left : left + side]
    return cv2.warpAffine(image, to_pixels, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def _resized(image: np.ndarray, size: int, kernel: Kernel) -> np.ndarray:
    if image.shape[0] == size:
        return image.copy()
    if kernel == 'area' and image.shape[0] > size:
        return cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return to_images(imresize(to_tensor(image)[None], (size, size)))[0]
