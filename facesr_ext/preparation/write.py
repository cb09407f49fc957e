"""The data set on the disk: images, masks, landmarks, the manifest, what it is, and contact sheets.

All of it can be made again from the records; each file takes its name when it is whole.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import encode_image, read_image
from facesr_ext.data.lmdb_io import write_lmdb
from facesr_ext.errors import DatasetError
from facesr_ext.faces.alignment import Frame
from facesr_ext.faces.landmarks import NUM_LANDMARKS
from facesr_ext.preparation.choose import Entry
from facesr_ext.preparation.plan import Plan
from facesr_ext.preparation.split import NAMES
from facesr_ext.runs.atomic import replaced_when_whole

MANIFEST, ABOUT, SHEETS = 'manifest.jsonl', 'dataset.md', 'sheets'
Before = Mapping[str, tuple[str, str]]
"""Key -> (name, split) of the images that an earlier run has kept."""

_ROWS, _COLUMNS = 6, 12
_NOT_TOLD = ('looks', 'identity', 'key', 'reason', 'landmarks')


def folder_of(plan: Plan, kind: str, size: int) -> str:
    """'images', 'masks', 'lr_x4': with the size behind where the data set has several."""
    return kind if len(plan.all_sizes) == 1 else f'{kind}_{size}'


def place(plan: Plan, staged: Path, root: Path, entries: Iterable[Entry]) -> None:
    """Puts the images of all entries that stay into ``root/SPLIT/images`` and so on; those that are there stay.

    The staged ones stay, too, until `remove_placed`: what is broken off in between finds them again.

    Raises:
        OSError: if an image cannot be written.
    """
    for entry in entries:
        if entry.split is None:
            continue
        source = staged / entry.key[:2] / entry.key
        for size in plan.all_sizes:
            kinds = ['images', *(f'lr_x{factor}' for factor in plan.lr)]
            kinds += ['masks'] if (source / f'masks_{size}.png').is_file() else []
            for kind in kinds:
                target = root / entry.split / folder_of(plan, kind, size) / f'{entry.name}.png'
                if not target.is_file():
                    _put(source / f'{kind}_{size}.png', target)


def _put(source: Path, target: Path) -> None:
    """A second name for a file where the disk has such, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with replaced_when_whole(target) as temporary:
            shutil.copyfile(source, temporary)


def remove_placed(staged: Path, entries: Iterable[Entry]) -> None:
    """Removes the staged images that have their place, once the manifest tells of it."""
    for entry in entries:
        if entry.split is not None:
            shutil.rmtree(staged / entry.key[:2] / entry.key, ignore_errors=True)


def is_there(plan: Plan, staged: Path, root: Path, record: dict[str, Any], before: Before) -> bool:
    """Whether the images of a record are still among the staged ones, or at their place."""
    keys = [part['key'] for part in record['parts'] if 'key' in part]
    return all(find_image(plan, staged, root, key, before).is_file() for key in keys)


def find_image(plan: Plan, staged: Path, root: Path, key: str, before: Before) -> Path:
    """Where the largest image of a key lies: among the staged ones, or at its place."""
    size = max(plan.all_sizes)
    path = staged / key[:2] / key / f'images_{size}.png'
    if key not in before or path.is_file():
        return path
    name, split = before[key]
    return root / split / folder_of(plan, 'images', size) / f'{name}.png'


def write_landmarks(plan: Plan, root: Path, entries: Sequence[Entry]) -> None:
    """``landmarks.json`` (68 points) or ``landmarks5.json`` of each split and size, in pixels of the images."""
    found = [entry for entry in entries if entry.split and ('landmarks' in entry.part or 'points' in entry.part)]
    if not found:
        return
    for split in NAMES:
        for size in plan.all_sizes:
            points: dict[str, Any] = {}
            for entry in found:
                if entry.split == split:
                    frame = Frame(np.array(entry.part['frame']), entry.part['side'])
                    known = np.array(entry.part.get('landmarks', entry.part['points']), np.float64)
                    points[f'{entry.name}.png'] = np.round(frame.points(known, size), 2).tolist()
            if points:
                many = len(next(iter(points.values()))) == NUM_LANDMARKS
                name = folder_of(plan, 'landmarks' if many else 'landmarks5', size)
                _write_text(root / split / f'{name}.json', json.dumps(points))


def write_lmdbs(plan: Plan, root: Path, target: Path) -> None:
    """An LMDB of each split, kind and size from the folders, masks and landmarks in that of the images."""
    for split in NAMES:
        for size in plan.all_sizes:
            for kind in ('images', *(f'lr_x{factor}' for factor in plan.lr)):
                images = root / split / folder_of(plan, kind, size)
                if not images.is_dir():
                    continue
                masks = root / split / folder_of(plan, 'masks', size)
                points = root / split / f'{folder_of(plan, "landmarks", size)}.json'
                out = target / split / f'{folder_of(plan, kind, size)}.lmdb'
                out.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(out, ignore_errors=True)
                labelled = kind == 'images'
                write_lmdb(
                    images,
                    out,
                    masks if labelled and masks.is_dir() else None,
                    json.loads(points.read_text(encoding='utf-8')) if labelled and points.is_file() else None,
                )


