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
    from facesr_ext.inference.restorer import Restorer as Restorer

__version__ = '0.1.0'

_REGISTRIES = ('ARCH_REGISTRY', 'DATASET_REGISTRY', 'LOSS_REGISTRY', 'METRIC_REGISTRY', 'MODEL_REGISTRY')


def host_is_basicsr() -> bool:
    """Tells whether the imported ``basicsr`` is BasicSR itself, not a cut-down copy that some project ships.

    Returns:
        bool: True where ``basicsr.train``, ``basicsr.test`` and the five registries are there.
    """
    registries = sys.modules.get('basicsr.utils.registry')
    return (
        hasattr(sys.modules.get('basicsr.train'), 'train_pipeline')
        and hasattr(sys.modules.get('basicsr.test'), 'test_pipeline')
        and all(hasattr(registries, name) for name in _REGISTRIES)
    )


def register() -> None:
    """Imports BasicSR, repairs it and registers every part of facesr_ext with it; later calls change nothing.

    The start-up hook does the same when ``basicsr`` is imported. Call this where no hook is read: ``python -S``,
    ``pip install --target``, a bare PYTHONPATH, or FACESR_EXT_AUTOLOAD=0.

    Raises:
        DependencyError: BasicSR is not installed, or another package called ``basicsr`` hides it.
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
            f'The package basicsr at {getattr(host, "__file__", None)} is not BasicSR: it has no train and test '
            'runners or not the five registries. Take it off the import path, or install BasicSR before it.'
        )
    importlib.import_module('facesr_ext.host.plugin').register()


def __getattr__(name: str) -> Any:
    if name == 'Restorer':  # lazily: it needs torch and BasicSR
        return importlib.import_module('facesr_ext.inference.restorer').Restorer
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
