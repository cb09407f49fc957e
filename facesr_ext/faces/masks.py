"""Where in an aligned face its restored pixels count: soft masks of the square, from whatever is known of the face.

All are (SIDE, SIDE) float32 in [0, 1]: 1 on the face, falling smoothly to 0 around it and to the edges of the square.
"""

from __future__ import annotations

import cv2
import numpy as np

from facesr_ext.faces.labels import CELEBAMASK19

SIDE = 256
_FEATHER, _EDGE = 0.12, 0.08  # of the square's side: over which the mask falls outside the face, and to the edges
_CENTRE, _AXES = (0.5, 0.55), (0.30, 0.40)  # of an upright face of FFHQ's template
_BEYOND = ('background', 'neck_l', 'neck', 'cloth', 'hat')
_LEAST = 0.05  # of the square: less than this of a face, and its labels are not believed


def ellipse_mask() -> np.ndarray:
    """The mask of a face of which only the five points are known."""
    shape = np.zeros((SIDE, SIDE), np.uint8)
    centre, axes = (tuple(round(SIDE * value) for value in pair) for pair in (_CENTRE, _AXES))
    cv2.ellipse(shape, centre, axes, 0, 0, 360, 1, -1)
    return _feathered(shape)


def landmark_mask(landmarks: np.ndarray) -> np.ndarray:
    """The mask of a face with 68 landmarks: their hull, and the forehead as high as half of brows to chin.

    Args:
        landmarks (ndarray): (68, 2), 300-W's order, x and y as shares of the square's sides.
    """
    brows = landmarks[17:27]
    forehead = brows + 0.5 * (brows.mean(0) - landmarks[8])
    hull = cv2.convexHull(np.concatenate([landmarks, forehead]).astype(np.float32) * SIDE)
    shape = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(shape, np.round(hull).astype(np.int32), 1)
    return _feathered(shape)


def parsing_mask(classes: np.ndarray) -> np.ndarray:
    """The mask of a face that is labelled: its skin, features, ears and hair.

    Args:
        classes (ndarray): (h, w) uint8, values of ``CELEBAMASK19``.

    Returns:
        ndarray: The ellipse where there is next to no face in the labels.
    """
    beyond = [CELEBAMASK19.value(cls) for cls in _BEYOND]
    known = (~np.isin(classes, beyond) & (classes < len(CELEBAMASK19.classes))).astype(np.uint8)
    shape = cv2.resize(known, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    return _feathered(shape) if shape.mean() > _LEAST else ellipse_mask()


def _feathered(shape: np.ndarray) -> np.ndarray:
    """1 on the shape, falling around it and towards the edges of the square, where it is 0."""
    away = cv2.distanceTransform(1 - shape, cv2.DIST_L2, 5) / (_FEATHER * SIDE)
    place = np.arange(SIDE, dtype=np.float32)
    near = np.minimum(place, SIDE - 1 - place) / (_EDGE * SIDE)
    edge = np.minimum(near[:, None], near[None])
    return _smooth(1 - away) * _smooth(edge)


def _smooth(value: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, and between them without a kink."""
    value = np.clip(value, 0, 1).astype(np.float32)
    return value * value * (3 - 2 * value)
