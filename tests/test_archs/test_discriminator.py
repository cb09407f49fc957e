"""Discriminators: published parameter counts, sizes, what they refuse, and the critic under a gradient penalty."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml
from basicsr.utils.registry import ARCH_REGISTRY
from torch.nn import functional as F

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.archs.discriminator_arch import PatchDiscriminator, SRGANDiscriminator, WGANCritic
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import to_tensor
from tests.support import TRAIN_FILES


def _critics() -> dict[str, dict[str, Any]]:
    """Every discriminator of ours as it is by default, the critic's norms, and BasicSR's that recipes name."""
    ours = [name for name, cls in ARCH_REGISTRY if cls.__module__.startswith('facesr_ext.')]
    found = {name: {'type': name} for name in ours if name.endswith(('Critic', 'Discriminator'))}
    found |= {f'WGANCritic, {norm}': {'type': 'WGANCritic', 'norm': norm} for norm in ('layer', 'instance')}
    recipes = {path.stem: yaml.safe_load(path.read_text(encoding='utf-8')) for path in TRAIN_FILES}
    named = {name: opt['network_d'] for name, opt in recipes.items() if 'network_d' in opt}
    return found | {name: section for name, section in named.items() if section['type'] not in found}


CRITICS = _critics()


def _parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_patch_discriminator_parameter_count() -> None:
    assert _parameters(PatchDiscriminator()) == 4_693_697


@pytest.mark.parametrize(('size', 'count'), [(96, 23_565_505), (128, 38_245_569)])
def test_srgan_discriminator_parameter_counts(size: int, count: int) -> None:
    with torch.device('meta'):
        assert _parameters(SRGANDiscriminator(input_size=size)) == count


def test_conditional_discriminator_wants_its_condition() -> None:
    x = torch.rand(2, 3, 32, 32)
    net = PatchDiscriminator(num_feat=4, conditional=True)
    assert net(x, x).shape == (2, 1, 2, 2)
    with pytest.raises(ValueError, match='missing'):
        net(x)
    with pytest.raises(ValueError, match='not taken'):
        PatchDiscriminator(num_feat=4)(x, x)


@pytest.mark.parametrize('cls', [SRGANDiscriminator, WGANCritic])
def test_one_number_for_each_picture_of_the_one_size(cls: type[SRGANDiscriminator]) -> None:
    net = cls(num_feat=4, input_size=48)
    assert net.info.sizes.fixed == 48
    assert net(torch.rand(3, 3, 48, 48)).shape == (3, 1)
    with pytest.raises(ValueError, match=rf'{cls.__name__}\(input_size=48\) takes 48x48 px, not 32x48; set input_size'):
        net(torch.rand(1, 3, 48, 32))
    with pytest.raises(ValueError, match=f'{cls.__name__}: input_size is a multiple of 16, not 50'):
        cls(input_size=50)


@pytest.mark.parametrize('name', CRITICS)
def test_an_untrained_critic_sees_the_image(name: str) -> None:
    """The gradient of a verdict at the image: nothing vanishes on the way, nor does it explode."""
    section = dict(CRITICS[name])
    torch.manual_seed(0)
    net = ARCH_REGISTRY.get(section.pop('type'))(**section)
    side = arch_info(net).sizes.fixed or 32
    faces = torch.stack([to_tensor(render_face(3, number, 128).image) for number in range(2)])
    img = F.adaptive_avg_pool2d(faces, side).requires_grad_()
    verdict = net(img, *([img.detach()] if arch_info(net).conditional else []))
    (gradient,) = torch.autograd.grad(verdict.sum() / verdict[0].numel() ** 0.5, img)  # of a map: each place's
    sizes = gradient.flatten(1).norm(dim=1)
    assert sizes.min() > 0.01 and sizes.max() < 10


@pytest.mark.parametrize('norm', ['none', 'layer', 'instance'])
def test_critic_judges_each_picture_by_itself(norm: str) -> None:
    torch.manual_seed(0)
    net = WGANCritic(num_feat=4, input_size=32, norm=norm)
    x = torch.rand(4, 3, 32, 32)
    assert torch.allclose(net(x), torch.cat([net(one) for one in x.split(1)]), atol=1e-6)


@pytest.mark.parametrize('norm', ['none', 'layer', 'instance'])
def test_a_gradient_penalty_reaches_every_weight_of_the_critic(norm: str) -> None:
    """Second derivatives through the trunk; the biases of the last layers have none."""
    torch.manual_seed(0)
    net = WGANCritic(num_feat=4, input_size=32, norm=norm)
    x = torch.rand(2, 3, 32, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    (gradient.flatten(1).norm(dim=1) - 1).square().mean().backward()
    weights = [m.weight for m in net.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    assert len(weights) == 10
    assert all(w.grad is not None and torch.isfinite(w.grad).all() and w.grad.abs().sum() > 0 for w in weights)


def test_critic_refuses_batch_norm() -> None:
    with pytest.raises(ValueError, match=r"norm is one of none, layer, instance, not 'batch'"):
        WGANCritic(norm='batch')
    with pytest.raises(ValueError, match="not 'spectral'$"):
        WGANCritic(norm='spectral')
