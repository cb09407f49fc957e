"""Who a face is: dlib's 128 numbers (extra ``faces``), to be compared by their distance.

A distance says how alike two faces are, not that they are one person: four different men of one photograph lie 0.49 to
0.53 apart, where dlib's own advice takes below 0.6 for the same one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from facesr_ext.faces.landmarks import DlibLandmarks
from facesr_ext.host.packaged import require_packaged

_ROWS = 2048


class DlibIdentity:
    """dlib's face recognition ResNet, on a chip of 150 px that it cuts by 68 landmarks; errors as `DlibLandmarks`."""

    def __init__(self, weights: Path | None = None) -> None:
        self.dlib = DlibLandmarks(weights).dlib
        self.net = self.dlib.face_recognition_model_v1(
            str(require_packaged('dlib_face_recognition_resnet_model_v1.dat', weights))
        )

    def __call__(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB and (68, 2) landmarks of it -> (128,) float32, of length about 1.4."""
        points = self.dlib.points([self.dlib.point(*point) for point in np.round(landmarks).astype(int).tolist()])
        left, top = np.floor(landmarks.min(0)).astype(int).tolist()
        right, bottom = np.ceil(landmarks.max(0)).astype(int).tolist()
        shape = self.dlib.full_object_detection(self.dlib.rectangle(left, top, right, bottom), points)
        return np.asarray(self.net.compute_face_descriptor(np.ascontiguousarray(image), shape), np.float32)


def close_pairs(identities: np.ndarray, distance: float) -> np.ndarray:
    """Pairs of faces that are nearer than a distance.

    Args:
        identities (ndarray): (N, 128) float32.
        distance (float): Euclidean.

    Returns:
        ndarray: (K, 2) int64, the smaller index first.
    """
    squares, found = (identities**2).sum(1), [np.empty((0, 2), np.int64)]
    for start in range(0, len(identities), _ROWS):
        part = slice(start, start + _ROWS)
        apart = squares[part, None] + squares[None] - 2 * identities[part] @ identities.T
        pairs = np.argwhere(apart < distance**2)
        pairs[:, 0] += start
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found)
