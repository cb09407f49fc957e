"""``facesr train``: a plain way into BasicSR's train runner, also where no start-up hook is read."""

from __future__ import annotations

import typer

import facesr_ext


def add_command(app: typer.Typer) -> None:
    """Adds ``train``; every argument is passed on to BasicSR."""

    @app.command('train', context_settings={'allow_extra_args': True, 'ignore_unknown_options': True})
    def train(ctx: typer.Context) -> None:
        """Train with BasicSR; the arguments are as for python -m basicsr.train: -opt FILE, --force_yml KEY=VALUE ..."""
        facesr_ext.register()  # before BasicSR is imported, which cannot be without it
        from facesr_ext.cli.run import run

        run('train', ctx.args)
