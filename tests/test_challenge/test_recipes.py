"""The challenge's option files: sizes of the networks, budget, protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from basicsr.data import build_dataset
from basicsr.utils.registry import ARCH_REGISTRY
from torch.utils.data import default_collate

from facesr_ext.check.examine import check_file
from facesr_ext.cli.run import run_pipeline
from facesr_ext.errors import OptionError, key_text
from facesr_ext.host.parts import build_part
from facesr_ext.imaging import with_coordinates
from facesr_ext.models.budget import count_parameters, require_budget
from tests.support import OPTIONS, option_files, small_options, write_options
from tests.training import parsed_model

RECIPES = option_files('challenge')
LIMIT = 2_276_355
"""Fewer than 2,276,356: 150 % of the baseline's 1,517,571."""


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding='utf-8'))


@pytest.mark.parametrize(
    ('name', 'section', 'num'),
    [
        ('baseline_2024', 'network_g', 1_517_571),
        ('s4', 'network_g', 1_517_571),
        ('entry_2023_mse', 'network_g', 2_187_795),
        ('entry_light_2024', 'network_g', 1_519_139),
        ('s4_gan', 'network_d', 1_094_817),
    ],
)
def test_parameter_counts(name: str, section: str, num: int) -> None:
    opt = _read(OPTIONS / 'challenge' / f'{name}.yml')
    assert count_parameters(build_part((section,), ARCH_REGISTRY, opt[section])) == num
    assert LIMIT == 1_517_571 * 3 // 2 - 1


@pytest.mark.parametrize('path', RECIPES, ids=lambda p: p.stem)
def test_every_recipe_keeps_to_the_budget_and_the_protocol(path: Path) -> None:
    train = _read(path)
    assert train['challenge'] == {'max_params': LIMIT}
    require_budget(build_part(('network_g',), ARCH_REGISTRY, train['network_g']), LIMIT)
    assert train['scale'] == 4 and train['datasets']['train']['image_size'] == 512
    assert 'use_vflip' not in train['datasets']['train'] and train['datasets']['train']['use_hflip']
    assert train['val']['metrics']['psnr_rgb'] == {'type': 'psnr_rgb', 'crop_border': 0}
    first_order = path.stem.endswith('2023') or '2023' in path.stem
    sharpened = train['degradation'].get('usm_target')
    assert sharpened is (None if first_order or 's4' in path.stem else path.stem == 'baseline_2024')


def test_the_baseline_is_the_organisers() -> None:
    for year, betas in (('2023', [0.9, 0.999]), ('2024', [0.9, 0.99])):
        train = _read(OPTIONS / 'challenge' / f'baseline_{year}.yml')['train']
        assert train['optim_g'] == {'type': 'Adam', 'lr': 2e-4, 'weight_decay': 0, 'betas': betas}
        assert train['scheduler']['periods'] == [150_000, 150_000] and train['scheduler']['eta_min'] == 1e-7
        assert train['total_iter'] == 300_000 and train['ema_decay'] == 0.999
        assert train['pixel_opt']['type'] == 'L1Loss'


def test_a_network_over_the_budget_is_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the option check, and by the model where that is passed by; the limit itself is allowed."""
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / 'challenge' / 'baseline_2023.yml')
    num = count_parameters(build_part(('network_g',), ARCH_REGISTRY, opt['network_g']))
    opt['challenge']['max_params'] = num - 1
    path = write_options(opt, tmp_path / 'x.yml')
    message = f'network_g has {num:,d} parameters, 1 too many'
    (finding,) = check_file(str(path), 'train')
    assert finding.level == 'error' and finding.key == ('challenge', 'max_params') and message in finding.message
    monkeypatch.setattr('facesr_ext.check.examine.check_file', lambda *args: [])
    with pytest.raises(OptionError, match=f'challenge:max_params: {message}'):
        run_pipeline('train', ['-opt', str(path)])
    opt['challenge']['max_params'] = num
    assert check_file(str(write_options(opt, tmp_path / 'y.yml')), 'train') == []


def test_averaging_is_for_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / 'challenge' / 'baseline_2023.yml')
    opt['val'].update(self_ensemble=True, average_last=3)
    (finding,) = check_file(str(write_options(opt, tmp_path / 'x.yml')), 'train')
    assert key_text(finding.key) == 'val:average_last' and 'is for tests' in finding.message
    opt['val'].update(self_ensemble='yes', average_last=0)
    messages = {key_text(f.key): f.message for f in check_file(str(write_options(opt, tmp_path / 'x.yml')), 'train')}
    assert messages['val:self_ensemble'] == "must be true or false, not 'yes'"
    assert messages['val:average_last'].startswith('must be at least 1')


def test_crops_say_where_in_the_face_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole faces need not; in micro-batches and without, a step moves the weights of the coordinates."""
    opt = small_options(OPTIONS / 'challenge' / 'entry_2024.yml')
    opt['network_g']['coords'] = True
    opt['train']['micro_batch'] = 1
    opt['degradation'] = {'preset': 'bicubic_x4'}
    for size in (32, None):
        opt['datasets']['train'].update(gt_size=size)
        model = parsed_model(opt, tmp_path, monkeypatch)
        faces = build_dataset({**model.opt['datasets']['train'], 'scale': 4})
        data = default_collate([faces[i] for i in range(2)])
        model.update_learning_rate(1)
        model.feed_data(data)
        whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2)
        boxes = whole if size is None else data['position']
        assert torch.equal(model.batch.lq[:, 3:], with_coordinates(model.batch.lq[:, :3], boxes)[:, 3:])
        assert torch.equal(boxes, whole) is (size is None)
        assert model.batch.small(4).shape[1] == 3
        before = model.net_g.head.weight[:, 3:].clone()
        model.optimize_parameters(1)
        assert not torch.equal(model.net_g.head.weight[:, 3:], before)
