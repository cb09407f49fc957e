"""``facesr check``: looks at an option file, and at what one step of it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

import facesr_ext
from facesr_ext.cli.screen import COLOURS
from facesr_ext.errors import Finding, OptionError

if TYPE_CHECKING:
    from facesr_ext.check.cost import Measurement


def main(
    words: list[str] = typer.Argument(None, metavar='FILE', help='Option files.', show_default=False),
    opt: str | None = typer.Option(
        None, '-opt', metavar='FILE', help="The option file, as BasicSR's commands take it: the same as FILE."
    ),
    force_yml: list[str] = typer.Option(
        [], '--force_yml', metavar='KEY:KEY=VALUE ...', help='What is to differ from it.'
    ),
    test: bool = typer.Option(False, '--test', help='To test, not to train; files without train: are to test anyway.'),
    dry: bool = typer.Option(False, '--dry', help='Findings and sizes alone, without running a step.'),
    launcher: str = typer.Option('none', help='As the run will have it: none, pytorch or slurm.'),
    auto_resume: bool = typer.Option(False, '--auto_resume', help='As the run will have it.'),
    debug: bool = typer.Option(False, '--debug', hidden=True),  # BasicSR's, as the next; they change nothing here
    local_rank: int = typer.Option(0, '--local-rank', '--local_rank', hidden=True),
) -> None:
    """Check option files as a run does, without running it; of a single file also measure one step."""
    files, forced = _arguments(opt, words or [], force_yml)
    facesr_ext.register()
    from facesr_ext.check.cost import measure
    from facesr_ext.check.examine import examine
    from facesr_ext.comparison.examine import findings, is_comparison
    from facesr_ext.host.source import OptionFile

    wrong = 0
    compared = [file for file in files if is_comparison(OptionFile.read(file))]
    for file in compared:
        wrong += _tell(file, findings(OptionFile.read(file, forced)))
    for file in [file for file in files if file not in compared]:
        seen = examine(file, 'test' if test else None, forced, launcher, auto_resume)
        wrong += _tell(file, seen.findings())
    if len(files) > 1:
        typer.echo(f'{len(files)} files, {wrong} with errors')
    if wrong:
        raise typer.Exit(2)
    if len(files) == 1 and not compared:
        for line in _figures(measure(seen, forced, dry)):
            typer.echo(line)


def _tell(file: str, findings: Sequence[Finding]) -> bool:
    """Shows what was found; returns whether there is an error."""
    for finding in findings:
        typer.secho(str(finding), fg=COLOURS[finding.level])
    errors = sum(finding.level == 'error' for finding in findings)
    typer.echo(f'{file}: {errors} error(s), {len(findings) - errors} warning(s)')
    return errors > 0


def _arguments(opt: str | None, words: Sequence[str], forced: Sequence[str]) -> tuple[list[str], list[str]]:
    """Option files, and their overrides: ``--force_yml`` takes as many as follow, which arrive among the words.

    Raises:
        OptionError: There is no file.
    """
    files = [*([opt] if opt else []), *(word for word in words if '=' not in word)]
    if not files:
        raise OptionError('name an option file: facesr check FILE; facesr env looks at the machine')
    return files, [*forced, *(word for word in words if '=' in word)]


def _figures(found: Measurement) -> list[str]:
    lines = [_row(f'parameters of {name}', f'{num:,d}') for name, num in found.parameters.items()]
    if found.max_params is not None:
        left = found.max_params - found.parameters.get('network_g', 0)
        lines.append(_row('budget', f'{found.max_params:,d} parameters, {left:,d} left'))
    if found.macs is not None:
        size = 'x'.join(map(str, found.size))
        lines.append(_row('MACs of network_g', f'{found.macs / 1e9:.3f} G for one input of {size} px'))
    if found.step is None:
        return lines
    step = found.step
    rest = f'; {found.batch} as the file has it: about {_readable(step.whole)}'
    lines += [
        _row('weights and state', f'{_readable(step.weights)} with gradients, optimiser and averaged weights'),
        _row('activations', f'{_readable(step.activations)} at batch {step.batch}{rest * (step.batch != found.batch)}'),
        _row('training step', f'{step.batch / step.seconds:.2f} images/s on {step.device} at batch {step.batch}'),
    ]
    return lines + _duration(found)


def _duration(found: Measurement) -> list[str]:
    """How long the whole training takes, and what to do where that is long."""
    from facesr_ext.models.pace import LONG, SHORTER, duration_text

    if found.duration is None:
        return []
    text = f'about {duration_text(found.duration)} for {found.total_iter:,d} iterations, validation left out'
    long = [f'{duration_text(found.duration)} are long: {SHORTER} (warning)'] * (found.duration > LONG)
    return [_row('whole training', text), *long]


def _row(what: str, text: Any) -> str:
    return f'{what:26} {text}'


def _readable(num: float) -> str:
    """A number of bytes with its unit."""
    for unit in ('B', 'KiB', 'MiB'):
        if num < 1024:
            return f'{num:.0f} {unit}'
        num /= 1024
    return f'{num:.2f} GiB'
