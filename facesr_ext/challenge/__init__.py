"""Challenges: packing, checking and scoring of submissions."""

from __future__ import annotations

from facesr_ext import register

register()
