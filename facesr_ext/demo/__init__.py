"""A page in the browser that restores photographs: what `facesr restore` does, for whoever would rather click."""

from __future__ import annotations

from facesr_ext import register

register()
