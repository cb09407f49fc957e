"""What several test files share: shrunken option files, stand-in VGG weights, the real photographs' folder."""

from __future__ import annotations

import copy
import csv
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

from facesr_ext.archs.degradation_arch import DegradationNet
from facesr_ext.runs.checkpoints import META_KEY, save_atomic

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ROOT / 'options'
PHOTOS = Path(os.environ.get('FACESR_TEST_DATA', ROOT.parent / 'shared' / 'data'))
needs_photos = pytest.mark.skipif(
    not PHOTOS.is_dir(), reason=f'no photographs in {PHOTOS} (FACESR_TEST_DATA names another folder)'
)

# The one table by which every shipped option file becomes small enough for a test. A part that a later file brings
# needs a row here only if it is too heavy as shipped.
SMALL_NETS: dict[str, dict[str, Any]] = {
    'FSRNet': {
        'num_feat': 4,
        'num_encoder_block': 1,
        'num_coarse_block': 1,
        'num_decoder_block': 1,
        'hg_depth': 2,
        'hg_feat': 8,
    },
    'FaceAttentionNet': {'widths': [4, 8], 'mid_units': 1},
    'PatchDiscriminator': {'num_feat': 4},
    'SRGANDiscriminator': {'num_feat': 4, 'input_size': 64},
    'WGANCritic': {'num_feat': 4, 'input_size': 64},
    'DegradationNet': {'num_feat': 4, 'z_dim': 8},
    'DegradationDiscriminator': {'num_feat': 4},
    'SRCNN': {'num_feat': 4},
    'ESPCN': {'num_feat': 4},
    'SRResNet': {'num_feat': 4, 'num_block': 1},
    'SRNet': {'num_feat': 4},
    'NAFSR': {'num_feat': 4, 'enc_blocks': [1, 1], 'mid_blocks': 1, 'dec_blocks': [1, 1]},
    'SRPGGAN': {'num_feat': 4, 'num_block': 1},
    'SRPGGANCritic': {'num_feat': 4, 'input_size': 64},
    'MSRResNet': {'num_feat': 4, 'num_block': 1},
    'RRDBNet': {'num_feat': 4, 'num_block': 1, 'num_grow_ch': 4},
    'VGGStyleDiscriminator': {'num_feat': 4},
    'UNetDiscriminatorSN': {'num_feat': 4},
}
SMALL: dict[str, Any] = {
    'num_gpu': 0,
    'precision': 'fp32',
    'logger': {'print_freq': 1, 'save_checkpoint_freq': 2, 'use_tb_logger': False},
}
SMALL_TRAIN: dict[str, Any] = {'total_iter': 2, 'scheduler': {'periods': [2], 'restart_weights': [1]}}
SMALL_TRAIN_SET = {
    'num_faces': 4,
    'image_size': 64,
    'batch_size_per_gpu': 2,
    'num_worker_per_gpu': 0,
    'persistent_workers': False,
}
SMALL_SET = {'num_faces': 2, 'image_size': 64}
LARGER_FACES = {'VGGStyleDiscriminator': 128}
"""Discriminators that do not take the small faces, and the least size that they take."""


def option_files(folder: str) -> list[Path]:
    """Every shipped option file of a folder below options/."""
    return sorted((OPTIONS / folder).glob('*.yml'))


def file_to_test(path: Path) -> Path:
    """The file that tests what a training file has trained."""
    model = yaml.safe_load(path.read_text(encoding='utf-8'))['model_type']
    return OPTIONS / ('test_degradation.yml' if model == 'DegradationModel' else 'test.yml')


TRAIN_FILES = [
    path
    for path in option_files('.') + option_files('challenge')
    if 'train' in yaml.safe_load(path.read_text(encoding='utf-8'))
]


