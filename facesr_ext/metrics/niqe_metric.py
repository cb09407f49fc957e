"""NIQE of a result, without a GT: BasicSR's, where it says something."""

from __future__ import annotations

import math
import warnings

import numpy as np
from basicsr.metrics.niqe import calculate_niqe

from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import NoValue


@register_metric(higher_is_better=False, least=192)
def niqe(img: np.ndarray, crop_border: int = 0) -> float:
    """NIQE (Mittal et al., 2013) of the result's MATLAB luma, by BasicSR, without a GT; from 192 px on.

    It compares patches of 96 px with those of good photographs, and fewer than four of them say nothing. It takes grain
    for detail, so it belongs beside a metric that knows the GT. From 0 on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # flat patches have no statistics, and are left out
        value = float(calculate_niqe(img, crop_border=crop_border, input_order='HWC', convert_to='y'))
    if not math.isfinite(value):
        raise NoValue('an image is too flat')
    return value
