"""settings/ for editors and readers: a JSON schema of option files, and a table of every option."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from basicsr.utils import registry as registries
from basicsr.version import __version__ as basicsr_version
from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from facesr_ext import __version__
from facesr_ext.errors import KeyPath, key_text
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.settings import comparison, datasets, degradations, logger, top, train, val
from facesr_ext.settings.kinds import PartKind
from facesr_ext.settings.reading import Section
from facesr_ext.settings.signatures import is_ours, section_of

Schema = dict[str, Any]
_GIVEN: dict[PartKind, tuple[str, ...]] = {
    'metric': ('img', 'img2', 'better'),
    'degradation': ('scale', 'preset', 'probability'),
}
_REGISTRIES = {
    'network': registries.ARCH_REGISTRY,
    'dataset': registries.DATASET_REGISTRY,
    'loss': registries.LOSS_REGISTRY,
    'metric': registries.METRIC_REGISTRY,
    'degradation': DEGRADATION_REGISTRY,
}


def option_schema(presets: Iterable[str] = ()) -> Schema:
    """A JSON schema (2020-12) of option files that train or test by one of our models; of others it says little.

    Args:
        presets (Iterable[str]): Names of degradations; with none any text will do.

    Returns:
        dict: It holds for the installed versions, which ``$comment`` names.
    """
    definitions: dict[str, Schema] = {}
    models = {name: cls for name, cls in registries.MODEL_REGISTRY if hasattr(cls, 'SETTINGS')}
    names = sorted({name.removesuffix('_basicsr') for name, _ in registries.MODEL_REGISTRY})
    cases = [_case('model_type', name, _files(cls.SETTINGS, definitions)) for name, cls in sorted(models.items())]
    for kind in _REGISTRIES:
        _add_parts(kind, definitions, sorted(presets))
    for key, file in (('methods', comparison.CompareFile), ('degradations', degradations.DegradationsFile)):
        cases.append({'if': {'required': [key]}, 'then': _of(file, definitions, {})})
    properties = {'model_type': {'enum': names}}
    return {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        '$comment': f'facesr_ext {__version__}, BasicSR {basicsr_version}, torch {_minor(torch.__version__)}',
        'title': 'Option file of BasicSR with facesr_ext',
        'type': 'object',
        'anyOf': [{'required': [key]} for key in ('model_type', 'methods', 'degradations')],
        'properties': properties,
        'allOf': cases,
        '$defs': definitions,
    }


def _minor(version: str) -> str:
    return '.'.join(version.split('.')[:2])


def _case(key: str, value: str, then: Schema) -> Schema:
    return {'if': {'properties': {key: {'const': value}}, 'required': [key]}, 'then': then}


def _files(settings: type[train.Train], definitions: dict[str, Schema]) -> Schema:
    """A file of a model, to train or to test by."""
    file = top.FaceGANTrainFile if issubclass(settings, train.GANTrain) else top.FaceTrainFile
    sections: dict[str, type[Section]] = {'train': settings, 'val': val.TrainVal, 'logger': logger.Logger}
    to_train = _of(file, definitions, sections, f'{settings.__name__}File')
    to_test = _of(top.FaceTestFile, definitions, {'val': val.Val}, 'TestFile')
    return {'if': {'required': ['train']}, 'then': to_train, 'else': to_test}


def _of(
    model: type[BaseModel], definitions: dict[str, Schema], sections: dict[str, type[Section]], name: str = ''
) -> Schema:
    """A reference to a section's schema, which joins the definitions; ``sections``: what its own sections are."""
    name = name or model.__name__
    if name not in definitions:
        schema = model.model_json_schema(ref_template='#/$defs/{model}')
        definitions.update(_tidy(schema.pop('$defs', {})))
        definitions[name] = _tidy(schema)
        for key, inner in sections.items():
            definitions[name]['properties'][key] = _of(inner, definitions, {})
        if 'path' in definitions[name].get('properties', {}):
            definitions[name]['properties']['path'] = {'type': 'object'}
    return {'$ref': f'#/$defs/{name}'}


