"""Files and folders that are there whole, or as they were before."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replaced_when_whole(target: Path) -> Iterator[Path]:
    """A path beside the target to write to, which takes its place if the block ends well and is gone otherwise.

    Args:
        target (Path): A file, there or not, or a folder that is not there yet.

    Raises:
        OSError: if it cannot be put into its place; which, and what the block raises, is the caller's to tell of.
    """
    temporary = target.with_name(f'.{target.name}.{os.getpid()}')
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)
