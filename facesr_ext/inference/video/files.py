"""Files of clips -> files of restored ones, and folders of frames -> folders or clips."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from facesr_ext.data.clip_io import is_clip_name
from facesr_ext.data.clip_writer import CONTAINERS, choose_coding, require_container
from facesr_ext.data.image_io import list_images
from facesr_ext.errors import DatasetError, DependencyError, OptionError
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.photo_files import WORK, Item, known_stamps, note_stamp, result_name
from facesr_ext.inference.video.run import SEGMENT, ClipRecord, restore_clip
from facesr_ext.inference.video.sinks import ClipSink, FolderSink, Sink
from facesr_ext.inference.video.sources import ClipSource, FolderSource, stamp_of
from facesr_ext.places import user_path
from facesr_ext.runs.atomic import write_text

PARTS = '.parts'
"""Ends the name of the folder of unfinished work."""


@dataclass(frozen=True)
class ClipWritten:
    """What is written of a clip.

    Attributes:
        codec (str | None): FFmpeg's name of the encoder. Default: by the bits of the clip.
        crf (int | None): Its quality, the less the better. Default: the codec's, by which a difference is hardly seen.
        fps (Fraction): Frames a second of a folder of frames that becomes a clip.
        quality (int): Of frames that are JPEG or WebP.
        suffix (str | None): Of frames: '.png', '.jpg', '.webp' or '.tif'. Default: their own.
        json (bool): NAME.json: what became of each face.
        quiet (bool): Without a bar of progress.
        segment (int): Frames that are kept together while a clip is unfinished.
    """

    codec: str | None = None
    crf: int | None = None
    fps: Fraction = Fraction(25)
    quality: int = 95
    suffix: str | None = None
    json: bool = False
    quiet: bool = False
    segment: int = SEGMENT


class ClipTally(NamedTuple):
    """Clips that were restored, with what became of each; how many were done before; failures."""

    done: list[tuple[Path, ClipRecord]]
    before: int
    failures: list[str]


def restore_clip_file(
    restorer: PhotoRestorer,
    path: Path,
    target: Path,
    how: ClipWritten,
    settings: dict[str, Any],
    parts: Path | None = None,
) -> ClipRecord:
    """Restores the file of a clip, or goes on with it.

    Args:
        restorer (PhotoRestorer): What restores.
        path (Path): The clip.
        target (Path): The result: .mp4, .m4v, .mov, .mkv, .webm or .ts.
        how (ClipWritten): What is written.
        settings (dict): What the result depends on beside ``how``, JSON's kinds.
        parts (Path | None): The folder of unfinished work. Default: beside the result, with ``.parts`` at its name's
            end.

    Raises:
        OptionError: for a suffix or codec that cannot be written, or unfinished work of other settings.
        DatasetError: without a place: if the clip cannot be read, restored or written.
        DependencyError: without PyAV.
    """
    require_clip_settings(restorer)
    source = ClipSource(path)
    suffix = target.suffix.lower()
    require_container(source.clip, suffix)
    coding, lost = choose_coding(suffix, how.codec, how.crf, source.info.format, source.info.bits)
    parts = parts or target.with_name(target.name + PARTS)
    sink = ClipSink(target, parts, source.info, coding, source.clip)
    target.parent.mkdir(parents=True, exist_ok=True)
    record = restore_clip(
        restorer, source, sink, parts, {**settings, **coding._asdict()}, [*source.info.notes, *lost], how.quiet,
        how.segment,
    )  # fmt: skip
    if how.json:
        write_record(target, record, str(path))
    return record


def restore_frames(
    restorer: PhotoRestorer, folder: Path, out: Path, how: ClipWritten, settings: dict[str, Any]
) -> ClipRecord:
    """Restores the pictures of a folder as the frames of one clip, in the order of their names.

    Args:
        restorer (PhotoRestorer): What restores.
        folder (Path): Pictures of one size.
        out (Path): A folder, or the file of a clip.
        how (ClipWritten): What is written.
        settings (dict): As of `restore_clip_file`.

    Raises:
        OptionError, DatasetError, DependencyError: as `restore_clip_file`; DatasetError names the picture.
    """
    require_clip_settings(restorer)
    names = list_images(folder, ('INPUT',))
    source = FolderSource([folder / name for name in names], how.fps)
    lost: list[str] = []
    sink: Sink
    if is_clip_name(out.name):
        suffix = out.suffix.lower()
        require_container(None, suffix)
        coding, lost = choose_coding(suffix, how.codec, how.crf, source.info.format, source.info.bits)
        parts = out.with_name(out.name + PARTS)
        sink = ClipSink(out, parts, source.info, coding, None)
        settings = {**settings, **coding._asdict(), 'fps': str(how.fps)}
        out.parent.mkdir(parents=True, exist_ok=True)
    else:
        if out.resolve() == folder.resolve():
            raise OptionError(f'{out} is the folder of the frames themselves; name another one', ('--output',))
        parts = out / WORK
        if out.is_file() or (out.is_dir() and not parts.is_dir() and any(out.iterdir())):
            raise OptionError(f'{out} is there already; name a new folder', ('--output',))
        sink = FolderSink(out, [result_name(name, how.suffix) for name in names], how.quality)
        settings = {**settings, 'suffix': how.suffix, 'quality': how.quality}
    record = restore_clip(restorer, source, sink, parts, settings, lost, how.quiet, how.segment)
    if how.json:
        write_record(out if out.is_file() else out / 'frames', record, str(folder))
    return record


def restore_clips(
    restorer: PhotoRestorer, items: Sequence[Item], out: Path, how: ClipWritten, settings: dict[str, Any]
) -> ClipTally:
    """Restores this process's share of the clips among some files into a folder of the same tree.

    Args:
        restorer (PhotoRestorer): What restores.
        items (Sequence[Item]): Every file, in an order that all processes share; others than clips are passed over.
        out (Path): The folder, settled by `restore_files`.
        how (ClipWritten): What is written.
        settings (dict): What the results depend on.
    """
    out = user_path(out)
    rank, ranks = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    clips = [item for item in items if is_clip_name(item.name)][rank::ranks]
    known = known_stamps(out) if clips else set()
    done: list[tuple[Path, ClipRecord]] = []
    failures: list[str] = []
    before = 0
    for item in clips:
        stem, suffix = os.path.splitext(item.name)
        target = out / (item.name if suffix.lower() in CONTAINERS else f'{stem}.mkv')
        try:
            stamp = f'{item.name}|{stamp_of(item.path)}'
            if stamp in known and target.is_file():
                before += 1
                continue
            parts = out / WORK / 'clips' / f'{item.name}{PARTS}'
            done.append((target, restore_clip_file(restorer, item.path, target, how, settings, parts)))
            note_stamp(out / WORK / f'{rank}.jsonl', stamp)
        except (DatasetError, DependencyError, OptionError, OSError) as err:
            failures.append(f'{item.path}: {getattr(err, "strerror", None) or err}')
    return ClipTally(done, before, failures)


def require_clip_settings(restorer: PhotoRestorer) -> None:
    """Refuses masks that would not be steady.

    Raises:
        OptionError: for a parser.
    """
    if restorer.parser is not None:
        raise OptionError('is for photographs: its masks differ from frame to frame; leave it out', ('--parse',))


def write_record(target: Path, record: ClipRecord, source: str) -> None:
    """Writes what became of a clip beside it."""
    text = json.dumps({'source': source, **record.as_json()}, indent=1, ensure_ascii=False)
    write_text(target.with_name(f'{target.name}.json'), text)


def begin_anew(target: Path) -> None:
    """Removes unfinished work of a result."""
    shutil.rmtree(target.with_name(target.name + PARTS), ignore_errors=True)
