"""Kinds of values that several sections have, and what marks a section as that of a part."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

from facesr_ext.errors import closest
from facesr_ext.host.loading import AUTO

PartKind = Literal['network', 'dataset', 'loss', 'metric', 'degradation', 'optimizer', 'scheduler']


def option(text: str, default: Any = None, **bounds: Any) -> Any:
    """An option of ours: its line of text, default and bounds (``ge``, ``gt``, ``le``, ``lt``).

    Args:
        text (str): What it does, in one line.
        default (Any): ``...`` where it must be given. Default: None.
        bounds (Any): For pydantic's ``Field``.
    """
    return Field(default, description=text, json_schema_extra={'origin': 'facesr_ext'}, **bounds)


def stock(text: str, default: Any = None, **bounds: Any) -> Any:
    """As `option`, for one that BasicSR reads itself."""
    return Field(default, description=text, json_schema_extra={'origin': 'BasicSR'}, **bounds)


def _whole(value: Any) -> Any:
    """YAML reads ``1e3`` with a tag as a float: one that is whole counts as a whole number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _gpus(value: Any) -> Any:
    if value == 'auto' or isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f'must be auto, 0 (the CPU) or a number of GPUs, not {value!r}')


def _workers(value: Any) -> Any:
    if value == AUTO or isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    meant = f'; did you mean {AUTO}?' if isinstance(value, str) and closest(value, (AUTO,)) else ''
    raise ValueError(f'must be {AUTO} or a whole number from 0, not {value!r}{meant}')


def _switch_or_name(value: Any) -> Any:
    if isinstance(value, (bool, str)):
        return value
    raise ValueError(f'must be true, false or a name, not {value!r}')


def _shares(value: Any) -> Any:
    """A number, or low and high."""
    pair = value if isinstance(value, (list, tuple)) else (value, value)
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in pair)
    if len(pair) != 2 or not numbers or not 0 < pair[0] <= pair[1] <= 1:
        raise ValueError(f'must be a number or [low, high] in (0, 1], not {value!r}')
    return float(pair[0]), float(pair[1])


def _folder(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        raise ValueError(f'must be one folder, not {value!r}; put links to several into one')
    return _path(value)


def _path(value: Any) -> Any:
    """A path that names something: an empty one is the current folder to Python."""
    if isinstance(value, str) and (not value.strip() or '\0' in value):
        raise ValueError(f'must be a path, not {value!r}; write ~ for none')
    return value


def _folders(value: Any) -> Any:
    """One folder, or a list of them."""
    if isinstance(value, str) or isinstance(value, list) and value and all(isinstance(v, str) for v in value):
        return [_path(v) for v in value] if isinstance(value, list) else _path(value)
    raise ValueError(f'must be a folder or a list of folders, not {value!r}')


def _weights(value: Any) -> Any:
    """Relative weights, one for each of several things."""
    numbers = isinstance(value, list) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    if not numbers or not all(0 <= v < math.inf for v in value) or not sum(value) > 0:
        raise ValueError(f'must be a list of numbers, none below 0 and not all of them 0, not {value!r}')
    return [float(v) for v in value]


Whole = Annotated[int, Field(ge=1), BeforeValidator(_whole)]
Natural = Annotated[int, Field(ge=0), BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=1)]
"""As Whole, of what BasicSR reads itself, to which 4.0 is no number of things."""
Seed = Annotated[int, Field(ge=0, lt=2**32 - 2**16)]
"""Of NumPy's generators, with room for the numbers of processes."""
Share = Annotated[float, Field(ge=0, lt=1)]
_AUTO_OR_COUNT = {'anyOf': [{'const': AUTO}, {'type': 'integer', 'minimum': 0}]}
Gpus = Annotated[
    int | str,
    BeforeValidator(_gpus),
    WithJsonSchema(_AUTO_OR_COUNT),
]
Workers = Annotated[int | str, BeforeValidator(_workers), WithJsonSchema(_AUTO_OR_COUNT)]
SwitchOrName = Annotated[
    bool | str, BeforeValidator(_switch_or_name), WithJsonSchema({'anyOf': [{'type': 'boolean'}, {'type': 'string'}]})
]
Folder = Annotated[str, BeforeValidator(_folder)]
File = Annotated[str, BeforeValidator(_path)]
_STRINGS: dict[str, Any] = {'type': 'array', 'items': {'type': 'string'}, 'minItems': 1}
Folders = Annotated[
    str | list[str], BeforeValidator(_folders), WithJsonSchema({'anyOf': [{'type': 'string'}, _STRINGS]})
]
_WEIGHT: dict[str, Any] = {'type': 'array', 'items': {'type': 'number', 'minimum': 0}, 'minItems': 1}
Weights = Annotated[list[float], BeforeValidator(_weights), WithJsonSchema(_WEIGHT)]
_SHARE = {'type': 'number', 'exclusiveMinimum': 0, 'maximum': 1}
Shares = Annotated[
    Any,  # tuple[float, float], once it is read
    BeforeValidator(_shares),
    WithJsonSchema({'anyOf': [_SHARE, {'type': 'array', 'items': _SHARE, 'minItems': 2, 'maxItems': 2}]}),
]


@dataclass(frozen=True)
class PartOf:
    """Marks a section that names a class (``type``) and its arguments: whose they are is for `signatures` to say."""

    kind: PartKind

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), 'x-part': self.kind}


Network = Annotated[dict[str, Any], PartOf('network')]
Loss = Annotated[dict[str, Any], PartOf('loss')]
MetricPart = Annotated[dict[str, Any], PartOf('metric')]
DegradationPart = Annotated[dict[str, Any], PartOf('degradation')]
