"""Datasets, samplers and image files."""

from __future__ import annotations

from facesr_ext import register

register()
