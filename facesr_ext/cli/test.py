"""``facesr test``: a run by what its checkpoint says, or a plain way into BasicSR's test runner."""

from __future__ import annotations

from collections.abc import Sequence

import typer

import facesr_ext

CONTEXT = {'allow_extra_args': True, 'ignore_unknown_options': True}
"""Every argument but RUN is passed on to BasicSR."""

USAGE = 'RUN | -opt FILE [OPTIONS]'


def main(ctx: typer.Context) -> None:
    """Test a run by what its checkpoint says, or by an option file as python -m basicsr.test does.

    \b
    RUN                            a folder experiments/NAME, a checkpoint, or x4 or x8 of the package
    -opt FILE                      in its place: the option file of a test
    --force_yml KEY:KEY=VALUE ...  what is to differ
    --launcher pytorch | slurm     one of several processes
    """
    facesr_ext.register()  # before BasicSR is imported, which cannot be without it
    from facesr_ext.cli.run import run

    words = ctx.args
    run('test', _of_a_run(words[0], words[1:]) if words and not words[0].startswith('-') else words)


def _of_a_run(source: str, more: Sequence[str]) -> list[str]:
    """BasicSR's arguments for the test of a run or a checkpoint."""
    from facesr_ext.host.entry import split_arguments
    from facesr_ext.inference.shipped import shipped_file
    from facesr_ext.runs.described_options import test_file_of

    source = str(shipped_file(source) or source)
    args, others = split_arguments(more)
    forced = [f'path:pretrain_network_g={source}', *(args.force_yml or ())]
    return ['-opt', str(test_file_of(source)), *others, '--force_yml', *forced]
