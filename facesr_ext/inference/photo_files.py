"""Files of photographs -> files of restored ones: resumable, whole or not at all, and a bad one costs no other."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from tqdm import tqdm

from facesr_ext.data.image_io import encode_image, is_image_name
from facesr_ext.data.photo_io import PhotoFile, decode_photo_file, encode_photo_file, written_suffix
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.inference.face_record import RestoredPhoto
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.places import user_path
from facesr_ext.runs.atomic import remove_unfinished, replaced_when_whole, write_text

WORK = '.restore'
_AHEAD, _PIXELS = 16, 60_000_000  # photographs and pixels that are read before their faces are restored


class Item(Protocol):
    """A file: where it is, its name below OUT, and why it is left out unread."""

    @property
    def path(self) -> Path: ...
    @property
    def name(self) -> str: ...
    @property
    def reason(self) -> str | None: ...


@dataclass(frozen=True)
class Written:
    """What is written.

    Attributes:
        suffix (str | None): '.png', '.jpg', '.webp' or '.tif'. Default: the photograph's own.
        quality (int): Of JPEG and WebP.
        aligned (bool): Each picture is an aligned face.
        only_faces (bool): The restored squares in place of the photographs.
        save_crops (bool): The squares before and after, in OUT/faces.
        compare (bool): NAME_compare.png: before | after.
        json (bool): NAME.json: what became of each face.
    """

    suffix: str | None = None
    quality: int = 95
    aligned: bool = False
    only_faces: bool = False
    save_crops: bool = False
    compare: bool = False
    json: bool = False


class Tally(NamedTuple):
    """Photographs and faces that were restored, faces left alone, photographs that were done before, and failures."""

    photos: int
    faces: int
    left: int
    before: int
    failures: list[str]


class _Task(NamedTuple):
    path: Path
    name: str
    target: Path
    stamp: str


def restore_files(
    restorer: PhotoRestorer, items: Sequence[Item], out: Path, how: Written, settings: dict[str, Any]
) -> Tally:
    """Restores this process's share of the files into a folder of the same tree, or goes on with it.

    Args:
        restorer (PhotoRestorer): What restores.
        items (Sequence[Item]): Every file, in an order that all processes share. Other files than images are passed
            over.
        out (Path): The folder; new, empty, or made by the same settings.
        how (Written): What is written.
        settings (dict): What the results depend on, JSON's kinds: another run into ``out`` has to have the same.

    Raises:
        OptionError: for a folder that holds something else, or was made by other settings.
    """
    out = user_path(out)
    _settle(out, settings)
    tasks, failures = _tasks(items, out, how)
    rank, ranks = int(os.environ.get('RANK', 0)), int(os.environ.get('WORLD_SIZE', 1))
    if rank == 0:
        remove_unfinished(out)
    known = known_stamps(out)
    mine = tasks[rank::ranks]
    waiting = [task for task in mine if task.stamp not in known or not (how.only_faces or _is_there(task.target))]
    failures = failures if rank == 0 else []
    photos = faces = left = 0
    with tqdm(total=len(waiting), unit='photo', disable=rank > 0 or not waiting) as progress:
        for task, done in _restored(restorer, waiting, how.aligned):
            try:
                if isinstance(done, DatasetError):
                    raise done
                _write(task, *done, out, how)
                note_stamp(out / WORK / f'{rank}.jsonl', task.stamp)
                restored = sum(face.done for face in done[1].faces)
                photos, faces, left = photos + 1, faces + restored, left + len(done[1].faces) - restored
            except (DatasetError, OSError) as err:
                failures.append(f'{task.path}: {getattr(err, "strerror", None) or err}')
            progress.update()
            elapsed = progress.format_dict['elapsed']
            progress.set_postfix_str(f'{faces / max(elapsed, 1e-3):.1f} faces/s')
    return Tally(photos, faces, left, len(mine) - len(waiting), failures)


def restore_bytes(restorer: PhotoRestorer, data: bytes, how: Written) -> tuple[bytes, dict[str, Any]]:
    """One photograph as the bytes of a file -> those of the restored one, and its record.

    Raises:
        DatasetError: if it cannot be decoded, restored or encoded.
    """
    photo = decode_photo_file(data)
    result = restorer.restore_aligned(photo.image) if how.aligned else restorer.restore(photo.image)
    made, lost = encode_photo_file(with_result(photo, result, how.suffix or photo.suffix), how.quality)
    return made, photo_record('-', photo, result, lost)


def _settle(out: Path, settings: dict[str, Any]) -> None:
    """Notes what the results depend on, or compares it with what is noted."""
    file = out / WORK / 'settings.json'
    if out.is_file() or (out.is_dir() and not (out / WORK).is_dir() and any(out.iterdir())):
        raise OptionError(f'{out} is there and was not made by this command; name a new folder', ('--output',))
    mine = json.loads(json.dumps(settings))
    if not file.is_file():
        try:
            write_text(file, json.dumps(mine, indent=1))
        except OSError as err:
            raise OptionError(f'cannot write {file}: {err.strerror or err}', ('--output',)) from err
        return
    try:
        theirs = dict(json.loads(file.read_text(encoding='utf-8')))
    except (OSError, ValueError, TypeError, RecursionError) as err:
        raise OptionError(f'{file} is damaged ({err}); take another folder', ('--output',)) from err
    other = [f'{name} {theirs.get(name)} (now {value})' for name, value in mine.items() if theirs.get(name) != value]
    if other:
        text = f'{out} was made with other settings: {", ".join(other)}; take the same, or another folder'
        raise OptionError(text, ('--output',))


def _tasks(items: Sequence[Item], out: Path, how: Written) -> tuple[list[_Task], list[str]]:
    """What there is to do, and why some of it cannot be done."""
    tasks: list[_Task] = []
    failures: list[str] = []
    taken: dict[str, str] = {}
    for item in items:
        if not is_image_name(item.name):
            continue
        if item.reason:
            failures.append(f'{item.path}: {item.reason}')
            continue
        name = result_name(item.name, how.suffix)
        first = taken.setdefault(name.lower(), item.name)
        if first != item.name:
            failures.append(f'{item.path}: its result would have the name of that of {first}; rename it')
            continue
        try:
            stat = item.path.stat()
        except OSError as err:
            failures.append(f'{item.path}: cannot be read: {err.strerror or err}')
            continue
        tasks.append(_Task(item.path, item.name, out / name, f'{item.name}|{stat.st_size}|{stat.st_mtime_ns}'))
    return tasks, failures


def result_name(name: str, suffix: str | None) -> str:
    """What the result of a file is called: as it is, but for a suffix that is asked for or cannot be written."""
    stem, own = os.path.splitext(name)
    if suffix is None:
        return name if written_suffix(own) else f'{stem}.png'
    return name if written_suffix(own) == suffix else stem + suffix


def known_stamps(out: Path) -> set[str]:
    """The stamps of the files that are done; a line that was cut off is none."""
    lines = [
        line
        for file in (out / WORK).glob('*.jsonl')
        for line in file.read_text(encoding='utf-8', errors='replace').split('\n')
    ]
    known = set()
    for line in lines:
        try:
            stamp = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(stamp, str):
            known.add(stamp)
    return known


def _is_there(target: Path) -> bool:
    """Whether a result is; a power cut may leave an empty file."""
    try:
        return target.is_file() and target.stat().st_size > 0
    except OSError:
        return False


def note_stamp(file: Path, stamp: str) -> None:
    """Notes that the file of a stamp is done."""
    with file.open('a', encoding='utf-8') as stream:
        stream.write('\n' + json.dumps(stamp))


_Done = tuple[PhotoFile, RestoredPhoto] | DatasetError


def _restored(restorer: PhotoRestorer, tasks: Sequence[_Task], aligned: bool) -> Iterator[tuple[_Task, _Done]]:
    """Each file with its result, or with what is wrong with it."""
    batch: list[tuple[_Task, PhotoFile]] = []
    for task in tasks:
        try:
            batch.append((task, decode_photo_file(task.path.read_bytes())))
        except OSError as err:
            yield task, DatasetError(f'cannot be read: {err.strerror or err}')
        except DatasetError as err:
            yield task, err
        pixels = sum(photo.image.size // 3 for _, photo in batch)
        if len(batch) >= _AHEAD or pixels > _PIXELS:
            yield from _together(restorer, batch, aligned)
            batch = []
    yield from _together(restorer, batch, aligned)


def _together(
    restorer: PhotoRestorer, batch: Sequence[tuple[_Task, PhotoFile]], aligned: bool
) -> Iterator[tuple[_Task, _Done]]:
    """Photographs whose faces are restored together; one by one where that fails, so that the others are done."""
    images = [photo.image for _, photo in batch]
    if not aligned:
        try:
            results = list(restorer.restore_many(images))
            yield from ((task, (photo, done)) for (task, photo), done in zip(batch, results, strict=True))
            return
        except (DatasetError, MemoryError, cv2.error):
            pass
    restore = restorer.restore_aligned if aligned else restorer.restore
    for task, photo in batch:
        try:
            yield task, (photo, restore(photo.image))
        except DatasetError as err:
            yield task, err
        except (MemoryError, cv2.error) as err:
            yield task, DatasetError(f'cannot be processed: {err or "too little memory"}')


def with_result(photo: PhotoFile, result: RestoredPhoto, suffix: str) -> PhotoFile:
    """What is written of a photograph: its result, with all that it carries."""
    alpha, size = photo.alpha, result.image.shape[1::-1]
    if alpha is not None and alpha.shape[::-1] != size:
        alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR)
    return photo._replace(image=result.image, alpha=alpha, suffix=suffix)


def photo_record(source: str, photo: PhotoFile, result: RestoredPhoto, lost: Sequence[str]) -> dict[str, Any]:
    """What is told of a restored photograph.

    Args:
        source (str): Where it comes from.
        photo (PhotoFile): As it was.
        result (RestoredPhoto): As it came back.
        lost (Sequence[str]): What the written format cannot hold.

    Returns:
        dict: source, size, result_size, notes and faces, JSON's kinds.
    """
    notes = list(lost)
    if not result.faces:
        notes.append('no face found')
    return {
        'source': source,
        'size': list(photo.image.shape[1::-1]),
        'result_size': list(result.image.shape[1::-1]),
        'notes': notes,
        'faces': [face.as_json() for face in result.faces],
    }


def _write(task: _Task, photo: PhotoFile, result: RestoredPhoto, out: Path, how: Written) -> None:
    """Writes what is asked for of one photograph; the result last, which tells that it is done."""
    suffix = written_suffix(task.target.suffix) or photo.suffix
    data, lost = encode_photo_file(with_result(photo, result, suffix), how.quality)
    if how.save_crops or how.only_faces:
        _write_crops(task, result, out, how)
    if how.compare:
        size = result.image.shape[1::-1]
        before = (
            cv2.resize(photo.image, size, interpolation=cv2.INTER_CUBIC)
            if size != photo.image.shape[1::-1]
            else photo.image
        )
        sides = np.concatenate([before, result.image], axis=1)
        _put(task.target.with_name(f'{task.target.stem}_compare.png'), encode_image(sides))
    if how.json:
        text = json.dumps(photo_record(str(task.path), photo, result, lost), indent=1, ensure_ascii=False)
        write_text(task.target.with_name(f'{task.target.name}.json'), text)
    if not how.only_faces:
        _put(task.target, data)


def _write_crops(task: _Task, result: RestoredPhoto, out: Path, how: Written) -> None:
    """The squares of the faces: restored in OUT where nothing else is wanted, before and after in OUT/faces."""
    for face in result.faces:
        if face.before is None or face.after is None:
            continue
        if how.only_faces:
            _put(out / f'{task.name}_{face.number}.png', encode_image(face.after))
        if how.save_crops:
            for kind, image in (('before', face.before), ('after', face.after)):
                _put(out / 'faces' / f'{task.name}_{face.number}_{kind}.png', encode_image(image))


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_whole(path) as temporary:
        temporary.write_bytes(data)
