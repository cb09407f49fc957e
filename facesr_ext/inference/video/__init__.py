"""Clips: every frame looked at, faces followed from frame to frame, restored, and put back steadily."""

from __future__ import annotations

from facesr_ext import register

register()
