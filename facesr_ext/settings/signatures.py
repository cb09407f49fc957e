"""Sections of networks, losses, metrics, degradations and optimisers: made from the signatures of what they build.

An argument of ours has the kind that its annotation states. BasicSR's, torch's and other people's are not so exact: of
theirs only plain kinds count, stated or those of defaults, and numbers may be whole or not.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from facesr_ext.settings.reading import Fault, faults


def _switch(value: Any) -> Any:
    if not isinstance(value, (bool, int)):
        raise ValueError(f'must be true or false, not {value!r}')
    return value


_LOOSE_SWITCH = Annotated[Any, AfterValidator(_switch), WithJsonSchema({'type': ['boolean', 'integer']})]
_PLAIN = {int: int, float: float, bool: bool, str: str, 'int': int, 'float': float, 'bool': bool, 'str': str}
_BY_DEFAULT: dict[type, Any] = {bool: _LOOSE_SWITCH, int: float, float: float}
"""Kinds of unannotated arguments by the kind of their default."""
_NOT_NEGATIVE = ('loss_weight', 'crop_border')
"""Arguments that BasicSR and we have in common, of which no class says a bound: none of them is below 0."""


def is_ours(target: Any) -> bool:
    """A class or function of this package."""
    return str(getattr(target, '__module__', '')).partition('.')[0] == 'facesr_ext'


def takes_any(target: Callable[..., Any]) -> bool:
    """Whether a class or function takes arguments that it does not name (``**kwargs``)."""
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(target).parameters.values())


@functools.cache
def section_of(target: Callable[..., Any], given: tuple[str, ...] = ()) -> type[BaseModel]:
    """The section that names a class or function and its arguments.

    Args:
        target (Callable): What is built or called.
        given (tuple[str, ...]): Keys that the section may have besides, or that come from elsewhere: never missing,
            of any kind.
    """
    fields: dict[str, Any] = {f'given_{i}': (Any, Field(None, alias=name)) for i, name in enumerate(('type', *given))}
    hints = _hints(target)
    for number, (name, parameter) in enumerate(inspect.signature(target).parameters.items()):
        if name in given or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        required = parameter.default is parameter.empty
        kind = hints.get(name, Any) if is_ours(target) else _loose(hints.get(name), parameter)
        if name in _NOT_NEGATIVE:
            kind = Annotated[float if kind is Any else kind, Field(ge=0)]
        kind = kind if required or parameter.default is not None else kind | None
        fields[f'argument_{number}'] = (kind, Field(... if required else parameter.default, alias=name))
    config = ConfigDict(
        extra='allow' if takes_any(target) else 'forbid',
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )
    model: type[BaseModel] = create_model(target.__name__, __config__=config, **fields)
    return model


def argument_faults(
    target: Callable[..., Any], section: dict[str, Any], key: Sequence[str], given: tuple[str, ...] = ()
) -> list[Fault]:
    """What is wrong with the arguments of a section, by the signature of what it builds.

    Args:
        target (Callable): What is built or called.
        section (dict): The section, with its ``type``.
        key (Sequence[str]): Where it stands in the file.
        given (tuple[str, ...]): As in `section_of`.
    """
    return faults(section_of(target, given), section, key, target.__name__)


def _hints(target: Callable[..., Any]) -> dict[str, Any]:
    """Annotations as types; none where they name what cannot be found."""
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {}


def _loose(hint: Any, parameter: inspect.Parameter) -> Any:
    """The kind of somebody else's argument: a plain one as stated, else that of its default, else any."""
    stated = _PLAIN.get(hint if isinstance(hint, (type, str)) else None)  # type: ignore[call-overload]
    if stated is not None:
        kind = stated
    elif hint is None and type(parameter.default) in _BY_DEFAULT:
        kind = _BY_DEFAULT[type(parameter.default)]
    else:
        return Any
    return kind | None if parameter.default is not parameter.empty and kind is not _LOOSE_SWITCH else kind
