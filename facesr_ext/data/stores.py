"""Where pictures and labels lie: a folder, or an LMDB in BasicSR's layout. Both give the same under the same names."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import lmdb
import numpy as np

from facesr_ext.data.image_io import decode_image, decode_mask, list_images, read_image, read_mask
from facesr_ext.errors import DatasetError

SUFFIX = '.lmdb'
META_INFO = 'meta_info.txt'
MASK_PREFIX, LANDMARK_PREFIX = 'label/parsing/', 'label/landmarks/'
"""Keys of labels begin so; meta_info.txt does not name them, so that BasicSR's data sets pass them over."""


class FolderStore:
    """Pictures of a folder and its sub-folders; of a folder of masks, the masks.

    Args:
        root (Path): The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self, key: Sequence[str] = ()) -> list[str]:
        """Relative paths of the pictures, sorted; DatasetError that names the option ``key`` where there are none."""
        return list_images(self.root, key)

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB; DatasetError where it cannot be read."""
        return read_image(self.root / name)

    def mask_place(self, name: str) -> Path:
        """Where the mask of a picture is, if it has one."""
        return (self.root / name).with_suffix('.png')

    def has_mask(self, name: str) -> bool:
        """Whether a picture has a mask."""
        return self.mask_place(name).is_file()

    def mask(self, name: str) -> np.ndarray:
        """(H, W) uint8 class values; DatasetError where it cannot be read."""
        return read_mask(self.mask_place(name))


class LmdbStore:
    """Pictures, masks and landmarks of an LMDB that `lmdb_io.write_lmdb` or BasicSR has written.

    It is opened when something is read, once in a process: it can be pickled, and forked or spawned into workers.

    Args:
        root (Path): The folder ``*.lmdb``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self, key: Sequence[str] = ()) -> list[str]:
        """The names in meta_info.txt, in its order; DatasetError that names the option ``key`` where there are none."""
        try:
            lines = (self.root / META_INFO).read_text(encoding='utf-8').splitlines()
        except OSError as err:
            raise DatasetError(
                f'{self.root} is no LMDB with a {META_INFO} ({err.strerror or err}); write it with '
                'facesr_ext.data.lmdb_io.write_lmdb or BasicSR',
                key,
            ) from err
        names = [line.rsplit(' ', 2)[0] for line in lines if line.strip()]  # a name may hold spaces
        if not names:
            raise DatasetError(f'{self.root / META_INFO} names no picture', key)
        return names

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB; DatasetError where it is missing or cannot be decoded."""
        data = self._get(picture_key(name))
        if data is None:
            raise DatasetError(
                f'{self.root} has no picture {picture_key(name)!r}; {META_INFO} lists what it should have'
            )
        return decode_image(data, f'{self.root}: {name}')

    def mask_place(self, name: str) -> str:
        """Where the mask of a picture is, if it has one."""
        return f'the key {MASK_PREFIX}{picture_key(name)}'

    def has_mask(self, name: str) -> bool:
        """Whether a picture has a mask."""
        return self._get(MASK_PREFIX + picture_key(name)) is not None

    def mask(self, name: str) -> np.ndarray:
        """(H, W) uint8 class values; DatasetError where it is missing or cannot be decoded."""
        return decode_mask(self._get(MASK_PREFIX + picture_key(name)) or b'', f'{self.root}: {self.mask_place(name)}')

    def landmarks(self, name: str) -> list[Any] | None:
        """[x, y] or None for each landmark of a picture, pixels; None where it has none."""
        data = self._get(LANDMARK_PREFIX + picture_key(name))
        return None if data is None else json.loads(data)

    def _get(self, key: str) -> bytes | None:
        with _environment(self.root).begin() as transaction:
            return transaction.get(key.encode())


Store = FolderStore | LmdbStore


def open_store(root: str | os.PathLike[str]) -> Store:
    """The store of a path: an LMDB where it ends in ``.lmdb``, else a folder."""
    path = Path(root).expanduser()
    return LmdbStore(path) if path.suffix == SUFFIX else FolderStore(path)


def picture_key(name: str) -> str:
    """The key of a picture: its relative path without suffix, as BasicSR has it."""
    return PurePosixPath(name).with_suffix('').as_posix()


_environments: dict[str, tuple[int, lmdb.Environment]] = {}


def _environment(root: Path) -> lmdb.Environment:
    """The open LMDB of a path: one for all that read it in this process, as LMDB demands, and none from a parent's."""
    path = str(root.resolve())
    process, environment = _environments.get(path, (0, None))
    if environment is None or process != os.getpid():
        if environment is not None:
            environment.close()  # inherited by a fork; what the parent holds stays open
        try:
            environment = lmdb.open(path, readonly=True, lock=False, readahead=False, meminit=False)
        except lmdb.Error as err:
            raise DatasetError(f'cannot open the LMDB {root}: {err}') from err
        _environments[path] = (os.getpid(), environment)
    return environment
