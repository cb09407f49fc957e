"""``facesr restore``: photographs and clips with their faces restored; a file, a folder, or a pipe."""

from __future__ import annotations

import glob
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from facesr_ext.cli.screen import tell_error
from facesr_ext.errors import OptionError
from facesr_ext.places import user_path

if TYPE_CHECKING:
    from facesr_ext.inference.photo import PhotoRestorer
    from facesr_ext.inference.photo_files import Tally, Written
    from facesr_ext.inference.video.files import ClipTally, ClipWritten

_MOST = 125
"""The largest exit status that no shell uses for itself."""
_CLIPS: Any = {'rich_help_panel': 'Clips'}


def main(
    inputs: list[str] = typer.Argument(
        ..., metavar='INPUT...', help='Photographs, clips, folders of them, globs; - for a pipe.'
    ),
    output: str | None = typer.Option(
        None, '-o', '--output', help='A folder, by default restored; a file for one photograph or clip; - for a pipe.'
    ),
    model: str = typer.Option(
        'default',
        help='default (faithful), sharp, with --aligned x4 or x8, a run, or weights, also those spandrel knows.',
    ),
    faces: str = typer.Option('all', help='all, largest, center, or numbers as 1,3; 1 is the largest.'),
    min_face: int = typer.Option(16, min=1, help="The least side of a face's square, pixels."),
    max_face: int | None = typer.Option(None, min=1, help='The largest. Default: what the network was trained on.'),
    strength: float = typer.Option(1.0, help='Which share of the change is made, 0 to 1.'),
    aligned: bool = typer.Option(False, '--aligned', help='Each picture is one aligned, square face.'),
    only_faces: bool = typer.Option(False, '--only-faces', help='Write the restored squares, not the photographs.'),
    save_crops: bool = typer.Option(False, '--save-crops', help='Also write the squares before and after: OUT/faces.'),
    compare: bool = typer.Option(False, '--compare', help='Also write NAME_compare.png: before | after.'),
    keep_gray: bool | None = typer.Option(None, help='Change luma alone. Default: for grey photographs.'),
    upscale: float | None = typer.Option(None, help='Enlarge the photograph so many times. Default: 1.'),
    background: str = typer.Option('lanczos', help='What enlarges all but the faces: lanczos, none, or a model.'),
    rotated: bool = typer.Option(False, '--rotated', help='Also look for faces turned by 90, 180 and 270 degrees.'),
    detector: str = typer.Option('centerface', help='centerface, or retinaface (extra: facexlib).'),
    threshold: float = typer.Option(0.5, help='The least score of a face; 0.35 finds everything, and more.'),
    parse: str = typer.Option('none', help='Cut faces out by masks of bisenet or parsenet (extra: facexlib).'),
    json: bool = typer.Option(False, '--json', help='Also write NAME.json: what became of each face.'),
    format: str | None = typer.Option(None, help="png, jpg, webp or tif. Default: the photograph's own."),
    quality: int = typer.Option(95, min=1, max=100, help='Of JPEG and WebP.'),
    weights: Path | None = typer.Option(None, help="Folder with the detector's and parser's files."),
    batch_size: int | None = typer.Option(None, min=1, help='Faces that go through the network together.'),
    device: str | None = typer.Option(None, help='cpu, cuda, cuda:1 or mps. Default: a GPU where there is one.'),
    precision: str = typer.Option('auto', help='auto, fp32, bf16, or on CUDA fp16.'),
    force: bool = typer.Option(False, '--force', help='Replace the one file that -o names.'),
    frames: bool = typer.Option(False, '--frames', help="INPUT's pictures are the frames of one clip.", **_CLIPS),
    fps: str | None = typer.Option(None, help='Frames a second of --frames into a clip. Default: 25.', **_CLIPS),
    codec: str | None = typer.Option(None, help="FFmpeg's encoder. Default: libx264, above 8 bits libx265.", **_CLIPS),
    crf: int | None = typer.Option(None, min=0, max=63, help='Its quality, less is better. Default: 18.', **_CLIPS),
) -> None:
    """Restore the faces of photographs and clips. Run it again to go on; the status says how many files failed."""
    from facesr_ext.cli import clips
    from facesr_ext.data.photo_io import written_suffix
    from facesr_ext.inference.photo import PhotoRestorer
    from facesr_ext.inference.photo_files import Written
    from facesr_ext.inference.video.files import ClipWritten

    suffix = _suffix_of(format)
    how = Written(suffix, quality, aligned, only_faces, save_crops, compare, json)
    moving = ClipWritten(codec, crf, clips.read_rate(fps), quality, suffix, json)
    asked: dict[str, Any] = {
        'faces': faces, 'min_face': min_face, 'max_face': max_face, 'strength': strength, 'keep_gray': keep_gray,
        'upscale': upscale, 'background': background, 'detector': detector, 'threshold': threshold,
        'precision': precision,
    }  # fmt: skip
    settings = {
        **asked, 'model': _stamp(model), 'background': _stamp(background), 'rotated': rotated, 'parse': parse,
        **vars(how),
    }  # fmt: skip
    restorer = PhotoRestorer(
        model, **asked, angles=(0, 90, 180, 270) if rotated else (0,), parser=None if parse == 'none' else parse,
        weights=weights, device=device, batch_size=batch_size,
        identity=json or written_suffix(Path(output or '').suffix) is not None,  # where it is told
    )  # fmt: skip
    if not aligned:
        restorer.require_for_photos()
    _tell_licences(restorer)
    if '-' in inputs:
        _pipe(restorer, inputs, output, how)
        return
    if output == '-':
        raise OptionError('names a folder, or a file for one photograph; a pipe has - for INPUT, too', ('--output',))
    out = user_path(output or 'restored')
    if frames:
        clips.require_for_clips(how)
        clips.frames(restorer, inputs, out, moving, settings, force)
    else:
        _files(restorer, inputs, out, how, settings, force, moving)


