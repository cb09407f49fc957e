"""Where images and labels lie: a folder, or an LMDB in BasicSR's layout. Both give the same under the same names."""

from __future__ import annotations

import io
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import lmdb
import numpy as np

from facesr_ext.data.image_io import (
    decode_image,
    decode_mask,
    info_name,
    is_image_name,
    lines_of,
    list_images,
    read_image,
    read_mask,
    read_text,
    stored_size,
)
from facesr_ext.errors import DatasetError
from facesr_ext.places import user_path, without_suffix

SUFFIX = '.lmdb'
META_INFO = 'meta_info.txt'
MASK_PREFIX, LANDMARK_PREFIX = 'label/parsing/', 'label/landmarks/'
"""Keys of labels begin so; meta_info.txt does not name them, so that BasicSR's data sets pass them over."""


class FolderStore:
    """Images of a folder and its sub-folders; of a folder of masks, the masks.

    Args:
        root (Path): The folder.
    """

    kind = 'disk'

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self, key: Sequence[str] = ()) -> list[str]:
        """Relative paths of the pictures, sorted; DatasetError that names the option ``key`` where there are none."""
        return list_images(self.root, key)

    def own(self, names: Sequence[str], key: Sequence[str] = ()) -> list[str | None]:
        """What images of these names, of a list, are called here; None for what is no image here. Raises as `names`.

        A list may name them in full, or as another system does (:func:`plain_name`).
        """
        listed = self.names(key)
        known, plain = set(listed), {plain_name(name): name for name in listed}
        return [name if name in known else self._own(name, plain) for name in names]

    def _own(self, name: str, plain: Mapping[str, str]) -> str | None:
        below = os.path.relpath(self.root / name, self.root) if os.path.isabs(name) else os.path.normpath(name)
        own = plain.get(plain_name(below))
        if own is not None or below.startswith('..') or '\0' in below or not _is_file(self.root / below):
            return own
        known = is_image_name(below) or stored_size(self.root / below) is not None  # hidden, or of no usual suffix
        return Path(below).as_posix() if known else None

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB; DatasetError where it cannot be read."""
        return read_image(self.root / name)

    def size(self, name: str) -> tuple[int, int] | None:
        """Height and width by the head of the file, None where that cannot be read."""
        return stored_size(self.root / name)

    def mask_place(self, name: str) -> Path:
        """Where the mask of a picture is, if it has one."""
        return (self.root / name).with_suffix('.png')

    def has_mask(self, name: str) -> bool:
        """Whether a picture has a mask."""
        return self.mask_place(name).is_file()

    def mask_size(self, name: str) -> tuple[int, int] | None:
        """Height and width by the head of the mask's file, None where that cannot be read."""
        return stored_size(self.mask_place(name))

    def mask(self, name: str) -> np.ndarray:
        """(H, W) uint8 class values; DatasetError where it cannot be read."""
        return read_mask(self.mask_place(name))


