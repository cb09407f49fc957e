"""``facesr compare``: methods side by side on the same images; tables, pictures and one HTML page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import facesr_ext
from facesr_ext.cli.screen import tell_warning
from facesr_ext.errors import OptionError

if TYPE_CHECKING:
    from facesr_ext.comparison.methods import Training
    from facesr_ext.comparison.results import Comparison, ResultFolder
    from facesr_ext.host.source import OptionFile

_METRICS = ('psnr_rgb', 'psnr_y', 'ssim_y', 'lpips_alex')


def main(
    ctx: typer.Context,
    words: list[str] = typer.Argument(
        None, metavar='MODEL...', help='Checkpoints, runs or option files, in place of a file.', show_default=False
    ),
    opt: Path | None = typer.Option(
        None, '-opt', metavar='FILE', help='A file of a comparison: options/compare/*.yml.'
    ),
    force_yml: list[str] = typer.Option(
        [], '--force_yml', metavar='KEY:KEY=VALUE ...', help='What is to differ from it.'
    ),
    gt: Path | None = typer.Option(
        None, '--gt', help='Folder of GT images. [default: drawn faces]', show_default=False
    ),
    lq: Path | None = typer.Option(None, '--lq', help='Folder of their LQ images. Default: MATLAB bicubic, 8 bit.'),
    scale: int = typer.Option(4, min=1, help='LR-to-HR factor.'),
    size: int | None = typer.Option(None, min=1, help='Bring the GT to so many pixels.'),
    metric: list[str] = typer.Option(list(_METRICS), '--metric', help='What is measured; as often as you like.'),
    max_images: int | None = typer.Option(None, min=1, help='Take the first so many images.'),
    name: str = typer.Option('comparison', help='Names results/<name>.'),
    train: bool = typer.Option(False, '--train', help='First train what option files name and nobody has trained.'),
    output: Path | None = typer.Option(None, '-o', '--output', help='Folder. Default: results/<name>.'),
) -> None:
    """Compare methods or degradations: the same images, figures with intervals and paired tests, pictures, one page."""
    facesr_ext.register()
    from facesr_ext.comparison.examine import of_degradations
    from facesr_ext.host.source import OptionFile

    words = words or []
    forced, models = [*force_yml, *(w for w in words if '=' in w)], [w for w in words if '=' not in w]
    if (opt is None) == (not models):
        raise OptionError(
            'name a file of a comparison (-opt options/compare/s0.yml), or models: facesr compare MODEL...'
        )
    if opt is not None:
        source = OptionFile.read(str(opt), forced)
    else:
        text = _file_of(models, gt, lq, scale, size, metric, max_images, name)
        source = OptionFile('the command line', text, forced)
    compare = _degradations if of_degradations(source) else _methods
    found, written = compare(source, output, train, shlex.join(['facesr', *ctx.obj]))
    for note in found.notes:
        typer.echo(f'note: {note}')
    for path in written:
        typer.echo(path)


def _methods(source: OptionFile, output: Path | None, train: bool, command: str) -> tuple[Comparison, list[Path]]:
    """Compares methods; what was found, and what was written."""
    from facesr_ext.comparison.examine import read_comparison
    from facesr_ext.comparison.methods import trainings
    from facesr_ext.comparison.report import Shown, write_all
    from facesr_ext.comparison.results import ResultFolder
    from facesr_ext.comparison.run import run_comparison

    file = read_comparison(source)
    folder = ResultFolder(output or Path('results') / file.name)
    failed = _train(trainings(file), folder) if train else []
    found, runs = run_comparison(file, folder)
    found.notes[:0] = failed
    found.machine['Command'] = command
    found.write(folder.root)
    return found, write_all(found, folder, Shown.of(file.pictures), runs)


def _degradations(source: OptionFile, output: Path | None, train: bool, command: str) -> tuple[Comparison, list[Path]]:
    """As `_methods`, of degradations."""
    from facesr_ext.comparison.examine import read_degradations
    from facesr_ext.comparison.open_degradations import network_trainings
    from facesr_ext.comparison.report import Shown, write_all
    from facesr_ext.comparison.results import ResultFolder
    from facesr_ext.comparison.run_degradations import run_degradations

    file = read_degradations(source)
    folder = ResultFolder(output or Path('results') / file.name)
    failed = _train(network_trainings(file), folder) if train else []
    found, pictures = run_degradations(file, folder)
    found.notes[:0] = failed
    found.machine['Command'] = command
    found.write(folder.root)
    return found, write_all(found, folder, Shown(num=0, page_images=0), more=pictures)


def _train(trainings: Sequence[Training], folder: ResultFolder) -> list[str]:
    """Trains what is missing; why runs have failed."""
    from facesr_ext.comparison.train import train_missing
    from facesr_ext.runs.child import TrainingStopped

    try:
        return train_missing(trainings, folder, typer.echo)
    except TrainingStopped as err:
        tell_warning(str(err))
        raise typer.Exit(130) from None


def _file_of(
    models: Sequence[str],
    gt: Path | None,
    lq: Path | None,
    scale: int,
    size: int | None,
    metrics: Sequence[str],
    max_images: int | None,
    name: str,
) -> str:
    """A file of a comparison that says what the command line says: bicubic is the reference."""
    import yaml

    one: dict[str, Any] = {'dataroot_gt': str(gt) if gt else 'builtin'}
    if lq is not None:
        one |= {'dataroot_lq': str(lq)}
    if size or gt is None:
        one |= {'image_size': size or 128}
    methods: dict[str, Any] = {'bicubic': {'network_g': {'type': 'Bicubic', 'scale': scale}}}
    for model in models:
        kind = 'opt' if Path(model).suffix in ('.yml', '.yaml') else 'checkpoint'
        methods[_key(model, methods)] = {kind: model, **({} if kind == 'opt' else {'label': _label(model)})}
    options = {
        'name': name,
        'scale': scale,
        'degradation': {'type': 'BicubicDegradation'},
        'datasets': {
            gt.name if gt and gt.name else 'faces': {**one, **({'max_images': max_images} if max_images else {})}
        },
        'methods': methods,
        'val': {'metrics': {metric: {'type': metric} for metric in metrics}},
    }
    return yaml.safe_dump(options, sort_keys=False)


def _label(model: str) -> str:
    """What a checkpoint is called: its run, or its file."""
    path = Path(model)
    if path.suffix and path.parent.name == 'models':
        return f'{path.parent.parent.name} ({path.stem})'
    return path.stem if path.suffix else path.name


def _key(model: str, taken: dict[str, Any]) -> str:
    """A name that is a folder's, too, and no other method's."""
    base = ''.join(c if c.isalnum() or c in '._-' else '_' for c in _label(model)).strip('._') or 'model'
    names = [base, *(f'{base}_{i}' for i in range(2, len(taken) + 3))]
    return next(one for one in names if one not in taken)
