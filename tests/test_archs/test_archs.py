"""Every registered network of ours: size, finiteness, gradients; parameter counts; what the networks refuse."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.archs.fsrnet_arch import FSRNet, FSRNetOutput
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.faces.labels import CHANNEL_SETS, parsing_planes
from facesr_ext.imaging import exchange_luma, imresize, luma, quantize, to_tensor
from tests.support import SMALL_NETS

# What a network that has grown does not use any more.
OUTGROWN = {'SRPGGAN': ('to_rgb.x2.',), 'SRPGGANCritic': ('from_rgb.x2.',)}
OURS = sorted(name for name, cls in ARCH_REGISTRY if cls.__module__.startswith('facesr_ext'))


def _parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize('name', OURS)
def test_registered_network(name: str) -> None:
    torch.manual_seed(0)
    cls: Any = ARCH_REGISTRY.get(name)
    assert not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls).parameters.values())
    net = cls(**SMALL_NETS.get(name, {}))
    info = arch_info(net)
    size = info.sizes.fixed or max(32, info.sizes.multiple_of)
    x = torch.rand(2, 3, size, size, requires_grad=True)
    out = net(x)
    assert torch.isfinite(out).all()
    if not name.endswith(('Discriminator', 'Critic')):
        side = {'small': size * info.scale, 'enlarged': size, 'hr': size // info.scale}[info.input]
        assert out.shape == (2, 3, side, side)
    out.mean().backward()
    assert x.grad is not None and torch.isfinite(x.grad).all()
    grads = {key: p.grad for key, p in net.named_parameters() if not key.startswith(OUTGROWN.get(name, ()))}
    assert not [key for key, grad in grads.items() if grad is None or not torch.isfinite(grad).all()]
    assert cls.__doc__ and 'Args:' in cls.__doc__


@pytest.mark.parametrize(
    ('options', 'counts'),
    [
        ({'intermediate': False}, (225_539, 926_656, 1_581_515, 332_675, 3_066_385)),
        ({'intermediate': False, 'prior_fusion': 'features'}, (225_539, 926_656, 1_581_515, 400_067, 3_133_777)),
        ({'num_landmark': 68}, (225_539, 926_656, 1_627_230, 371_843, 3_151_268)),
        ({'num_landmark': 98}, (225_539, 926_656, 1_638_810, 389_123, 3_180_128)),
    ],
)
def test_fsrnet_parameter_counts(options: dict[str, Any], counts: tuple[int, ...]) -> None:
    net = FSRNet(**options)
    assert tuple(_parameters(m) for m in (net.coarse, net.encoder, net.prior, net.decoder, net)) == counts


SMALL = SMALL_NETS['FSRNet']


@pytest.mark.parametrize('fold', [1, 2, 4])
@pytest.mark.parametrize('prior', [True, False])
@pytest.mark.parametrize('norm', ['bn', 'none'])
def test_fsrnet_folds(fold: int, prior: bool, norm: str) -> None:
    net = FSRNet(**{**SMALL, 'num_landmark': 5, 'fold': fold, 'prior': prior, 'norm': norm, 'out_residual': True})
    out = net(torch.rand(2, 3, 64, 64), return_priors=True)
    assert isinstance(out, FSRNetOutput)
    assert out.sr.shape == out.coarse.shape == (2, 3, 64, 64)
    side = 64 // net.prior_stride
    assert [tuple(m.shape) for m in out.parsing] == [(2, 11, side, side)] * (2 if prior else 0)
    assert [tuple(m.shape) for m in out.landmarks] == [(2, 5, side, side)] * (2 if prior else 0)
    has_norm = any(isinstance(m, torch.nn.BatchNorm2d) for m in net.modules())
    assert has_norm == (norm == 'bn')


@pytest.mark.parametrize('fusion', ['maps', 'features', 'both'])
def test_prior_reaches_the_result_and_detach_cuts_the_gradient(fusion: str) -> None:
    x = torch.rand(1, 3, 32, 32)
    for detach in (False, True):
        torch.manual_seed(1)
        net = FSRNet(**SMALL, prior_fusion=fusion, detach_prior=detach)
        net(x).mean().backward()
        grads = [p.grad for p in net.prior.stacks.parameters()]
        assert all(g is None for g in grads) if detach else any(g is not None and g.abs().sum() > 0 for g in grads)


@pytest.mark.parametrize(
    ('options', 'fused'),
    [
        ({'prior_fusion': 'features', 'hg_num': 1}, False),
        ({'prior_fusion': 'features', 'hg_num': 2, 'intermediate': False}, False),
        ({'prior_fusion': 'features', 'hg_num': 2}, True),
        ({'prior_fusion': 'both', 'hg_num': 1}, True),
    ],
)
def test_whether_the_maps_reach_the_image(options: dict[str, Any], fused: bool) -> None:
    """Features alone do not come from the heads, which need no labels then; maps that another hourglass sees do."""
    net = FSRNet(**{**SMALL, **options})
    assert net.info.priors.fused == fused
    net(torch.rand(1, 3, 32, 32)).mean().backward()
    heads = [p.grad for name, p in net.named_parameters() if name.startswith('prior') and 'head' in name]
    assert heads and any(g is not None and g.abs().sum() > 0 for g in heads) == fused


def test_prior_input_and_parsing_logits() -> None:
    x = torch.rand(1, 3, 32, 32)
    torch.manual_seed(2)
    net = FSRNet(**SMALL, prior_input='input', parsing_logits=True).eval()
    before = net(x, return_priors=True)
    with torch.no_grad():
        net.coarse[-1].bias += 1.0  # another coarse image leaves a prior that looks at the input as it was
    after = net(x, return_priors=True)
    assert torch.equal(before.parsing[-1], after.parsing[-1])
    assert not torch.equal(before.coarse, after.coarse)
    fused = net._fusion(x, after.landmarks, after.parsing)
    assert torch.allclose(fused[-1].sum(1), torch.ones(1, 16, 16), atol=1e-5)


@pytest.mark.parametrize(('options', 'reached'), [({}, True), ({'detach_coarse': True}, False)])
def test_prior_losses_reach_the_coarse_network_or_not(options: dict[str, Any], reached: bool) -> None:
    net = FSRNet(**SMALL, **options)
    out = net(torch.rand(1, 3, 32, 32), return_priors=True)
    out.parsing[-1].square().mean().backward(retain_graph=True)
    given = [p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.coarse.parameters()]
    assert any(given) is reached
    out.sr.mean().backward()  # the image losses always do
    assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in net.coarse.parameters())


@pytest.mark.parametrize('fusion', ['features', 'both'])
def test_without_batch_norm_hourglass_features_do_not_silence_the_decoder(fusion: str) -> None:
    """Joined as large as they are, they push nearly every ReLU of the decoder below zero within sixty steps."""
    torch.manual_seed(0)
    net = FSRNet(
        num_feat=32, num_encoder_block=4, num_coarse_block=1, num_decoder_block=1, hg_num=1, hg_depth=2, hg_feat=128,
        norm='none', out_residual=True, fold=4, prior_fusion=fusion,
    )  # fmt: skip
    drawn = [render_face(0, i, 64) for i in range(8)]
    faces = torch.stack([to_tensor(face.image) for face in drawn])
    labels = torch.stack([torch.from_numpy(face.parsing.astype(np.int64)) for face in drawn])
    planes, _ = parsing_planes(labels, CHANNEL_SETS['helen11'], (16, 16))
    lq = imresize(imresize(faces, (8, 8)), (64, 64))
    active: list[float] = []
    net.decoder[0].register_forward_hook(lambda module, inputs, out: active.append(float((out > 0).float().mean())))
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, betas=(0.9, 0.99))
    for _ in range(60):
        out = net(lq, return_priors=True)
        loss = F.l1_loss(out.sr, faces) + F.l1_loss(out.coarse, faces) + F.mse_loss(out.parsing[-1], planes)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    assert active[-1] > 0.1


def test_out_residual_starts_near_its_input() -> None:
    x = torch.rand(2, 3, 64, 64)
    net = FSRNet(**SMALL, norm='none', out_residual=True, fold=4).eval()
    assert F.mse_loss(net(x), x) < 0.01


def test_upscale_input_equals_enlarging_outside() -> None:
    torch.manual_seed(0)
    outside = FSRNet(**SMALL).eval()
    inside = FSRNet(**SMALL, upscale_input=True).eval()
    inside.load_state_dict(outside.state_dict())
    lq = torch.rand(1, 3, 8, 8)
    assert torch.allclose(inside(lq), outside(imresize(lq, (64, 64))), atol=1e-6)
    assert (inside.info.input, outside.info.input) == ('small', 'enlarged')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'prior_fusion': 'sum'}, 'prior_fusion is one of maps, features, both'),
        ({'detach_coarse': True, 'prior_input': 'input'}, 'detach_coarse is for prior_input: coarse'),
        ({'norm': 'gn'}, 'norm is one of bn, none'),
        ({'fold': 3}, 'fold is one of 1, 2, 4'),
        ({'num_parsing': 0}, 'set prior: false'),
        ({'hg_depth': 0}, 'at least 1'),
    ],
)
def test_fsrnet_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FSRNet(**options)


@pytest.mark.parametrize('factor', [1 / 8, 1 / 4, 1 / 2, 2, 3, 4, 8])
def test_imresize_equals_basicsr(factor: float) -> None:
    from basicsr.utils.matlab_functions import imresize as reference

    img = torch.rand(3, 64, 48, generator=torch.Generator().manual_seed(0))
    expected = reference(img, factor)
    assert torch.allclose(imresize(img, tuple(expected.shape[-2:])), expected, atol=2e-6)


def test_imresize_is_differentiable_and_quantize_has_256_levels() -> None:
    x = torch.rand(1, 3, 16, 16, requires_grad=True)
    imresize(x, (4, 4)).sum().backward()
    assert torch.allclose(x.grad.sum(), torch.tensor(48.0), atol=1e-3)
    levels = quantize(torch.linspace(-0.1, 1.1, 5000)) * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4) and levels.min() == 0 and levels.max() == 255


def test_luma_and_its_exchange() -> None:
    from basicsr.utils.color_util import rgb2ycbcr_pt

    img = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(luma(img) * 219 + 16, rgb2ycbcr_pt(img, y_only=True) * 255, atol=1e-3)
    new = torch.rand(2, 1, 5, 4, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(luma(exchange_luma(img, new)), new, atol=1e-6)


def test_any_view_of_an_image_becomes_the_same_tensor() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    for view in (image, image[:, ::-1], image[::2], image.transpose(1, 0, 2), image[..., ::-1]):
        made = to_tensor(view)
        assert made.is_contiguous() and torch.equal(made, torch.tensor(view.transpose(2, 0, 1).copy()) / 255)
