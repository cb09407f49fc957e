"""Registering metrics of whole sets: features are gathered image by image, and one value is computed of all of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from basicsr.utils.registry import METRIC_REGISTRY

from facesr_ext.errors import CheckpointError, DependencyError
from facesr_ext.metrics.metric_info import size_problem, warn_once
from facesr_ext.metrics.needs import Need

Features = Callable[..., np.ndarray]
LEAST_IMAGES = 2
"""Results, and GTs, below which a set has no value."""


def register_set_metric(
    value: Callable[[np.ndarray, np.ndarray], float],
    width: int,
    higher_is_better: bool,
    least: int = 1,
    needs: tuple[Need, ...] = (),
    refuse: Callable[..., None] | None = None,
) -> Callable[[Features], Features]:
    """Registers a metric of whole sets under the name of the function that gives one image's features.

    Models of this package and comparisons gather the features. Called on a single pair, as BasicSR's own models do, it
    is NaN, and the log says why, once.

    Args:
        value (Callable): Features of results (N, D) and of GTs (M, D), float32, at least two each -> the metric.
        width (int): D.
        higher_is_better, least, needs, refuse: As in :func:`~metric_info.register_metric`.

    Returns:
        Callable: For a function of an image, (H, W, 3) uint8 BGR, and arguments of the section -> (D,).
    """

    def register(function: Features) -> Features:
        name = function.__name__

        @functools.wraps(function)
        def called(img: np.ndarray, img2: np.ndarray | None = None, **section: Any) -> float:
            warn_once(f'{name} is a figure of a whole set, not of one image; models of facesr_ext give it')
            return math.nan

        def features(img: np.ndarray, **section: Any) -> np.ndarray:
            """(D,) float32; NaN, and a warning, where weights are missing or the image is too small."""
            try:
                problem = size_problem(name, img.shape[:2])
                if not problem:
                    return np.asarray(function(img, **section), np.float32)
            except (DependencyError, CheckpointError) as err:
                problem = f'{name}: {err}'
            warn_once(problem)
            return np.full(width, np.nan, np.float32)

        def set_value(result: np.ndarray, gt: np.ndarray) -> float:
            """Of the images that have features; NaN, and a warning, where they are too few."""
            known = [array[np.isfinite(array).all(1)] if array.size else array for array in (result, gt)]
            if min(map(len, known)) < LEAST_IMAGES:
                warn_once(f'{name} needs {LEAST_IMAGES} results and as many GTs')
                return math.nan
            return value(*known)

        called.higher_is_better, called.least = higher_is_better, least  # type: ignore[attr-defined]
        called.needs, called.refuse = needs, refuse  # type: ignore[attr-defined]
        called.features, called.set_value = features, set_value  # type: ignore[attr-defined]
        METRIC_REGISTRY.register()(called)
        return called  # type: ignore[return-value]

    return register
