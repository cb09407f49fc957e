"""The loaders that the start-up hook's finder hands out: BasicSR with registration, and missing modules.

What ``python -m basicsr.train`` executes begins here too: whatever is wrong with facesr_ext, BasicSR still trains.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import facesr_ext
from facesr_ext._threads import wait_briefly


class HostLoader:
    """The real loader of basicsr; after the package has been executed it registers facesr_ext."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        # Whoever looks at the spec before the import (importlib.resources, inspect) must see the real loader's
        # abilities.
        if name == '_loader':  # a half-built object (copy, pickle) would recurse for ever
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader  # leave no trace on the module
        module.__loader__ = self._loader
        wait_briefly()  # before torch is loaded
        self._loader.exec_module(module)
        _register_quietly()


class ShimLoader:
    """Fills a module that BasicSR imports from where its package keeps these functions today."""

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        {
            'torchvision.transforms.functional_tensor': _fill_functional_tensor,
            'scipy.ndimage.filters': _fill_filters,
        }[module.__name__](module)


def _fill_functional_tensor(module: ModuleType) -> None:
    """Gives torchvision.transforms.functional_tensor, gone since torchvision 0.17, its functions."""
    from torchvision.transforms import functional

    def __getattr__(name: str) -> Any:
        from torchvision.transforms import _functional_tensor

        return getattr(_functional_tensor, name)

    module.rgb_to_grayscale = functional.rgb_to_grayscale  # type: ignore[attr-defined]
    module.__getattr__ = __getattr__  # type: ignore[method-assign]


def _fill_filters(module: ModuleType) -> None:
    """Gives scipy.ndimage.filters, to be removed in SciPy 2.0, its functions."""
    from scipy import ndimage

    def __getattr__(name: str) -> Any:
        if name.startswith('__'):  # __path__ and __file__ are those of another module
            raise AttributeError(name)
        return getattr(ndimage, name)

    module.__getattr__ = __getattr__  # type: ignore[method-assign]


def _register_quietly() -> None:
    """Registers facesr_ext with the basicsr just imported; a failure is told on stderr and leaves basicsr usable.

    Raises:
        Exception: whatever the registration raised, with FACESR_EXT_STRICT=1.
    """
    try:
        if facesr_ext.host_is_basicsr():  # a foreign or vendored basicsr is left alone
            facesr_ext.register()
    except Exception as err:  # noqa: BLE001 - a bug of ours must not take BasicSR away from people who do not use us
        _tell(err, 'not registered with basicsr')


def run_main(kind: str) -> None:
    """Runs BasicSR's ``train`` or ``test`` by ``facesr_ext.cli.run``; where that cannot be had, as BasicSR has it.

    Args:
        kind (str): 'train' or 'test'.

    Raises:
        Exception: what kept facesr_ext from being imported, with FACESR_EXT_STRICT=1.
    """
    try:
        run = importlib.import_module('facesr_ext.cli.run').run
    except Exception as err:  # noqa: BLE001 - a broken part of ours, or of a package that only we need
        _tell(err, f'basicsr.{kind} runs without it')
        getattr(sys.modules[f'basicsr.{kind}'], f'{kind}_pipeline')(os.getcwd())
    else:
        run(kind)


def run_to_the_end(kind: str) -> None:
    """Does what `run_main` does in the place of a main program that has begun already.

    Raises:
        SystemExit: Always.
    """
    run_main(kind)
    raise SystemExit(0)


def check_for(runner: dict[str, Any], kind: str) -> None:
    """Has ``facesr_ext.cli.run`` check the option file of a main program, given by its names; without it nothing is."""
    try:
        check = importlib.import_module('facesr_ext.cli.run').check_for
    except Exception as err:  # noqa: BLE001 - see run_main
        _tell(err, 'the option file is not checked')
    else:
        check(runner, kind)


def _tell(err: Exception, what: str) -> None:
    """Says on stderr what facesr_ext failed of; with FACESR_EXT_STRICT=1 raises it."""
    if os.environ.get('FACESR_EXT_STRICT') == '1':
        raise err
    if sys.stderr is not None:
        sys.stderr.write(
            f'facesr_ext: {what} ({type(err).__name__}: {err}). '
            'FACESR_EXT_STRICT=1 shows where, FACESR_EXT_AUTOLOAD=0 switches facesr_ext off.\n'
        )