def _suffix_of(format: str | None) -> str | None:
    """The suffix of a format that can be written."""
    from facesr_ext.data.photo_io import written_suffix

    suffix = written_suffix(f'.{format.lstrip(".")}') if format else None
    if format and suffix is None:
        raise OptionError(f'{format!r} cannot be written; say png, jpg, webp or tif', ('--format',))
    return suffix


def _tell_licences(restorer: PhotoRestorer) -> None:
    """Of networks that others have made."""
    from facesr_ext.inference.elsewhere import ForeignNetwork

    for used in (restorer.restorer, restorer.background):
        if used is not None and isinstance(used.net, ForeignNetwork) and used.net.licence:
            typer.echo(f'facesr: {used.net.name}: {used.net.licence}', err=True)


def _pipe(restorer: PhotoRestorer, inputs: list[str], output: str | None, how: Written) -> None:
    """One photograph from standard input to standard output."""
    from facesr_ext.errors import DatasetError
    from facesr_ext.inference.photo_files import restore_bytes

    if len(inputs) > 1 or output not in (None, '-') or how.only_faces or how.save_crops or how.compare or how.json:
        raise OptionError('is one photograph, which goes to standard output alone', ('-',))
    try:
        data, _ = restore_bytes(restorer, sys.stdin.buffer.read(), how)
    except DatasetError as err:
        raise DatasetError(f'standard input: {err}') from err
    sys.stdout.buffer.write(data)