class LmdbStore:
    """Pictures, masks and landmarks of an LMDB that `lmdb_io.write_lmdb` or BasicSR has written.

    It is opened when something is read, once in a process: it can be pickled, and forked or spawned into workers.

    Args:
        root (Path): The folder ``*.lmdb``.
    """

    kind = 'lmdb'

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self, key: Sequence[str] = ()) -> list[str]:
        """The names in meta_info.txt, in its order; DatasetError that names the option ``key`` where there are none."""
        try:
            lines = lines_of(read_text(self.root / META_INFO))
        except (OSError, UnicodeDecodeError) as err:
            raise DatasetError(
                f'{self.root} is no LMDB with a {META_INFO} ({getattr(err, "strerror", None) or err}); write it with '
                'facesr_ext.data.lmdb_io.write_lmdb or BasicSR',
                key,
            ) from err
        names = [info_name(line) for line in lines if line.strip()]
        if not names:
            raise DatasetError(f'{self.root / META_INFO} names no picture', key)
        return names

    def own(self, names: Sequence[str], key: Sequence[str] = ()) -> list[str | None]:
        """As of `FolderStore`: an image is known by its name without suffix."""
        plain = {plain_name(picture_key(name)): name for name in self.names(key)}
        return [plain.get(plain_name(picture_key(name))) for name in names]

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB; DatasetError where it is missing or cannot be decoded."""
        data = self._get(picture_key(name))
        if data is None:
            raise DatasetError(
                f'{self.root} has no picture {picture_key(name)!r}; {META_INFO} lists what it should have'
            )
        return decode_image(data, f'{self.root}: {name}')

    def size(self, name: str) -> tuple[int, int] | None:
        """Height and width by the head of the image, None where that cannot be read."""
        return stored_size(io.BytesIO(self._get(picture_key(name)) or b''))

    def mask_place(self, name: str) -> str:
        """Where the mask of a picture is, if it has one."""
        return f'the key {MASK_PREFIX}{picture_key(name)}'

    def has_mask(self, name: str) -> bool:
        """Whether a picture has a mask."""
        return self._get(MASK_PREFIX + picture_key(name)) is not None

    def mask_size(self, name: str) -> tuple[int, int] | None:
        """Height and width by the head of the mask, None where that cannot be read."""
        return stored_size(io.BytesIO(self._get(MASK_PREFIX + picture_key(name)) or b''))

    def mask(self, name: str) -> np.ndarray:
        """(H, W) uint8 class values; DatasetError where it is missing or cannot be decoded."""
        return decode_mask(self._get(MASK_PREFIX + picture_key(name)) or b'', f'{self.root}: {self.mask_place(name)}')

    def landmarks(self, name: str) -> np.ndarray | None:
        """(L, 2) float32 pixels of an image, NaN unknown; None where it has none."""
        data = self._get(LANDMARK_PREFIX + picture_key(name))
        try:
            return None if data is None else _landmark_array(json.loads(data))
        except (ValueError, RecursionError) as err:
            raise DatasetError(f'{self.root}: the landmarks of {name} are no list of [x, y] ({err})') from err

    def _get(self, key: str) -> bytes | None:
        try:
            with _environment(self.root).begin() as transaction:
                return transaction.get(key.encode())
        except (lmdb.BadValsizeError, UnicodeEncodeError):
            return None  # no key that an LMDB can have
        except lmdb.Error as err:
            raise DatasetError(f'{self.root} is damaged ({err}); write it anew') from err


class LandmarkFile:
    """Landmarks of a JSON file: image path -> list of [x, y] in its pixels, null for unknown.

    Args:
        root (Path): The file.
        num (int): Landmarks that each face must have.
        key (Sequence[str]): The option that names it.

    Raises:
        DatasetError: if it cannot be read, or an entry has another number of landmarks.
    """

    kind = 'file'

    def __init__(self, root: Path, num: int, key: Sequence[str] = ()) -> None:
        self.root = root
        try:
            entries = json.loads(read_text(root), object_pairs_hook=_once)
        except (OSError, ValueError, RecursionError) as err:
            raise DatasetError(f'cannot read {root}: {err}', key) from err
        if not isinstance(entries, dict):
            raise DatasetError(f'{root} must hold image path -> landmarks, not a {type(entries).__name__}', key)
        self._landmarks = {name: _landmark_array(points) for name, points in entries.items()}
        for name, points in self._landmarks.items():
            check_landmarks(points, num, name, root, key)
        self._plain = {plain_name(name): name for name in self._landmarks}

    def unused(self, names: Iterable[str]) -> list[str]:
        """Those of its entries that are of none of the images, sorted."""
        return sorted(set(self._landmarks) - {self._entry(name) for name in names})

    def landmarks(self, name: str) -> np.ndarray | None:
        """(L, 2) float32 pixels of an image, NaN unknown; None where it has none."""
        return self._landmarks.get(self._entry(name))

    def _entry(self, name: str) -> str:
        return name if name in self._landmarks else self._plain.get(plain_name(name), name)


class JoinedStore:
    """The images of several folders or LMDBs, each under its own path: names below two of them may be alike.

    Args:
        stores (Sequence[FolderStore | LmdbStore]): In the order of their images.
    """

    kind = 'several'

    def __init__(self, stores: Sequence[FolderStore | LmdbStore]) -> None:
        self.root, self.stores = Path(), list(stores)
        self._places: dict[str, tuple[FolderStore | LmdbStore, str]] = {}
        self._listed: list[dict[str, str]] = []

    def names(self, key: Sequence[str] = ()) -> list[str]:
        """The paths of all images; raises as the stores do."""
        self._listed = [{(store.root / name).as_posix(): name for name in store.names(key)} for store in self.stores]
        both = zip(self.stores, self._listed, strict=True)
        self._places = {path: (store, name) for store, listed in both for path, name in listed.items()}
        return list(self._places)

    def groups(self) -> list[np.ndarray]:
        """For each store the numbers of its images among `names`, (n,) int64; what two of them have is in both."""
        numbers = {path: i for i, path in enumerate(self._places)}
        return [np.array([numbers[path] for path in listed], np.int64) for listed in self._listed]

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB; DatasetError where it cannot be read."""
        store, inner = self._places[name]
        return store.image(inner)

    def size(self, name: str) -> tuple[int, int] | None:
        """Height and width by the head of the file, None where that cannot be read."""
        store, inner = self._places[name]
        return store.size(inner)


