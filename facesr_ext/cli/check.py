"""``facesr check``: looks at the environment, or at an option file and what one step of it costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from facesr_ext.check.cost import Measurement

_MARKS = {'ok': ' ', 'note': '-', 'broken': '!'}


def add_command(app: typer.Typer) -> None:
    """Adds ``check``; the arguments are spelt as BasicSR's."""

    @app.command('check', context_settings={'allow_extra_args': True, 'ignore_unknown_options': True})
    def check(
        ctx: typer.Context,
        test: bool = typer.Option(False, '--test', help='The file is to test, not to train.'),
        dry: bool = typer.Option(False, '--dry', help='Findings and sizes alone, without running a step.'),
    ) -> None:
        """Check the environment; with -opt FILE [--force_yml KEY=VALUE ...] an option file, and measure one step."""
        if not ctx.args:
            _check_environment()
        else:
            _check_file(ctx.args, test, dry)


def _check_environment() -> None:
    from facesr_ext.cli.environment import report

    broken = False
    for line in report():
        broken |= line.status == 'broken'
        typer.echo(f'{_MARKS[line.status]} {line.what:16} {line.text}')
    typer.echo('\nLines with ! have to be mended.' if broken else '\nNothing is broken.')
    raise typer.Exit(int(broken))


def _check_file(arguments: list[str], test: bool, dry: bool) -> None:
    import facesr_ext
    from facesr_ext.errors import OptionError

    facesr_ext.register()
    from facesr_ext.check.cost import measure
    from facesr_ext.check.examine import examine
    from facesr_ext.host.entry import split_arguments

    args, rest = split_arguments(arguments)
    if args.opt is None:
        raise OptionError(f'check: which file? Say -opt FILE; {" ".join(rest)} is no argument of check')
    seen = examine(args.opt, 'test' if test else 'train', args.force_yml or (), args.launcher, args.auto_resume)
    findings = seen.findings()
    for finding in findings:
        typer.echo(str(finding))
    errors = sum(finding.level == 'error' for finding in findings)
    typer.echo(f'{args.opt}: {errors} error(s), {len(findings) - errors} warning(s)')
    if errors:
        raise typer.Exit(2)
    for line in _figures(measure(seen, args.force_yml or (), dry)):
        typer.echo(line)


def _figures(found: Measurement) -> list[str]:
    from facesr_ext.cli.environment import describe

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
    rest = f'; {found.batch} as the file has it: about {describe(step.whole)}'
    lines += [
        _row('weights and state', f'{describe(step.weights)} with gradients, optimiser and averaged weights'),
        _row('activations', f'{describe(step.activations)} at batch {step.batch}{rest * (step.batch != found.batch)}'),
        _row('training step', f'{step.batch / step.seconds:.2f} images/s on {step.device} at batch {step.batch}'),
    ]
    return lines


def _row(what: str, text: Any) -> str:
    return f'{what:26} {text}'
