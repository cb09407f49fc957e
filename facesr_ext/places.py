"""Places on the disk as users write them."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(place: str | os.PathLike[str]) -> Path:
    """The path, with a home folder for a leading ``~`` or ``~NAME``; as it stands where nobody has that name.

    `Path.expanduser` raises RuntimeError there.
    """
    return Path(os.path.expanduser(place))
