"""``facesr train``: a plain way into BasicSR's train runner, also where no start-up hook is read."""

from __future__ import annotations

import typer

import facesr_ext

CONTEXT = {'allow_extra_args': True, 'ignore_unknown_options': True}
"""Every argument is passed on to BasicSR."""


def main(ctx: typer.Context) -> None:
    """Train with BasicSR; the arguments are as for python -m basicsr.train: -opt FILE, --force_yml KEY=VALUE ..."""
    facesr_ext.register()  # before BasicSR is imported, which cannot be without it
    from facesr_ext.cli.run import run

    run('train', ctx.args)
