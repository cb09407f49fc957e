"""The ``facesr`` command.

A command is a file of this package, named in PANELS, with a function ``main`` whose signature declares the arguments
and whose docstring is the help; a group of commands is named in GROUPS, too, and its file has a typer ``app``. They
import torch, BasicSR and the rest of facesr_ext inside their functions, so that ``facesr --help`` answers at once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import typer

import facesr_ext
from facesr_ext._threads import wait_briefly
from facesr_ext.cli.screen import tell_error
from facesr_ext.errors import FaceSRError, OptionError, disk_fault

PANELS = {
    'Photographs and data': ('restore', 'demo', 'prepare', 'degrade', 'sample'),
    'Training': ('train', 'test', 'check', 'sweep', 'interpolate'),
    'Results': ('compare', 'report', 'publish', 'export', 'submit'),
    'Help': ('env', 'list', 'init', 'schema'),
}
"""The commands as ``facesr --help`` shows them: each panel's, in this order."""
GROUPS = ('submit',)
COMMANDS = tuple(name for names in PANELS.values() for name in names if name not in GROUPS)

DOORS = """\
facesr_ext {version}: face super-resolution for BasicSR. Where to begin:

  Photographs  facesr restore family.jpg
  A report     python -m basicsr.train -opt options/quickstart.yml
               facesr compare -opt options/compare/s2.yml --train
  A challenge  facesr check options/challenge/entry_2024.yml
               facesr submit pack RUN LQ -o submission.zip

  facesr --help        lists the commands; facesr restore --help explains one
  facesr init .        writes the option files, where you have no clone
  facesr env           looks at this machine
"""
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What typer raises for a wrong command line, whether it brings click along or has it inside."""


def build_app() -> typer.Typer:
    """Returns the typer app with every command and group."""
    app = typer.Typer(name='facesr', invoke_without_command=True, pretty_exceptions_enable=False)
    app.callback()(_root)
    for panel, names in PANELS.items():
        for name in names:
            module = importlib.import_module(f'facesr_ext.cli.{name}')
            if name in GROUPS:
                app.add_typer(module.app, name=name, rich_help_panel=panel)
                continue
            usage, context = getattr(module, 'USAGE', '[OPTIONS]'), getattr(module, 'CONTEXT', None)
            app.command(name, context_settings=context, options_metavar=usage, rich_help_panel=panel)(module.main)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the ``facesr`` command.

    Args:
        argv (Sequence[str] | None): Arguments without the program name; None takes those of the process.

    Raises:
        SystemExit: Always; with status 2 where the user has to mend something, which stderr says.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    wait_briefly()
    try:
        if '' in words:  # the current folder, were it a path
            raise OptionError(f'argument {words.index("") + 1} is empty; is a variable of the shell not set?')
        status = build_app()(args=words, prog_name='facesr', obj=words, standalone_mode=False)  # obj: how it was called
    except FaceSRError as err:
        tell_error(str(err))
        status = 2
    except OSError as err:
        fault = disk_fault(err)
        if fault is None:
            raise
        tell_error(f'{fault} Then run it again.')
        status = 2
    except _UsageError as err:
        _tell_usage(err)
        status = 2
    except typer.Abort:
        status = 1
    raise SystemExit(status if isinstance(status, int) else 0)


def _tell_usage(err: Exception) -> None:
    """Says what is wrong with the command line, and where to read how it is written."""
    message = err.format_message().rstrip('.')  # type: ignore[attr-defined]
    context = getattr(err, 'ctx', None)
    command = context.command_path if context is not None else 'facesr'
    if message:  # there is none where nothing but a group was named, which has shown its help
        tell_error(f'{message}; see {command} --help')


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f'facesr_ext {facesr_ext.__version__}')
        raise typer.Exit


def _root(
    ctx: typer.Context,
    version: bool = typer.Option(False, '--version', help='Show the version.', callback=_show_version, is_eager=True),
    local_rank: int = typer.Option(0, '--local-rank', '--local_rank', hidden=True),  # torch.distributed.launch's
) -> None:
    """Face super-resolution for BasicSR. Without a command it says where to begin."""
    if ctx.invoked_subcommand is None:
        typer.echo(DOORS.format(version=facesr_ext.__version__), nl=False)
