"""One training at a time in a run's folder: a lock beside it, which ends with the process that holds it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from facesr_ext.errors import CheckpointError

_held: dict[Path, IO[str]] = {}
"""The open files of the locks that this process holds, by the run's folder."""


def lock_file(folder: Path) -> Path:
    """Beside the folder, which BasicSR puts aside where a run starts afresh."""
    return folder.with_name(f'.{folder.name}.lock')


def take(opt: Mapping[str, Any]) -> None:
    """Locks the folder of a run until `released` or the end of the process; the first process does it for all.

    Loader workers do not inherit it: a killed training can be resumed at once. Where the file system knows no locks,
    and on Windows, nothing is locked.

    Args:
        opt (dict): Options of the run.

    Raises:
        CheckpointError: Another process trains there.
    """
    folder = Path(opt['path']['experiments_root'])
    if opt.get('rank', 0) != 0 or os.name != 'posix' or folder in _held:
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = _locked(folder)
    if file is None:
        return
    file.truncate(0)
    json.dump({'process': os.getpid(), 'machine': platform.node()}, file)
    file.flush()
    _held[folder] = file


def _locked(folder: Path) -> IO[str] | None:
    """The open file of the lock; None where the file system has no locks."""
    import fcntl

    path = lock_file(folder)
    while True:
        file = path.open('a+', encoding='utf-8')
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as err:
            with file:
                file.seek(0)
                who = _holder(file.read())
            raise CheckpointError(
                f'{folder}: {who} trains there. Wait for its end, end it, or give this run another name (name:)'
            ) from err
        except OSError:
            file.close()
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # the run that held it has removed it since it was opened


def is_held(folder: Path) -> bool:
    """Whether this process has locked the folder of a run."""
    return folder in _held


@contextlib.contextmanager
def released() -> Iterator[None]:
    """Gives back the locks that were taken within it."""
    before = set(_held)
    try:
        yield
    finally:
        for folder in set(_held) - before:
            with _held.pop(folder):
                lock_file(folder).unlink(missing_ok=True)


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f'process {int(holder["process"])} of {str(holder["machine"])[:100]}'
    except (ValueError, TypeError, KeyError, RecursionError):
        return 'another process'
