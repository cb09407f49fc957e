"""File operations that fail at a place of choice, as those of a full or broken disk do."""

from __future__ import annotations

import builtins
import contextlib
import errno
import io
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

NAMED = ('mkdir', 'rmdir', 'unlink', 'remove', 'rename', 'replace', 'link', 'open', 'fsync')
"""Functions of os that change what is on the disk, or see to it that it is there."""


class Disk:
    """Counts the operations on files below a folder, and has one of them fail.

    Args:
        folder (Path): Operations elsewhere are not counted.
        fails (int): Number of the one that fails, from 1; 0 for none.
        lasting (bool): All after it fail, too, as on a disk that stays full; removing works again.
        code (int): What it fails with, as ``errno.ENOSPC``.

    Attributes:
        count (int): Operations so far.
        failed (str): What has failed: 'write net_g_2.pth'; '' while nothing has.
    """

    def __init__(self, folder: Path, fails: int = 0, lasting: bool = False, code: int = errno.ENOSPC) -> None:
        self.folder, self.fails, self.lasting, self.code = str(folder), fails, lasting, code
        self.count, self.failed = 0, ''
        self._handles: dict[int, str] = {}

    def ask(self, what: str, path: Any) -> None:
        """Counts an operation.

        Raises:
            OSError: if it is the one that fails.
        """
        if not os.path.abspath(os.fsdecode(path)).startswith(self.folder):
            return
        self.count += 1
        removing = what in ('unlink', 'remove', 'rmdir')
        if self.count == self.fails or (self.lasting and 0 < self.fails < self.count and not removing):
            self.failed = self.failed or f'{what} {os.path.basename(os.fsdecode(path))}'
            named = () if what in ('write', 'fsync', 'close') else (os.fsdecode(path),)
            raise OSError(self.code, os.strerror(self.code), *named)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Takes the place of the functions of os, and of open."""
        stock = {name: getattr(os, name) for name in NAMED}
        opened = io.open
        for name in NAMED:
            setattr(os, name, self._asking(name, stock[name]))
        io.open = builtins.open = self._opening(opened)  # type: ignore[assignment]
        try:
            yield
        finally:
            for name, function in stock.items():
                setattr(os, name, function)
            io.open = builtins.open = opened

    def _asking(self, name: str, stock: Callable[..., Any]) -> Callable[..., Any]:
        def asked(path: Any, *args: Any, **kwargs: Any) -> Any:
            if name == 'fsync':
                self.ask(name, self._handles.get(path, '/'))
                return None  # there is no power cut here
            if name != 'open' or (args and args[0] & (os.O_WRONLY | os.O_RDWR)):
                self.ask(name, path)
            given = stock(path, *args, **kwargs)
            if name == 'open':
                self._handles[given] = path
            return given

        return asked

    def _opening(self, stock: Callable[..., Any]) -> Callable[..., Any]:
        def opened(path: Any, mode: str = 'r', *args: Any, **kwargs: Any) -> Any:
            writes = not isinstance(path, int) and any(letter in mode for letter in 'wax+')
            if writes:
                self.ask('open', path)
            file = stock(path, mode, *args, **kwargs)
            return _File(file, self, path) if writes else file

        return opened


class _File:
    """A file whose writes are counted; what is left in a buffer is written when it is closed."""

    def __init__(self, file: Any, disk: Disk, path: Any) -> None:
        self._file, self._disk, self._path = file, disk, path

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *given: Any) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def write(self, data: Any) -> int:
        self._disk.ask('write', self._path)
        return int(self._file.write(data))

    def close(self) -> None:
        closed = self._file.closed
        self._file.close()
        if not closed:
            self._disk.ask('close', self._path)


def every_failure(
    folder: Path, work: Callable[[], Any], code: int = errno.ENOSPC, lasting: bool = False, stride: int = 1
) -> Iterator[tuple[Disk, BaseException | None]]:
    """Does some work again and again: its first operation fails, then its second, until all have had their turn.

    Args:
        folder (Path): Operations below it are counted.
        work (Callable): It; the caller puts everything back between two tries.
        code (int): What they fail with.
        lasting (bool): All after the one fail, too.
        stride (int): Only every so many-th has its turn.

    Yields:
        tuple[Disk, BaseException | None]: What has failed, and what the work has raised.
    """
    for number in itertools.count(1, stride):
        disk = Disk(folder, number, lasting, code)
        error: BaseException | None = None
        with disk.watched():
            try:
                work()
            except Exception as err:  # noqa: BLE001 - whatever it is, is looked at
                error = err
        if not disk.failed:
            assert error is None
            return
        yield disk, error
