"""The option check: settings, parts, data and what must suit each other, before anything is built."""

from __future__ import annotations

from facesr_ext import register

register()
