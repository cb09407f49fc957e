"""What the commands tell on standard error, in one shape: red where something failed, yellow where it deserves a look.

Colours appear on a terminal alone, and never where NO_COLOR is set.
"""

from __future__ import annotations

import os

import typer

from facesr_ext.errors import Level

COLOURS: dict[Level, str] = {'error': typer.colors.RED, 'warning': typer.colors.YELLOW}


def tell_error(text: str) -> None:
    """Says what is wrong, with the name of the program before it."""
    _tell(f'facesr: {text}', 'error')


def tell_warning(text: str) -> None:
    """Says what deserves a look; the command goes on."""
    _tell(text, 'warning')


def _tell(text: str, level: Level) -> None:
    typer.secho(text, fg=COLOURS[level], err=True, color=False if os.environ.get('NO_COLOR') else None)
