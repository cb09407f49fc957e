"""From photographs to a data set: find, align, select, split, label, write, with a manifest of every file."""

from __future__ import annotations

from facesr_ext import register

register()
