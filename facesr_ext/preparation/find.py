"""The photographs below some folders, and how each is read: what cannot be used is told with its reason, never lost."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from facesr_ext.data.image_io import IMAGE_SUFFIXES, decode_photo
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.places import user_path


class Found(NamedTuple):
    """A file of the sources.

    Attributes:
        path (Path): Where it is.
        name (str): With '/', below the folder that was named; of several sources each begins with its own name, and
            with so many of the folders above it as tell them apart.
        reason (str | None): Why it is left out unread.
    """

    path: Path
    name: str
    reason: str | None = None


class Photo(NamedTuple):
    """A photograph and the SHA-256 of its file, hexadecimal."""

    image: np.ndarray
    sha256: str


def find_photos(sources: Sequence[Path], target: Path, keys: tuple[str, str] = ('SRC', 'DST')) -> list[Found]:
    """Every file below the sources, sorted by name; links to folders are followed, loops and hidden files are not.

    Args:
        sources (Sequence[Path]): Folders and single files.
        target (Path): The data set; where it lies in a source it is not read.
        keys (tuple[str, str]): The arguments that name sources and target, for messages.

    Raises:
        OptionError: if a source is not there, or is the target or lies in it.
    """
    away = user_path(target).resolve()
    roots: dict[Path, Path] = {}
    for source in sources:
        root = user_path(source)
        if not root.exists():
            raise OptionError(f'there is no {root}; name a folder of photographs, or a photograph', (keys[0],))
        whole = root.resolve()
        if whole == away or away in whole.parents:
            raise OptionError(f'{root} is the result itself, or lies in it; name another folder', (keys[1],))
        roots[whole] = root
    found: list[Found] = []
    for (whole, root), label in zip(roots.items(), _labels(list(roots)), strict=True):
        if root.is_file():
            found.append(Found(root, label, _by_suffix(label)))
            continue
        prefix = f'{label}/' if len(roots) > 1 else ''
        for path, reason in _walk(str(root), (str(whole),), away):
            name = prefix + Path(path).relative_to(root).as_posix()
            found.append(Found(Path(path), name, reason or _by_suffix(name)))
    return sorted(found, key=lambda item: (item.name, str(item.path)))


def _labels(roots: Sequence[Path]) -> list[str]:
    """A name for each: its own, with so many of the folders above it as tell it from those before."""
    labels: list[str] = []
    for root in roots:
        depth = 1
        while (label := '/'.join(root.parts[-depth:])) in labels:
            depth += 1
        labels.append(label)
    return labels


def _by_suffix(name: str) -> str | None:
    suffix = os.path.splitext(name)[1].lower()
    return None if suffix in IMAGE_SUFFIXES else f'no image by its suffix: {suffix or "none"}'


def _walk(folder: str, above: tuple[str, ...], away: Path) -> Iterator[tuple[str, str | None]]:
    try:
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
    except OSError as err:
        yield folder, f'the folder cannot be read: {err.strerror}'
        return
    for entry in inside:
        if entry.name.startswith('.'):
            continue
        if not entry.is_dir():
            yield entry.path, None if entry.is_file() else 'a broken link, or no file'
            continue
        real = os.path.realpath(entry.path)
        if real in above:
            yield entry.path, 'a link to a folder that it lies in'
        elif Path(real) != away:
            yield from _walk(entry.path, (*above, real), away)


def read_photo(path: Path) -> Photo:
    """Reads a photograph as it is meant to be seen: turned as EXIF says, CMYK converted, the first 8 bits of 16.

    Raises:
        DatasetError: with the reason that the manifest tells.
    """
    try:
        data = path.read_bytes()
    except OSError as err:
        raise DatasetError(f'cannot be read: {err.strerror or err}') from err
    if not data:
        raise DatasetError('an empty file')
    return Photo(decode_photo(data), hashlib.sha256(data).hexdigest())
