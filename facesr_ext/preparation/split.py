"""Training, validation and test: which image goes where, decided by its content, so that new files move no old one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facesr_ext.data.image_io import read_text
from facesr_ext.errors import OptionError
from facesr_ext.places import user_path

NAMES = ('train', 'val', 'test')
_KEY = ('--split',)


class Item(NamedTuple):
    """One image to be put into a split.

    Attributes:
        source (str): The path of the photograph that it comes from, below the folder that was read.
        digest (str): SHA-256 of its content, hexadecimal.
        group (int): Images of one group stay together: near-duplicates, or one person.
        before (str | None): Its split in an earlier run.
    """

    source: str
    digest: str
    group: int
    before: str | None = None


Rule = Callable[[Sequence[Item]], list[str | None]]
"""For each image its split; None for one that belongs to no split."""


def read_split(text: str) -> Rule:
    """Reads what ``--split`` says.

    Args:
        text (str): Shares as '8:1:1' or '9:1', counts as '28000/1000/1000', or a file with a line ``NAME SPLIT`` an
            image (CelebA's own list_eval_partition.txt has 0, 1 and 2 for train, val and test).

    Returns:
        Rule: What puts images into 'train', 'val' and 'test'.

    Raises:
        OptionError: for another text, or a file that cannot be read.
    """
    if re.fullmatch(r'\d+(\.\d+)?(:\d+(\.\d+)?){1,2}', text):
        shares = [float(part) for part in text.split(':')]
        if not sum(shares):
            raise OptionError(f'{text}: all shares are 0', _KEY)
        return lambda items: _by_shares(items, [share / sum(shares) for share in shares])
    if re.fullmatch(r'\d+(/\d+){1,2}', text):
        counts = [int(part) for part in text.split('/')]
        return lambda items: _by_counts(items, counts)
    if user_path(text).is_file():
        table = _read_table(user_path(text))
        return lambda items: _by_table(items, table, text)
    raise OptionError(f'{text} is neither shares (8:1:1), counts (28000/1000/1000) nor a file that is there', _KEY)


def _place(digest: str) -> float:
    """A content's place in [0, 1), the same for ever."""
    return int(digest[:13], 16) / 16**13


def _groups(items: Iterable[Item]) -> dict[int, list[int]]:
    """The indices of each group's images."""
    members: dict[int, list[int]] = {}
    for index, item in enumerate(items):
        members.setdefault(item.group, []).append(index)
    return members


def _settled(items: Sequence[Item]) -> tuple[list[str | None], list[list[int]]]:
    """What earlier runs have settled, and the groups that are still to be put.

    An image keeps its split, and newcomers go to that of their group. Where a newcomer joins two splits, it is left
    out, and the old ones stay: to move one would let a test image into the training.
    """
    splits: list[str | None] = [item.before for item in items]
    waiting = []
    for members in _groups(items).values():
        old = {items[index].before for index in members} - {None}
        if not old:
            waiting.append(members)
            continue
        for index in members:
            splits[index] = items[index].before or (next(iter(old)) if len(old) == 1 else None)
    return splits, waiting


def _by_shares(items: Sequence[Item], shares: Sequence[float]) -> list[str | None]:
    splits, waiting = _settled(items)
    ends = np.cumsum(shares)
    ends[-1] = 1.0  # whatever rounding has left of it
    for members in waiting:
        place = min(_place(items[index].digest) for index in members)
        _put(splits, members, NAMES[int(np.searchsorted(ends, place, 'right'))])
    return splits


def _by_counts(items: Sequence[Item], counts: Sequence[int]) -> list[str | None]:
    """Test and validation are filled first, in the order of the contents' places: they must have the size asked for."""
    splits, waiting = _settled(items)
    waiting.sort(key=lambda members: min(_place(items[index].digest) for index in members))
    for name, count in reversed(list(zip(NAMES, counts, strict=False))):
        room, left = count - splits.count(name), []
        for members in waiting:
            if len(members) <= room:
                _put(splits, members, name)
                room -= len(members)
            else:
                left.append(members)
        waiting = left
    return splits


def _by_table(items: Sequence[Item], table: Mapping[str, str], where: str) -> list[str | None]:
    """As a file says; of a group that it puts on two sides, those of its first or an earlier run's image stay.

    Raises:
        OptionError: if the file names none of the images, or would move one that an earlier run has put.
    """
    splits = [table.get(item.source) or table.get(Path(item.source).name) for item in items]
    if items and not any(splits):
        raise OptionError(f'{where} names none of the images; it needs lines as: {items[0].source} train', _KEY)
    for item, split in zip(items, splits, strict=True):
        if item.before not in (None, split):
            raise OptionError(
                f'{where} has {item.source} in {split or "no split"}, and it is in {item.before} already; make another '
                'data set',
                _KEY,
            )
    for members in _groups(items).values():
        first = sorted(members, key=lambda index: items[index].before is None)
        named = next((splits[index] for index in first if splits[index]), None)
        _put(splits, [index for index in members if splits[index] != named], None)
    return splits


def _put(splits: list[str | None], members: Iterable[int], name: str | None) -> None:
    for index in members:
        splits[index] = name


def _read_table(path: Path) -> dict[str, str]:
    try:
        lines = [line.rsplit(None, 1) for line in read_text(path).splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as err:
        raise OptionError(f'cannot read {path}: {err}', _KEY) from err
    numbers = {str(number): name for number, name in enumerate(NAMES)}
    table: dict[str, str] = {}
    for count, parts in enumerate(lines, 1):
        value = parts[-1]
        split = numbers.get(value, value)
        if len(parts) != 2 or split not in NAMES:
            raise OptionError(f'{path}, line {count}: an image and train, val or test (or 0, 1, 2) are expected', _KEY)
        table[parts[0].strip()] = split
    return table
