"""facesr_ext: face super-resolution parts for BasicSR, driven by BasicSR's own commands and option files.

Importing this package imports nothing heavy. Every package below it that needs BasicSR begins with
``from facesr_ext import register; register()``: whichever module is imported first (a spawned worker unpickling a
dataset, a test, a user's script), BasicSR is whole and all parts are registered before that module's own code runs.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facesr_ext.inference.photo import PhotoRestorer as PhotoRestorer
    from facesr_ext.inference.restorer import Restorer as Restorer

__version__ = '0.1.0'

_REGISTRIES = ('ARCH_REGISTRY', 'DATASET_REGISTRY', 'LOSS_REGISTRY', 'METRIC_REGISTRY', 'MODEL_REGISTRY')
_OLDEST = (1, 4, 2)
_PARTS = (
    'basicsr.archs.vgg_arch',
    'basicsr.losses.basic_loss',
    'basicsr.models.realesrgan_model',
    'basicsr.metrics.niqe',
)
"""What comes with an import of BasicSR; a copy that lacks any of them has been cut down."""


def host_is_basicsr() -> bool:
    """Tells whether the imported ``basicsr`` is BasicSR itself, not a copy that some project ships.

    Returns:
        bool: True where ``basicsr.train``, ``basicsr.test`` and the five registries are there, and the parts of 1.4.2
        besides, unless it is an installed release.
    """
    registries = sys.modules.get('basicsr.utils.registry')
    return (
        hasattr(sys.modules.get('basicsr.train'), 'train_pipeline')
        and hasattr(sys.modules.get('basicsr.test'), 'test_pipeline')
        and all(hasattr(registries, name) for name in _REGISTRIES)
        and (_is_installed() or not (host_is_older() or set(_PARTS) - set(sys.modules)))
    )


def host_is_older() -> bool:
    """Tells whether the imported ``basicsr`` says that it is older than the oldest that facesr_ext works with."""
    version = str(getattr(sys.modules.get('basicsr'), '__version__', ''))
    numbers = tuple(int(number) for number in version.split('+')[0].split('.')[:3] if number.isdecimal())
    return bool(numbers) and numbers < _OLDEST


def _is_installed() -> bool:
    """Whether pip knows the imported ``basicsr``: it lies where its files are listed, or in the clone of ``pip -e``."""
    import importlib.metadata
    import json
    from pathlib import Path
    from urllib.request import url2pathname

    file = getattr(sys.modules.get('basicsr'), '__file__', None)
    try:
        distribution = importlib.metadata.distribution('basicsr')
    except importlib.metadata.PackageNotFoundError:
        return False
    url = json.loads(distribution.read_text('direct_url.json') or '{}').get('url', '')
    places = [Path(str(distribution.locate_file('')))]
    places += [Path(url2pathname(url.removeprefix('file://')))] if url.startswith('file://') else []
    return file is not None and Path(file).resolve().parents[1] in [place.resolve() for place in places]


def register() -> None:
    """Imports BasicSR, repairs it and registers every part of facesr_ext with it; later calls change nothing.

    The start-up hook does the same when ``basicsr`` is imported. Call this where no hook is read: ``python -S``,
    ``pip install --target``, a bare PYTHONPATH, or FACESR_EXT_AUTOLOAD=0.

    Raises:
        DependencyError: BasicSR is not installed or older than 1.4.2, or another package called ``basicsr`` hides it.
    """
    import _facesr_ext_boot
    from facesr_ext.errors import DependencyError

    _facesr_ext_boot.install()  # BasicSR needs the torchvision module that it supplies
    try:
        host = importlib.import_module('basicsr')
    except ModuleNotFoundError as err:
        if err.name != 'basicsr':
            raise
        raise DependencyError(
            'BasicSR is not installed. Install it with: pip install "basicsr>=1.4.2" '
            '(on Python 3.13 and later from a wheel that an older Python has built).'
        ) from None
    if getattr(host.__spec__, '_initializing', False) and not host_is_basicsr():
        return  # called by a module that BasicSR is importing just now: the finder registers when it has finished
    if not host_is_basicsr():
        raise DependencyError(
            f'The package basicsr at {getattr(host, "__file__", None)} is not BasicSR 1.4.2 or later: it is a copy of '
            'some project, cut down or older. Take it off the import path, or install BasicSR before it.'
        )
    importlib.import_module('facesr_ext.host.plugin').register()


def __getattr__(name: str) -> Any:
    if name == 'Restorer':  # lazily: it needs torch and BasicSR
        return importlib.import_module('facesr_ext.inference.restorer').Restorer
    if name == 'PhotoRestorer':
        return importlib.import_module('facesr_ext.inference.photo').PhotoRestorer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
