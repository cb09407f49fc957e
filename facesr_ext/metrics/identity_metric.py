"""How far a result is from the person of its GT."""

from __future__ import annotations

import numpy as np

from facesr_ext.metrics.found_faces import identity
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import extra_faces


@register_metric(
    higher_is_better=False,
    least=32,
    needs=(extra_faces('shape_predictor_68_face_landmarks.dat', 'dlib_face_recognition_resnet_model_v1.dat'),),
)
def identity_distance(img: np.ndarray, img2: np.ndarray) -> float:
    """Distance (Euclidean) of dlib's 128 numbers of the face, result to GT; 0 for the same, about 1 for strangers.

    Both are taken from the chip of 150 px that the GT's 68 landmarks cut. dlib's face recognition ResNet (King, 2017);
    a distance, and no threshold: different men lie 0.49 to 0.53 apart, where its author takes below 0.6 for one.
    """
    return float(np.linalg.norm(identity(img, img2).astype(np.float64) - identity(img2, img2)))
