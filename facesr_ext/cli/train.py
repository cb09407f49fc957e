"""``facesr train``: a plain way into BasicSR's train runner, also where no start-up hook is read."""

from __future__ import annotations

import typer

import facesr_ext

CONTEXT = {'allow_extra_args': True, 'ignore_unknown_options': True}
"""Every argument is passed on to BasicSR."""

USAGE = '-opt FILE [OPTIONS]'


def main(ctx: typer.Context) -> None:
    """Train with BasicSR; the arguments are those of python -m basicsr.train.

    \b
    -opt FILE                      the option file
    --force_yml KEY:KEY=VALUE ...  what is to differ from it
    --auto_resume                  go on with the run of that name
    --launcher pytorch | slurm     one of several processes
    --debug                        log each iteration, validate every 8
    """
    facesr_ext.register()  # before BasicSR is imported, which cannot be without it
    from facesr_ext.cli.run import run

    run('train', ctx.args)
