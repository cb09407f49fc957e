"""What is shown of trainings and results: reports with tables, curves and images."""

from __future__ import annotations

from facesr_ext import register

register()