Store = FolderStore | LmdbStore
LandmarkStore = LandmarkFile | LmdbStore


def open_store(root: str | os.PathLike[str]) -> Store:
    """The store of a path: an LMDB where it ends in ``.lmdb``, else a folder."""
    path = user_path(root)
    return LmdbStore(path) if path.suffix == SUFFIX else FolderStore(path)


def open_landmarks(path: str | os.PathLike[str], num: int, key: Sequence[str] = ()) -> LandmarkStore:
    """The store of landmarks of a path: an LMDB where it ends in ``.lmdb``, else a JSON file; as `LandmarkFile`."""
    root = user_path(path)
    return LmdbStore(root) if root.suffix == SUFFIX else LandmarkFile(root, num, key)


def check_landmarks(points: np.ndarray, num: int, name: str, root: Path, key: Sequence[str] = ()) -> None:
    """DatasetError where the landmarks of an image are not (num, 2) numbers, or unknown ones."""
    if points.shape != (num, 2):
        raise DatasetError(
            f'{name} has shape {points.shape}, not ({num}, 2): [x, y] in pixels, or null, for each landmark; mend '
            f'num_landmark or {root}',
            key,
        )
    if np.isinf(points).any():
        raise DatasetError(f'{name} has a landmark at infinity in {root}; write null for what is unknown', key)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; ValueError where it has a name twice, of which Python takes the last."""
    counts = Counter(name for name, _ in pairs)
    twice = [name for name, num in counts.items() if num > 1]
    if twice:
        raise ValueError(f'{len(twice)} names are there more than once, the first is {twice[0]}')
    return dict(pairs)


def _landmark_array(points: Any) -> np.ndarray:
    """[x, y] or None for each landmark -> (L, 2) float32, NaN unknown; of another shape where they are no such list."""
    flat = [v for p in points if isinstance(p, list) for v in p] if isinstance(points, list) else []
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) for v in flat):
        return np.empty(0, np.float32)
    try:
        with np.errstate(over='ignore'):  # what no float32 holds is infinite
            return np.array([(np.nan, np.nan) if p is None else p for p in points], dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0, np.float32)


def by_key(names: Iterable[str], key: Sequence[str] = ()) -> dict[str, str]:
    """Images by their key: what is found by it, a pair or a mask, must not belong to two of them.

    Args:
        names (Iterable[str]): Relative paths.
        key (Sequence[str]): The option that names their folder.

    Raises:
        DatasetError: naming two images of one key.
    """
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(picture_key(name), name)
        if other != name:
            raise DatasetError(f'{other} and {name} have one key, {picture_key(name)}; rename one of them', key)
    return found


def plain_name(name: str) -> str:
    """A name as it compares with that of another system: composed Unicode, '/' between folders, no './' before it."""
    return unicodedata.normalize('NFC', PurePosixPath(name.replace('\\', '/')).as_posix())


def picture_key(name: str) -> str:
    """The key of a picture: its relative path without suffix, as BasicSR has it."""
    return without_suffix(PurePosixPath(name))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # longer than a name can be; NUL
        return False


def _require_whole(environment: lmdb.Environment, root: Path) -> None:
    """DatasetError for a file that was cut off: to read beyond its end would kill the process (SIGBUS)."""
    needed = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
    size = (root / 'data.mdb').stat().st_size
    if size < needed:
        environment.close()
        what = f'data.mdb has {size:,} of {needed:,} bytes'
        raise DatasetError(f'{root} is cut off: {what}; copy it again, or write it anew')


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
            _require_whole(environment, root)
        except (lmdb.Error, OSError) as err:
            raise DatasetError(f'cannot open the LMDB {root}: {err}') from err
        _environments[path] = (os.getpid(), environment)
    return environment
