"""Reading a section: a typed object, or everything that is wrong with it in plain words, each with its key."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails

from facesr_ext.errors import KeyPath, OptionError, closest, hint, key_text

SECTION = 'must be a section (indented key: value lines)'


class Section(BaseModel):
    """A section of an option file. ``~`` counts as not given; what it does not state is refused."""

    model_config = ConfigDict(extra='forbid', strict=True, frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @model_validator(mode='before')
    @classmethod
    def _given(cls, data: Any) -> Any:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data


SectionType = TypeVar('SectionType', bound=Section)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a section.

    Attributes:
        key (KeyPath): The option.
        message (str): What is wrong and what to do.
        kind (str): 'unknown' key, 'missing' one, or 'value'.
        meant (str | None): Of an unknown key: the key that it is near to.
    """

    key: KeyPath
    message: str
    kind: Literal['unknown', 'missing', 'value']
    meant: str | None = None


def read(model: type[SectionType], section: Any, key: Sequence[str] = ()) -> SectionType:
    """A section as a typed object.

    Args:
        model (type[Section]): What states the section.
        section (Any): What the option file says; None is an empty section.
        key (Sequence[str]): Where it stands in the file.

    Raises:
        OptionError: naming everything that is wrong; its key is that of the first fault.
    """
    refuse(faults(model, section, key))
    return model.model_validate({} if section is None else section)


def refuse(found: Sequence[Fault]) -> None:
    """Does nothing where there are no faults.

    Raises:
        OptionError: naming all of them; its key is that of the first.
    """
    if found:
        first, *others = found
        more = ''.join(f'\n{key_text(fault.key)}: {fault.message}' for fault in others)
        raise OptionError(first.message + more, first.key)


def faults(model: type[BaseModel], section: Any, key: Sequence[str] = (), needed_by: str = '') -> list[Fault]:
    """Everything that is wrong with a section.

    Args:
        model (type[BaseModel]): What states the section.
        section (Any): What the option file says.
        key (Sequence[str]): Where it stands in the file.
        needed_by (str): Who needs a key that is missing, for the message.

    Returns:
        list[Fault]: One a key, in the order of the section; a key that is missing because its name is misspelled is
            told as the misspelled one alone.
    """
    section = {} if section is None else section
    try:
        model.model_validate(section)
    except ValidationError as err:
        found = list(_translated(err, model, section, tuple(key), needed_by))
        meant = {(*fault.key[:-1], fault.meant) for fault in found if fault.meant}
        return [fault for fault in found if not (fault.kind == 'missing' and fault.key in meant)]
    return []


def names_of(model: type[BaseModel]) -> list[str]:
    """The keys that a section may have."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _translated(
    err: ValidationError, model: type[BaseModel], section: Any, key: KeyPath, needed_by: str
) -> Iterator[Fault]:
    by_place: dict[KeyPath, list[ErrorDetails]] = {}
    for details in err.errors(include_url=False):
        by_place.setdefault(_place(details, section), []).append(details)
    for place, several in by_place.items():
        details, inner = several[0], (*key, *place)
        if details['type'] == 'extra_forbidden':
            names = _names_at(model, place[:-1])
            message = f'unknown key, nothing reads it; {hint(place[-1], names)}'
            yield Fault(inner, message, 'unknown', closest(place[-1], names))
        elif details['type'] == 'missing':
            yield Fault(inner, f'is missing; {needed_by or key_text(inner[:-1]) or "the file"} needs it', 'missing')
        else:
            wanted = ' or '.join(dict.fromkeys(_sentence(one) for one in several))
            yield Fault(inner, _with_value(wanted, details), 'value')


def _place(details: ErrorDetails, section: Any) -> KeyPath:
    """Where an error is, without the names that pydantic gives to the branches of a union."""
    place: list[str] = []
    value: Any = section
    for part in details['loc']:
        inside, inner = _entry(value, part)
        if inside:
            value = inner
        elif details['type'] != 'missing':
            continue
        place.append(str(part))
    return tuple(place)


def _entry(value: Any, part: int | str) -> tuple[bool, Any]:
    """Whether a dict or list has such an entry, and what it is."""
    if isinstance(value, dict):
        return part in value, value.get(part)
    if isinstance(value, (list, tuple)) and isinstance(part, int) and part < len(value):
        return True, value[part]
    return False, None


def _names_at(model: type[BaseModel], place: KeyPath) -> Collection[str]:
    """The keys of a section within a section."""
    for part in place:
        field = next((f for name, f in model.model_fields.items() if (f.alias or name) == part), None)
        inner = [t for t in _types_in(field.annotation if field else None) if hasattr(t, 'model_fields')]
        if part.isdecimal():
            continue  # an entry of a list: the list's type is known already
        if not inner:
            return ()
        model = inner[0]
    return names_of(model)


def _types_in(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in getattr(annotation, '__args__', ()):
        yield from _types_in(inner)


def _sentence(details: ErrorDetails) -> str:
    """What a value must be, in plain words."""
    context = details.get('ctx') or {}
    kind = details['type']
    if kind == 'literal_error':
        return f'must be one of {context["expected"]}'.replace("'", '').replace(' or ', ', ')
    if kind == 'value_error':
        return str(context['error'])
    plain = {
        'int_type': 'must be a whole number',
        'int_from_float': 'must be a whole number',
        'float_type': 'must be a number',
        'finite_number': 'must be a number',
        'bool_type': 'must be true or false',
        'string_type': 'must be text',
        'list_type': 'must be a list',
        'tuple_type': 'must be a list',
        'is_instance_of': 'must be a list' if context.get('class') == 'Sequence' else 'must be something else',
        'sequence_str': 'must be a list',
        'dict_type': SECTION,
        'model_type': SECTION,
        'model_attributes_type': SECTION,
    }
    bounds = {
        'greater_than_equal': ('must be at least', 'ge'),
        'greater_than': ('must be above', 'gt'),
        'less_than_equal': ('must be at most', 'le'),
        'less_than': ('must be below', 'lt'),
        'too_short': ('must have at least so many entries:', 'min_length'),
        'too_long': ('must have at most so many entries:', 'max_length'),
    }
    if kind in bounds:
        words, name = bounds[kind]
        return f'{words} {context[name]:g}'
    return plain.get(kind, details['msg'])


def _with_value(wanted: str, details: ErrorDetails) -> str:
    """The sentence with what stands there; a number that YAML reads as text is told as such."""
    value = details['input']
    if details['type'] == 'value_error':
        return wanted
    if isinstance(value, str) and details['type'] in ('int_type', 'float_type') and (text := text_number(value)):
        return text
    shown = 'empty' if value is None else f'not {value!r}'
    return f'{wanted}, {shown}' if not wanted.endswith(')') or value is not None else f'{wanted}; it is empty'


def text_number(value: str) -> str | None:
    """What to say of a text that was meant as a number, ``1e-3`` for one; None for any other text."""
    try:
        number = float(value)
    except ValueError:
        return None
    if not any(character.isdigit() for character in value):
        return None  # nan, inf
    return f'{value!r} is text to YAML, not a number; write {number!r} with a dot (as 1.0e-3) or !!float {value}'
