"""``facesr submit``: from a checkpoint or a folder of results to a verified archive; checks and scores them, too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from facesr_ext.challenge.readme import Readme
    from facesr_ext.challenge.submission import Packed

WEIGHTS = ('.pth', '.pt', '.safetensors')


def add_command(app: typer.Typer) -> None:
    """Adds ``submit``."""

    @app.command('submit')
    def submit(
        source: Path = typer.Argument(..., help='Checkpoint or run folder; or a folder of results; or an archive.'),
        lq: Path | None = typer.Argument(None, help='Folder of the LQ pictures that the challenge gives.'),
        output: Path | None = typer.Option(None, '-o', '--output', help='The archive; with --score a scores.txt.'),
        format_name: str = typer.Option('ai6126', '--format', help='ai6126: in a sub-folder; flat: with readme.txt.'),
        check: bool = typer.Option(False, '--check', help='Look an archive or a folder through, write nothing.'),
        score: Path | None = typer.Option(None, help='GT folder: score SOURCE as the organisers do.'),
        scale: int = typer.Option(4, min=1, help='LR-to-HR factor, where no checkpoint says it.'),
        arch: Path | None = typer.Option(None, help='Option file with network_g, for checkpoints of stock BasicSR.'),
        average_last: int | None = typer.Option(None, min=1, help="Mean of the run's last so many checkpoints."),
        self_ensemble: bool = typer.Option(False, '--self-ensemble', help='Mean with the mirrored picture.'),
        device: str | None = typer.Option(None, help='cpu, cuda, cuda:1, mps. Default: a GPU where there is one.'),
        max_params: int | None = typer.Option(None, min=1, help='Most parameters. Default: as it was trained under.'),
        extra_data: bool = typer.Option(False, '--extra-data', help='For readme.txt: other data were used.'),
        runtime: float | None = typer.Option(None, help='For readme.txt of a folder of results: seconds an image.'),
        description: str = typer.Option('', help='For readme.txt.'),
    ) -> None:
        """Pack a challenge submission that is read back and verified, or --check or --score one."""
        if score is not None:
            _score(source, score, output)
            return
        if lq is None or (output is None and not check):
            raise _usage('name the folder of LQ pictures, and -o OUT.zip')
        from facesr_ext.challenge import submission

        if check:
            packed = submission.check_submission(source, lq, format_name, scale)
        elif _is_weights(source):
            from facesr_ext import Restorer

            options = {'average_last': average_last, 'self_ensemble': self_ensemble, 'device': device, 'arch': arch}
            restorer = Restorer(source, **options)  # type: ignore[arg-type]
            packed = submission.pack_checkpoint(
                restorer, lq, Path(str(output)), format_name, max_params, extra_data, description
            )
        else:
            readme = _readme(runtime, device, extra_data, description)
            packed = submission.pack_results(source, lq, Path(str(output)), format_name, scale, readme)
        _tell(packed)


def _is_weights(source: Path) -> bool:
    """A file of weights or the folder of a run, not of pictures."""
    return source.suffix in WEIGHTS or (source / 'models').is_dir() or any(source.glob('net_g_*.pth'))


def _readme(runtime: float | None, device: str | None, extra_data: bool, description: str) -> Readme | None:
    """What the user says of results that were made elsewhere."""
    from facesr_ext.challenge.readme import Readme

    return None if runtime is None else Readme(runtime, device in (None, 'cpu'), extra_data, description)


def _score(source: Path, gt: Path, output: Path | None) -> None:
    from facesr_ext.challenge.scoring import score

    scores = score(source, gt)
    if output is not None:
        scores.write(output)
    typer.echo(f'PSNR {scores.mean:.4f} dB, mean of {len(scores.psnr)} pictures')


def _tell(packed: Packed) -> None:
    for warning in packed.warnings:
        typer.echo(f'warning: {warning}', err=True)
    time = '' if packed.runtime is None else f', {packed.runtime:.3f} s an image'
    typer.echo(f'{packed.path}: {packed.num} results, verified{time}')


def _usage(message: str) -> Exception:
    from facesr_ext.errors import OptionError

    return OptionError(f'submit: {message}')
