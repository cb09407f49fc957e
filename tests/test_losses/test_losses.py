from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.utils.registry import LOSS_REGISTRY

from facesr_ext.errors import DependencyError, OptionError
from facesr_ext.host import weights
from facesr_ext.host.parts import build_part
from facesr_ext.losses.content_loss import ContentLoss, VGGFeatureLoss
from facesr_ext.losses.prior_loss import LandmarkLoss, ParsingLoss
from tests.support import write_vgg


def test_prior_loss_is_mse_over_what_is_known_summed_over_stacks() -> None:
    target = torch.rand(2, 5, 8, 8)
    pred = [torch.rand(2, 5, 8, 8), torch.rand(2, 5, 8, 8)]
    mask = torch.ones(2, 5, 1, 1)
    whole = LandmarkLoss()(pred, target, mask)
    assert torch.allclose(whole, sum((p - target).square().mean() for p in pred), atol=1e-6)
    mask[1] = 0
    known = LandmarkLoss(loss_weight=3.0)(pred, target, mask)
    assert torch.allclose(known, 3 * sum((p[0] - target[0]).square().mean() for p in pred), atol=1e-5)


@pytest.mark.parametrize('criterion', ['mse', 'l1', 'ce'])
def test_nothing_known_gives_zero_with_a_gradient(criterion: str) -> None:
    pred = torch.rand(2, 11, 4, 4, requires_grad=True)
    loss = ParsingLoss(criterion=criterion)([pred], torch.zeros(2, 11, 4, 4), torch.zeros(2, 1, 4, 4))
    loss.backward()
    assert loss == 0
    assert pred.grad is not None and pred.grad.abs().sum() == 0


def test_cross_entropy_is_least_for_the_right_class() -> None:
    target = torch.zeros(1, 3, 2, 2)
    target[:, 1] = 1
    mask = torch.ones(1, 1, 2, 2)
    right, wrong = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    right[:, 1], wrong[:, 2] = 20, 20
    loss = ParsingLoss(criterion='ce')
    assert loss([right], target, mask) < 1e-6 < 15 < loss([wrong], target, mask)


def test_unknown_criterion() -> None:
    with pytest.raises(ValueError, match="LandmarkLoss: criterion is one of mse, l1, not 'ce'"):
        LandmarkLoss(criterion='ce')
    with pytest.raises(ValueError, match="ParsingLoss: criterion is one of mse, l1, ce, not 'bce'"):
        ParsingLoss(criterion='bce')


def test_vgg_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('FACESR_HOME', str(tmp_path))
    write_vgg(tmp_path)
    loss = VGGFeatureLoss(loss_weight=0.1)
    a, b = torch.rand(1, 3, 32, 32, requires_grad=True), torch.rand(1, 3, 32, 32)
    value = loss(a, b)
    value.backward()
    assert value > 0 and a.grad.abs().sum() > 0
    assert loss(b, b) == 0
    features = loss.vgg(b)['conv5_3']
    assert torch.allclose(value, 0.1 * (loss.vgg(a)['conv5_3'] - features).square().mean())
    assert not any(p.requires_grad for p in loss.parameters())


def test_missing_vgg_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('FACESR_HOME', str(tmp_path))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    monkeypatch.setattr(weights, 'find_packaged', lambda filename: None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DependencyError, match=r'(?s)vgg16-397923af\.pth.*https://download\.pytorch\.org.*pretrained_models'
    ):
        VGGFeatureLoss()


def test_content_loss_of_pixels_loads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('FACESR_HOME', str(tmp_path))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    monkeypatch.chdir(tmp_path)
    a, b = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    loss = ContentLoss('mse', pixel_weight=2.0)
    assert set(loss(a, b)) == {'pix'} and torch.allclose(loss(a, b)['pix'], 2 * (a - b).square().mean())
    assert not list(loss.parameters())
    for mode in ('vgg', 'mix'):
        with pytest.raises(DependencyError, match=r'vgg19-dcbb9e9d\.pth is missing'):
            ContentLoss(mode)


def test_content_loss_of_features_and_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('FACESR_HOME', str(tmp_path))
    write_vgg(tmp_path, 'vgg19')
    a, b = torch.rand(1, 3, 32, 32, requires_grad=True), torch.rand(1, 3, 32, 32)
    mix = ContentLoss()
    parts = mix(a, b)
    assert set(parts) == {'pix', 'vgg'} and torch.allclose(parts['pix'], (a - b).square().mean())
    assert mix.vgg is not None
    before, wanted = mix.vgg.vgg(a)['conv5_4'], mix.vgg.vgg(b)['conv5_4']
    assert before.min() < 0  # not yet through ReLU
    assert torch.allclose(parts['vgg'], 0.006 * (before - wanted).square().mean())
    parts['vgg'].backward()
    assert a.grad is not None and a.grad.abs().sum() > 0
    after = ContentLoss('vgg', layer='relu5_4', vgg_weight=1.0, vgg_criterion='l1')(a, b)
    assert set(after) == {'vgg'}
    assert torch.allclose(after['vgg'], (before.relu() - wanted.relu()).abs().mean(), rtol=1e-4)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'mode': 'l1'}, "mode is one of mse, vgg, mix, not 'l1'"),
        ({'vgg_criterion': 'ce'}, "vgg_criterion is one of mse, l1, not 'ce'"),
        ({'vgg_type': 'vgg99'}, "vgg_type is one of vgg11, vgg13, .*, not 'vgg99'"),
    ],
)
def test_content_loss_choices(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f'ContentLoss: {message}'):
        ContentLoss(**arguments)
    with pytest.raises(OptionError, match=f'train:content_opt: ContentLoss: {message}'):
        build_part(('train', 'content_opt'), LOSS_REGISTRY, {'type': 'ContentLoss', **arguments})


def test_vgg_loss_choices() -> None:
    with pytest.raises(ValueError, match="VGGFeatureLoss: criterion is one of mse, l1, not 'l2'"):
        VGGFeatureLoss(criterion='l2')
    with pytest.raises(ValueError, match='VGGFeatureLoss: vgg_type is one of vgg11'):
        VGGFeatureLoss(vgg_type='vgg')
