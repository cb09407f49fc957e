"""What ``facesr restore`` does with clips and with folders of frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from facesr_ext.cli.screen import tell_error
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.places import user_path

if TYPE_CHECKING:
    from facesr_ext.inference.photo import PhotoRestorer
    from facesr_ext.inference.photo_files import Written
    from facesr_ext.inference.video.files import ClipWritten
    from facesr_ext.inference.video.run import ClipRecord


def read_rate(text: str | None) -> Fraction:
    """Frames a second, as 25, 29.97 or 30000/1001.

    Raises:
        OptionError: for anything else.
    """
    try:
        rate = Fraction(text or '25')
    except (ValueError, ZeroDivisionError) as err:
        raise OptionError(f'{text!r} is no number of frames a second; say 25, 29.97 or 30000/1001', ('--fps',)) from err
    if not 0 < rate <= 500:
        raise OptionError(f'must be above 0 and up to 500, not {text}', ('--fps',))
    return rate


def require_for_clips(how: Written) -> None:
    """Refuses what photographs alone have.

    Raises:
        OptionError: naming the option.
    """
    for given, name in (
        (how.aligned, '--aligned'),
        (how.only_faces, '--only-faces'),
        (how.save_crops, '--save-crops'),
        (how.compare, '--compare'),
    ):
        if given:
            raise OptionError('is for photographs; leave it out for clips and frames', (name,))


def one_clip(
    restorer: PhotoRestorer, source: Path, out: Path, how: ClipWritten, settings: dict[str, Any], force: bool
) -> None:
    """A clip into a file of a name of its own."""
    from facesr_ext.inference.video.files import restore_clip_file

    _require_free(out, source, force)
    with _failing(f'{source}: '):
        tell_clip(out, restore_clip_file(restorer, source, out, how, settings))


def frames(
    restorer: PhotoRestorer, inputs: list[str], out: Path, how: ClipWritten, settings: dict[str, Any], force: bool
) -> None:
    """A folder of frames into a folder, or into a clip."""
    from facesr_ext.data.clip_io import is_clip_name
    from facesr_ext.inference.video.files import restore_frames

    folder = user_path(inputs[0])
    if len(inputs) > 1 or not folder.is_dir():
        raise OptionError('is for one folder, whose pictures are the frames of a clip', ('--frames',))
    if is_clip_name(out.name):
        _require_free(out, folder, force)
    with _failing():  # what is wrong names its picture
        tell_clip(out, restore_frames(restorer, folder, out, how, settings))


def _require_free(out: Path, source: Path, force: bool) -> None:
    """A file of a name of its own is replaced by ``--force`` alone, which begins anew."""
    from facesr_ext.inference.video.files import begin_anew
    from facesr_ext.runs.atomic import require_free

    require_free([out], [source], force)
    if force:
        begin_anew(out)


@contextmanager
def _failing(place: str = '') -> Iterator[None]:
    """Tells what cannot be restored, and ends with status 1."""
    try:
        yield
    except DatasetError as err:
        tell_error(f'{place}{err}')
        raise typer.Exit(1) from None


def tell_clip(out: Path, record: ClipRecord) -> None:
    """In a few lines: how many frames and faces, and how much they flicker."""
    for note in record.notes:
        typer.echo(f'{out.name}: {note}')
    restored = sum(person.done for person in record.persons)
    left = len(record.persons) - restored
    alone = f', {left} left alone (--json says why)' if left else ''
    means = record.whole_flicker().means()
    flicker = '' if means is None else f'; flicker {means[0]:.2f} -> {means[1]:.2f} levels a frame'
    shots = f'{len(record.shots)} shot{"s" if len(record.shots) != 1 else ""}'
    faces = f'{restored} face{"s" if restored != 1 else ""} followed and restored'
    typer.echo(f'{out}: {record.frames} frames, {shots}, {faces}{alone}{flicker}')
