"""``facesr compare``: methods side by side on the same images, with intervals, tests, speed, tables and pictures."""

from __future__ import annotations

from facesr_ext import register

register()