def _files(
    restorer: PhotoRestorer,
    inputs: list[str],
    out: Path,
    how: Written,
    settings: dict[str, object],
    force: bool,
    moving: ClipWritten,
) -> None:
    from facesr_ext.cli import clips
    from facesr_ext.data.clip_io import is_clip_name
    from facesr_ext.data.photo_io import written_suffix
    from facesr_ext.inference.photo_files import restore_files
    from facesr_ext.inference.video.files import restore_clips
    from facesr_ext.preparation.find import find_photos

    sources = _expanded(inputs)
    if len(sources) == 1 and is_clip_name(sources[0].name) and is_clip_name(out.name) and not out.is_dir():
        clips.require_for_clips(how)
        clips.one_clip(restorer, user_path(sources[0]), out, moving, settings, force)
        return
    if written_suffix(out.suffix) and not out.is_dir() and len(sources) == 1 and user_path(sources[0]).is_file():
        _one_file(restorer, user_path(sources[0]), out, how, force)
        return
    items = find_photos(sources, out, ('INPUT', '--output'))
    if not items:
        raise OptionError(f'there is no photograph in {", ".join(map(str, sources))}; name others', ('INPUT',))
    with_clips = any(is_clip_name(item.name) for item in items)
    if with_clips:
        clips.require_for_clips(how)
        settings = {**settings, 'codec': moving.codec, 'crf': moving.crf}
    tally = restore_files(restorer, items, out, how, dict(settings))
    clip_tally = restore_clips(restorer, items, out, moving, dict(settings))
    for target, record in clip_tally.done:
        clips.tell_clip(target, record)
    _tell(tally, clip_tally, with_clips, out)


def _tell(photos: Tally, clips: ClipTally, with_clips: bool, out: Path) -> None:
    """What became of all files; the exit status says how many failed."""
    failures = [*photos.failures, *clips.failures]
    for failure in failures:
        tell_error(str(failure))
    left = f', {photos.left} left alone (--json says why)' if photos.left else ''
    earlier = photos.before + clips.before
    before = f', {earlier} done before' if earlier else ''
    moved = f', {len(clips.done)} clips' if with_clips else ''
    done = f'{photos.photos} photographs, {photos.faces} faces restored{left}{moved}{before}'
    typer.echo(f'{done}; {len(failures)} failed; results in {out}')
    if failures:
        raise typer.Exit(min(len(failures), _MOST))


def _one_file(restorer: PhotoRestorer, source: Path, out: Path, how: Written, force: bool) -> None:
    """A photograph into a file of a name of its own."""
    from dataclasses import replace

    from facesr_ext.data.photo_io import written_suffix
    from facesr_ext.errors import DatasetError
    from facesr_ext.inference.photo_files import restore_bytes
    from facesr_ext.runs.atomic import replaced_when_whole, require_free

    if how.only_faces or how.save_crops or how.compare or how.json:
        raise OptionError('is one file, and more are asked for; name a folder', ('--output',))
    require_free([out], [source], force)
    try:
        data, record = restore_bytes(restorer, source.read_bytes(), replace(how, suffix=written_suffix(out.suffix)))
        out.parent.mkdir(parents=True, exist_ok=True)
        with replaced_when_whole(out) as temporary:
            temporary.write_bytes(data)
    except (DatasetError, OSError) as err:
        tell_error(f'{source}: {getattr(err, "strerror", None) or err}')
        raise typer.Exit(1) from None
    for note in record['notes']:
        typer.echo(note)
    for face in record['faces']:
        what = face['warning'] or ('restored' if face['done'] else face['reason'])
        typer.echo(f'face {face["number"]}, {face["size"]:.0f} px: {what}')


def _expanded(inputs: list[str]) -> list[Path]:
    """Globs that no shell has expanded, as the files that they name."""
    paths: list[Path] = []
    for text in inputs:
        found = [] if user_path(text).exists() else sorted(glob.glob(text, recursive=True))
        paths += [Path(name) for name in found] or [Path(text)]
    return paths


def _stamp(model: str) -> str:
    """What tells a model from another of its name."""
    from facesr_ext.inference.shipped import SHIPPED

    if model in SHIPPED:
        return f'{model}|{SHIPPED[model].sha256}'
    path = user_path(model)
    if not path.is_file():
        return model
    stat = path.stat()
    return f'{model}|{stat.st_size}|{stat.st_mtime_ns}'
