"""Building parts from option sections, with errors that name the section, the key and what was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import torch
from basicsr.utils.registry import Registry

from facesr_ext.errors import OptionError, hint


def known_name(key: Sequence[str], name: Any, names: Iterable[str]) -> str:
    """The name, if it is one of the names.

    Args:
        key (Sequence[str]): The option that gives it.
        name (Any): What it says.
        names (Iterable[str]): What it may say.

    Raises:
        OptionError: with the closest known name otherwise.
    """
    names = sorted(names)
    if name not in names:
        raise OptionError(f'{name!r} is unknown; {hint(name, names)}', key)
    return str(name)


def build_part(key: Sequence[str], registry: Registry, opt: dict[str, Any] | None) -> Any:
    """Builds what a section (``type`` and arguments) describes; the section itself stays as it is.

    Args:
        key (Sequence[str]): Where the section stands in the option file, for messages.
        registry (Registry): Where its ``type`` is registered.
        opt (dict | None): The section.

    Raises:
        OptionError: for a missing section, an unknown type or argument, or a value that the part refuses.
    """
    if not opt:
        raise OptionError('the section is missing or empty; it needs a type and its arguments', key)
    arguments = deepcopy(dict(opt))
    kind = arguments.pop('type', None)
    build: Callable[..., Any] = registry.get(known_name((*key, 'type'), kind, registry_names(registry)))
    parameters = inspect.signature(build).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for name in arguments:
            if name not in parameters:
                raise OptionError(f'{kind} has no such option; {hint(name, parameters)}', (*key, name))
    try:
        return build(**arguments)
    except (TypeError, ValueError, AssertionError, NotImplementedError) as err:  # BasicSR's parts raise the latter two
        raise OptionError(str(err), key) from err


def registry_names(registry: Registry) -> list[str]:
    """The names that option files can use; BasicSR's suffixed ones answer to their plain name too."""
    return [name for key, _ in registry for name in {key, key.removesuffix('_basicsr')}]


def require_keys(key: Sequence[str], opt: dict[str, Any], required: Iterable[str], optional: Iterable[str]) -> None:
    """Checks the keys of a section.

    Raises:
        OptionError: for a key that is missing or unknown.
    """
    required = set(required)
    for name in sorted(required - set(opt)):
        raise OptionError('is missing', (*key, name))
    for name in opt:
        if name not in required | set(optional):
            raise OptionError(f'unknown key; {hint(name, required | set(optional))}', (*key, name))


def whole_number(key: Sequence[str], value: Any, least: int = 1) -> int | None:
    """A whole number of an option file (YAML 1.1 reads ``1e3`` with a tag as a float); None where it is not set.

    Raises:
        OptionError: naming the key, where it is something else or below ``least``.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or value < least:
        raise OptionError(f'is a whole number from {least} on, not {value!r}; remove it for the default', key)
    return int(value)


def refuse_text_numbers(section: str, opt: dict[str, Any]) -> None:
    """Refuses numbers that YAML 1.1 reads as text, ``1e-3`` for one.

    Raises:
        OptionError: naming the key and how to write it.
    """
    for key, value in leaves(section, opt):
        if isinstance(value, str) and any(c.isdigit() for c in value) and _is_number(value):
            raise OptionError(
                f'{value!r} is text to YAML, not a number; write {float(value)!r} with a dot (as 1.0e-3) or '
                f'!!float {value}',
                key.split(':'),
            )


def leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value inside a section, with its key path 'section:key'."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(f'{path}:{key}', inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from leaves(path, inner)
    else:
        yield path, value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def optimizer_class(name: str, key: Sequence[str] = ()) -> Callable[..., torch.optim.Optimizer]:
    """Looks an optimiser up in torch.optim, by its name; ``key`` is the option that gives it.

    Raises:
        OptionError: There is none of that name.
    """
    classes = {
        key: value
        for key, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    return classes[known_name(key, name, classes)]
