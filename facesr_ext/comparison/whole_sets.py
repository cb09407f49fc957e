"""Metrics of whole sets, as KID: their value, and how much it varies from one half of the images to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from facesr_ext.comparison.cache import Entry
from facesr_ext.comparison.results import WholeFigure
from facesr_ext.metrics.metric_info import Metrics

HALVES = 200
_LEAST = 8  # images of each kind, below which halves say nothing


def whole_figures(
    metrics: Metrics, keys: Mapping[str, str], rows: Mapping[str, Sequence[Entry]], real: Sequence[Entry]
) -> dict[str, dict[str, WholeFigure]]:
    """Method -> metric -> figure.

    Args:
        metrics (Metrics): Those of the comparison.
        keys (Mapping): Metric -> its key in entries.
        rows (Mapping): Method -> what is known of its results.
        real (Sequence[Entry]): What is known of the real faces.
    """
    found: dict[str, dict[str, WholeFigure]] = {}
    for name in metrics.set_metrics:
        truth = _features(real, keys[name])
        for method, entries in rows.items():
            features = _features(entries, keys[name])
            if min(len(features), len(truth)) > 1:
                found.setdefault(method, {})[name] = whole_figure(metrics, name, features, truth)
    return found


def _features(entries: Sequence[Entry], key: str) -> np.ndarray:
    known = [entry.features[key] for entry in entries if key in entry.features]
    finite = [features for features in known if np.isfinite(features).all()]
    return np.stack(finite) if finite else np.empty((0, 0), np.float32)


def whole_figure(metrics: Metrics, name: str, features: np.ndarray, truth: np.ndarray) -> WholeFigure:
    """The value on all images, and the central 95 % of it on random halves of both kinds."""
    value = metrics.set_value(name, features, truth)
    if min(len(features), len(truth)) < _LEAST:
        return WholeFigure(value)
    rng = np.random.default_rng(0)  # the same halves for every method, where the sets are as large
    halves = [metrics.set_value(name, _half(features, rng), _half(truth, rng)) for _ in range(HALVES)]
    low, high = np.percentile(halves, (2.5, 97.5))
    return WholeFigure(value, float(low), float(high))


def _half(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return features[rng.choice(len(features), len(features) // 2, replace=False)]
