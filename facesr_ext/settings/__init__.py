"""What an option file may say, once: every option with its kind, its bounds, its default and a line of text.

A section a module. The check, the models, the data sets, ``facesr schema`` and docs/options.md all read it from here.
Sections of networks, losses, degradations and metrics are made from their constructors (`signatures`).
"""

from __future__ import annotations

from facesr_ext import register

register()
