"""Errors a user can cause and mend. Each message says what is wrong, where, and what to do.

The commands show them without a traceback and end with exit status 2. Where a message is about an option, the error
carries the option's key, so that nobody has to read it out of the text.
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

KeyPath = tuple[str, ...]
"""Where in an option file something stands: ('train', 'optim_g', 'lr'); entries of a list are '0', '1', ..."""

Level = Literal['error', 'warning']


def key_text(key: Iterable[str]) -> str:
    """A key as users write it after ``--force_yml``.

    Examples:
        >>> key_text(('train', 'optim_g', 'lr'))
        'train:optim_g:lr'
    """
    return ':'.join(key)


class FaceSRError(Exception):
    """Base of every error meant for the user.

    Args:
        message (str): What is wrong and what to do; where, unless the key says it.
        key (Sequence[str]): The option that it is about, () for none. ``str()`` begins with it.
    """

    def __init__(self, message: str, key: Sequence[str] = ()) -> None:
        self.message, self.key = message, tuple(key)
        super().__init__(f'{key_text(key)}: {message}' if key else message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.key)  # workers send their errors to the process that trains


class OptionError(FaceSRError):
    """An option file or a command-line argument cannot be used as it stands."""


class DatasetError(FaceSRError):
    """A data folder, an image or a list of images is missing, empty or unreadable."""


class SubmissionError(DatasetError):
    """Results that may not be handed in.

    Args:
        where (str): The folder or archive.
        faults (Sequence[str]): Everything that is wrong with it.
    """

    def __init__(self, where: str, faults: Sequence[str]) -> None:
        self.where, self.faults = where, tuple(faults)
        listing = '\n'.join(f'  {fault}' for fault in faults)
        super().__init__(f'{where} is no submission, {len(faults)} fault(s):\n{listing}')

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.where, self.faults)


class CheckpointError(FaceSRError):
    """A weight file or a training state is missing, damaged or does not fit."""


class DependencyError(FaceSRError):
    """A package or a file of pretrained weights is missing and could not be fetched."""


_OF_DISKS = {
    getattr(errno, name)
    for name in ('ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS', 'EACCES', 'EPERM', 'ENAMETOOLONG')
    if hasattr(errno, name)
}


def disk_fault(err: OSError) -> str | None:
    """What to say of a file that a full or broken disk, or its rights, have kept from being read or written.

    Returns:
        str | None: The file, what is wrong and what to do; None for errors of another kind.
    """
    if err.errno not in _OF_DISKS:
        return None
    what = err.strerror or str(err)
    return f'{err.filename or "a file"}: {what}. Is the disk full or broken, may the folder be written to?'


@dataclass(frozen=True)
class Finding:
    """One thing that a look at something has brought.

    Attributes:
        level (str): 'error' (it must be mended) or 'warning' (it deserves a look).
        message (str): What is wrong and what to do.
        key (KeyPath): The option that it is about; () for the whole.
        where (str): 'file.yml:LINE', '--force_yml', or a file; '' where there is no such place.
        line (int): For the order of findings.
    """

    level: Level
    message: str
    key: KeyPath = ()
    where: str = ''
    line: int = 0

    def __str__(self) -> str:
        parts = [part for part in (self.where, key_text(self.key), self.message) if part]
        return ': '.join(parts) + (' (warning)' if self.level == 'warning' else '')


def closest(name: Any, names: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name that was most likely meant, None where none is near.

    Examples:
        >>> closest('pixle_opt', ['pixel_opt', 'gan_opt'])
        'pixel_opt'
    """
    names = sorted(names)
    same = [known for known in names if known.lower() == str(name).lower()]
    near = same or difflib.get_close_matches(str(name), names, 1, cutoff)
    return near[0] if near else None


def hint(name: Any, names: Iterable[str]) -> str:
    """What to say after "is unknown": 'did you mean ...?', or the names that there are."""
    names = sorted(names)
    near = closest(name, names)
    return f'did you mean {near}?' if near else f'there are {", ".join(names)}'
