"""Names that a part of ours shares with a part of another package: theirs gets the name, ours a suffix."""

from __future__ import annotations

import functools
from typing import Any

from basicsr.utils.registry import Registry

SUFFIX = '_facesr_ext'
"""Ends the name under which a part of ours is reached where another package has registered the plain name."""

_TAKEN: dict[tuple[str, str], str] = {}


def share_names() -> None:
    """Lets other packages register names that ours have, before or after; a second call does nothing.

    Symptom: a package with a class of one of our names dies at its import; where it comes first, we do.
    Cause: a registry takes each name once.
    What is done: the plain name is that of the other package, whoever comes first, and ours is ``NAME_facesr_ext``.
    That name finds ours without a clash, too. Two parts of others clash as before.
    """
    if hasattr(Registry._do_register, '__wrapped__'):
        return
    stock_register, stock_get = Registry._do_register, Registry.get

    @functools.wraps(stock_register)
    def _do_register(self: Registry, name: str, obj: Any, suffix: str | None = None) -> None:
        full = f'{name}_{suffix}' if isinstance(suffix, str) else name
        there = self._obj_map.get(full)
        if there is not None and _is_ours(there) != _is_ours(obj):
            ours, theirs = (there, obj) if _is_ours(there) else (obj, there)
            self._obj_map[full], self._obj_map[full + SUFFIX] = theirs, ours
            _TAKEN[self._name, full] = str(getattr(theirs, '__module__', 'another package'))
            return
        arguments = () if suffix is None else (suffix,)  # releases before 1.4.2 know no suffix
        stock_register(self, name, obj, *arguments)

    @functools.wraps(stock_get)
    def get(self: Registry, name: str, *args: Any, **kwargs: Any) -> Any:
        return stock_get(self, registered_name(self, name), *args, **kwargs)

    Registry._do_register, Registry.get = _do_register, get


def registered_name(registry: Registry, name: Any) -> Any:
    """The name to look a part up by: 'SRCNN_facesr_ext' is 'SRCNN' where that is ours."""
    if isinstance(name, str) and name.endswith(SUFFIX) and name not in registry:
        plain = name.removesuffix(SUFFIX)
        if _is_ours(registry._obj_map.get(plain)):
            return plain
    return name


def name_here(registry: Registry, name: str, package: str = 'facesr_ext') -> str:
    """The name that a part which was called so where it was recorded has here.

    Args:
        registry (Registry): Where it is registered.
        name (str): Its name there, with or without our suffix.
        package (str): Whose part it was. Default: ours.
    """
    if package == 'facesr_ext' and name.removesuffix(SUFFIX) + SUFFIX in registry:
        return name.removesuffix(SUFFIX) + SUFFIX
    return str(registered_name(registry, name))


def package_of(registry: Registry, name: str) -> str:
    """The package of a registered part."""
    return _package(registry.get(name))


def taken_by(registry: Registry, name: Any) -> str | None:
    """The module whose part has a name that would be ours; None where it is ours, or never was."""
    return _TAKEN.get((registry._name, str(name)))


def note_of_taken() -> str | None:
    """One line that tells of every name that another package has; None where there is none."""
    if not _TAKEN:
        return None
    packages = sorted({module.partition('.')[0] for module in _TAKEN.values()})
    names = ', '.join(sorted(name for _, name in _TAKEN))
    return f'These names are those of {", ".join(packages)}; the parts of facesr_ext are NAME{SUFFIX}: {names}'


def _is_ours(obj: Any) -> bool:
    return _package(obj) == 'facesr_ext'


def _package(obj: Any) -> str:
    return str(getattr(obj, '__module__', '')).partition('.')[0]
