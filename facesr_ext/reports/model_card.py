"""A model card: Markdown with the front matter of the Hugging Face Hub. What is not known is called unknown.

Source: Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from facesr_ext import __version__
from facesr_ext.errors import DatasetError
from facesr_ext.reports.model_facts import Figure, ModelFacts, known
from facesr_ext.reports.open_model_db import model_id, model_record
from facesr_ext.reports.run_report import degradation_text
from facesr_ext.runs.atomic import require_free, write_text

CARD = 'README.md'
UNKNOWN = 'unknown'
_INPUT = {
    'small': 'the low-resolution image itself',
    'enlarged': 'the low-resolution image, enlarged bicubically to the size of the result',
    'hr': 'the high-resolution image, of which it makes the low-resolution one',
}
_LICENCE = re.compile(r'[A-Za-z0-9][\w.+-]*')
_USE = """\
For research on faces: enlarging small pictures of them, comparing methods. Use it on pictures of people who agree.

- **A restored face is no evidence of who somebody is.** What a low-resolution picture does not hold is filled in by
  what the training data make likely. Two people can give one result, and one person several. Do not use it to identify
  anybody, nor as evidence, nor for surveillance.
- It is made for faces, placed and cropped as in its training; on other pictures, and on other parts of the same one, it
  has not been measured.
- Low resolution that comes about in another way than the degradation above (noise, compression, motion) gives worse
  results than the figures say.
- People whom the training data hardly show get worse results. How much by age, skin, or what covers a face, these
  figures do not say.
"""
_DRAWN = '- It has seen drawn faces alone, no photographs: good for a trial of the program, not for photographs.\n'


def write_card(facts: ModelFacts, figures: Sequence[Figure], output: Path, force: bool = False) -> tuple[Path, Path]:
    """Writes ``README.md`` and the OpenModelDB record beside it.

    Args:
        facts (ModelFacts): Of the checkpoint.
        figures (Sequence[Figure]): Its metrics.
        output (Path): Folder, made where it is missing; an earlier card of the same file is replaced.
        force (bool): Replace other files, too.

    Returns:
        tuple[Path, Path]: The card and the record.

    Raises:
        OptionError: if a file of something else would be replaced.
        DatasetError: if a file cannot be written.
    """
    card, record = output / CARD, output / f'{model_id(facts)}.json'
    own = card.is_file() and facts.sha256 in card.read_text(encoding='utf-8', errors='replace')
    require_free([card, record], force=force or own)
    try:
        write_text(record, json.dumps(model_record(facts, figures), indent=4, ensure_ascii=False) + '\n')
        write_text(card, card_text(facts, figures))
    except OSError as err:
        raise DatasetError(f'cannot write into {output}: {err.strerror or err}') from err
    return card, record


def card_text(facts: ModelFacts, figures: Sequence[Figure]) -> str:
    """The card."""
    front = yaml.safe_dump(_front(facts, figures), sort_keys=False, allow_unicode=True, width=1000)
    sections = [
        f'---\n{front}---\n\n# {facts.name}\n\n{_summary(facts)}',
        _table('Model', ('what', 'value'), _model(facts)),
        _table('Training', ('what', 'value'), _training(facts)),
        _metrics(figures),
        f'## Use and limits\n\n{_USE}{_DRAWN if facts.drawn else ""}',
        _loading(facts),
    ]
    return '\n'.join(section.rstrip('\n') + '\n' for section in sections)


def _front(facts: ModelFacts, figures: Sequence[Figure]) -> dict[str, Any]:
    """Front matter as the Hub reads it: licence, tags, metrics, results."""
    licence = facts.told.licence
    terms: dict[str, Any] = {'license': UNKNOWN}
    if licence:
        one = _LICENCE.fullmatch(licence) is not None
        terms = {'license': licence.lower()} if one else {'license': 'other', 'license_name': licence}
    kinds = dict.fromkeys(_kind(figure.metric) for figure in known(figures))
    front = {
        **terms,
        'library_name': 'pytorch',
        'pipeline_tag': 'image-to-image',
        'tags': ['super-resolution', 'face-super-resolution', 'image-restoration', 'faces', 'basicsr'],
        **({'metrics': list(kinds)} if kinds else {}),
    }
    sets = dict.fromkeys(figure.set for figure in known(figures))
    results = [
        {
            'task': {'type': 'image-to-image', 'name': 'Super-resolution'},
            'dataset': {'name': name, 'type': 'image-folder'},
            'metrics': [
                {'type': _kind(figure.metric), 'name': figure.metric, 'value': float(f'{figure.mean:.6g}')}
                for figure in known(figures)
                if figure.set == name and math.isfinite(figure.mean)
            ],
        }
        for name in sets
    ]
    return {**front, **({'model-index': [{'name': facts.name, 'results': results}]} if results else {})}


def _kind(metric: str) -> str:
    """The metric without its convention: 'psnr'."""
    return metric.partition('_')[0]


def _summary(facts: ModelFacts) -> str:
    if facts.arch is None:
        return 'A network that the file does not describe.'
    network = facts.arch.get('type')
    if facts.input == 'hr':
        return f'{network}: makes low-resolution faces of high-resolution ones, for the training of other networks.'
    scale = f'{facts.scale} times' if facts.scale else 'an unknown number of times'
    return f'{network}: enlarges pictures of faces {scale}.'


def _model(facts: ModelFacts) -> list[tuple[str, str]]:
    arch = dict(facts.arch or {})
    arguments = ', '.join(f'{key}: {value}' for key, value in arch.items() if key != 'type')
    values = f'{facts.values:,d} numbers in the file, buffers included' if facts.parameters is None else ''
    return [
        ('network', str(arch.get('type', UNKNOWN))),
        ('arguments', arguments or ('its defaults' if arch else UNKNOWN)),
        ('parameters', values or f'{facts.parameters:,d}'),
        ('scale', str(facts.scale or UNKNOWN)),
        ('input', _INPUT.get(str(facts.input), UNKNOWN) + (': RGB, [0, 1]' if facts.input else '')),
        ('output', 'RGB, [0, 1]' if facts.metadata.get('value_range') else UNKNOWN),
        ('file', f'`{facts.path.name}`, {facts.size:,d} bytes, written {facts.changed.isoformat()}'),
        ('SHA-256', f'`{facts.sha256}`'),
        ('author', facts.told.author or UNKNOWN),
        ('licence', facts.told.licence or UNKNOWN),
        ('source', facts.told.url or UNKNOWN),
    ]


def _training(facts: ModelFacts) -> list[tuple[str, str]]:
    metadata = facts.metadata
    size = f'{facts.image_size}x{facts.image_size} px' if facts.image_size else UNKNOWN
    images = f', {facts.run.images:,d} images' if facts.run is not None and facts.run.images else ''
    section = metadata.get('degradation')
    stored = 'none: stored low-resolution images' if metadata and section == {} else UNKNOWN
    return [
        ('data', (facts.data or UNKNOWN) + images),
        ('terms of the data', 'see data' if facts.told.data else ('none' if facts.drawn else UNKNOWN)),
        ('size of the HR images', size),
        ('degradation', degradation_text(section) if section else stored),
        ('iterations', UNKNOWN if facts.iteration is None else f'{facts.iteration:,d}'),
        *_schedule(facts),
        ('written by', f'facesr_ext {metadata["version"]}' if metadata.get('version') else UNKNOWN),
    ]


def _schedule(facts: ModelFacts) -> list[tuple[str, str]]:
    """Batch, optimiser, schedule, losses and time by the training's log."""
    run = facts.run
    if run is None:
        return [('schedule', f'{UNKNOWN}: the file lies in no folder of a training')]
    names = [key.split(':')[1] for key in run.options if key.startswith('train:') and key.endswith('_opt:type')]
    hours = f'{run.seconds / 3600:.1f} h' if run.seconds >= 3600 else f'{run.seconds:.0f} s'
    return [
        ('of', facts.option('train:total_iter') or UNKNOWN),
        ('batch', facts.option('datasets:train:batch_size_per_gpu') or UNKNOWN),
        ('optimiser', _section(facts, 'train:optim_g') or UNKNOWN),
        ('schedule', _section(facts, 'train:scheduler') or UNKNOWN),
        ('losses', '; '.join(f'{name}: {_section(facts, f"train:{name}")}' for name in names) or UNKNOWN),
        ('seed', facts.option('manual_seed') or UNKNOWN),
        ('time', f'{hours}{"" if "Machine" not in run.machine else " on " + run.machine["Machine"]}'),
    ]


