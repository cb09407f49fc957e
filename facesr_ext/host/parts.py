"""Building parts from option sections, with errors that name the section, the key and what was meant."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from typing import Any

import torch
from basicsr.utils.registry import Registry

from facesr_ext.errors import OptionError


def known_name(what: str, name: Any, names: Iterable[str]) -> str:
    """The name, if it is one of the names.

    Raises:
        OptionError: with the closest known name otherwise.
    """
    names = sorted(names)
    if name in names:
        return str(name)
    same = [known for known in names if known.lower() == str(name).lower()]
    close = same or difflib.get_close_matches(str(name), names, 1)
    hint = f'did you mean {close[0]}?' if close else f'there are {", ".join(names)}'
    raise OptionError(f'{what}: {name!r} is unknown; {hint}')


def build_part(section: str, registry: Registry, opt: dict[str, Any] | None) -> Any:
    """Builds what a section (``type`` and arguments) describes; the section itself stays as it is.

    Args:
        section (str): The section's name in the option file, for messages.
        registry (Registry): Where its ``type`` is registered.
        opt (dict | None): The section.

    Raises:
        OptionError: for a missing section, an unknown type or argument, or a value that the part refuses.
    """
    if not opt:
        raise OptionError(f'{section}: the section is missing or empty; it needs a type and its arguments')
    arguments = deepcopy(dict(opt))
    kind = arguments.pop('type', None)
    build: Callable[..., Any] = registry.get(known_name(f'{section}: type', kind, registry_names(registry)))
    parameters = inspect.signature(build).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        for key in arguments:
            known_name(f'{section}: option of {kind}', key, parameters)
    try:
        return build(**arguments)
    except (TypeError, ValueError, AssertionError, NotImplementedError) as err:  # BasicSR's parts raise the latter two
        raise OptionError(f'{section}: {err}') from err


def registry_names(registry: Registry) -> list[str]:
    """The names that option files can use; BasicSR's suffixed ones answer to their plain name too."""
    return [name for key, _ in registry for name in {key, key.removesuffix('_basicsr')}]


def require_keys(section: str, opt: dict[str, Any], required: Iterable[str], optional: Iterable[str]) -> None:
    """Checks the keys of a section.

    Raises:
        OptionError: for a key that is missing or unknown.
    """
    required = set(required)
    for key in sorted(required - set(opt)):
        raise OptionError(f'{section}: {key} is missing')
    for key in opt:
        known_name(f'{section}: option', key, required | set(optional))


def whole_number(key: str, value: Any, least: int = 1) -> int | None:
    """A whole number of an option file (YAML 1.1 reads ``1e3`` with a tag as a float); None where it is not set.

    Raises:
        OptionError: naming the key, where it is something else or below ``least``.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or value < least:
        raise OptionError(f'{key} is a whole number from {least} on, not {value!r}; remove it for the default')
    return int(value)


def refuse_text_numbers(section: str, opt: dict[str, Any]) -> None:
    """Refuses numbers that YAML 1.1 reads as text, ``1e-3`` for one.

    Raises:
        OptionError: naming the key and how to write it.
    """
    for key, value in leaves(section, opt):
        if isinstance(value, str) and any(c.isdigit() for c in value) and _is_number(value):
            raise OptionError(
                f'{key}: {value!r} is text to YAML, not a number; write {float(value)!r} with a dot '
                f'(as 1.0e-3) or !!float {value}'
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


def optimizer_class(name: str) -> Callable[..., torch.optim.Optimizer]:
    """Looks an optimiser up in torch.optim.

    Raises:
        OptionError: There is none of that name.
    """
    classes = {
        key: value
        for key, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
    return classes[known_name('train:optim_*:type, an optimiser of torch.optim', name, classes)]
