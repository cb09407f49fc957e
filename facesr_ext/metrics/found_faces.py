"""What metrics find on faces: the face of the GT, points, identity and mask of an image, each once.

All images are (H, W, 3) uint8 BGR, as metrics get them. A face is looked for on the GT alone; what is measured on a
result starts from there, so that a detector's miss on a blurred result is not the error.
"""

from __future__ import annotations

import numpy as np
import torch

from facesr_ext.faces.detection import CenterFace, Face, overlap
from facesr_ext.faces.identity import DlibIdentity
from facesr_ext.faces.landmarks import DlibLandmarks
from facesr_ext.faces.parsing import FaceParser
from facesr_ext.metrics.kept import kept_by_image
from facesr_ext.metrics.needs import NoValue, built_once

_FAINT, _SAME = 0.1, 0.3  # the score from which a face is believed where the GT has one; how far the two overlap

_detector = built_once(CenterFace)
_faint_detector = built_once(lambda: CenterFace(_FAINT))
_dlib_landmarks = built_once(DlibLandmarks)
_dlib_identity = built_once(DlibIdentity)


@built_once
def _parser() -> FaceParser:
    return FaceParser('bisenet', device='cuda' if torch.cuda.is_available() else 'cpu')


def face_of(gt: np.ndarray) -> Face:
    """The largest face that CenterFace finds on a GT.

    Raises:
        NoValue: if it finds none.
        DependencyError: if CenterFace's file is missing.
    """
    face = _largest(gt)
    if face is None:
        raise NoValue('CenterFace finds no face on a GT')
    return face


@kept_by_image()
def _largest(gt: np.ndarray) -> Face | None:
    return next(iter(_detector()(_rgb(gt))), None)


@kept_by_image()
def landmarks(image: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """(68, 2) float32 pixels of an image by dlib, started where the face of its GT is; errors as `face_of`."""
    return _dlib_landmarks()(_rgb(image), face_of(gt))


@kept_by_image()
def five_points(image: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """(5, 2) float32 pixels: CenterFace's points of the face of an image that lies where the one of its GT does.

    Raises:
        NoValue: if there is none.
    """
    face = face_of(gt)
    if image is gt:
        return face.points
    shares = [(overlap(found.box, face.box), found.points) for found in _faint_detector()(_rgb(image))]
    share, points = max(shares, key=lambda one: one[0], default=(0.0, face.points))
    if share < _SAME:
        raise NoValue('CenterFace finds no face on a result where its GT has one')
    return points


@kept_by_image()
def identity(image: np.ndarray, gt: np.ndarray) -> np.ndarray:
    """(128,) float32: dlib's numbers of an image, of the chip that the GT's landmarks cut; errors as `face_of`."""
    return _dlib_identity()(_rgb(image), landmarks(gt, gt))


@kept_by_image()
def parsing(image: np.ndarray) -> np.ndarray:
    """(H, W) uint8: BiSeNet's classes of celebamask19.

    Raises:
        DependencyError: if its weights are missing; it names the file and its URL.
    """
    return _parser()(_rgb(image))


def _rgb(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[..., ::-1])