def small_options(path: Path) -> dict[str, Any]:
    """A shipped option file, shrunk by the table above."""
    opt = yaml.safe_load(path.read_text(encoding='utf-8'))
    _merge(opt, {key: value for key, value in SMALL.items() if key in opt or key == 'num_gpu'})
    for section in ('network_g', 'network_d'):
        if section in opt:
            _merge(opt[section], SMALL_NETS.get(opt[section]['type'], {}))
    for phase, dataset in opt['datasets'].items():
        _merge(dataset, SMALL_TRAIN_SET if phase == 'train' else SMALL_SET)
    if 'train' in opt:
        discriminator = opt.get('network_d', {}).get('type')
        opt['datasets']['train']['image_size'] = LARGER_FACES.get(discriminator, SMALL_TRAIN_SET['image_size'])
        kept = {key: value for key, value in SMALL_TRAIN.items() if key != 'scheduler'}
        _merge(opt['train'], kept)
        if 'periods' in opt['train']['scheduler']:
            _merge(opt['train']['scheduler'], SMALL_TRAIN['scheduler'])
        if 'stages' in opt['train']:
            _shrink_stages(opt['train'])
        opt['val']['val_freq'] = 2
    if opt.get('network_g', {}).get('noise') == 'plane':  # built for LR faces of 16 px alone
        for dataset in opt['datasets'].values():
            dataset['image_size'] = 16 * opt['scale']
    return opt


def with_landmarks(opt: dict[str, Any]) -> dict[str, Any]:
    """Gives a FSRNet of a recipe landmarks too, and their loss."""
    opt['network_g']['num_landmark'] = 68
    opt['train']['landmark_opt'] = {'type': 'LandmarkLoss', 'loss_weight': 1.0, 'criterion': 'mse'}
    opt['train']['prior_targets']['sigma'] = 1.0
    return opt


def _shrink_stages(train_opt: dict[str, Any]) -> None:
    """One iteration a stage, up to the images' small size."""
    stages = train_opt['stages']
    shrink = stages[-1]['size'] // SMALL_TRAIN_SET['image_size']
    for stage in stages:
        stage.update(size=stage['size'] // shrink, iters=1)
    train_opt['total_iter'] = len(stages)


def _merge(target: dict[str, Any], changes: dict[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = copy.deepcopy(value)


def write_options(opt: dict[str, Any], path: Path) -> Path:
    """Writes an option file."""
    path.write_text(yaml.safe_dump(opt, sort_keys=False), encoding='utf-8')
    return path


def write_vgg(folder: Path, vgg_type: str = 'vgg16') -> Path:
    """A VGG weight file with random features under torchvision's name; its classifier takes no room on the disk."""
    from torchvision import models

    torch.manual_seed(0)
    with torch.device('meta'):
        shapes = {key: value.shape for key, value in models.get_model(vgg_type, weights=None).state_dict().items()}
    state = {
        key: torch.zeros(()).expand(shape) if key.startswith('classifier') else torch.randn(shape) * 0.05
        for key, shape in shapes.items()
    }
    path = folder / models.get_model_weights(vgg_type)['IMAGENET1K_V1'].url.rsplit('/', 1)[-1]
    torch.save(state, path)
    return path


def write_degradation_net(path: Path, scale: int, **options: Any) -> DegradationNet:
    """Writes a checkpoint of a small untrained high-to-low network, as DegradationModel does; returns the network."""
    arch = {'scale': scale, 'num_feat': 4, 'z_dim': 8, 'noise': 'per_layer', 'norm': 'none', **options}
    torch.manual_seed(0)
    net = DegradationNet(**arch).eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_atomic({'params': net.state_dict(), META_KEY: {'arch': {'type': 'DegradationNet', **arch}}}, path)
    return net


def stock_copy(name: str) -> ModuleType:
    """Executes a module of BasicSR once more, which gives its functions as they are without repairs."""
    spec = importlib.util.spec_from_file_location(f'basicsr.{name}_stock', str(sys.modules[f'basicsr.{name}'].__file__))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def child_environment(**more: str) -> dict[str, str]:
    """The environment of a process that a test starts: the CPU, one thread, nothing of ours from the outside."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith('FACESR_') and k != 'PYTHONPATH'}
    return {**clean, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': '', **more}


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a validation's CSV, one an image; that the last row is the mean of their values is looked at here.

    Figures of the whole set stand in the last row alone.
    """
    with path.open(newline='', encoding='utf-8') as file:
        *rows, mean = csv.DictReader(file)
    assert mean.pop('name') == 'mean'
    for key, value in mean.items():
        if all(row[key] == '' for row in rows):
            continue
        known = [float(row[key]) for row in rows if row[key] != 'nan']
        mean_of_known = sum(known) / len(known) if known else float('nan')
        assert float(value) == pytest.approx(mean_of_known, rel=1e-5, nan_ok=True)
    return rows
