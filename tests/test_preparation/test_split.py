"""Splits: exact counts, shares, files; nobody moves; groups stay together."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from facesr_ext.errors import OptionError
from facesr_ext.preparation.split import Item, read_split


def items(num: int, start: int = 0, group_of: int = 1) -> list[Item]:
    digests = [hashlib.sha256(str(start + index).encode()).hexdigest() for index in range(num)]
    return [Item(f'{i + start}.jpg', digest, (i + start) // group_of) for i, digest in enumerate(digests)]


def test_counts_are_exact() -> None:
    assert Counter(read_split('720/90/90')(items(900))) == {'train': 720, 'val': 90, 'test': 90}  # report S1
    few = Counter(read_split('720/90/90')(items(200)))
    assert few == {'val': 90, 'test': 90, 'train': 20}
    assert Counter(read_split('5/5')(items(20)))[None] == 10


def test_shares_are_about_right_and_new_files_move_nobody() -> None:
    rule, first = read_split('8:1:1'), items(2000)
    before = rule(first)
    counts = Counter(before)
    assert abs(counts['train'] - 1600) < 60 and abs(counts['val'] - 200) < 50
    more = sorted(first + items(500, 2000), key=lambda item: item.digest)
    assert {i.source: s for i, s in zip(more, rule(more), strict=True) if int(i.source[:-4]) < 2000} == {
        item.source: split for item, split in zip(first, before, strict=True)
    }
    assert Counter(read_split('1:0:0')(first)) == {'train': 2000}
    assert set(read_split('1:1')(first)) == {'train', 'val'}


@pytest.mark.parametrize('text', ['8:1:1', '60/20/20'])
def test_groups_stay_on_one_side(text: str) -> None:
    grouped = items(100, group_of=4)
    splits = read_split(text)(grouped)
    assert all(len(set(splits[start : start + 4])) == 1 for start in range(0, 100, 4))


def test_what_is_settled_stays_and_newcomers_follow() -> None:
    old = [item._replace(before='val' if index % 2 else 'test') for index, item in enumerate(items(2))]
    same = [item._replace(group=0) for item in (*old, *items(2, 2))]
    assert read_split('8:1:1')(same) == ['test', 'val', None, None]  # the newcomers belong to two sides
    follows = [old[0]._replace(group=7), *(item._replace(group=7) for item in items(2, 2))]
    assert read_split('1:0:0')(follows) == ['test', 'test', 'test']


def test_split_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / 'list_eval_partition.txt'
    path.write_text('0.jpg 0\n1.jpg 1\nwith space 2.jpg test\n', encoding='utf-8')
    names = [item._replace(source=source) for item, source in zip(items(4), NAMED, strict=True)]
    assert read_split(str(path))(names) == ['train', 'val', 'test', None]
    together = [item._replace(group=1) for item in names]
    assert read_split(str(path))(together) == ['train', None, None, None]
    with pytest.raises(OptionError, match='names none of the images; it needs lines as: x.jpg train'):
        read_split(str(path))([items(1)[0]._replace(source='x.jpg')])
    path.write_text('0.jpg 3\n', encoding='utf-8')
    with pytest.raises(OptionError, match=r'line 1: an image and train, val or test'):
        read_split(str(path))


NAMED = ['faces/0.jpg', '1.jpg', 'with space 2.jpg', '3.jpg']


@pytest.mark.parametrize('text', ['8', '8:1:1:1', '0:0:0', 'all', '8/1/1/1', '-1:2', ''])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match='--split'):
        read_split(text)
