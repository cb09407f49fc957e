"""The files of a run: folders, checkpoints, what is kept, and the recipes that made them."""

from __future__ import annotations

from facesr_ext import register

register()
