"""Building parts from option sections, with errors that name the section, the key and what was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

import torch
from basicsr.utils.registry import Registry

from facesr_ext.errors import OptionError, hint
from facesr_ext.host.names import registered_name

ELSEWHERE = {
    'HAT': 'https://github.com/XPixelGroup/HAT',
    'DAT': 'https://github.com/zhengchen1999/DAT',
    'DRCT': 'https://github.com/ming053l/DRCT',
    'SAFMN': 'https://github.com/sunny2109/SAFMN',
    'SwinFIR': 'https://github.com/Zdafeng/SwinFIR',
}
"""Networks that other packages register with BasicSR: name -> where they are."""


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
        raise OptionError(unknown(name, names), key)
    return str(name)


def unknown(name: Any, names: Iterable[str]) -> str:
    """What to say of a name that is none of these: which one is meant, or who registers it."""
    where = ELSEWHERE.get(str(name))
    remedy = f'install {where} and import its archs first, which registers it' if where else hint(name, names)
    return f'{name!r} is unknown; {remedy}'


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
    kind = registered_name(registry, arguments.pop('type', None))
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


def optimizer_class(name: str, key: Sequence[str] = ()) -> Callable[..., torch.optim.Optimizer]:
    """Looks an optimiser up in torch.optim, by its name; ``key`` is the option that gives it.

    Raises:
        OptionError: There is none of that name.
    """
    return _optimizers()[known_name(key, name, _optimizers())]


def optimizer_names() -> list[str]:
    """The names of torch.optim's optimisers."""
    return sorted(_optimizers())


def _optimizers() -> dict[str, Callable[..., torch.optim.Optimizer]]:
    return {
        key: value
        for key, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, torch.optim.Optimizer) and value is not torch.optim.Optimizer
    }
