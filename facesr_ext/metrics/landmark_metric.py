"""How far a result moves the landmarks of a face."""

from __future__ import annotations

import numpy as np

from facesr_ext.metrics.found_faces import five_points, landmarks
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import extra_faces

POINTS_68 = extra_faces('shape_predictor_68_face_landmarks.dat')
_OUTER_EYES = (36, 45)
_LEAST = 32


@register_metric(higher_is_better=False, least=_LEAST, needs=(POINTS_68,))
def landmark_rmse_px(img: np.ndarray, img2: np.ndarray) -> float:
    """Landmark RMSE (pixels of the images): root of the mean squared distance of dlib's 68 points, result to GT.

    Report S0's figure, whose unit it does not state. Both are found by dlib (Kazemi and Sullivan, CVPR 2014), started
    at the face of the GT by CenterFace. From 0 on.
    """
    return _rmse(landmarks(img, img2), landmarks(img2, img2))


@register_metric(higher_is_better=False, least=_LEAST, needs=(POINTS_68,))
def landmark_nrmse(img: np.ndarray, img2: np.ndarray) -> float:
    """Landmark RMSE in % of the distance of the GT's outer eye corners: `landmark_rmse_px` / |p36 - p45| * 100.

    FSRNet and DIC report this kind of figure, with landmarks of other networks. From 0 on.
    """
    truth = landmarks(img2, img2)
    return _percent(_rmse(landmarks(img, img2), truth), truth, *_OUTER_EYES)


@register_metric(higher_is_better=False, least=_LEAST)
def landmark5_nrmse(img: np.ndarray, img2: np.ndarray) -> float:
    """Landmark RMSE in % of the distance of the GT's eyes, of CenterFace's five points: eyes, nose, mouth corners.

    Coarser than `landmark_nrmse` (Xu et al., 2019), and it needs no extra. From 0 on.
    """
    truth = five_points(img2, img2)
    return _percent(_rmse(five_points(img, img2), truth), truth, 0, 1)


def _rmse(points: np.ndarray, truth: np.ndarray) -> float:
    """Of (N, 2) points."""
    return float(np.sqrt(((points.astype(np.float64) - truth) ** 2).sum(1).mean()))


def _percent(rmse: float, truth: np.ndarray, left: int, right: int) -> float:
    """``rmse`` in % of the distance of two points; at least a pixel, lest a profile divides by 0."""
    return 100 * rmse / max(1.0, float(np.linalg.norm(truth[left].astype(np.float64) - truth[right])))
