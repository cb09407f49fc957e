"""Files and folders that are there whole, or as they were before; and none that is replaced unasked."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from facesr_ext.errors import OptionError

_LONGEST = 255
"""Bytes of a name, of most file systems."""


@contextlib.contextmanager
def replaced_when_whole(target: Path) -> Iterator[Path]:
    """A path beside the target to write to, which takes its place if the block ends well and is gone otherwise.

    Args:
        target (Path): A file, there or not, or a folder that is not there yet.

    Raises:
        OSError: if it cannot be put into its place; which, and what the block raises, is the caller's to tell of.
    """
    temporary = target.with_name(f'.{target.name}.{os.getpid()}')
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8) that is there whole or not at all; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_whole(path) as temporary:
        temporary.write_text(text, encoding='utf-8')


def require_free(
    targets: Iterable[Path], read: Iterable[Path] = (), force: bool = False, key: Sequence[str] = ('--output',)
) -> None:
    """Sees to it that a command replaces neither what it reads nor what is there already.

    Args:
        targets (Iterable[Path]): Every file that it is about to write.
        read (Iterable[Path]): Files that it reads, and folders of which it reads all: what is written into one of
            these would be read the next time.
        force (bool): The user has allowed both.
        key (Sequence[str]): The option that says where to write.

    Raises:
        OptionError: naming the first such file, and how many there are; and a place that no file can be written to.
    """
    files = list(dict.fromkeys(targets))
    for folder in dict.fromkeys(file.parent for file in files):
        _require_folder(folder, key)
    for file in files:
        if file.is_dir():
            raise OptionError(f'{file} is a folder; name another place', key)
    if force:
        return
    sources = {path.resolve() for path in read}
    for file in files:
        whole = file.resolve()
        if source := next((path for path in (whole, *whole.parents) if path in sources), None):
            what = 'is read, too' if source == whole else f'lies in {source}, which is read'
            raise OptionError(f'{file} {what}; name another place, or allow it with --force', key)
    there = [file for file in files if os.path.lexists(file)]
    if there:
        more = f' (and {len(there) - 1} more)' if len(there) > 1 else ''
        raise OptionError(f'{there[0]}{more} is there already; name another place, or replace it with --force', key)


def _require_folder(folder: Path, key: Sequence[str]) -> None:
    """OptionError where a folder is none, cannot be made or cannot be written to."""
    long = [part for part in folder.parts if len(os.fsencode(part)) > _LONGEST]
    if long:
        raise OptionError(f'{long[0][:20]}... is longer than {_LONGEST} bytes, which no folder can be called', key)
    there = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), Path())
    if not there.is_dir():
        raise OptionError(f'{there} is no folder, but a file or a link to nothing; name another place', key)
    if not os.access(there, os.W_OK | os.X_OK):
        raise OptionError(f'{there} cannot be written to; see to its rights, or name another place', key)
