"""Whether an option takes the text ``none``, by the signature of what its section names."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from facesr_ext.errors import KeyPath

NONE = 'none'


def takes_none(options: Mapping[str, Any], path: KeyPath) -> bool:
    """Whether an argument lists ``none`` among its choices, or is one of somebody else's that is text by default.

    Args:
        options (Mapping): The options of a file.
        path (KeyPath): Where the argument stands.
    """
    section: Any = options
    for key in path[:-1]:
        section = section.get(key) if isinstance(section, Mapping) else None
    name = section.get('type') if isinstance(section, Mapping) else None
    return any(_takes_none(target, path[-1]) for target in _registered(name))


def _registered(name: Any) -> Iterator[Any]:
    from basicsr.utils import registry  # late: option files are read where BasicSR is not loaded yet

    from facesr_ext.host.registry import DEGRADATION_REGISTRY

    registries = (registry.ARCH_REGISTRY, registry.LOSS_REGISTRY, registry.METRIC_REGISTRY, DEGRADATION_REGISTRY)
    for entries in registries:
        yield from (target for key, target in entries if name in (key, key.removesuffix('_basicsr')))


def _takes_none(target: Any, argument: str) -> bool:
    parameter = inspect.signature(target).parameters.get(argument)
    if parameter is None:
        return False
    try:
        kind = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target).get(argument)
    except (NameError, TypeError, AttributeError):
        kind = None
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    return NONE in choices if choices else isinstance(parameter.default, str)
