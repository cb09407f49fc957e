"""A sixth registry beside BasicSR's five: degradations, the parts that make LQ from GT."""

from __future__ import annotations

from basicsr.utils.registry import Registry

DEGRADATION_REGISTRY = Registry('degradation')
