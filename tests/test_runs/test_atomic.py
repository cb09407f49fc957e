"""Names of files that are being written, and what killed processes have left of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from facesr_ext.runs.atomic import remove_unfinished, replaced_when_whole, write_text


def _left(folder: Path, name: str, process: int, machine: str | None = None) -> Path:
    """A file that a process of this machine, or of another, was writing."""
    with replaced_when_whole(folder / name) as temporary:
        temporary.touch()
        own = temporary.name.rpartition('.')[2].partition('-')[0]
    path = folder / f'.{name}.{machine or own}-{process}'
    (folder / name).rename(path)
    return path


@pytest.mark.skipif(os.name != 'posix', reason='processes are not looked for')
def test_what_the_dead_have_left_goes_and_what_the_living_write_stays(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, '-c', '']) as ended:
        pass
    inside = tmp_path / 'models'
    inside.mkdir()
    dead, alive = _left(inside, 'net.pth', ended.pid), _left(inside, 'net.pth', os.getppid())
    elsewhere = _left(tmp_path, 'table.csv', ended.pid, 'ffffffff')
    folder = _left(tmp_path, 'faces.lmdb', ended.pid)
    folder.unlink()
    (folder / 'inside').mkdir(parents=True)
    named = [tmp_path / '.hidden', tmp_path / '.a.1234', tmp_path / f'a.ffffffff-{ended.pid}']
    for path in named:
        path.touch()
    remove_unfinished(tmp_path)
    assert not dead.exists() and not folder.exists() and alive.exists() and elsewhere.exists()
    remove_unfinished(tmp_path, alone=True)
    assert not elsewhere.exists() and alive.exists() and all(path.exists() for path in named)
    remove_unfinished(tmp_path / 'nowhere')


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    write_text(tmp_path / ('ö' * 125 + '.json'), 'content')
    (path,) = tmp_path.iterdir()
    assert path.read_text(encoding='utf-8') == 'content'
