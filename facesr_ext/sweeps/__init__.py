"""``facesr sweep``: one training at each point of a design, and what each option does to the result."""

from __future__ import annotations

from facesr_ext import register

register()
