"""How far the parts of a face keep their places."""

from __future__ import annotations

import numpy as np

from facesr_ext.faces.labels import CELEBAMASK19
from facesr_ext.faces.parsing import parsing_weights
from facesr_ext.metrics.found_faces import parsing
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import extra_facexlib, weights


@register_metric(higher_is_better=True, needs=(extra_facexlib(), weights(*parsing_weights('bisenet'))))
def parsing_miou(img: np.ndarray, img2: np.ndarray) -> float:
    """Mean IoU, in [0, 1], of the masks that BiSeNet sees on result and GT.

    Of each class that one of the two masks has: the area that they share over the area that they cover; then the mean.
    19 classes of CelebAMask-HQ by facexlib's BiSeNet, for aligned faces. 1 for the same masks.
    """
    return mean_iou(parsing(img), parsing(img2), len(CELEBAMASK19.classes))


def mean_iou(mask: np.ndarray, truth: np.ndarray, num: int) -> float:
    """Mean over the classes below ``num`` that are in one of two masks (H, W)."""
    shares = []
    for value in range(num):
        one, other = mask == value, truth == value
        covered = np.count_nonzero(one | other)
        if covered:
            shares.append(np.count_nonzero(one & other) / covered)
    return float(np.mean(shares))
