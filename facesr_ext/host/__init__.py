"""The only room that knows BasicSR's inside: registration, repairs, the runners, the cache of pretrained weights."""

from __future__ import annotations

from facesr_ext import register

register()
