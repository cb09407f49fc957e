"""Values that no run can have are refused by the check, at their key."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from facesr_ext.check.examine import check_file
from facesr_ext.errors import Finding, key_text
from tests.support import write_options

SAMPLE = yaml.safe_load(Path(__file__).with_name('sample.yml').read_text(encoding='utf-8'))
STEPS = {'type': 'MultiStepLR', 'milestones': [5], 'gamma': 0.5}
METRIC = {'type': 'psnr_y', 'crop_border': 0}


def _findings(key: str, value: Any, folder: Path) -> list[Finding]:
    """What there is to say of the sample with another value."""
    opt: Any = yaml.safe_load(yaml.safe_dump(SAMPLE))
    section = opt
    *way, last = key.split(':')
    for part in way:
        section = section[part]
    section[last] = value
    return check_file(str(write_options(opt, folder / 'opt.yml')), 'train')


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('scale', 8.0), ('scale', True), ('scale', '8'), ('scale', -8), ('scale', math.nan),
        ('manual_seed', -1), ('manual_seed', 10**20), ('manual_seed', 0.5), ('manual_seed', 5.0),
        ('num_gpu', -1), ('num_gpu', 'two'), ('num_gpu', 1.5),
        ('train:total_iter', 0), ('train:total_iter', math.inf), ('train:total_iter', '1e6'),
        ('train:warmup_iter', -7), ('train:ema_decay', 1), ('train:ema_decay', math.nan), ('train:ema_decay', True),
        ('train:grad_clip', -1), ('train:grad_clip', math.inf), ('train:nonfinite_patience', 0),
        ('train:optim_g:lr', 0), ('train:optim_g:lr', math.inf), ('train:optim_g:lr', math.nan),
        ('train:optim_g:lr', True),
        ('train:scheduler:periods', []), ('train:scheduler:periods', [math.inf]),
        ('train:scheduler:periods', [-5, 10**7]),
        ('train:scheduler:periods', 10**7), ('train:scheduler:restart_weights', [-1]),
        ('train:scheduler:restart_weights', [math.nan]), ('train:scheduler:eta_min', -1),
        ('train:pixel_opt:loss_weight', -1), ('train:pixel_opt:loss_weight', math.inf),
        ('train:pixel_opt:loss_weight', math.nan), ('train:pixel_opt:loss_weight', True),
        ('train:pixel_opt:loss_weight', '1'),
        ('datasets:train:batch_size_per_gpu', 0), ('datasets:train:batch_size_per_gpu', 4.0),
        ('datasets:train:batch_size_per_gpu', True), ('datasets:train:num_worker_per_gpu', 2.0),
        ('datasets:train:num_worker_per_gpu', -1),
        ('datasets:train:dataset_enlarge_ratio', 0), ('datasets:train:dataset_enlarge_ratio', math.inf),
        ('datasets:train:crop_scale', [1, 0.5]), ('datasets:train:crop_scale', [0.5, math.nan]),
        ('datasets:train:crop_scale', []), ('datasets:train:crop_scale', '0.5'), ('datasets:train:crop_scale', True),
        ('datasets:train:crop_scale', [0.2, 0.5, 1]),
        ('datasets:train:image_size', [128, 128]), ('datasets:train:image_size', 0), ('datasets:train:use_hflip', 1),
        ('datasets:train:use_hflip', 'yes'), ('datasets:train:seed', -1), ('datasets:train:timeout', math.inf),
        ('val:val_freq', math.inf), ('val:max_images', 0), ('val:tile', 64),
        ('logger:print_freq', 0), ('logger:print_freq', 2.5), ('logger:keep_last', -1),
        ('network_g:num_feat', -8), ('network_g:num_feat', 1.5), ('network_g:num_feat', True),
        ('path:strict_load_g', 1), ('path:strict_load_g', 'true'), ('path:pretrain_network_g', 5),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_named_at_its_key(key: str, value: Any, tmp_path: Path) -> None:
    found = _findings(key, value, tmp_path)
    keys = (key, key.rpartition(':')[0] + ':type')
    assert any(finding.level == 'error' and key_text(finding.key).startswith(keys) for finding in found), found


@pytest.mark.parametrize(
    ('key', 'value', 'at'),
    [
        ('train:scheduler', {**STEPS, 'milestones': [-5]}, 'train:scheduler:milestones:0'),
        ('train:scheduler', {**STEPS, 'milestones': 5}, 'train:scheduler:milestones'),
        ('train:scheduler', {**STEPS, 'milestones': ['5']}, 'train:scheduler:milestones:0'),
        ('train:scheduler', {**STEPS, 'gamma': -1}, 'train:scheduler:gamma'),
        ('train:scheduler', {**STEPS, 'gamma': math.nan}, 'train:scheduler:gamma'),
        ('train:optim_g:betas', [0.9, 0.99, 0.999], 'train:optim_g:betas'),
        ('train:optim_g:betas', [0.9], 'train:optim_g'),
        ('train:optim_g:betas', 0.9, 'train:optim_g'),
        ('train:optim_g:weight_decay', -1, 'train:optim_g'),
        ('network_g:num_feat', 0, 'network_g:type'),
        ('val:metrics', {'m': {**METRIC, 'crop_border': -1}}, 'val:metrics:m:crop_border'),
        ('val:metrics', {'m': {**METRIC, 'crop_border': '4'}}, 'val:metrics:m:crop_border'),
        ('val:metrics', {'m': {'type': 'calculate_psnr', 'crop_border': -4}}, 'val:metrics:m:crop_border'),
        ('degradation', {'preset': 'realesrgan', 'noise_range': ['1', '5']}, 'degradation:noise_range:0'),
        ('degradation', {'preset': 'realesrgan', 'noise_range': [0, math.inf]}, 'degradation:noise_range:1'),
        ('degradation', 'realesrgan', 'degradation'),
        ('degradation', [], 'degradation'),
    ],
)
def test_a_value_inside_a_section(key: str, value: Any, at: str, tmp_path: Path) -> None:
    found = _findings(key, value, tmp_path)
    assert at in [key_text(finding.key) for finding in found if finding.level == 'error'], found


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('datasets:train:crop_scale', [0.5, 0.5]),
        ('train:scheduler', {**STEPS, 'milestones': [7, 3]}),
        ('train:pixel_opt:loss_weight', 0),
        ('train:total_iter', 1000.0),
        ('manual_seed', 2**32 - 2**17),
        ('datasets:train:num_worker_per_gpu', 'auto'),
    ],
)
def test_values_at_their_bounds_are_fine(key: str, value: Any, tmp_path: Path) -> None:
    assert _findings(key, value, tmp_path) == []


@pytest.mark.parametrize(
    ('word', 'meant'), [('atuo', '; did you mean auto?'), ('Auto', '; did you mean auto?'), ('many', '')]
)
def test_a_wrong_word_for_the_number_of_workers(word: str, meant: str, tmp_path: Path) -> None:
    (found,) = _findings('datasets:train:num_worker_per_gpu', word, tmp_path)
    assert found.level == 'error' and key_text(found.key) == 'datasets:train:num_worker_per_gpu'
    assert found.message == f"must be auto or a whole number from 0, not '{word}'{meant}"
