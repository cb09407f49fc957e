"""The critic's side of training: gradient penalty, what a discriminator must be, and the names in the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.models import build_model
from torch.nn import functional as F

from facesr_ext.degradations.ops import usm_sharpen
from facesr_ext.errors import CheckpointError, OptionError
from tests.support import OPTIONS, small_options
from tests.training import parse

CRITIC = {'type': 'WGANCritic', 'num_feat': 4, 'input_size': 64}
WGAN = {'type': 'GANLoss', 'gan_type': 'wgan', 'loss_weight': 1e-3}
PENALTY = {'type': 'GradientPenaltyLoss'}


def _options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Any]:
    """fsrgan.yml, shrunken and changed, as BasicSR's runner hands it to a model; sections are added to."""
    opt = small_options(OPTIONS / 'fsrgan.yml')
    opt['train']['scheduler']['periods'] = [100]
    for key, value in changes.items():
        opt[key] = {**opt[key], **value} if key in ('train', 'path') else value
    return parse(opt, tmp_path, monkeypatch)


def _shipped(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A shipped file, shrunken, without VGG's weights, as BasicSR's runner hands it to a model."""
    opt = small_options(OPTIONS / f'{name}.yml')
    if 'content_opt' in opt['train']:
        opt['train']['content_opt']['mode'] = 'mse'
    return parse(opt, tmp_path, monkeypatch)


def _step(model: Any, iteration: int = 1, size: int = 4, side: int = 64) -> dict[str, float]:
    g = torch.Generator().manual_seed(iteration)
    model.update_learning_rate(iteration)
    data = {
        'gt': torch.rand(size, 3, side, side, generator=g),
        'parsing': torch.randint(0, 19, (size, side, side), generator=g),
        'gt_path': [f'{i}.png' for i in range(size)],
    }
    model.feed_data(data)
    model.optimize_parameters(iteration)
    return dict(model.get_current_log())


def _wgan(**more: Any) -> dict[str, Any]:
    return {'gan_opt': WGAN, 'gradient_penalty_opt': {**PENALTY, **more}}


def test_log_of_a_wgan_with_penalty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(_options(tmp_path, monkeypatch, network_d=CRITIC, train=_wgan()))
    log = _step(model)
    assert {'l_d_real', 'l_d_fake', 'l_d_gp', 'out_d_real', 'out_d_fake', 'l_g_gan'} <= set(log)
    assert 'l_d_drift' not in log and log['l_d_gp'] > 0
    assert log['l_d_real'] == pytest.approx(-log['out_d_real'])
    assert log['l_d_fake'] == pytest.approx(log['out_d_fake'])
    model = build_model(_options(tmp_path, monkeypatch, network_d=CRITIC, train=_wgan(drift_weight=0.5)))
    log = _step(model)
    assert log['l_d_drift'] > 0


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
def test_micro_batches_give_the_critic_the_whole_batch_s_gradient(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grads = []
    for micro in (None, 2):
        train = {**_wgan(drift_weight=1e-3), 'micro_batch': micro, 'net_d_init_iters': 9}
        torch.manual_seed(0)
        opt = _options(tmp_path, monkeypatch, network_d=CRITIC, precision=precision, train=train)
        opt['network_g']['norm'] = 'none'  # BatchNorm sees its micro-batch
        model = build_model(opt)
        _step(model)
        grads.append(torch.cat([p.grad.flatten() for p in model.net_d.parameters()]))
    scale = grads[0].abs().max()
    assert scale > 0
    assert torch.allclose(grads[0], grads[1], atol=float(scale) * (1e-4 if precision == 'fp32' else 0.05))


def test_a_critic_with_batch_norm_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match=r'network_d:type: PatchDiscriminator has BatchNorm \(body\.3\).*WGANCritic'):
        build_model(_options(tmp_path, monkeypatch, train=_wgan()))


def test_another_loss_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _options(tmp_path, monkeypatch, network_d=CRITIC, train={'gradient_penalty_opt': {'type': 'MSELoss'}})
    with pytest.raises(OptionError, match='type is GradientPenaltyLoss or R1PenaltyLoss, and not MSELoss'):
        build_model(opt)


@pytest.mark.parametrize('gan_type', ['wgan', 'hinge', 'vanilla', 'lsgan', 'wgan_softplus'])
def test_signs_and_weights_of_basicsr_s_gan_losses(
    gan_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weight is the generator's alone; the critic raises real verdicts, the generator its own."""
    gan_opt = {'type': 'GANLoss', 'gan_type': gan_type, 'loss_weight': 0.25}
    opt = _options(tmp_path, monkeypatch, network_d=CRITIC, train={'gan_opt': gan_opt})
    opt['train']['optim_d'].update(type='SGD', lr=1e-12)
    opt['train']['optim_d'].pop('betas')
    log = _step(build_model(opt), size=1)
    real, fake = (torch.tensor(log[f'out_d_{name}']) for name in ('real', 'fake'))  # the same in both steps
    of_real, of_fake, of_generator = {
        'wgan': (-real, fake, -fake),
        'hinge': (F.relu(1 - real), F.relu(1 + fake), -fake),
        'vanilla': (F.softplus(-real), F.softplus(fake), F.softplus(-fake)),
        'lsgan': ((real - 1) ** 2, fake**2, (fake - 1) ** 2),
        'wgan_softplus': (F.softplus(-real), F.softplus(fake), F.softplus(-fake)),
    }[gan_type]
    assert log['l_g_gan'] == pytest.approx(0.25 * float(of_generator), abs=1e-4)
    assert log['l_d_real'] == pytest.approx(float(of_real), abs=1e-4)
    assert log['l_d_fake'] == pytest.approx(float(of_fake), abs=1e-4)


@pytest.mark.parametrize('discriminator', ['SRGANDiscriminator', 'PatchDiscriminator', 'UNetDiscriminatorSN'])
@pytest.mark.parametrize('gan_type', ['vanilla', 'hinge'])
def test_relativistic_training(
    discriminator: str, gan_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both verdicts enter both losses; the real one's gradient stays out of the generator's step."""
    section = {'type': discriminator, 'num_feat': 4}
    section.update(
        {'SRGANDiscriminator': {'input_size': 64}, 'UNetDiscriminatorSN': {'num_in_ch': 3}}.get(discriminator, {})
    )
    train = {'gan_opt': {'type': 'RelativisticGANLoss', 'gan_type': gan_type, 'loss_weight': 5e-3}, 'micro_batch': 2}
    model = build_model(_options(tmp_path, monkeypatch, network_d=section, train=train))
    log = _step(model)
    assert log['l_g_gan'] > 0 and log['l_d_real'] > 0 and log['l_d_fake'] > 0
    assert all(p.grad is not None and p.requires_grad for p in model.net_d.parameters())
    log = _step(model, 2)
    assert log['grad_norm_d'] > 0


def test_content_loss_is_logged_by_its_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = {'pixel_opt': None, 'content_opt': {'type': 'ContentLoss', 'mode': 'mse'}}
    log = _step(build_model(_options(tmp_path, monkeypatch, train=train)))
    assert log['l_g_content_pix'] > 0 and 'l_g_content' not in log and 'l_g_pix' not in log


@pytest.mark.parametrize(
    ('network_d', 'side', 'message'),
    [
        (
            {'type': 'VGGStyleDiscriminator', 'num_in_ch': 3, 'num_feat': 4},
            64,
            '64x64 px .*it takes 128x128.*128 or 256',
        ),
        ({'type': 'WGANCritic', 'num_feat': 4, 'input_size': 96}, 64, 'WGANCritic cannot judge the 64x64 px.*96x96'),
        ({'type': 'PatchDiscriminator', 'num_feat': 4}, 72, 'it takes a multiple of 16'),
        ({'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4}, 68, 'it takes a multiple of 8'),
    ],
)
def test_faces_of_a_size_that_the_discriminator_does_not_take(
    network_d: dict[str, Any], side: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network_g = {'type': 'MSRResNet', 'num_feat': 4, 'num_block': 1, 'upscale': 4}
    train = {'coarse_opt': None, 'parsing_opt': None, 'prior_targets': None}
    changes = {'network_g': network_g, 'network_d': network_d, 'scale': 4, 'degradation': {'preset': 'bicubic_x4'}}
    model = build_model(_options(tmp_path, monkeypatch, train=train, **changes))
    with pytest.raises(OptionError, match=f'network_d:type: .*{message}'):
        _step(model, side=side)


@pytest.mark.parametrize(
    ('network_g', 'network_d'),
    [
        ({'type': 'RRDBNet', 'num_block': 1, 'num_grow_ch': 4}, {'type': 'VGGStyleDiscriminator', 'input_size': 128}),
        ({'type': 'RRDBNet', 'num_block': 1, 'num_grow_ch': 4}, {'type': 'UNetDiscriminatorSN'}),
    ],
)
def test_basicsr_s_networks_as_they_are(
    network_g: dict[str, Any], network_d: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = {'coarse_opt': None, 'parsing_opt': None, 'prior_targets': None}
    changes = {
        'network_g': {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, **network_g},
        'network_d': {'num_in_ch': 3, 'num_feat': 4, **network_d},
        'scale': 4,
        'degradation': {'preset': 'bicubic_x4'},
    }
    model = build_model(_options(tmp_path, monkeypatch, train=train, **changes))
    for iteration in (1, 2):
        log = _step(model, iteration, size=2, side=128)
    assert not any(step.guard.bad for step in model.steps.values()) and log['l_g_gan'] > 0 and log['grad_norm_d'] > 0


def test_what_basicsr_s_parts_refuse_is_an_option_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network_d = {'type': 'VGGStyleDiscriminator', 'num_in_ch': 3, 'num_feat': 4, 'input_size': 64}
    with pytest.raises(OptionError, match='network_d: input size must be 128 or 256, but received 64'):
        build_model(_options(tmp_path, monkeypatch, network_d=network_d))
    with pytest.raises(OptionError, match='train:gan_opt: GAN type wgn is not implemented'):
        build_model(_options(tmp_path, monkeypatch, train={'gan_opt': {'type': 'GANLoss', 'gan_type': 'wgn'}}))


@pytest.mark.parametrize('recipe', ['srgan', 'srwgan_gp'])
def test_the_generator_starts_from_the_averaged_weights_of_srresnet(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transfer of report S3: the shipped files' networks are one, so nothing is to be adapted."""
    psnr = build_model(_shipped('srresnet', tmp_path, monkeypatch))
    _step(psnr)
    psnr.save(0, -1)
    wanted = psnr.net_g_ema.state_dict()
    opt = _shipped(recipe, tmp_path, monkeypatch)
    opt['path']['pretrain_network_g'] = str(Path(psnr.opt['path']['models']) / 'net_g_latest.pth')
    model = build_model(opt)
    for net in (model.net_g, model.net_g_ema):
        assert all(torch.equal(value, wanted[key]) for key, value in net.state_dict().items())
    opt['network_g']['num_block'] = 2
    with pytest.raises(CheckpointError, match=r'(?s)does not fit SRResNet.*of this network: .*num_block: 1[,}]'):
        build_model(opt)


@pytest.mark.parametrize('sharpened_target', [False, True])
@pytest.mark.parametrize('gan_gt_usm', [None, False, True])
def test_what_a_discriminator_takes_for_real(
    gan_gt_usm: bool | None, sharpened_target: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By default what the network is trained towards; Real-ESRGAN sharpens the target and judges by the GT as it is."""
    opt = small_options(OPTIONS / 'realesrfsr_msrresnet_gan.yml')
    assert opt['train'].pop('gan_gt_usm') is False and opt['degradation']['usm_target'] is True
    opt['degradation']['usm_target'] = sharpened_target
    opt['train'] |= {} if gan_gt_usm is None else {'gan_gt_usm': gan_gt_usm}
    model = build_model(parse(opt, tmp_path, monkeypatch))
    log = _step(model)
    gt = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    sharp = usm_sharpen(gt)
    assert not torch.equal(sharp, gt)
    judged = sharpened_target if gan_gt_usm is None else gan_gt_usm
    assert torch.equal(model.batch.real, sharp if judged else gt)
    assert torch.equal(model.batch.gt, sharp if sharpened_target else gt)
    assert log['l_d_real'] > 0 and log['l_g_gan'] > 0


def test_what_a_growing_critic_takes_for_real_has_the_stage_s_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = small_options(OPTIONS / 'srpggan_x4.yml')
    opt['train']['content_opt']['mode'] = 'mse'
    opt['train']['gan_gt_usm'] = True
    model = build_model(parse(opt, tmp_path, monkeypatch))
    _step(model)
    assert model.batch.real.shape == model.batch.gt.shape == (4, 3, 32, 32)
    assert not torch.equal(model.batch.real, model.batch.gt)


def test_real_lr_faces_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = small_options(OPTIONS / 'degradation_net.yml')
    opt['train']['gan_gt_usm'] = True
    with pytest.raises(OptionError, match='train:gan_gt_usm: real are the LR faces of the other set'):
        build_model(parse(opt, tmp_path, monkeypatch))


def test_r1_flattens_the_critic_at_real_images_in_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = {'gan_opt': WGAN, 'gradient_penalty_opt': {'type': 'R1PenaltyLoss', 'loss_weight': 4.0, 'interval': 2}}
    model = build_model(_options(tmp_path, monkeypatch, network_d=CRITIC, train=train))
    assert 'l_d_r1' not in _step(model, 1)
    before = [p.clone() for p in model.net_d.parameters()]
    log = _step(model, 2)
    for parameter, old in zip(model.net_d.parameters(), before, strict=True):
        parameter.data.copy_(old)
    real = model.batch.gt.clone().requires_grad_()
    (slope,) = torch.autograd.grad(model.net_d(real).flatten(1).mean(1).sum(), real)
    assert log['l_d_r1'] == pytest.approx(4.0 * 2 / 2 * slope.square().flatten(1).sum(1).mean().item(), rel=1e-3)
    assert 'l_d_gp' not in log


@pytest.mark.parametrize(('shape', 'quarter'), [('linear', 0.25), ('cosine', 0.1464466)])
def test_the_gan_loss_rises(shape: str, quarter: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = {'gan_opt': WGAN, 'gan_ramp_iter': 4, 'gan_ramp': shape, 'net_d_init_iters': 2}
    model = build_model(_options(tmp_path, monkeypatch, network_d=CRITIC, train=train))
    shares = []
    for iteration in (2, 3, 6, 9):
        model.current_iter = iteration
        shares.append(model.gan_share)
    assert shares == pytest.approx([0, quarter, 1, 1])
    log = _step(model, 3)
    assert log['l_g_gan'] == pytest.approx(-quarter * 1e-3 * log['out_d_fake'], rel=1e-3)


def test_one_sided_labels_are_the_critic_s_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gan_opt = {'type': 'GANLoss', 'gan_type': 'lsgan', 'loss_weight': 1.0}
    opt = _options(tmp_path, monkeypatch, network_d=CRITIC, train={'gan_opt': gan_opt, 'gan_real_label': 0.9})
    opt['train']['optim_d'].update(type='SGD', lr=1e-12)
    opt['train']['optim_d'].pop('betas')
    log = _step(build_model(opt), size=1)
    assert log['l_d_real'] == pytest.approx((log['out_d_real'] - 0.9) ** 2, abs=1e-4)
    assert log['l_d_fake'] == pytest.approx(log['out_d_fake'] ** 2, abs=1e-4)
    assert log['l_g_gan'] == pytest.approx((log['out_d_fake'] - 1) ** 2, abs=1e-4)
    opt['train']['gan_opt']['gan_type'] = 'hinge'
    with pytest.raises(OptionError, match='gan_real_label: is for gan_type vanilla and lsgan; hinge has no labels'):
        build_model(opt)
