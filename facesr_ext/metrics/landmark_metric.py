"""How far a result moves the landmarks of a face."""

from __future__ import annotations

import numpy as np

from facesr_ext.metrics.found_faces import five_points, landmarks
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import extra_faces

POINTS_68 = extra_faces('shape_predictor_68_face_landmarks.dat')
_OUTER_EYES = (36, 45)
_LEAST = 32


@register_metric(higher_is_better=False, least=_LEAST, unit='px', needs=(POINTS_68,))
def landmark_rmse_px(img: np.ndarray, img2: np.ndarray) -> float:
    """Landmark RMSE (pixels of the images): root of the mean squared distance of dlib's 68 points, result to GT.

    Report S0's figure, whose unit it does not state. Both are found by dlib (Kazemi and Sullivan, CVPR 2014), started
    at the face of the GT by CenterFace. From 0 on.
    """
    return _rmse(landmarks(img, img2), landmarks(img2, img2))


@register_metric(higher_is_better=False, least=_LEAST, unit='%', needs=(POINTS_68,))
def landmark_nrmse(img: np.ndarray, img2: np.ndarray) -> float:
    """Landmark NRMSE: mean distance of dlib's 68 points, result to GT, in % of the GT's outer eye corners' distance.

    FSRNet's definition (Chen et al., CVPR 2018), whose landmarks are another network's. In spite of its name it is a
    mean of distances; the root of their mean square, as in `landmark_rmse_px` and DIC's figures, is larger. From 0 on.
    """
    truth = landmarks(img2, img2)
    return _percent(landmarks(img, img2), truth, *_OUTER_EYES)


@register_metric(higher_is_better=False, least=_LEAST, unit='%')
def landmark5_nrmse(img: np.ndarray, img2: np.ndarray) -> float:
    """Landmark NRMSE of CenterFace's five points: their mean distance, result to GT, in % of that of the GT's eyes.

    Coarser than `landmark_nrmse` (Xu et al., 2019), and it needs no extra. From 0 on.
    """
    truth = five_points(img2, img2)
    return _percent(five_points(img, img2), truth, 0, 1)


def _rmse(points: np.ndarray, truth: np.ndarray) -> float:
    """Root of the mean squared distance of (N, 2) points."""
    return float(np.sqrt((_distances(points, truth) ** 2).mean()))


def _percent(points: np.ndarray, truth: np.ndarray, left: int, right: int) -> float:
    """Mean distance in % of that of two points, which counts as a pixel at least, lest a profile divides by 0."""
    across = float(np.linalg.norm(truth[left].astype(np.float64) - truth[right]))
    return float(100 * _distances(points, truth).mean() / max(1.0, across))


def _distances(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points.astype(np.float64) - truth, axis=1)
