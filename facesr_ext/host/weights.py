"""The one rule by which files of pretrained weights are found.

1. the path that the user gave;
2. ``experiments/pretrained_models/FILE`` below the current directory, where BasicSR keeps them;
3. ``$FACESR_HOME/FILE``, by default the user's cache directory;
4. the checkpoint folder of torch.hub, where torchvision keeps its own;
5. an installed package that holds the same weights: :mod:`facesr_ext.host.packaged`;
6. a download to 3, unless ``FACESR_OFFLINE=1``.
"""

from __future__ import annotations

import http.client
import os
import re
from pathlib import Path

import torch
from platformdirs import user_cache_path

from facesr_ext.errors import DependencyError, OptionError
from facesr_ext.host.packaged import PACKAGED, find_packaged
from facesr_ext.places import user_path

PUBLISHED = {
    'ESRGAN_SRx4_DF2KOST_official-ff704c30.pth': (
        'https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.1/ESRGAN_SRx4_DF2KOST_official-ff704c30.pth'
    ),
}
"""Networks that others have trained and shipped option files load: file name -> where to get it."""


def where_to_get(path: str | os.PathLike[str]) -> str | None:
    """What to do about a missing file of :data:`PUBLISHED`; None for any other."""
    url = PUBLISHED.get(Path(path).name)
    return None if url is None else f'get it from {url} and save it as {Path(path)}'


def cache_dir() -> Path:
    """Returns the folder for downloaded weights: $FACESR_HOME, or facesr_ext where the system has caches of users."""
    home = os.environ.get('FACESR_HOME')
    return user_path(home) if home else user_cache_path('facesr_ext', appauthor=False, opinion=False)


def search_places(filename: str) -> list[Path]:
    """Lists the files to look for, first choice first.

    Args:
        filename (str): Bare file name, 'vgg19-dcbb9e9d.pth' for example.

    Returns:
        list[Path]: Absolute paths.
    """
    return [
        Path.cwd() / 'experiments' / 'pretrained_models' / filename,
        cache_dir() / filename,
        Path(torch.hub.get_dir()) / 'checkpoints' / filename,
    ]


def installed_weights(filename: str) -> Path | None:
    """The first file of :func:`search_places` that is there, or one inside a package; None where there is neither."""
    return next((path for path in search_places(filename) if path.is_file()), None) or find_packaged(filename)


def how_to_install(filename: str) -> str:
    """', or run: ...' for weights that a package brings; '' for others."""
    return f', or run: {PACKAGED[filename].command}' if filename in PACKAGED else ''


def is_weight_file(path: Path) -> bool:
    """Whether a file begins as those of torch.save or safetensors do, and not as a web page or a Git LFS pointer."""
    with path.open('rb') as stream:
        head = stream.read(9)
    return head[:2] == b'PK' or head[:1] == b'\x80' or head[8:] == b'{'


def why_unreadable(path: str | os.PathLike[str], err: Exception) -> str:
    """What an exception of reading a file of weights says, without torch's advice to load what could run code."""
    try:
        size = Path(path).stat().st_size
        if not size:
            return 'it is empty'
        if not is_weight_file(Path(path)):
            return 'it is no weight file, but something else, as a web page or a pointer to one'
    except OSError:
        pass
    if 'weights_only' in str(err):
        return 'it holds other objects than weights, which could run code'
    return (str(err).strip().splitlines() or [type(err).__name__])[0]


def find_weights(filename: str, url: str, option: str | Path | None = None) -> Path:
    """Finds a file of pretrained weights, or downloads it.

    Args:
        filename (str): Bare file name; eight or more hex digits before the suffix are checked against its SHA-256.
        url (str): Where it can be downloaded.
        option (str | Path | None): Path given by the user; it is taken or refused, never replaced by another file.

    Returns:
        Path: An existing file: torch's own format, or that of a package (:func:`~packaged.is_packaged`).

    Raises:
        OptionError: The given path is not a file.
        DependencyError: The file is nowhere, and downloading failed or is switched off.
    """
    if option is not None:
        path = user_path(option)
        if not path.is_file():
            raise OptionError(f'The weight file {path} does not exist. Correct it, or leave it out for {filename}.')
        return path
    found, places = installed_weights(filename), search_places(filename)
    if found is not None:
        return found
    if os.environ.get('FACESR_OFFLINE') == '1':
        raise _missing(filename, url, places, 'FACESR_OFFLINE=1 forbids downloading it')
    return _download(filename, url, places)


def _download(filename: str, url: str, places: list[Path]) -> Path:
    """Downloads to the cache directory; torch writes to a temporary file first, so a broken download leaves nothing."""
    target = cache_dir() / filename
    digits = re.search(r'-([0-9a-f]{8,})\.', filename)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(target), hash_prefix=digits.group(1) if digits else None)
    except (OSError, RuntimeError, http.client.HTTPException) as err:
        raise _missing(filename, url, places, f'the download failed ({err})') from err
    return target


def _missing(filename: str, url: str, places: list[Path], reason: str) -> DependencyError:
    listing = '\n'.join(f'  {path}' for path in places)
    return DependencyError(
        f'The weight file {filename} is missing, and {reason}.\nGet it from {url}\nand save it as one of\n{listing}'
        f'{how_to_install(filename)}'
    )
