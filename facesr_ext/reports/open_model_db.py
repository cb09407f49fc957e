"""A checkpoint as a record of OpenModelDB: the JSON file that a pull request adds to its ``data/models``.

Keys, kinds and patterns are those of its schema (https://github.com/OpenModelDB/open-model-database, src/lib/schema.ts
and model-props.ts). What is not known is left out, and `faults` names what the data base asks for beyond.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from facesr_ext.reports.model_facts import Figure, ModelFacts, known

_ARCHS = {'RRDBNet': 'esrgan', 'SRVGGNetCompact': 'compact', 'SwinIR': 'swinir'}
"""Networks of BasicSR that the data base has under another name; ours have their own, in lower case."""
_SIZES = {'num_feat': 'nf', 'num_block': 'nb'}
"""Arguments that it tells the size of a network by."""
_ID = re.compile(r'[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*')
_MODEL_ID = re.compile(r'\d+x-[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*')
_DATE = re.compile(r'\d{4}-\d\d-\d\d')
_SHA256 = re.compile(r'[0-9a-f]{64}')
_LICENCE = re.compile(r'[A-Za-z0-9.-]+( OR [A-Za-z0-9.-]+)*')
_SHOWN = 6
"""Figures in the description."""


def model_id(facts: ModelFacts) -> str:
    """The record's name: '8x-fsrnet-fast-x8'; without the scale where that is unknown."""
    scale = f'{facts.scale}x-' if facts.scale else ''
    return f'{scale}{_slug(facts.name) or "model"}'


def model_record(facts: ModelFacts, figures: Sequence[Figure] = ()) -> dict[str, Any]:
    """The record, in the data base's order of keys."""
    told, arch = facts.told, dict(facts.arch or {})
    size = [f'{arch[key]}{unit}' for key, unit in _SIZES.items() if isinstance(arch.get(key), int)]
    suffix = facts.path.suffix.removeprefix('.')
    resource = {
        'platform': 'pytorch',
        'type': 'safetensors' if suffix == 'safetensors' else 'pth',
        'size': facts.size,
        'sha256': facts.sha256,
        'urls': [told.url] if told.url else [],
    }
    record = {
        'name': facts.name,
        'author': _slug(told.author) or None,
        'license': told.licence if _LICENCE.fullmatch(told.licence) else None,
        'tags': ['faces', 'research'] if facts.drawn else ['faces', 'photo', 'research'],
        'description': _description(facts, figures),
        'date': facts.changed.isoformat(),
        'architecture': _ARCHS.get(str(arch.get('type')), _slug(str(arch.get('type', ''))).lower()) or None,
        'size': size or None,
        'scale': facts.scale,
        'inputChannels': arch.get('num_in_ch', 3),
        'outputChannels': arch.get('num_out_ch', 3),
        'resources': [resource],
    }
    training = {
        'trainingIterations': facts.iteration or None,
        'trainingBatchSize': facts.number('datasets:train:batch_size_per_gpu'),
        'trainingHRSize': facts.image_size,
        'trainingOTF': bool(facts.metadata.get('degradation')) if facts.metadata else None,
        'dataset': facts.data,
        'datasetSize': facts.run.images if facts.run is not None else None,
    }
    return {**record, **{key: value for key, value in training.items() if value is not None}, 'images': []}


def faults(record: Mapping[str, Any], identifier: str) -> list[str]:
    """What OpenModelDB would refuse in a record, with what to do; empty where nothing."""
    found = [] if _MODEL_ID.fullmatch(identifier) else [f'{identifier} is no name of a record, as 4x-name']
    for key, kind, remedy in (
        ('name', str, ''), ('author', str, '--author'), ('tags', list, ''), ('description', str, ''),
        ('date', str, ''), ('architecture', str, 'a checkpoint that says its network'),
        ('scale', int, 'a checkpoint that says its scale'), ('inputChannels', int, ''), ('outputChannels', int, ''),
        ('resources', list, ''), ('images', list, ''),
    ):  # fmt: skip
        if not isinstance(record.get(key), kind) or (key != 'images' and not record[key]):
            found.append(f'{key} is missing' + (f' ({remedy})' if remedy else ''))
    if record.get('author') and not _ID.fullmatch(record['author']):
        found.append(f'author {record["author"]!r} is no name of a user')
    if not _DATE.fullmatch(record.get('date') or ''):
        found.append('date is no day, as 2026-01-31')
    if not 1 <= (record.get('scale') or 1) <= 16:
        found.append(f'scale {record["scale"]} is not from 1 to 16')
    if record.get('description') != (record.get('description') or '').strip():
        found.append('description begins or ends with spaces')
    for resource in record.get('resources') or ():
        if not resource.get('urls'):
            found.append('resources: urls are missing (--url)')
        if not isinstance(resource.get('size'), int) or not _SHA256.fullmatch(resource.get('sha256') or ''):
            found.append('resources: size or sha256 is wrong')
    return found


def _description(facts: ModelFacts, figures: Sequence[Figure]) -> str:
    kind = 'network' if facts.arch is None else facts.arch.get('type')
    scale = f', {facts.scale}x' if facts.scale else ''
    lines = [f'Super-resolution of faces{scale}: {kind}, trained with BasicSR and facesr_ext.']
    if facts.data:
        lines.append(f'Trained on {facts.data}.')
    for figure in known(figures)[:_SHOWN]:
        lines.append(f'{figure.set}, {figure.num} images: {figure.metric} {figure.mean:.4g}.')
    lines.append('For faces alone; a restored face is no evidence of who somebody is.')
    return '\n'.join(lines)


def _slug(text: str) -> str:
    """Letters and digits of ASCII, with single hyphens between."""
    return '-'.join(re.findall('[a-zA-Z0-9]+', text))
