"""Places on the disk as users write them."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path, PurePath


def user_path(place: str | os.PathLike[str]) -> Path:
    """The path, with a home folder for a leading ``~`` or ``~NAME``; as it stands where nobody has that name.

    `Path.expanduser` raises RuntimeError there.
    """
    return Path(os.path.expanduser(place))


def without_suffix(name: str | PurePath) -> str:
    """A path without the suffix of its file, '/' between folders; names of dots alone stay.

    `PurePath.with_suffix` raises ValueError for these from Python 3.12 on.
    """
    return posixpath.splitext(PurePath(name).as_posix())[0]
