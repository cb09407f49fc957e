"""Writing folders of pictures and labels into an LMDB that `FaceDataset` and BasicSR's own data sets read."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import lmdb
from basicsr.utils import get_root_logger
from tqdm import tqdm

from facesr_ext.data.image_io import decode_image, decode_mask
from facesr_ext.data.stores import LANDMARK_PREFIX, MASK_PREFIX, META_INFO, SUFFIX, FolderStore, by_key, picture_key
from facesr_ext.errors import DatasetError
from facesr_ext.places import user_path
from facesr_ext.runs.atomic import replaced_when_whole

_PAGE = 4096
_BATCH = 1000  # entries between two commits


def write_lmdb(
    images: str | os.PathLike[str],
    target: str | os.PathLike[str],
    masks: str | os.PathLike[str] | None = None,
    landmarks: dict[str, Any] | None = None,
) -> int:
    """Writes a folder of pictures into an LMDB: ``data.mdb``, ``lock.mdb`` and ``meta_info.txt``.

    The bytes of each file are stored as they are. Keys are the relative paths without suffix; labels have keys of their
    own (``label/parsing/KEY``, ``label/landmarks/KEY``). The LMDB takes its name when it is complete.

    Args:
        images (str | PathLike): Folder of pictures, sub-folders too.
        target (str | PathLike): The new LMDB, ``*.lmdb``.
        masks (str | PathLike | None): Folder of masks, ``<path of the picture without suffix>.png``.
        landmarks (dict | None): Picture path -> list of [x, y] (null: unknown), as in a ``landmark_file``.

    Returns:
        int: How many pictures it has.

    Raises:
        DatasetError: if the target is there or has another suffix, a picture cannot be decoded, two have one key, or
            the disk is full.
    """
    target = user_path(target)
    if target.suffix != SUFFIX or target.exists():
        raise DatasetError(f'{target} must be a new folder that ends in {SUFFIX}; remove it or choose another name')
    entries = _Entries(FolderStore(user_path(images)), FolderStore(user_path(masks)) if masks else None, landmarks)
    names = entries.images.names()
    _check_keys(names)
    try:
        with replaced_when_whole(target) as temporary:
            temporary.mkdir(parents=True)
            _write(temporary, names, entries)
    except (OSError, lmdb.Error) as err:
        raise DatasetError(f'cannot write {target}: {err}') from err
    return len(names)


class _Entries:
    """What is written for each picture."""

    def __init__(self, images: FolderStore, masks: FolderStore | None, landmarks: dict[str, Any] | None) -> None:
        self.images, self.masks, self.landmarks = images, masks, landmarks or {}

    def of(self, name: str) -> dict[str, bytes]:
        """Keys and bytes of one picture and its labels."""
        key = picture_key(name)
        out = {key: (self.images.root / name).read_bytes()}
        if self.masks is not None and self.masks.has_mask(name):
            place = self.masks.mask_place(name)
            out[MASK_PREFIX + key] = place.read_bytes()
            decode_mask(out[MASK_PREFIX + key], str(place))  # one that cannot be read is named now
        if name in self.landmarks:
            out[LANDMARK_PREFIX + key] = json.dumps(self.landmarks[name]).encode()
        return out

    def room(self, names: list[str]) -> int:
        """Bytes that the LMDB may grow to: twice what its pages hold, and what its tree needs."""
        paths = [self.images.root / name for name in names]
        if self.masks is not None:
            paths += [place for place in map(self.masks.mask_place, names) if place.is_file()]
        pages = sum(path.stat().st_size // _PAGE + 2 for path in paths)
        return 2 * (pages * _PAGE + len(json.dumps(self.landmarks))) + len(names) * _PAGE + 2**24


def _check_keys(names: list[str]) -> None:
    odd = [key for key in by_key(names) if '.' in key or not key.isascii()]
    if odd:
        get_root_logger().warning(
            f"{len(odd)} keys hold a dot or another than ASCII character ({odd[0]}): BasicSR's own data sets cannot "
            'read those, ours can'
        )


def _write(folder: Path, names: list[str], entries: _Entries) -> None:
    environment = lmdb.open(str(folder), map_size=entries.room(names))
    with environment, (folder / META_INFO).open('w', encoding='utf-8') as meta:
        transaction = environment.begin(write=True)
        for done, name in enumerate(tqdm(names, unit='image'), 1):
            values = entries.of(name)
            height, width, channels = decode_image(values[picture_key(name)], name).shape
            meta.write(f'{name} ({height},{width},{channels}) 1\n')
            for key, data in values.items():
                transaction.put(key.encode(), data)
            if done % _BATCH == 0:
                transaction.commit()
                transaction = environment.begin(write=True)
        transaction.commit()
