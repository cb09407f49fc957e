"""Every shipped option file, shrunk by one table: it trains and tests through BasicSR's own pipelines."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from basicsr.archs.rrdbnet_arch import RRDBNet
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, LOSS_REGISTRY, METRIC_REGISTRY, MODEL_REGISTRY

from facesr_ext.cli.run import run_pipeline
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import registry_names
from facesr_ext.host.weights import PUBLISHED
from facesr_ext.runs.recipes import recipe_named
from tests.support import OPTIONS, TRAIN_FILES, file_to_test, option_files, small_options, write_options, write_vgg

PUBLISHED_NETWORK = OPTIONS / 'test' / 'esrgan_pretrained.yml'
WITHOUT_WEIGHTS = [path for path in option_files('test') if path != PUBLISHED_NETWORK]
TEST_FILES = [*option_files('test'), OPTIONS / 'test.yml', OPTIONS / 'test_degradation.yml']
"""Test files of networks that nothing trains."""


@pytest.fixture(scope='module')
def weights_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('weights')
    for vgg_type in ('vgg16', 'vgg19'):
        write_vgg(folder, vgg_type)
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

    _run_test(file_to_test(path), tmp_path, run=opt['name'], side=opt['datasets']['val']['image_size'])


@pytest.mark.parametrize('path', WITHOUT_WEIGHTS, ids=lambda p: p.stem)
def test_a_network_without_weights_is_tested_by_itself(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    opt = yaml.safe_load(path.read_text(encoding='utf-8'))
    network = {key: value for key, value in opt['network_g'].items() if key != 'type'}
    assert not list(ARCH_REGISTRY.get(opt['network_g']['type'])(**network).parameters())
    _run_test(path, tmp_path)


def _run_test(path: Path, tmp_path: Path, num_gpu: int = 0, run: str = '', side: int = 64) -> list[float]:
    """Runs a shrunken test file and looks at what it leaves; returns the figures of its first image."""
    opt = {**small_options(path), 'num_gpu': num_gpu}
    opt['datasets']['test_1']['image_size'] = side
    if run:
        opt['path']['pretrain_network_g'] = f'experiments/{run}'
    run_pipeline('test', ['-opt', str(write_options(opt, tmp_path / 'test.yml'))])
    results = tmp_path / 'results' / opt.get('name', run) / 'visualization'
    set_name = opt['datasets']['test_1']['name']
    lines = (results / f'{set_name}.csv').read_text().splitlines()
    assert len(lines) == 4 and len(list((results / set_name).glob('*.png'))) == 2
    header = lines[0].split(',')
    metrics = opt['val'].get('metrics') or {}
    assert set(metrics or ['std_z']) <= set(header) and {f'{name}_bicubic' for name in metrics} <= set(header)
    figures = [float(value) for value in lines[1].split(',')[1:]]
    assert all(math.isfinite(value) for value in figures)
    return figures


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('path', TRAIN_FILES, ids=lambda p: p.stem)
def test_trains_on_a_gpu_and_tests_there_as_on_a_cpu(
    path: Path, tmp_path: Path, weights_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FACESR_HOME', str(weights_home))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    for recipe in filter(None, (_first_recipe(path), path)):
        opt = {**small_options(recipe), 'num_gpu': 1}
        run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / f'{recipe.stem}.yml'))])
    arguments, side = (file_to_test(path), tmp_path), opt['datasets']['val']['image_size']
    on_gpu, on_cpu = (_run_test(*arguments, num_gpu, opt['name'], side) for num_gpu in (1, 0))
    assert on_gpu == pytest.approx(on_cpu, rel=0.01)


@pytest.mark.parametrize('path', TRAIN_FILES + TEST_FILES, ids=lambda p: f'{p.parent.name}-{p.stem}')
def test_runs_as_it_is_on_a_fresh_machine(path: Path) -> None:
    """Drawn faces in every set, no weights but its own run's, every named part registered, ASCII.

    One exception: what makes the LQ may be the network of another recipe's run, which the first lines then name.
    A test of a network that others have published says where to get it.
    """
    text = path.read_text(encoding='ascii')
    opt = yaml.safe_load(text)
    assert text.startswith('# ') and opt['num_gpu'] == 'auto' and opt['manual_seed'] == 0
    for dataset in opt['datasets'].values():
        assert dataset['dataroot_gt'] == 'builtin' and dataset['type'] in DATASET_REGISTRY
    assert opt['model_type'] in MODEL_REGISTRY
    archs = registry_names(ARCH_REGISTRY)
    assert 'network_g' in opt or 'train' not in opt
    assert all(opt[key]['type'] in archs for key in ('network_g', 'network_d') if key in opt)
    assert all(metric['type'] in METRIC_REGISTRY for metric in (opt['val'].get('metrics') or {}).values())
    losses = [value for key, value in opt.get('train', {}).items() if key.endswith('_opt')]
    assert all(loss['type'] in LOSS_REGISTRY for loss in losses)
    assert set(opt['path']) == {'pretrain_network_g'}  # others are BasicSR's defaults, or would be made a folder of
    start = (opt['path'].get('pretrain_network_g') or '').split('/')
    published = (
        start[:2] == ['experiments', 'pretrained_models'] and start[-1] in PUBLISHED and PUBLISHED[start[-1]] in text
    )
    assert start == [''] or (published and 'train' not in opt)
    checkpoint, first = (opt.get('degradation') or {}).get('checkpoint'), _first_recipe(path)
    if checkpoint:
        assert first is not None and first.parent == OPTIONS and checkpoint.endswith('models/net_g_latest.pth')
        assert 'train' not in opt or f'options/{first.name}' in text.partition('\n\n')[0]


def test_the_published_esrgan_enlarges_photographs_without_gt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder of pictures of any sizes; without its weights the error says where they are to be had."""
    monkeypatch.chdir(tmp_path)
    for number, (height, width) in enumerate(((24, 30), (17, 21))):
        write_image(tmp_path / 'photos' / f'{number}.png', np.full((height, width, 3), 90 + number, np.uint8))
    opt = small_options(PUBLISHED_NETWORK)
    photos = {'type': 'SingleImageDataset', 'dataroot_lq': 'photos', 'io_backend': {'type': 'disk'}}
    opt['datasets'] = {'test_1': {'name': 'photos', **photos}}
    arguments = ['-opt', str(write_options(opt, tmp_path / 'test.yml'))]
    with pytest.raises(
        OptionError, match='pretrain_network_g: there is no file.*get it from https://github.com/xinntao'
    ):
        run_pipeline('test', arguments)

    weights = tmp_path / opt['path']['pretrain_network_g']
    weights.parent.mkdir(parents=True)
    kwargs = {key: value for key, value in opt['network_g'].items() if key != 'type'}
    torch.save({'params': RRDBNet(**kwargs).state_dict()}, weights)  # as BasicSR publishes it
    run_pipeline('test', arguments)
    results = tmp_path / 'results' / opt['name'] / 'visualization'
    sizes = [read_image(results / 'photos' / f'{i}_{opt["name"]}.png').shape for i in range(2)]
    assert sizes == [(96, 120, 3), (68, 84, 3)]
    assert (results / 'photos.png').is_file() and not (results / 'photos.csv').exists()
    _run_test(PUBLISHED_NETWORK, tmp_path)  # and measures what it makes of faces with a GT


def test_no_two_recipes_share_a_name() -> None:
    names = [yaml.safe_load(p.read_text(encoding='utf-8'))['name'] for p in TRAIN_FILES]
    assert len(set(names)) == len(names)
