"""Errors a user can cause and mend. Each message says what is wrong, where, and what to do.

The commands show them without a traceback and end with exit status 2.
"""

from __future__ import annotations

from collections.abc import Sequence


class FaceSRError(Exception):
    """Base of every error meant for the user.

    Args:
        message (str): What is wrong, where (file, option key), and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)


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
        self.faults = tuple(faults)
        listing = '\n'.join(f'  {fault}' for fault in faults)
        super().__init__(f'{where} is no submission, {len(faults)} fault(s):\n{listing}')


class CheckpointError(FaceSRError):
    """A weight file or a training state is missing, damaged or does not fit."""


class DependencyError(FaceSRError):
    """A package or a file of pretrained weights is missing and could not be fetched."""