def write_manifest(root: Path, entries: Iterable[Entry]) -> None:
    """One JSON object a line: source, sha256, name, split, reason, and what was measured."""
    lines = []
    for entry in entries:
        line: dict[str, Any] = {'source': entry.source, 'sha256': entry.sha256, 'name': entry.name}
        line |= {'split': entry.split, 'reason': entry.reason, 'key': entry.key or None}
        line |= {key: value for key, value in entry.part.items() if key not in _NOT_TOLD}
        lines.append(json.dumps(line))
    _write_text(root / MANIFEST, '\n'.join(lines) + '\n')


def read_kept(root: Path) -> dict[str, tuple[str, str]]:
    """Key -> (name, split) of the images that a manifest says stay; empty where there is none.

    Raises:
        DatasetError: if it is damaged.
    """
    path = root / MANIFEST
    try:
        lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
        return {line['key']: (line['name'], line['split']) for line in map(json.loads, lines) if line['split']}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as err:
        raise DatasetError(f'{path} is damaged ({err}); restore it, or make another data set', ('DST',)) from err


def tally(entries: Iterable[Entry]) -> Counter[str]:
    """How many entries each split and each reason has; of a reason the words before its figures."""
    return Counter(entry.split or kind_of(entry.reason or '') for entry in entries)


def kind_of(reason: str) -> str:
    """'too small' of 'too small: 50 px, below 128', 'shows the same' of 'shows the same as a.jpg'."""
    for kind in ('shows the same', 'the same file'):
        if reason.startswith(kind):
            return kind
    return reason.split(':')[0]


def write_about(plan: Plan, root: Path, entries: Sequence[Entry], sources: Sequence[Path]) -> None:
    """``dataset.md``: what there is, from where, on which terms, and what was left out."""
    counts = tally(entries)
    terms = plan.licence or 'not stated; `--licence TEXT` notes them'
    made = ', '.join(str(size) for size in plan.all_sizes)
    lines = [f'# {root.resolve().name}', '']
    lines += [f'Sources: {", ".join(str(path) for path in sources)}', '', f'Terms: {terms}', '']
    lines += [f'{"Tiles" if plan.tile else "Faces"} of {made} px; `{MANIFEST}` tells what became of every file.', '']
    lines += _table('split', [(name, counts.pop(name, 0)) for name in NAMES])
    lines += _table('left out', sorted(counts.items(), key=lambda item: (-item[1], item[0])))
    lines += _table('of the masks', sorted(Counter(n for entry in entries for n in _notes(plan, entry)).items()))
    _write_text(root / ABOUT, '\n'.join(lines))


def _table(head: str, rows: Sequence[tuple[str, int]]) -> list[str]:
    """The lines of a table; none without rows."""
    return [f'| {head} | images |', '|---|---|', *(f'| {what} | {num} |' for what, num in rows), ''] if rows else []


def _notes(plan: Plan, entry: Entry) -> list[str]:
    done = 'exchanged' if plan.fix_labels else 'left as it is: --fix-labels exchanges them'
    confused = [f'left and right {pair} confused, {done}' for pair in entry.part.get('confused', ())]
    return confused + ([kind_of(entry.part['mask'])] if 'mask' in entry.part else [])


def write_sheets(root: Path, entries: Sequence[Entry], image_of: Callable[[Entry], np.ndarray | None]) -> None:
    """A contact sheet of each split, and of each reason where an image of it was made.

    Args:
        root (Path): The data set.
        entries (Sequence[Entry]): All of them.
        image_of (Callable): Entry -> its image, or None.
    """
    kinds: dict[str, list[Entry]] = {}
    for entry in entries:
        kinds.setdefault(entry.split or kind_of(entry.reason or ''), []).append(entry)
    for kind, members in kinds.items():
        shown = members[:: max(1, len(members) // (_ROWS * _COLUMNS))][: _ROWS * _COLUMNS]
        images = [image for image in map(image_of, shown) if image is not None]
        if images:
            rows = [images[start : start + _COLUMNS] for start in range(0, len(images), _COLUMNS)]
            sheet = contact_sheet(rows, [f'{kind}: {len(images)} of {len(members)}'], cell=96)
            (root / SHEETS).mkdir(parents=True, exist_ok=True)
            (root / SHEETS / f'{kind.replace(" ", "_")}.png').write_bytes(encode_image(sheet))


def thumbnail_of_source(path: Path, entry: Entry) -> np.ndarray | None:
    """What a left-out part of a photograph looked like, for the sheets; None where the file cannot be read."""
    try:
        image = read_image(path)
    except DatasetError:
        return None
    if 'frame' not in entry.part:
        return image
    frame = Frame(np.array(entry.part['frame']), entry.part['side'])
    matrix = np.column_stack([frame.matrix[:, :2] * 96, frame.matrix[:, 2] * 96 - 0.5])
    return cv2.warpAffine(image, matrix, (96, 96), flags=cv2.INTER_LINEAR)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_whole(path) as temporary:
        temporary.write_text(text, encoding='utf-8', errors='backslashreplace')  # names may be no text
