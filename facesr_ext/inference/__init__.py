"""From files of weights to pictures: restoring, tiles."""

from __future__ import annotations

from facesr_ext import register

register()
