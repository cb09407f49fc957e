"""Start-up hook of facesr_ext: makes a plain ``import basicsr`` work and know the parts of facesr_ext.

``facesr_ext.start`` (Python 3.15 and later, PEP 829) or ``facesr_ext.pth`` (earlier) calls `autoload` when the
interpreter starts. It puts one finder on ``sys.meta_path`` that answers for four names only:

- ``basicsr``: the real module, followed by ``facesr_ext.register()`` once its ``__init__`` has finished;
- ``facesr_ext``: the package beside this file where a folder of that name hides it, as in the folder above the clone;
- ``torchvision.transforms.functional_tensor``: only where torchvision no longer has it (removed in 0.17). Stock BasicSR
  cannot be imported without it: https://github.com/XPixelGroup/BasicSR/issues/663
- ``scipy.ndimage.filters``: only where SciPy no longer has it (to be removed in 2.0), which BasicSR's NIQE imports.

Nothing of facesr_ext, BasicSR or torch is imported before somebody imports ``basicsr``. ``FACESR_EXT_AUTOLOAD=0``
switches the hook off; ``FACESR_EXT_STRICT=1`` turns a failed registration into an exception.

Standard library only, and only modules that every interpreter start has loaded anyway: this file is on everybody's
path. For the same reason the loaders lie elsewhere, and annotations are quoted: ``from __future__ import annotations``
would cost a third more.
"""

import os
import sys

TYPE_CHECKING = False  # not from typing: importing typing would cost more than all the rest
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_SHIMS = ('torchvision.transforms.functional_tensor', 'scipy.ndimage.filters')
_OFF = ('0', 'false', 'off', 'no')


class _Finder:
    """Answers for basicsr and for the modules that newer packages no longer have; everything else passes by."""

    facesr_ext_finder = True  # known by attribute, so that a second copy of this file recognises it too

    def find_spec(
        self, name: str, path: 'Sequence[str] | None' = None, target: 'ModuleType | None' = None
    ) -> 'ModuleSpec | None':
        if name == 'basicsr':
            spec = self._real(name, path, target)
            # No origin: a namespace package, that is, some folder that happens to be called basicsr.
            if spec is not None and spec.origin is not None and hasattr(spec.loader, 'exec_module'):
                spec.loader = _loaders().HostLoader(spec.loader)
            return spec
        if name == 'facesr_ext':
            spec = self._real(name, path, target)
            if spec is None or spec.origin is None:
                from importlib.machinery import PathFinder

                spec = PathFinder.find_spec(name, [os.path.dirname(os.path.abspath(__file__))]) or spec
            return spec
        if name in _SHIMS:
            spec = self._real(name, path, target)
            if spec is None:
                from importlib.machinery import ModuleSpec

                spec = ModuleSpec(name, _loaders().ShimLoader())
            return spec
        return None

    def _real(self, name: str, path: 'Sequence[str] | None', target: 'ModuleType | None') -> 'ModuleSpec | None':
        """The first package that a finder knows; a folder without __init__.py only where there is nothing else."""
        folder = None
        for finder in sys.meta_path:
            if getattr(finder, 'facesr_ext_finder', False) or not hasattr(finder, 'find_spec'):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.origin is not None:
                return spec
            folder = folder or spec
        return folder


def _loaders() -> 'ModuleType':
    """Imports what the finder hands out; apart, because most interpreters never need it."""
    from facesr_ext import _hook

    return _hook


def install() -> None:
    """Puts the finder in front of ``sys.meta_path``; a second call changes nothing."""
    if not any(getattr(finder, 'facesr_ext_finder', False) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())  # type: ignore[arg-type]


def autoload() -> None:
    """Entry point of facesr_ext.pth and facesr_ext.start: `install`, unless FACESR_EXT_AUTOLOAD switches it off."""
    if os.environ.get('FACESR_EXT_AUTOLOAD', '1').strip().lower() not in _OFF:
        install()
