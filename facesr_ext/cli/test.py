"""``facesr test``: a plain way into BasicSR's test runner, also where no start-up hook is read."""

from __future__ import annotations

import typer

import facesr_ext

CONTEXT = {'allow_extra_args': True, 'ignore_unknown_options': True}
"""Every argument is passed on to BasicSR."""


def main(ctx: typer.Context) -> None:
    """Test with BasicSR; the arguments are as for python -m basicsr.test: -opt FILE, --force_yml KEY=VALUE ..."""
    facesr_ext.register()  # before BasicSR is imported, which cannot be without it
    from facesr_ext.cli.run import run

    run('test', ctx.args)
