"""``facesr submit``: from a checkpoint or a folder of results to a verified archive; checks and scores them, too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facesr_ext.cli.screen import tell_warning
from facesr_ext.errors import OptionError

if TYPE_CHECKING:
    from facesr_ext.challenge.submission import Packed

WEIGHTS = ('.pth', '.pt', '.safetensors')

app = typer.Typer(no_args_is_help=True, help='Challenge submissions: pack, check, score.')

LQ = Annotated[Path, typer.Argument(help='Folder of the LQ images that the challenge gives.')]
FormatName = Annotated[str, typer.Option('--format', help='ai6126: in a sub-folder; flat: with readme.txt.')]


@app.command('pack')
def pack(
    ctx: typer.Context,
    source: Annotated[Path, typer.Argument(help='Checkpoint or run folder; or a folder of results.')],
    lq: LQ,
    output: Annotated[Path, typer.Option('-o', '--output', help='The archive, *.zip.')],
    format_name: FormatName = 'ai6126',
    device: str | None = typer.Option(None, help='cpu, cuda, cuda:1, mps. Default: a GPU where there is one.'),
    extra_data: bool = typer.Option(False, '--extra-data', help='For readme.txt: other data were used.'),
    description: str | None = typer.Option(None, help='For readme.txt.'),
    arch: Path | None = typer.Option(None, help='Option file with network_g, for a checkpoint of stock BasicSR.'),
    average_last: int | None = typer.Option(None, min=1, help="Mean of the run's last so many checkpoints."),
    self_ensemble: bool = typer.Option(False, '--self-ensemble', help='Mean with the mirrored image.'),
    batch_size: int | None = typer.Option(None, min=1, help='Images of one size together; 1 by default.'),
    bf16: bool = typer.Option(False, '--bf16', help='Half precision: faster by 2 or so, levels may differ by a few.'),
    max_params: int | None = typer.Option(None, min=1, help='Most parameters. Default: as it was trained under.'),
    scale: int | None = typer.Option(None, min=1, help='LR-to-HR factor of results; 4 by default.'),
    runtime: float | None = typer.Option(None, help='For readme.txt of results: seconds an image, on --device.'),
    force: bool = typer.Option(False, '--force', help='Replace an archive that is there.'),
) -> None:
    """Pack what a checkpoint makes of the LQ images, or results that are there, and verify the archive."""
    from facesr_ext import Restorer
    from facesr_ext.challenge.readme import Readme
    from facesr_ext.challenge.submission import pack_checkpoint, pack_results
    from facesr_ext.runs.atomic import require_free

    trained = _is_weights(source)
    require_free([output], [] if trained else [source], force)
    _refuse_idle(ctx.params, trained)
    if trained:
        restorer = Restorer(
            source,
            device=device,
            arch=arch,
            average_last=average_last,
            self_ensemble=self_ensemble,
            batch_size=batch_size or 1,
            precision='bf16' if bf16 else 'fp32',
            channels_last=True,  # the same results, sooner
        )
        _tell(pack_checkpoint(restorer, lq, output, format_name, max_params, extra_data, description or ''))
        return
    on_cpu = device in (None, 'cpu')
    readme = None if runtime is None else Readme(runtime, on_cpu, extra_data, description or '')
    _tell(pack_results(source, lq, output, format_name, scale or 4, readme))


@app.command('check')
def check(
    source: Annotated[Path, typer.Argument(help='An archive, or a folder of results as it would be packed.')],
    lq: LQ,
    format_name: FormatName = 'ai6126',
    scale: int = typer.Option(4, min=1, help='LR-to-HR factor.'),
) -> None:
    """Look an archive or a folder through; nothing is written."""
    from facesr_ext.challenge.submission import check_submission

    _tell(check_submission(source, lq, format_name, scale))


@app.command('score')
def score(
    source: Path = typer.Argument(..., help="An archive, its unpacked folder, or the scorer's input with res/."),
    gt: Path = typer.Argument(..., help="Folder of the GT images, or the scorer's input with ref/."),
    output: Path | None = typer.Option(None, '-o', '--output', help='Also write a scores.txt.'),
    lq: Path | None = typer.Option(None, help='Folder of the LQ images: also tell the score of bicubic.'),
    force: bool = typer.Option(False, '--force', help='Replace scores that are there.'),
) -> None:
    """Score an archive or a folder as the organisers do: mean PSNR of RGB."""
    from facesr_ext.challenge import scoring
    from facesr_ext.runs.atomic import require_free

    require_free([output] if output else [], force=force)
    scores = scoring.score(source, gt)
    if output is not None:
        scores.write(output)
    typer.echo(f'PSNR {scores.mean:.4f} dB, mean of {len(scores.psnr)} images')
    if lq is not None:
        bicubic = scoring.score_bicubic(lq, gt).mean
        typer.echo(f'bicubic {bicubic:.4f} dB')
        if scores.mean < bicubic:
            tell_warning('the results are below bicubic: scaled, shifted or badly trained? (warning)')


def _is_weights(source: Path) -> bool:
    """A file of weights, the folder of a run or a model of the package, not a folder of images."""
    from facesr_ext.inference.shipped import SHIPPED
    from facesr_ext.runs.folder import is_run

    return source.suffix in WEIGHTS or is_run(source) or str(source) in SHIPPED


def _refuse_idle(given: dict[str, Any], trained: bool) -> None:
    """Refuses options of `pack` that would do nothing.

    Args:
        given (dict): Every option's value.
        trained (bool): The source is a checkpoint or a run, not a folder of results.
    """
    if trained:
        idle = dict.fromkeys(('scale', 'runtime'), 'a checkpoint')
    else:
        idle = dict.fromkeys(
            ('arch', 'average_last', 'self_ensemble', 'max_params', 'batch_size', 'bf16'), 'a folder of results'
        )
        if given['runtime'] is None:
            without = 'results without --runtime, for which no readme.txt is written'
            idle |= dict.fromkeys(('device', 'extra_data', 'description'), without)
    for name, what in idle.items():
        if given[name] not in (None, False):
            raise OptionError(f'is not for {what}; leave it out', (f'--{name.replace("_", "-")}',))


def _tell(packed: Packed) -> None:
    for warning in packed.warnings:
        tell_warning(str(warning))
    time = '' if packed.runtime is None else f', {packed.runtime:.3f} s an image'
    typer.echo(f'{packed.path}: {packed.num} results, verified{time}')