def _section(facts: ModelFacts, section: str) -> str:
    options = facts.run.options if facts.run is not None else {}
    found = {key.removeprefix(f'{section}:'): value for key, value in options.items() if key.startswith(f'{section}:')}
    return ', '.join(f'{key}: {value}' for key, value in found.items())


def _metrics(figures: Sequence[Figure]) -> str:
    rows = [
        (
            figure.set,
            str(figure.num),
            figure.metric,
            _number(figure.mean),
            UNKNOWN if math.isnan(figure.low) else f'{_number(figure.low)} to {_number(figure.high)}',
            UNKNOWN if math.isnan(figure.baseline) else _number(figure.baseline),
            figure.source,
        )
        for figure in known(figures)
    ]
    if not rows:
        return '## Metrics\n\nUnknown: nothing was measured.\n'
    head = ('set', 'images', 'metric', 'mean', '95 % interval', 'bicubic', 'from')
    note = (
        'The interval (bootstrap over images) says how far the mean would move with other images of the same kind; it '
        'does not say how far another training would move it.'
    )
    return _table('Metrics', head, rows) + f'\n{note}\n'


def _number(value: float) -> str:
    return f'{value:#.4g}'.rstrip('.')


def _loading(facts: ModelFacts) -> str:
    if facts.arch is None or facts.input == 'hr':
        return f'Written by `facesr report --card` of facesr_ext {__version__}.\n'
    code = f"from facesr_ext.inference.restorer import Restorer\n\nfaces = Restorer('{facts.path.name}').restore([lq])"
    return f'## Use it\n\n```python\n{code}\n```\n\nWritten by `facesr report --card` of facesr_ext {__version__}.\n'


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ['| ' + ' | '.join(text.replace('|', r'\|').replace('\n', ' ') for text in row) + ' |' for row in rows]
    return '\n'.join([f'## {title}', '', f'| {" | ".join(head)} |', '|' + '---|' * len(head), *lines]) + '\n'
