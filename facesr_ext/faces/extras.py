"""Networks of facexlib, a package that an installation need not have."""

from __future__ import annotations

from typing import Any, Literal

from facesr_ext.errors import DependencyError

FACEXLIB = "pip install 'facesr_ext[facexlib]'"
"""What brings facexlib, and with it numba and llvmlite (208 MB), which it imports for its tracking alone."""


def facexlib_network(name: Literal['RetinaFace', 'BiSeNet', 'ParseNet']) -> Any:
    """A network's class.

    Raises:
        DependencyError: facexlib cannot be imported; the message names the command that installs it.
    """
    try:
        from facexlib.detection.retinaface import RetinaFace
        from facexlib.parsing import BiSeNet, ParseNet
    except ImportError as err:
        raise DependencyError(f'facexlib cannot be imported ({err}); run: {FACEXLIB}') from err
    return {'RetinaFace': RetinaFace, 'BiSeNet': BiSeNet, 'ParseNet': ParseNet}[name]
