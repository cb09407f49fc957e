"""What a face is: label sets and their mappings, landmarks and heatmaps."""

from __future__ import annotations

from facesr_ext import register

register()
