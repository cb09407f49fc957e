"""The schema that editors are given: it takes every shipped file, refuses what the check refuses, and is up to date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from facesr_ext.degradations.presets import PRESETS
from facesr_ext.settings.schema import option_schema, option_tables
from tests.support import OPTIONS, ROOT

jsonschema = pytest.importorskip('jsonschema')
SCHEMA = option_schema(PRESETS)
FILES = sorted(OPTIONS.rglob('*.yml'))


def faults(opt: dict[str, Any]) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(opt)]


@pytest.mark.parametrize('path', FILES, ids=lambda p: f'{p.parent.name}-{p.stem}')
def test_takes_shipped_files_which_name_it(path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    opt = yaml.safe_load(text)
    assert faults({'name': 'as the run', **opt}) == []
    head = text.split('\n')[0].removeprefix('# yaml-language-server: $schema=')
    assert (path.parent / head).resolve() == (OPTIONS / 'schema.json').resolve()


def _fsrgan() -> dict[str, Any]:
    opt: dict[str, Any] = yaml.safe_load((OPTIONS / 'fsrgan.yml').read_text(encoding='utf-8'))
    return opt


@pytest.mark.parametrize(
    ('place', 'value'),
    [
        ('manual_sed', 0), ('grad_clip', 1.0), ('precision', 'fp64'), ('num_gpu', -1), ('tf32', 1), ('network_d', None),
        ('model_type', 'FaceGanModel'), ('train:pixel_opt', 3), ('train:ema_dacay', 0.9), ('train:ema_decay', 1),
        ('train:optim_g:lr', 'fast'), ('train:optim_d', None), ('train:prior_targets:parsng', 'x'),
        ('train:parsing_opt:type', 'ParsinLoss'), ('train:parsing_opt:criterium', 'ce'),
        ('train:parsing_opt:criterion', 'gn'), ('train:total_iter', 0), ('network_g:type', 'FSRNett'),
        ('network_g:norm', 'gn'), ('network_g:hg_feets', 3), ('network_g:num_parsing', 'eleven'),
        ('network_d:conditonal', True), ('datasets:train:use_hfilp', True), ('datasets:train:use_hflip', 1),
        ('datasets:train:type', 'FacesDataset'), ('datasets:train:crop_scale', 'wide'), ('datasets:val:timeout', -1),
        ('val:max_images', 0), ('val:batch_size', 'all'), ('val:tile', {'size': 64}), ('val:average_last', 'all'),
        ('val:metrics:psnr_y:type', 'psnr_yy'), ('val:metrics:psnr_y:crop_boarder', 1), ('logger:keep_last', 0),
        ('logger:print_frequ', 1), ('degradation:preset', 'fsrnet_x9'), ('challenge', {'max_params': 0}),
    ],
)  # fmt: skip
def test_refuses_the_mistakes_that_the_check_refuses(place: str, value: Any) -> None:
    opt = section = _fsrgan()
    *path, key = place.split(':')
    for name in path:
        section = section[name]
    if value is None:
        del section[key]
    else:
        section[key] = value
    assert faults(opt)


def test_shipped_schema_and_tables_are_those_of_the_code() -> None:
    stored = json.loads((OPTIONS / 'schema.json').read_text(encoding='utf-8'))
    if stored['$comment'] != SCHEMA['$comment']:
        pytest.skip(f'the schema was written with {stored["$comment"]}')
    assert stored == SCHEMA, 'write it anew: facesr schema -o options/schema.json'
    tables = (ROOT / 'docs' / 'options.md').read_text(encoding='utf-8')
    assert tables == option_tables(), 'write them anew: facesr schema --tables -o docs/options.md'
