"""``facesr submit``: from a checkpoint or a folder of results to a verified archive; checks and scores them, too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from facesr_ext.errors import OptionError

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
        scale: int | None = typer.Option(None, min=1, help='LR-to-HR factor of results, 4 by default.'),
        arch: Path | None = typer.Option(None, help='Option file with network_g, for checkpoints of stock BasicSR.'),
        average_last: int | None = typer.Option(None, min=1, help="Mean of the run's last so many checkpoints."),
        self_ensemble: bool = typer.Option(False, '--self-ensemble', help='Mean with the mirrored picture.'),
        device: str | None = typer.Option(None, help='cpu, cuda, cuda:1, mps. Default: a GPU where there is one.'),
        max_params: int | None = typer.Option(None, min=1, help='Most parameters. Default: as it was trained under.'),
        extra_data: bool = typer.Option(False, '--extra-data', help='For readme.txt: other data were used.'),
        runtime: float | None = typer.Option(None, help='For readme.txt of results: seconds an image, on --device.'),
        description: str | None = typer.Option(None, help='For readme.txt.'),
    ) -> None:
        """Pack a challenge submission that is read back and verified, or --check or --score one."""
        network = {'arch': arch, 'average_last': average_last, 'self_ensemble': self_ensemble}
        more = {'extra_data': extra_data, 'description': description}
        idle = {**network, **more, 'device': device, 'max_params': max_params, 'runtime': runtime}
        if score is not None:
            _refuse('--score', {**idle, 'scale': scale, 'check': check, 'LQ': lq})
            _score(source, score, output)
        elif check:
            _refuse('--check', {**idle, 'output': output})
            _check(source, _lq(lq), format_name, scale or 4)
        elif _is_weights(source):
            _refuse('a checkpoint', {'scale': scale, 'runtime': runtime})
            _restore(source, _lq(lq), _archive(output), format_name, {**network, 'device': device}, max_params, more)
        else:
            _refuse('a folder of results', {**network, 'max_params': max_params})
            readme = _readme(runtime, device, {**more, 'device': device})
            _pack(source, _lq(lq), _archive(output), format_name, scale or 4, readme)


def _refuse(what: str, options: dict[str, Any]) -> None:
    """Refuses options that would do nothing."""
    for name, value in options.items():
        if value not in (None, False):
            option = name if name.isupper() else f'--{name.replace("_", "-")}'
            raise OptionError(f'submit: {option} is not for {what}; leave it out')


def _lq(lq: Path | None) -> Path:
    if lq is None:
        raise OptionError('submit: name the folder of LQ pictures after the results or the checkpoint')
    return lq


def _archive(output: Path | None) -> Path:
    if output is None:
        raise OptionError('submit: name the archive: -o submission.zip')
    return output


def _is_weights(source: Path) -> bool:
    """A file of weights or the folder of a run, not of pictures."""
    from facesr_ext.runs.folder import is_run

    return source.suffix in WEIGHTS or is_run(source)


def _check(source: Path, lq: Path, format_name: str, scale: int) -> None:
    from facesr_ext.challenge.submission import check_submission

    _tell(check_submission(source, lq, format_name, scale))


def _restore(
    source: Path,
    lq: Path,
    target: Path,
    format_name: str,
    network: dict[str, Any],
    max_params: int | None,
    more: dict[str, Any],
) -> None:
    from facesr_ext import Restorer
    from facesr_ext.challenge.submission import pack_checkpoint

    restorer = Restorer(source, **network)
    _tell(pack_checkpoint(restorer, lq, target, format_name, max_params, more['extra_data'], more['description'] or ''))


def _pack(source: Path, lq: Path, target: Path, format_name: str, scale: int, readme: Readme | None) -> None:
    from facesr_ext.challenge.submission import pack_results

    _tell(pack_results(source, lq, target, format_name, scale, readme))


def _readme(runtime: float | None, device: str | None, more: dict[str, Any]) -> Readme | None:
    """What the user says of results that were made elsewhere."""
    from facesr_ext.challenge.readme import Readme

    if runtime is None:
        _refuse('results without --runtime, which have no readme.txt of ours', more)
        return None
    return Readme(runtime, device in (None, 'cpu'), more['extra_data'], more['description'] or '')


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