def _tidy(value: Any, properties: bool = False) -> Any:
    """Sections of parts become references; ``~`` is allowed for what need not be given; titles say nothing."""
    if isinstance(value, list):
        return [_tidy(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if 'x-part' in value and not properties:
        kind = value['x-part']
        if kind in _REGISTRIES:
            return {'$ref': f'#/$defs/{kind}'}
        value = {key: inner for key, inner in value.items() if key != 'x-part'}
    out = {key: _tidy(inner, key in ('properties', '$defs')) for key, inner in value.items()}
    if not properties:
        for key in ('title', 'origin', 'default'):
            if not isinstance(out.get(key), dict) or key == 'default':
                out.pop(key, None)
        required = out.get('required', [])
        for name, inner in out.get('properties', {}).items():
            if isinstance(required, list) and name not in required:
                out['properties'][name] = _or_null(inner)
    return out


def _or_null(schema: Schema) -> Schema:
    if {'type': 'null'} in schema.get('anyOf', []):
        return schema
    text = {'description': schema['description']} if 'description' in schema else {}
    return {**text, 'anyOf': [{k: v for k, v in schema.items() if k != 'description'}, {'type': 'null'}]}


def _add_parts(kind: str, definitions: dict[str, Schema], presets: list[str]) -> None:
    """The section of a kind of part: a registered ``type``, and the arguments of ours."""
    targets = {name: target for name, target in _REGISTRIES[kind]}  # noqa: C416 - keys() would mislead dict()
    names = sorted({name.removesuffix('_basicsr') for name in targets})
    cases = [
        _case('type', name, _arguments(kind, target, definitions))
        for name, target in sorted(targets.items())
        if is_ours(target)
    ]
    part: Schema = {'type': 'object', 'properties': {'type': {'enum': names}}, 'allOf': cases}
    if kind == 'degradation':
        part['properties']['preset'] = {'enum': presets} if presets else {'type': 'string'}
        part['anyOf'] = [{'required': ['type']}, {'required': ['preset']}]
    else:
        part['required'] = ['type']
    definitions[kind] = part


def _arguments(kind: str, target: Callable[..., Any], definitions: dict[str, Schema]) -> Schema:
    settings = getattr(target, 'SETTINGS', None)
    if settings is not None:
        return _of(settings, definitions, {})
    name = f'{kind}.{target.__name__}'
    try:
        schema = section_of(target, _GIVEN.get(kind, ())).model_json_schema()  # type: ignore[call-overload]
    except PydanticInvalidForJsonSchema:
        schema = {'type': 'object'}
    if kind == 'degradation':
        schema.pop('required', None)  # a preset may give it
    schema.pop('description', None)
    definitions[name] = _plain(schema)
    return {'$ref': f'#/$defs/{name}'}


def _plain(value: Any) -> Any:
    """Without titles and defaults, which only lengthen the file."""
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {k: _plain(v) for k, v in value.items() if not (k == 'title' and isinstance(v, str)) and k != 'default'}


# ---- the table ----------------------------------------------------------------------------------------------------

TABLES: tuple[tuple[str, KeyPath, tuple[type[Section], ...]], ...] = (
    ('Top of the file', (), (top.FaceGANTrainFile,)),
    ('`challenge:`', ('challenge',), (top.Challenge,)),
    ('`path:`', ('path',), (top.Path,)),
    ('Every data set', ('datasets', 'train'), (datasets.Loader,)),
    ('`FaceDataset`', ('datasets', 'train'), (datasets.FaceSet,)),
    ('`PairedFaceDataset`', ('datasets', 'train'), (datasets.PairedFaceSet,)),
    ('`UnpairedFaceDataset`', ('datasets', 'train'), (datasets.UnpairedFaceSet,)),
    ('`train:` of every model', ('train',), (train.Train,)),
    ('`train: augment:`', ('train', 'augment'), (train.Augment,)),
    ('`train: prior_targets:`', ('train', 'prior_targets'), (train.PriorTargets,)),
    ('`train:` of FaceGANModel, DegradationModel and SRPGGANModel', ('train',), (train.GANTrain,)),
    ('`train:` of DegradationModel', ('train',), (train.DegradationTrain,)),
    ('`train:` of SRPGGANModel', ('train',), (train.SRPGGANTrain,)),
    ('An entry of `train: stages:`', ('train', 'stages', '0'), (train.Stage,)),
    ('`val:`', ('val',), (val.Val,)),
    ('`val: tile:`', ('val', 'tile'), (val.Tile,)),
    ('`logger:`', ('logger',), (logger.Logger,)),
    ('`logger: wandb:`', ('logger', 'wandb'), (logger.Wandb,)),
)
COMPARISON: tuple[tuple[str, KeyPath, tuple[type[Section], ...]], ...] = (
    ('Top of the file', (), (comparison.CompareFile,)),
    ('An entry of `methods:`', ('methods', 'NAME'), (comparison.Method,)),
    ('An entry of `datasets:`', ('datasets', 'NAME'), (comparison.CompareSet,)),
    ('`val:`', ('val',), (comparison.CompareVal,)),
    ('An entry of `published:`', ('published', '0'), (comparison.PublishedRows,)),
    ('`pictures:`', ('pictures',), (comparison.Pictures,)),
)
"""Of files of ``facesr compare``."""
DEGRADATIONS: tuple[tuple[str, KeyPath, tuple[type[Section], ...]], ...] = (
    ('Top of the file', (), (degradations.DegradationsFile,)),
    ('An entry of `degradations:`', ('degradations', 'NAME'), (degradations.ComparedDegradation,)),
    ('An entry of `datasets:`', ('datasets', 'NAME'), (degradations.HRSet,)),
    ('An entry of `real:`', ('real', 'NAME'), (degradations.RealPool,)),
    ('`pictures:`', ('pictures',), (degradations.DrawnPictures,)),
)
"""Of those that compare degradations."""


def option_tables() -> str:
    """Every option in Markdown tables: key, kind, default, what it does; those of facesr_ext are bold."""
    lines = [
        '# Options',
        '',
        'Every key of an option file but the arguments of networks, losses, metrics and degradations (`facesr list`).',
        "Bold: an option of facesr_ext; the others are BasicSR's. Written by `facesr schema --tables`.",
    ]  # fmt: skip
    lines += _tables(TABLES, '##')
    lines += ['', '## Files of `facesr compare`', '', 'In `options/compare/`; `facesr check` looks them through, too.']
    lines += _tables(COMPARISON, '###')
    lines += ['', '## Files of `facesr compare` with `degradations`']
    lines += _tables(DEGRADATIONS, '###')
    return '\n'.join(lines) + '\n'


def _tables(tables: Iterable[tuple[str, KeyPath, tuple[type[Section], ...]]], head: str) -> list[str]:
    lines: list[str] = []
    told: set[tuple[KeyPath, str]] = set()
    for title, place, models in tables:
        rows = [row for model in models for row in _rows(model, place, told)]
        if rows:
            lines += ['', f'{head} {title}', '', '| key | kind | default | what |', '|---|---|---|---|', *rows]
    return lines


def _rows(model: type[Section], place: KeyPath, told: set[tuple[KeyPath, str]]) -> Iterable[str]:
    properties = model.model_json_schema()
    for name, field in model.model_fields.items():
        if (place, name) in told:
            continue
        told.add((place, name))
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        key = key_text((*place, name))
        shown = f'**`{key}`**' if extra.get('origin') == 'facesr_ext' else f'`{key}`'
        default = 'required' if field.is_required() else _shown(field.default)
        kind = _kind(properties['properties'][name], properties.get('$defs', {}))
        what = (field.description or '').replace('<', '&lt;')  # `experiments/<name>` would be a tag of HTML
        yield f'| {shown} | {kind} | {default} | {what} |'


def _shown(value: Any) -> str:
    if value is None or isinstance(value, BaseModel) or value == {}:
        return ''
    if isinstance(value, bool):
        return str(value).lower()
    return f'{value[0]:g}' if isinstance(value, tuple) else str(value)


def _kind(schema: Schema, definitions: dict[str, Schema]) -> str:
    """A kind of value in a word or two."""
    words = {'integer': 'whole number', 'number': 'number', 'boolean': 'true, false', 'string': 'text', 'null': ''}
    if '$ref' in schema:
        return 'section'
    if 'enum' in schema or 'const' in schema:
        return ', '.join(map(str, schema.get('enum', [schema.get('const')])))
    if 'anyOf' in schema:
        return ' or '.join(dict.fromkeys(filter(None, (_kind(inner, definitions) for inner in schema['anyOf']))))
    if 'x-part' in schema or schema.get('type') == 'object':
        return 'section'
    if schema.get('type') == 'array':
        return 'list'
    bounds = {
        'minimum': 'from {:g}',
        'exclusiveMinimum': 'above {:g}',
        'maximum': 'to {:g}',
        'exclusiveMaximum': 'below {:g}',
    }
    limits = ' '.join(text.format(schema[key]) for key, text in bounds.items() if key in schema)
    return f'{words.get(str(schema.get("type")), "")} {limits}'.strip()
