"""Every shipped option file, shrunk by one table: it trains and tests through BasicSR's own pipelines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import yaml
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, LOSS_REGISTRY, METRIC_REGISTRY, MODEL_REGISTRY

from facesr_ext.host.runner import run_pipeline
from facesr_ext.host.shipped import recipe_named
from tests.support import OPTIONS, option_files, small_options, write_options, write_vgg

TRAIN_FILES = option_files('.')
TEST_FILES = option_files('test')


@pytest.fixture(scope='module')
def weights_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('weights')
    write_vgg(folder)
    return folder


def _first_recipe(path: Path) -> Path | None:
    """The recipe whose network makes the LQ of this one; the only thing that a recipe may need beforehand."""
    checkpoint = (yaml.safe_load(path.read_text(encoding='utf-8')).get('degradation') or {}).get('checkpoint')
    return None if checkpoint is None else recipe_named(Path(checkpoint).parts[1])


@pytest.mark.parametrize('path', TRAIN_FILES, ids=lambda p: p.stem)
def test_trains_then_tests(path: Path, tmp_path: Path, weights_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FACESR_HOME', str(weights_home))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    opt = small_options(path)
    if first := _first_recipe(path):
        run_pipeline('train', ['-opt', str(write_options(small_options(first), tmp_path / 'first.yml'))])
    run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'train.yml'))])

    run = tmp_path / 'experiments' / opt['name']
    latest = torch.load(run / 'models' / 'net_g_latest.pth', weights_only=True)
    assert all(torch.isfinite(v).all() for v in latest['params'].values())
    assert latest['facesr_ext']['arch'] == opt['network_g']
    assert (run / 'training_states' / '2.state').is_file()
    name = opt['datasets']['val']['name']
    for file in ('first_batch.png', f'{name}_2.png', f'{name}_2.csv'):
        assert (run / 'visualization' / file).is_file(), file

    test_opt = small_options(OPTIONS / 'test' / path.name)
    run_pipeline('test', ['-opt', str(write_options(test_opt, tmp_path / 'test.yml'))])
    results = tmp_path / 'results' / test_opt['name'] / 'visualization'
    set_name = test_opt['datasets']['test_1']['name']
    lines = (results / f'{set_name}.csv').read_text().splitlines()
    assert len(lines) == 3 and len(list((results / set_name).glob('*.png'))) == 2
    header = lines[0].split(',')
    metrics = test_opt['val']['metrics']
    assert set(metrics or ['std_z']) <= set(header) and ('psnr_y_bicubic' in header) == bool(metrics)
    assert all(math.isfinite(float(v)) for v in lines[1].split(',')[1:])


@pytest.mark.parametrize('path', TRAIN_FILES, ids=lambda p: p.stem)
def test_has_a_test_file_for_the_same_network(path: Path) -> None:
    train, test = (yaml.safe_load(p.read_text(encoding='utf-8')) for p in (path, OPTIONS / 'test' / path.name))
    assert train['name'] == test['name'] and train['network_g'] == test['network_g'] and train['scale'] == test['scale']
    assert test['path']['pretrain_network_g'] == f'experiments/{train["name"]}/models/net_g_latest.pth'


@pytest.mark.parametrize('path', TRAIN_FILES + TEST_FILES, ids=lambda p: f'{p.parent.name}-{p.stem}')
def test_runs_as_it_is_on_a_fresh_machine(path: Path) -> None:
    """Built-in faces in every set, no weights but its own run's, every named part registered, ASCII.

    One exception: what makes the LQ may be the network of another recipe's run, which the first lines then name.
    """
    text = path.read_text(encoding='ascii')
    opt = yaml.safe_load(text)
    assert text.startswith('# ') and opt['num_gpu'] == 'auto' and opt['manual_seed'] == 0
    for dataset in opt['datasets'].values():
        assert dataset['dataroot_gt'] == 'builtin' and dataset['type'] in DATASET_REGISTRY
    assert opt['model_type'] in MODEL_REGISTRY
    assert all(opt[key]['type'] in ARCH_REGISTRY for key in ('network_g', 'network_d') if key in opt)
    assert all(metric['type'] in METRIC_REGISTRY for metric in (opt['val']['metrics'] or {}).values())
    losses = [value for key, value in opt.get('train', {}).items() if key.endswith('_opt')]
    assert all(loss['type'] in LOSS_REGISTRY for loss in losses)
    assert set(opt['path']) <= {'pretrain_network_g', 'param_key_g', 'strict_load_g', 'resume_state'}  # others: folders
    start = (opt['path'].get('pretrain_network_g') or '').split('/')
    assert start == [''] or start[:2] == ['experiments', opt['name']]
    checkpoint, first = (opt.get('degradation') or {}).get('checkpoint'), _first_recipe(path)
    if checkpoint:
        assert first is not None and first.parent == OPTIONS and checkpoint.endswith('models/net_g_latest.pth')
        assert 'train' not in opt or f'options/{first.name}' in text.partition('\n\n')[0]


def test_no_two_recipes_share_a_name() -> None:
    names = [yaml.safe_load(p.read_text(encoding='utf-8'))['name'] for p in TRAIN_FILES]
    assert len(set(names)) == len(names)
