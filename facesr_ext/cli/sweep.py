"""``facesr sweep``: trainings of an option file over a design of its options, and what each option does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import facesr_ext
from facesr_ext.cli.screen import tell_warning
from facesr_ext.errors import Finding, OptionError

if TYPE_CHECKING:
    from facesr_ext.sweeps.plan import Plan


def main(
    words: list[str] = typer.Argument(None, metavar='', show_default=False, hidden=True),
    opt: str = typer.Option(..., '-opt', metavar='FILE', help='The option file of a training.'),
    axis: list[str] = typer.Option(
        ..., '--axis', metavar='KEY=a,b,c', help='An option and its values; KEY=a,b;OTHER=c,d changes two together.'
    ),
    design: str = typer.Option('full', help='full: every combination; L4, L8, L9, L16, L18, L27, ... (extra: sweep).'),
    metric: str | None = typer.Option(None, help='What is compared. Default: psnr_rgb, or the first of val: metrics.'),
    set_name: str | None = typer.Option(None, '--set', help='The validation set. Default: the first.'),
    best: bool = typer.Option(False, '--best', help='Compare the best validation of each run, not the last.'),
    seeds: int = typer.Option(1, min=1, help='Runs of each point, with manual_seed, +1, +2, ...'),
    confirm: bool = typer.Option(True, help='Also train the predicted optimum.'),
    retry: bool = typer.Option(False, '--retry', help='Train again what has failed.'),
    output: Path | None = typer.Option(None, '-o', '--output', help='Folder of the report. Default: sweeps/NAME.'),
    force: bool = typer.Option(False, '--force', help='Replace files that are not of a sweep of this option file.'),
    force_yml: list[str] = typer.Option(
        [], '--force_yml', metavar='KEY:KEY=VALUE ...', help='What is to differ in every run.'
    ),
) -> None:
    """Train an option file at each point of a design, and report main effects and optimum. Run it again to go on."""
    facesr_ext.register()
    from facesr_ext.runs.child import TrainingStopped
    from facesr_ext.sweeps.plan import make_plan
    from facesr_ext.sweeps.sweep import run_sweep

    strays = [word for word in words or () if '=' not in word]
    if strays:
        raise OptionError(f'{strays[0]!r} is no override; write section:key=value')
    plan = make_plan(opt, axis, design, [*force_yml, *(words or ())], seeds, metric, set_name, best)
    for finding in _check(plan):
        tell_warning(str(finding))
    try:
        typer.echo(run_sweep(plan, output or Path('sweeps', plan.name), confirm, retry, force, typer.echo))
    except TrainingStopped as err:
        tell_warning(str(err))
        raise typer.Exit(130) from None


def _check(plan: Plan) -> Sequence[Finding]:
    """Has the option check look at every run; returns its warnings, each once.

    Raises:
        OptionError: listing what is wrong with the points, before any of them is trained.
    """
    from facesr_ext.check.examine import check_file, refuse_faults

    found: dict[Finding, None] = {}
    for run in plan.runs():
        forced = [*run.forced, f'name={run.name}']
        found.update(dict.fromkeys(check_file(plan.opt, 'train', forced, auto_resume=True)))
    refuse_faults(plan.opt, list(found))
    return list(found)
