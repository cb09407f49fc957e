"""The critic's side of training: gradient penalty, what a discriminator must be, and the names in the log."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.models import build_model
from basicsr.utils.options import parse_options

from facesr_ext.errors import OptionError
from tests.support import OPTIONS, small_options, write_options

CRITIC = {'type': 'WGANCritic', 'num_feat': 4, 'input_size': 64}
WGAN = {'type': 'GANLoss', 'gan_type': 'wgan', 'loss_weight': 1e-3}
PENALTY = {'type': 'GradientPenaltyLoss'}


def _options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Any]:
    """fsrgan.yml, shrunken and changed, as BasicSR's runner hands it to a model; sections are added to."""
    opt = small_options(OPTIONS / 'fsrgan.yml')
    opt['train']['scheduler']['periods'] = [100]
    for key, value in changes.items():
        opt[key] = {**opt[key], **value} if key in ('train', 'path') else value
    monkeypatch.setattr(sys, 'argv', ['train.py', '-opt', str(write_options(opt, tmp_path / 'opt.yml'))])
    parsed, _ = parse_options(str(tmp_path), is_train=True)
    for key in ('models', 'training_states', 'visualization'):
        Path(parsed['path'][key]).mkdir(parents=True, exist_ok=True)
    return parsed


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
    with pytest.raises(OptionError, match=r'network_d: PatchDiscriminator has BatchNorm \(body\.3\).*WGANCritic'):
        build_model(_options(tmp_path, monkeypatch, train=_wgan()))


def test_another_loss_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _options(tmp_path, monkeypatch, network_d=CRITIC, train={'gradient_penalty_opt': {'type': 'MSELoss'}})
    with pytest.raises(OptionError, match='gradient_penalty_opt: type is GradientPenaltyLoss, and not MSELoss'):
        build_model(opt)
