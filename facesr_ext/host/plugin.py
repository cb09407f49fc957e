"""Registers facesr_ext with BasicSR: the repairs, then every component module, found by its name as BasicSR does."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from typing import Literal

import facesr_ext
from facesr_ext.errors import DependencyError
from facesr_ext.host import names, repairs

# Room -> ending of the modules that register something. Every module of `degradations` may.
ROOMS = {
    'archs': '_arch',
    'losses': '_loss',
    'runs': '_options',
    'degradations': '',
    'data': '_dataset',
    'models': '_model',
    'metrics': '_metric',
}

_state: Literal['idle', 'running', 'done'] = 'idle'


def register() -> None:
    """Repairs the imported BasicSR and imports every component module; later and nested calls return at once.

    No lock guards the state on purpose: the modules imported here call `register` themselves while their import locks
    are held, so a lock of ours could only add a deadlock.

    Raises:
        DependencyError: BasicSR is older than 1.4.2; the repairs that fit it have been applied.
        Exception: whatever a repair or a component raised. Nothing of the failed module stays registered, and the next
            call tries again.
    """
    global _state
    if _state != 'idle':
        return
    if facesr_ext.host_is_older():
        repairs.apply_what_fits()
        raise DependencyError(_older())
    _state = 'running'
    try:
        names.share_names()
        repairs.apply_all()
        for room, ending in ROOMS.items():
            for name in component_modules(room, ending):
                _import_component(name)
    except BaseException:
        _state = 'idle'
        raise
    _state = 'done'


def _older() -> str:
    host = sys.modules['basicsr']
    return (
        f'basicsr {getattr(host, "__version__", "?")} is older than 1.4.2, the first that facesr_ext works with; it '
        'runs as it is, with the repairs that fit. For the parts of facesr_ext: pip install -U "basicsr>=1.4.2"'
    )


def component_modules(room: str, ending: str) -> list[str]:
    """Lists the modules of a room that register something.

    Args:
        room (str): Package name below facesr_ext, 'archs' for example.
        ending (str): What the module names end with; '' takes all.

    Returns:
        list[str]: Full module names, sorted; empty where the room does not exist.
    """
    package_name = f'facesr_ext.{room}'
    try:
        # Never "from x import y" here: the room may be half-initialised, waiting for this very registration.
        package = importlib.import_module(package_name)
    except ModuleNotFoundError as err:
        if err.name != package_name:
            raise
        return []
    return sorted(f'{package_name}.{m.name}' for m in pkgutil.iter_modules(package.__path__) if m.name.endswith(ending))


def _import_component(name: str) -> None:
    """Imports one module; where that fails, takes back what it had registered, so that a second try can succeed."""
    try:
        importlib.import_module(name)
    except BaseException:
        for registry in vars(sys.modules['basicsr.utils.registry']).values():
            entries = getattr(registry, '_obj_map', {})
            for key in [k for k, obj in entries.items() if getattr(obj, '__module__', None) == name]:
                del entries[key]
        raise
