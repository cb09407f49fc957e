"""Files and folders that are there whole, or as they were before; and none that is replaced unasked."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from facesr_ext.errors import OptionError

_LONGEST = 255
"""Bytes of a name, of most file systems."""


_UNFINISHED = re.compile(r'\..*\.([0-9a-f]{8})-(\d{1,10})')
"""What `replaced_when_whole` calls a file while it is written: .NAME.MACHINE-PROCESS."""


@contextlib.contextmanager
def replaced_when_whole(target: Path, synced: bool = False) -> Iterator[Path]:
    """A path beside the target to write to, which takes its place if the block ends well and is gone otherwise.

    Args:
        target (Path): A file, there or not, or a folder that is not there yet.
        synced (bool): A power cut, too, leaves the one file or the other: what was written and its name are on the disk
            at the end. Default: False, which spares some milliseconds a file; then it may leave an empty one.

    Raises:
        OSError: if it cannot be written or put into its place; it names a file. What the block raises otherwise, is the
            caller's to tell of.
    """
    temporary = target.with_name(_unfinished_name(target.name))
    try:
        yield temporary
        if synced:
            _sync(temporary)
        os.replace(temporary, target)
        if synced:
            _sync(target.parent)
    except BaseException as err:
        _remove(temporary)
        if isinstance(err, OSError) and err.filename is None:
            err.filename = str(target)
        raise


def remove_unfinished(folder: Path, alone: bool = False) -> None:
    """Removes what killed processes have left of files that they were writing, here and in the folders below.

    What living processes of this machine are writing stays. On Windows nothing is removed.

    Args:
        folder (Path): It need not be there.
        alone (bool): No other machine writes there now, so that what others have left goes, too. Default: False.
    """
    if os.name != 'posix':  # where looking for a process may end it
        return
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            found = _UNFINISHED.fullmatch(name)
            if found is None or not (alone or found[1] == _machine()):
                continue
            if found[1] != _machine() or not _lives(int(found[2])):
                _remove(Path(place) / name)


def _unfinished_name(name: str) -> str:
    tag = f'.{_machine()}-{os.getpid()}'
    room = _LONGEST - len(tag) - 1
    if len(os.fsencode(name)) > room:  # the whole name is told by its sum
        name = f'{zlib.crc32(os.fsencode(name)):08x}'
    return f'.{name}{tag}'


def _machine() -> str:
    return f'{zlib.crc32(platform.node().encode()):08x}'


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # another user's
    return True


def _remove(path: Path) -> None:
    """A file or folder as far as it can be removed; what stays is removed another time."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with contextlib.suppress(OSError):
        path.unlink()


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk; file systems that cannot sync folders need not."""
    folder = path.is_dir()
    if folder and os.name != 'posix':
        return
    handle = os.open(path, os.O_RDONLY if folder or os.name == 'posix' else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as err:
        if not folder or err.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


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
