"""What a submission is made of: the files of a folder or of a zip archive, read alike, and an archive written whole."""

from __future__ import annotations

import contextlib
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from facesr_ext.errors import DatasetError

MOST_BYTES = 1 << 28
"""Of one result: an image of 8-bit RGB without any packing has 89 million pixels then."""
_STAMP = (1980, 1, 1, 0, 0, 0)  # zip's oldest date: the same results make the same archive


class FolderPackage:
    """The files of a folder.

    Args:
        root (Path): The folder.
        renamed (Mapping[str, str]): Names that files have in the package, where they differ: theirs -> the file's.

    Attributes:
        where (str): For messages.
        names (list[str]): Relative paths with '/', hidden files too, sorted.
        faults (list[str]): What is wrong with the package itself.

    Raises:
        DatasetError: There is no such folder.
    """

    def __init__(self, root: Path, renamed: Mapping[str, str] | None = None) -> None:
        if not root.is_dir():
            raise DatasetError(f'there is no folder {root}; name the folder of results')
        self.where, self.root = str(root), root
        files = [p.relative_to(root).as_posix() for p in root.rglob('*') if not p.is_dir()]
        self.renamed = dict(renamed or {})
        told = {file: name for name, file in self.renamed.items()}
        self.names = sorted(told.get(file, file) for file in files)
        empty = (p for p in root.rglob('*') if p.is_dir() and not any(p.iterdir()))
        self.faults = [f'empty folder: {p.relative_to(root).as_posix()}' for p in sorted(empty)]
        self.faults += [f'neither a file nor a folder: {file!r}' for file in files if not (root / file).is_file()]

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            DatasetError: if it cannot be read, or is larger than an image can be.
        """
        path = self.root / self.renamed.get(name, name)
        try:
            if not path.is_file():  # a pipe would be waited for
                raise DatasetError(f'{name} cannot be read: it is no file')
            _require_size(name, path.stat().st_size)
            return path.read_bytes()
        except OSError as err:
            raise DatasetError(f'{name} cannot be read: {err.strerror or err}') from err


class ZipPackage:
    """The files of a zip archive; attributes as those of :class:`FolderPackage`.

    Args:
        path (Path): The archive.

    Raises:
        DatasetError: It is missing, or no zip archive.
    """

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        try:
            self.archive = zipfile.ZipFile(path)
        except Exception as err:  # zipfile has no bounds on what it raises of damaged directories
            raise DatasetError(f'{path} is no zip archive that can be read: {err}') from err
        members = self.archive.infolist()
        count = Counter(member.filename for member in members)
        self.names = sorted(name for name in count if not name.endswith('/'))
        self.faults = [f'twice in the archive: {name}' for name, number in sorted(count.items()) if number > 1]
        unsafe = (n for n in count if n.startswith('/') or '\\' in n or '..' in PurePosixPath(n).parts)
        self.faults += [f'a name that leads out of the archive: {name!r}' for name in sorted(unsafe)]

    def read(self, name: str) -> bytes:
        """The content of a file, its checksum tested.

        Raises:
            DatasetError: if it is damaged or encrypted, or would be larger than an image can be.
        """
        _require_size(name, self.archive.getinfo(name).file_size)  # zipfile reads no more than that
        try:
            return self.archive.read(name)
        except Exception as err:  # every way of packing has errors of its own
            raise DatasetError(f'{name} cannot be read from the archive: {err}') from err

    def close(self) -> None:
        """Closes the archive."""
        self.archive.close()


def _require_size(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise DatasetError(f'{name} has {size:,} bytes unpacked; more than {MOST_BYTES:,} are not read')


Package = FolderPackage | ZipPackage


@contextlib.contextmanager
def open_package(path: Path) -> Iterator[Package]:
    """A folder, or anything else as a zip archive.

    Raises:
        DatasetError: There is neither.
    """
    if path.is_dir():
        yield FolderPackage(path)
        return
    package = ZipPackage(path)
    try:
        yield package
    finally:
        package.close()


def write_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Writes an archive; PNG is packed already, so nothing is packed again.

    Args:
        path (Path): Where to.
        files (Iterable[tuple[str, bytes]]): Name and content of each file.
    """
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_STORED) as archive:
        for name, data in files:
            member = zipfile.ZipInfo(name, _STAMP)
            member.external_attr = 0o644 << 16
            archive.writestr(member, data)
