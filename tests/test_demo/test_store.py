"""Photographs of visitors: one a session, deleted with it, and after a while."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from facesr_ext.demo.store import Store, Sweeper
from facesr_ext.errors import FaceSRError


def _upload(folder: Path, data: bytes = b'photo') -> Path:
    """As Gradio lays it down: in a folder that is named by what the file holds."""
    path = folder / data.hex() / 'a.jpg'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_session_has_one_photograph_and_nobody_elses(tmp_path: Path) -> None:
    store = Store(tmp_path, minutes=1)
    first = store.put('a', 'one.jpg', b'1')
    second = store.put('b', 'two.jpg', b'22')
    assert store.get('a') is first and store.get('b') is second and first.folder.name != second.folder.name
    assert first.original.read_bytes() == b'1' and len(first.folder.name) >= 32 and store.size() == 3
    again = store.put('a', 'three.jpg', b'3')
    assert not first.folder.exists() and store.get('a') is again
    store.drop('a')
    store.drop('a')
    with pytest.raises(FaceSRError, match='drop it again'):
        store.get('a')
    assert [path.name for path in tmp_path.iterdir()] == [second.folder.name]


def test_an_upload_goes_with_its_session_unless_another_visitor_has_uploaded_the_same(tmp_path: Path) -> None:
    store, upload = Store(tmp_path, minutes=1), _upload(tmp_path)
    store.put('a', 'a.jpg', b'photo', upload)
    store.put('b', 'a.jpg', b'photo', upload)
    store.drop('a')
    assert upload.is_file()
    store.drop('b')
    assert not upload.parent.exists()
    store.put('c', 'a.jpg', b'photo', _upload(tmp_path))
    os.utime(upload, ns=(1, 1))  # uploaded again by somebody whose turn has not come
    store.drop('c')
    assert upload.is_file()


def test_what_nobody_touches_is_swept_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path, minutes=1)
    old, new = store.put('old', 'a.jpg', b'1'), store.put('new', 'b.jpg', b'2')
    left, waiting = _upload(tmp_path, b'left'), _upload(tmp_path, b'waiting')
    broken = tmp_path / 'tmp123'  # of an upload that was broken off
    broken.write_bytes(b'ha')
    before = time.time() - 61
    for path in (old.original, new.original, left, broken):
        os.utime(path, (before, before))
    old.used = before
    store.sweep()
    assert not old.folder.exists() and new.original.is_file()
    assert not left.parent.exists() and waiting.is_file() and not broken.exists()


def test_the_sweeper_sweeps_until_it_is_stopped(tmp_path: Path) -> None:
    store, sweeper = Store(tmp_path, minutes=0), None
    sweeper = Sweeper(store, every=0.01)
    kept = store.put('a', 'a.jpg', b'1')
    sweeper.start()
    end = time.monotonic() + 20
    while kept.folder.exists() and time.monotonic() < end:
        time.sleep(0.01)
    sweeper.stop()
    assert not kept.folder.exists()
    other = store.put('b', 'b.jpg', b'1')
    time.sleep(0.05)
    assert other.folder.exists()
