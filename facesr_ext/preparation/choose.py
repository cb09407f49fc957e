"""All records together: which images stay, and in which split. A function of the records and of earlier choices alone."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from facesr_ext.faces.identity import close_pairs
from facesr_ext.preparation.fingerprints import LENGTH, candidates, groups, same_image
from facesr_ext.preparation.plan import Plan
from facesr_ext.preparation.split import Item, read_split

Thumbnails = Callable[[str], np.ndarray]
"""The thumbnail of an image by its key, as `fingerprints.thumbnail` makes it."""


@dataclass
class Entry:
    """A line of the manifest: a file without an image, or one image of a file.

    Attributes:
        source (str): The file's name below the folder that was read.
        sha256 (str | None): Of the file.
        part (dict): What the record says of the image; empty for a file without one.
        name (str | None): Its path in the data set, without suffix.
        split (str | None): 'train', 'val' or 'test', where it stays.
        reason (str | None): Why it is left out.
    """

    source: str
    sha256: str | None
    part: dict[str, Any]
    name: str | None = None
    split: str | None = None
    reason: str | None = None

    @property
    def key(self) -> str:
        """Names the image in the work; the same for the same content."""
        return str(self.part.get('key', ''))


def choose(
    plan: Plan, records: list[dict[str, Any]], before: Mapping[str, tuple[str, str]], thumbnail_of: Thumbnails
) -> list[Entry]:
    """Decides about every image.

    Args:
        plan (Plan): The settings.
        records (list[dict]): One of each file, in the order of their names.
        before (Mapping): Key -> (name, split) of the images that an earlier run has kept: they keep both.
        thumbnail_of (Callable): For the closer look at near-duplicates.

    Returns:
        list[Entry]: One a line of the manifest.

    Raises:
        OptionError: if the split cannot be read.
    """
    entries = list(_entries(records))
    if plan.duplicates != 'keep':
        _leave_out_copies(entries)
    if plan.duplicates == 'near':
        _leave_out_near_duplicates(entries, before, thumbnail_of)
    _name(entries, before)
    _split(plan, entries, before)
    return entries


def _entries(records: list[dict[str, Any]]) -> Iterator[Entry]:
    for record in records:
        if not record['parts']:
            yield Entry(record['source'], record.get('sha256'), {}, reason=record['reason'])
        for part in record['parts']:
            yield Entry(record['source'], record['sha256'], part, reason=part['reason'])


def _kept(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.reason is None]


def _leave_out_copies(entries: list[Entry]) -> None:
    """Of files of the same bytes the first one stays."""
    first: dict[str, str] = {}
    for entry in entries:
        if entry.sha256 is not None and first.setdefault(entry.sha256, entry.source) != entry.source:
            entry.reason = f'the same file as {first[entry.sha256]}'


def _leave_out_near_duplicates(
    entries: list[Entry], before: Mapping[str, tuple[str, str]], thumbnail_of: Thumbnails
) -> None:
    """Of images that show the same, one stays: an earlier run's, or the largest, or the sharpest, or the first."""
    kept = [entry for entry in _kept(entries) if entry.part.get('looks')]
    if not kept:
        return
    looks = np.stack([np.frombuffer(base64.b64decode(entry.part['looks']), np.uint8) for entry in kept])
    looks = looks.reshape(len(kept), -1, LENGTH)
    pairs = candidates(looks[:, 0], looks)
    thumbs = {int(index): thumbnail_of(kept[index].key) for index in np.unique(pairs)}
    same = [same_image(thumbs[a], thumbs[b]) for a, b in pairs.tolist()]
    for members in groups(len(kept), pairs[np.array(same, bool)] if same else pairs):
        best = max(members, key=lambda index: (kept[index].key in before, _worth(kept[index]), -index))
        for index in members:
            if index != best and kept[index].key not in before:
                kept[index].reason = f'shows the same as {kept[best].source}'


def _worth(entry: Entry) -> tuple[float, int]:
    """Its size in the photograph, then its sharpness, in steps of a quarter: less is a matter of compression."""
    return entry.part['side'], round(math.log(max(entry.part['sharpness'], 1e-3), 1.25))


def _name(entries: list[Entry], before: Mapping[str, tuple[str, str]]) -> None:
    """The photograph's path without suffix; with the image's number where it has several, and more where it is taken."""
    kept = _kept(entries)
    taken = {before[entry.key][0].casefold() for entry in kept if entry.key in before}
    for entry in kept:
        if entry.key in before:
            entry.name = before[entry.key][0]
            continue
        sha256, number = entry.key.rsplit('_', 1)
        stem = _plain(str(PurePosixPath(entry.source).with_suffix('')))
        for name in (stem, f'{stem}_{number}', f'{stem}_{sha256[:8]}_{number}', f'{stem}_{sha256}_{number}'):
            if name.casefold() not in taken and (name != stem or number == '0'):
                break
        taken.add(name.casefold())
        entry.name = name


def _plain(name: str) -> str:
    """A name that every system can write: control characters and ``<>:"|?*\\`` become '_'."""
    return ''.join('_' if ord(char) < 32 or char in '<>:"|?*\\' else char for char in name)


def _split(plan: Plan, entries: list[Entry], before: Mapping[str, tuple[str, str]]) -> None:
    kept = _kept(entries)
    rule = read_split(plan.split)
    people = _people(plan, kept)
    items = [
        Item(str(entry.name), entry.source, entry.sha256 or '', people[index], before.get(entry.key, (None, None))[1])
        for index, entry in enumerate(kept)
    ]
    for entry, split in zip(kept, rule(items), strict=True):
        entry.split = split
        if split is None:
            entry.reason = 'in no split: it is in none of the file, beyond the counts, or belongs to two sides'


def _people(plan: Plan, kept: list[Entry]) -> list[int]:
    """A group for each image: those of one photograph stay together, those of one person where that is asked for."""
    first: dict[str | None, int] = {}
    own = [first.setdefault(entry.sha256, index) for index, entry in enumerate(kept)]
    with_identity = [index for index, entry in enumerate(kept) if entry.part.get('identity')]
    if plan.same_person is None or not with_identity:
        return own
    numbers = np.stack([np.frombuffer(base64.b64decode(kept[i].part['identity']), np.float32) for i in with_identity])
    near = np.array(with_identity)[close_pairs(numbers, plan.same_person)].reshape(-1, 2)
    together = np.array([(index, group) for index, group in enumerate(own) if index != group]).reshape(-1, 2)
    for members in groups(len(kept), np.concatenate([near, together]).astype(np.int64)):
        for index in members:
            own[index] = members[0]
    return own
