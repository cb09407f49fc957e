"""What a run needs beside its file: keys of BasicSR's own data sets, GT, weights of others; named before it begins."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from facesr_ext.check.examine import check_file, examine
from facesr_ext.check.needs import fetch_weights
from facesr_ext.cli.run import _check_options
from facesr_ext.data.image_io import list_images, write_image
from facesr_ext.errors import DependencyError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host import weights
from tests.support import OPTIONS, small_options, write_options, write_vgg

SINGLE = {'name': 'photos', 'type': 'SingleImageDataset', 'dataroot_lq': 'lq', 'io_backend': {'type': 'disk'}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FACESR_HOME', str(tmp_path / 'weights'))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'hub'))
    for index in range(2):
        write_image(tmp_path / 'lq' / f'{index}.png', render_face(0, index, 32).image)
        write_image(tmp_path / 'gt' / f'{index}.png', render_face(0, index, 128).image)
    return tmp_path


def _checked(folder: Path, change: Callable[[dict[str, Any]], Any], name: str = 'quickstart') -> list[tuple[str, ...]]:
    """Level, key and message of what is found in a recipe that has been changed."""
    opt = small_options(OPTIONS / f'{name}.yml')
    change(opt)
    write_options(opt, folder / 'x.yml')
    phase = 'train' if 'train' in opt else 'test'
    found = check_file(str(folder / 'x.yml'), phase)  # type: ignore[arg-type]
    return [(one.level, ':'.join(one.key), one.message) for one in found]


def _single(phase: str, *without: str, **more: Any) -> Callable[[dict[str, Any]], Any]:
    section = {key: value for key, value in {**SINGLE, **more}.items() if key not in without}
    return lambda opt: opt['datasets'].update({phase: section})


@pytest.mark.parametrize(
    ('section', 'key'),
    [
        ({'type': 'SingleImageDataset', 'dataroot_lq': 'lq'}, 'io_backend'),
        ({'type': 'SingleImageDataset', 'io_backend': {'type': 'disk'}}, 'dataroot_lq'),
        ({'type': 'PairedImageDataset', 'dataroot_lq': 'lq', 'io_backend': {'type': 'disk'}}, 'dataroot_gt'),
        ({'type': 'PairedImageDataset', 'dataroot_lq': 'lq', 'dataroot_gt': 'gt'}, 'io_backend'),
    ],
)
def test_a_key_that_a_stock_set_lacks_is_named(section: dict[str, Any], key: str, folder: Path) -> None:
    found = _checked(folder, lambda opt: opt['datasets'].update(val={'name': 'val', **section}))
    (fault,) = [one for one in found if one[1].startswith('datasets:val')]
    assert fault[:2] == ('error', f'datasets:val:{key}') and f'is missing; {section["type"]} needs it' in fault[2]


def test_a_key_that_only_training_reads(folder: Path) -> None:
    section = {
        **SINGLE, 'type': 'PairedImageDataset', 'dataroot_gt': 'gt', 'batch_size_per_gpu': 1, 'num_worker_per_gpu': 0,
        'use_hflip': True, 'use_rot': False,
    }  # fmt: skip
    found = _checked(folder, lambda opt: opt['datasets'].update(train=section), 'srnet')
    assert [one[:2] for one in found] == [('error', 'datasets:train:gt_size')]


def test_looking_changes_no_draw(folder: Path) -> None:
    section = {
        **SINGLE, 'type': 'PairedImageDataset', 'dataroot_gt': 'gt', 'batch_size_per_gpu': 1, 'num_worker_per_gpu': 0,
        'use_hflip': True, 'use_rot': True, 'gt_size': 64,
    }  # fmt: skip

    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    expected = draws()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(0)
    assert _checked(folder, lambda opt: opt['datasets'].update(train=section), 'srnet') == []
    assert draws() == expected


@pytest.mark.parametrize(
    ('change', 'level', 'message'),
    [
        (_single('val'), 'warning', 'gives no GT: its results are saved, val: metrics cannot be measured'),
        (_single('train', batch_size_per_gpu=1, num_worker_per_gpu=0), 'error', 'gives no GT to train towards'),
        (
            lambda opt: (_single('val')(opt), opt['logger'].update(keep_best=True)),
            'error', 'by which the best network could be told',
        ),
        (lambda opt: (_single('val')(opt), opt['val'].update(metrics=None)), '', ''),
    ],
)  # fmt: skip
def test_a_set_without_gt(change: Callable[[dict[str, Any]], Any], level: str, message: str, folder: Path) -> None:
    found = [one for one in _checked(folder, change, 'srnet') if one[1].startswith('datasets')]
    assert [one[0] for one in found] == [level] * bool(level)
    assert all(one[1].endswith(':type') and message in one[2] for one in found)


def test_a_degradation_network_needs_gt(folder: Path) -> None:
    found = _checked(folder, _single('val'), 'degradation_net')
    assert [one[:2] for one in found] == [('error', 'datasets:val:type')] and 'gives no GT' in found[0][2]


@pytest.mark.parametrize('metrics', [True, False])
def test_a_set_without_gt_is_validated_and_tested(metrics: bool, folder: Path, run_python: Callable[..., Any]) -> None:
    """Its results are saved, in a training and by options/test.yml, with metrics in the file or without."""
    opt = small_options(OPTIONS / 'srnet.yml')
    opt['datasets']['val'] = SINGLE
    opt['val'].update(save_img=True, **({} if metrics else {'metrics': None}))
    write_options(opt, folder / 'x.yml')
    run_python(['-m', 'facesr_ext', 'train', '-opt', 'x.yml'], cwd=folder)
    run = folder / 'experiments' / opt['name']
    assert len(list(run.rglob('visualization/**/*_2.png'))) >= 2
    forced = [f'path:pretrain_network_g={run}', f'datasets:test_1={{{_flow(SINGLE)}}}', 'num_gpu=0']
    forced += [] if metrics else ['val:metrics=~']
    command = ['-m', 'basicsr.test', '-opt', str(OPTIONS / 'test.yml'), '--force_yml', *forced]
    told = run_python(command, cwd=folder)
    assert 'nothing to measure' in told.stdout + told.stderr
    assert len(list_images(folder / 'results' / opt['name'] / 'visualization' / 'photos')) == 2


def _flow(section: dict[str, Any]) -> str:
    return ', '.join(f'{key}: {value}' for key, value in section.items()).replace("'", '')


# ---- weights of others ---------------------------------------------------------------------------------------------


def _percep(folder: Path, **loss: Any) -> str:
    opt = small_options(OPTIONS / 'quickstart.yml')
    opt['train']['perceptual_opt'] = loss
    write_options(opt, folder / 'x.yml')
    return str(folder / 'x.yml')


@pytest.mark.parametrize(
    ('loss', 'file'),
    [
        ({'type': 'PerceptualLoss', 'layer_weights': {'conv5_4': 1}, 'vgg_type': 'vgg19'}, 'vgg19-dcbb9e9d.pth'),
        ({'type': 'PerceptualLoss', 'layer_weights': {'conv5_3': 1}, 'vgg_type': 'vgg16'}, 'vgg16-397923af.pth'),
    ],
)
def test_weights_that_are_missing_are_found_before_anything_is_built(
    loss: dict[str, Any], file: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _percep(folder, **loss)
    monkeypatch.setattr(weights, 'find_packaged', lambda filename: None)
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    (fault,) = check_file(path, 'train')
    assert fault.level == 'error' and fault.key == ('train', 'perceptual_opt', 'type') and file in fault.message
    monkeypatch.delenv('FACESR_OFFLINE')

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError('no network')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    assert check_file(path, 'train') == []  # the check downloads nothing
    with pytest.raises(DependencyError, match=f'{file} is missing, and the download failed'):
        _check_options('train', ['-opt', path])  # what a run does first
    assert not (folder / 'experiments').exists()
    (folder / 'weights').mkdir(exist_ok=True)
    write_vgg(folder / 'weights', loss['vgg_type'])
    fetch_weights(examine(path, 'train'))


def test_a_run_ends_before_its_folders_are_made(folder: Path, run_python: Callable[..., Any]) -> None:
    _percep(folder, type='PerceptualLoss', layer_weights={'conv5_4': 1})
    environment = {'FACESR_OFFLINE': '1', 'FACESR_HOME': str(folder / 'weights'), 'TORCH_HOME': str(folder / 'hub')}
    ended = run_python(['-m', 'basicsr.train', '-opt', 'x.yml'], cwd=folder, env=environment, check=False)
    text = ended.stdout + ended.stderr
    assert ended.returncode == 2 and 'vgg19-dcbb9e9d.pth is missing' in text and 'Network:' not in text
    assert not (folder / 'experiments').exists()


def test_losses_on_pixels_need_no_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = small_options(OPTIONS / 'srnet.yml')
    opt['train']['pixel_opt'] = {'type': 'ContentLoss', 'mode': 'mse'}
    write_options(opt, folder / 'x.yml')
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    assert not [one for one in check_file(str(folder / 'x.yml'), 'train') if 'vgg' in one.message]


# ---- metrics --------------------------------------------------------------------------------------------------------


def _measured(**sections: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda opt: opt['val'].update(metrics=sections)


def test_what_metrics_need_is_told_before_a_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'dlib', None)
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    eyes, hair = {'type': 'psnr_region', 'region': 'eyes'}, {'type': 'psnr_region', 'region': 'hair', 'by': 'parsing'}
    found = _checked(folder, _measured(lm={'type': 'landmark_nrmse'}, eyes=eyes, hair=hair, y={'type': 'psnr_y'}))
    assert [one[:2] for one in found] == [('warning', f'val:metrics:{name}:type') for name in ('lm', 'eyes', 'hair')]
    assert all("run: pip install 'facesr_ext[faces]'; without it" in one[2] for one in found[:2])
    assert 'parsing_bisenet.pth are missing; get them from https://' in found[2][2]
    monkeypatch.delenv('FACESR_OFFLINE')
    assert [one[1] for one in _checked(folder, _measured(hair=hair))] == []  # the run downloads them


@pytest.mark.parametrize(
    ('section', 'key', 'message'),
    [
        ({'type': 'psnr_region', 'region': 'hair'}, 'by', 'hair has no landmarks; write by: parsing'),
        ({'type': 'psnr_region', 'region': 'nose'}, 'region', "must be one of eyes, mouth, skin, hair, not 'nose'"),
        ({'type': 'psnr_region'}, 'region', 'is missing'),
        ({'type': 'lr_consistency'}, 'scale', 'is missing'),
        (
            {'type': 'lr_consistency', 'scale': 4, 'degradation': {'preset': 'realesrgan'}},
            'degradation', 'SecondOrderDegradation draws at random',
        ),
    ],
)  # fmt: skip
def test_arguments_of_metrics_that_cannot_be(section: dict[str, Any], key: str, message: str, folder: Path) -> None:
    found = _checked(folder, _measured(m=section))
    assert [one[:2] for one in found if one[0] == 'error'] == [('error', f'val:metrics:m:{key}')]
    assert message in found[-1][2]
