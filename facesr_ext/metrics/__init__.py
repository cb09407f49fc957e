"""Metrics (``*_metric.py``) whose names carry their convention, registered in BasicSR's ``METRIC_REGISTRY``."""

from facesr_ext import register

register()
