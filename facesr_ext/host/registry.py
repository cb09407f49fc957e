"""A sixth registry beside BasicSR's five: degradations, the parts that make LQ from GT."""

from __future__ import annotations

from basicsr.utils.registry import (
    ARCH_REGISTRY,
    DATASET_REGISTRY,
    LOSS_REGISTRY,
    METRIC_REGISTRY,
    MODEL_REGISTRY,
    Registry,
)

DEGRADATION_REGISTRY = Registry('degradation')

PART_REGISTRIES = {
    'archs': ARCH_REGISTRY,
    'losses': LOSS_REGISTRY,
    'models': MODEL_REGISTRY,
    'datasets': DATASET_REGISTRY,
    'metrics': METRIC_REGISTRY,
    'degradations': DEGRADATION_REGISTRY,
}
"""Every kind of part and where it is registered, under the names of ``facesr list``."""
