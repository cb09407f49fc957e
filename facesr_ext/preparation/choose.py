"""All records together: which images stay, and in which split, by the records and by earlier choices alone."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from facesr_ext.faces.identity import close_pairs
from facesr_ext.places import without_suffix
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
    alike = _alike(_kept(entries), thumbnail_of)
    if plan.duplicates == 'near':
        for members in alike:
            _keep_one(members, before)
    _name(entries, before)
    _split(plan, entries, alike, before)
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


def _alike(entries: list[Entry], thumbnail_of: Thumbnails) -> list[list[Entry]]:
    """Groups of images that show the same, in the order of the entries."""
    if not entries:
        return []
    looks = np.stack([np.frombuffer(base64.b64decode(entry.part['looks']), np.uint8) for entry in entries])
    looks = looks.reshape(len(entries), -1, LENGTH)
    pairs = candidates(looks[:, 0], looks)
    thumbs = {index: thumbnail_of(entries[index].key) for index in np.unique(pairs).tolist()}
    same = np.array([same_image(thumbs[a], thumbs[b]) for a, b in pairs.tolist()], bool)
    return [[entries[index] for index in members] for members in groups(len(entries), pairs[same])]


def _keep_one(alike: list[Entry], before: Mapping[str, tuple[str, str]]) -> None:
    """Of images that show the same, one stays: an earlier run's, the largest, the sharpest, or the first."""
    best = max(alike, key=lambda entry: (entry.key in before, _worth(entry)))  # the first of equal ones
    for entry in alike:
        if entry is not best and entry.key not in before:
            entry.reason = f'shows the same as {best.source}'


def _worth(entry: Entry) -> tuple[float, int]:
    """Its size in the photograph, then its sharpness, in steps of a quarter: less is a matter of compression."""
    return entry.part['side'], round(math.log(max(entry.part['sharpness'], 1e-3), 1.25))


def _name(entries: list[Entry], before: Mapping[str, tuple[str, str]]) -> None:
    """The photograph's path without suffix; with the image's number where it has several, more where it is taken."""
    kept = _kept(entries)
    taken = {before[entry.key][0].casefold() for entry in kept if entry.key in before}
    for entry in kept:
        if entry.key in before:
            entry.name = before[entry.key][0]
            continue
        sha256, number = entry.key.rsplit('_', 1)
        stem = _plain(without_suffix(PurePosixPath(entry.source)))
        for name in (stem, f'{stem}_{number}', f'{stem}_{sha256[:8]}_{number}', f'{stem}_{sha256}_{number}'):
            if name.casefold() not in taken and (name != stem or number == '0'):
                break
        taken.add(name.casefold())
        entry.name = name


def _plain(name: str) -> str:
    """A name that every system can write: control characters and ``<>:"|?*\\`` become '_'."""
    return ''.join('_' if ord(char) < 32 or char in '<>:"|?*\\' else char for char in name)


def _split(plan: Plan, entries: list[Entry], alike: list[list[Entry]], before: Mapping[str, tuple[str, str]]) -> None:
    kept = _kept(entries)
    rule = read_split(plan.split)
    together = _together(plan, kept, alike)
    items = [
        Item(entry.source, entry.sha256 or '', group, before.get(entry.key, (None, None))[1])
        for entry, group in zip(kept, together, strict=True)
    ]
    for entry, split in zip(kept, rule(items), strict=True):
        entry.split = split
        if split is None:
            entry.reason = 'in no split: it is in none of the file, beyond the counts, or belongs to two sides'


def _together(plan: Plan, kept: list[Entry], alike: list[list[Entry]]) -> list[int]:
    """A group for each image: those of one photograph, those that show the same and, if asked, one person's."""
    files: dict[str | None, list[Entry]] = {}
    for entry in kept:
        files.setdefault(entry.sha256, []).append(entry)
    place = {id(entry): index for index, entry in enumerate(kept)}
    sets = (*files.values(), *alike)
    joined = [[place[id(entry)] for entry in members if id(entry) in place] for members in sets]
    pairs = [(members[0], index) for members in joined for index in members[1:]]
    near = np.concatenate([np.array(pairs, np.int64).reshape(-1, 2), _one_person(plan, kept)])
    out = list(range(len(kept)))
    for members in groups(len(kept), near):
        for index in members:
            out[index] = members[0]
    return out


def _one_person(plan: Plan, kept: list[Entry]) -> np.ndarray:
    """(K, 2) int64: pairs of images whose identities are nearer than the plan says; none where it says nothing."""
    known = [index for index, entry in enumerate(kept) if entry.part.get('identity')]
    if plan.same_person is None or not known:
        return np.empty((0, 2), np.int64)
    numbers = np.stack([np.frombuffer(base64.b64decode(kept[index].part['identity']), np.float32) for index in known])
    return np.array(known, np.int64)[close_pairs(numbers, plan.same_person)].reshape(-1, 2)
