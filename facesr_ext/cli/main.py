"""The ``facesr`` command.

A command is a file of this package, named in COMMANDS, with a function ``main`` whose signature declares the arguments
and whose docstring is the help; a group of commands is a file named in GROUPS with a typer ``app``. They import torch,
BasicSR and the rest of facesr_ext inside their functions, so that ``facesr --help`` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import typer

import facesr_ext
from facesr_ext.errors import FaceSRError, OptionError

COMMANDS = (
    'train',
    'test',
    'check',
    'env',
    'list',
    'init',
    'prepare',
    'restore',
    'sample',
    'degrade',
    'interpolate',
    'publish',
    'sweep',
    'report',
    'compare',
    'schema',
)
GROUPS = ('submit',)


def build_app() -> typer.Typer:
    """Returns the typer app with every command and group."""
    app = typer.Typer(name='facesr', no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_root)
    for name in COMMANDS:
        module = importlib.import_module(f'facesr_ext.cli.{name}')
        usage = getattr(module, 'USAGE', '[OPTIONS]')
        app.command(name, context_settings=getattr(module, 'CONTEXT', None), options_metavar=usage)(module.main)
    for name in GROUPS:
        app.add_typer(importlib.import_module(f'facesr_ext.cli.{name}').app, name=name)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the ``facesr`` command.

    Args:
        argv (Sequence[str] | None): Arguments without the program name; None takes those of the process.

    Raises:
        SystemExit: Always; with status 2 where the user has to mend something, which stderr says.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    try:
        if '' in words:  # the current folder, were it a path
            raise OptionError(f'argument {words.index("") + 1} is empty; is a variable of the shell not set?')
        build_app()(args=words, prog_name='facesr', obj=words)  # for a command that says how it was called
    except FaceSRError as err:
        typer.echo(f'facesr: {err}', err=True)
        raise SystemExit(2) from None


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f'facesr_ext {facesr_ext.__version__}')
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, '--version', help='Show the version.', callback=_show_version, is_eager=True),
    local_rank: int = typer.Option(0, '--local-rank', '--local_rank', hidden=True),  # torch.distributed.launch's
) -> None:
    """Face super-resolution for BasicSR: trainings, degradations, challenge submissions, reports."""
