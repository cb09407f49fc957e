"""SRPGGAN: the stages' sizes, the fade's two ends, what is in use, what travels in the file, PGGAN's devices."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.srpggan_arch import (
    SRPGGAN,
    EqualConv2d,
    Growing,
    MinibatchStd,
    PixelNorm,
    SRPGGANCritic,
    enlarge,
    fade_in,
)

BOTH: list[tuple[type[Growing], str]] = [(SRPGGAN, 'to_rgb'), (SRPGGANCritic, 'from_rgb')]


def _generator(scale: int = 8, **options: bool) -> SRPGGAN:
    torch.manual_seed(0)
    return SRPGGAN(num_feat=4, num_block=1, scale=scale, **options)


def _critic(scale: int = 8, **options: bool) -> SRPGGANCritic:
    torch.manual_seed(0)
    return SRPGGANCritic(num_feat=4, input_size=8 * scale, scale=scale, **options)


def _lq() -> torch.Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def _photo(side: int, num: int = 4) -> torch.Tensor:
    return torch.rand(num, 3, side, side, generator=torch.Generator().manual_seed(1))


def _with_gradient(net: nn.Module) -> set[str]:
    """The parts of a network that a backward pass has reached, by the first two words of their names."""
    return {'.'.join(key.split('.')[:2]) for key, p in net.named_parameters() if p.grad is not None}


# ---- stages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('scale', 'counts'), [(4, (1_086_931, 18_318_913)), (8, (1_308_696, 23_039_553))])
def test_parameter_counts(scale: int, counts: tuple[int, int]) -> None:
    with torch.device('meta'):
        nets = SRPGGAN(scale=scale), SRPGGANCritic(scale=scale, input_size=32 * scale)
    assert tuple(sum(p.numel() for p in net.parameters()) for net in nets) == counts


@pytest.mark.parametrize('scale', [4, 8])
@pytest.mark.parametrize('lr_stage', [False, True])
def test_sizes_of_every_stage(scale: int, lr_stage: bool) -> None:
    net, critic = _generator(scale, lr_stage=lr_stage), _critic(scale, lr_stage=lr_stage)
    expected = [factor for factor in (1, 2, 4, 8) if factor <= scale and (lr_stage or factor > 1)]
    assert list(net.factors) == list(critic.factors) == expected
    for factor in expected:
        for alpha in (1.0, 0.3) if factor > expected[0] else (1.0,):
            net.set_stage(factor, alpha)
            critic.set_stage(factor, alpha)
            image = net(_lq(), full_size=False)
            assert image.shape == (2, 3, 8 * factor, 8 * factor)
            assert net(_lq()).shape == (2, 3, 8 * scale, 8 * scale)
            assert critic(image).shape == (2, 1)


def test_a_new_network_has_grown_through_all_stages() -> None:
    for net in (_generator(), _critic()):
        assert net.growth.tolist() == [8.0, 1.0] and (net.factor, net.fading) == (8, False)


def test_any_input_size_is_enlarged() -> None:
    assert _generator(4)(torch.rand(1, 3, 10, 6)).shape == (1, 3, 40, 24)


def test_the_full_size_image_is_the_stages_own_enlarged() -> None:
    net = _generator()
    net.set_stage(2)
    own, full = net(_lq(), full_size=False), net(_lq())
    assert torch.equal(full, own.repeat_interleave(4, 2).repeat_interleave(4, 3))
    assert torch.allclose(F.avg_pool2d(full, 4), own, atol=1e-6)


def test_nearest_enlargement_then_average_pooling_is_the_identity() -> None:
    image = torch.randint(0, 256, (1, 3, 8, 8)) / 256  # so that the sums are exact
    for factor in (1, 2, 4, 8):
        assert torch.equal(F.avg_pool2d(enlarge(image, factor), factor), image)


# ---- the fade ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('factor', [4, 8])
def test_alpha_0_is_the_stage_before_and_alpha_1_the_stage_alone(factor: int) -> None:
    net, critic = _generator(), _critic()
    half, photo = net_at(net, factor // 2)(_lq(), full_size=False), _photo(8 * factor)
    assert torch.equal(net_at(net, factor, 0.0)(_lq(), full_size=False), enlarge(half, 2))
    judged = net_at(critic, factor // 2)(F.avg_pool2d(photo, 2))
    assert torch.equal(net_at(critic, factor, 0.0)(photo), judged)

    alone, nearly = (net_at(net, factor, alpha)(_lq(), full_size=False) for alpha in (1.0, 1 - 1e-6))
    assert torch.allclose(alone, nearly, atol=1e-5) and not torch.equal(alone, nearly)
    middle = net_at(net, factor, 0.25)(_lq(), full_size=False)
    assert torch.allclose(middle, fade_in(enlarge(half, 2), alone, 0.25), atol=1e-6)
    alone, nearly = (net_at(critic, factor, alpha)(photo) for alpha in (1.0, 1 - 1e-6))
    assert torch.allclose(alone, nearly, atol=1e-5)


def net_at(net: Growing, factor: int, alpha: float = 1.0) -> Growing:
    net.set_stage(factor, alpha)
    return net


def test_parts_in_use_have_a_gradient_and_others_none() -> None:
    """Old layers go on learning; those to come, and old ways to and from RGB, are not touched."""
    for (factor, alpha), used in {
        (2, 1.0): {'stages.x2', 'to_rgb.x2'},
        (4, 0.5): {'stages.x2', 'stages.x4', 'to_rgb.x2', 'to_rgb.x4'},
        (4, 1.0): {'stages.x2', 'stages.x4', 'to_rgb.x4'},
        (8, 0.5): {'stages.x2', 'stages.x4', 'stages.x8', 'to_rgb.x4', 'to_rgb.x8'},
    }.items():
        net = net_at(_generator(), factor, alpha)
        net(_lq()).mean().backward()
        assert _with_gradient(net) == used | {'head.0', 'head.1', 'body.0', 'body.1'}


def test_the_critics_parts_in_use_have_a_gradient_and_others_none() -> None:
    small = {'blocks.px16', 'blocks.px8', 'verdict.1', 'verdict.3', 'verdict.5'}
    for (factor, alpha), used in {
        (2, 1.0): {'from_rgb.x2'},
        (4, 0.5): {'from_rgb.x2', 'from_rgb.x4', 'blocks.px32'},
        (8, 1.0): {'from_rgb.x8', 'blocks.px32', 'blocks.px64'},
    }.items():
        critic = net_at(_critic(), factor, alpha)
        critic(_photo(8 * factor)).mean().backward()
        assert _with_gradient(critic) == used | small


# ---- the file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('cls', 'rgb'), BOTH)
def test_stage_and_fade_travel_in_the_state_dict(cls: type[Growing], rgb: str) -> None:
    net, other = (_generator(), SRPGGAN(num_feat=4, num_block=1, scale=8)) if cls is SRPGGAN else (
        _critic(), SRPGGANCritic(num_feat=4, input_size=64, scale=8)
    )  # fmt: skip
    net.set_stage(4, 0.3)
    state = net.state_dict()
    assert torch.equal(state['growth'], torch.tensor([4.0, 0.3])) and f'{rgb}.x8.0.weight' in state or cls is SRPGGAN
    other.load_state_dict(state)
    given = _lq() if cls is SRPGGAN else _photo(32)
    assert torch.equal(other(given), net(given))
    other.set_stage(8)
    assert not torch.equal(state['growth'], other.growth)
    assert torch.equal(copy.deepcopy(net)(given), net(given))


def test_graphs_can_be_captured_in_mid_fade() -> None:
    net = net_at(_generator(4), 4, 0.3).eval()
    exported = torch.export.export(net, (_lq(),)).module()
    assert torch.equal(exported(_lq()), net(_lq()))
    compiled = torch.compile(net, backend='eager', fullgraph=True)
    for stage in ((4, 0.6), (2, 1.0), (4, 1.0)):
        net.set_stage(*stage)
        assert torch.equal(compiled(_lq()), net(_lq())), stage


# ---- PGGAN's devices -----------------------------------------------------------------------------------------------


def test_equalised_learning_rate_has_unit_weights_and_hes_constant() -> None:
    torch.manual_seed(0)
    conv = EqualConv2d(64, 256, 3, padding=1)
    assert float(conv.weight.detach().std()) == pytest.approx(1.0, abs=0.01) and not conv.bias.any()
    x = torch.randn(4, 64, 16, 16)
    plain = F.conv2d(x, conv.weight * math.sqrt(2 / (64 * 9)), conv.bias, padding=1)
    assert torch.allclose(conv(x), plain, atol=1e-6)
    rectified = F.relu(conv(x)[..., 1:-1, 1:-1])
    assert float(rectified.detach().square().mean()) == pytest.approx(1.0, abs=0.1)  # what He's constant is for
    for net in (_generator(eql_lr=True), _critic(eql_lr=True)):
        assert all(isinstance(m, EqualConv2d) for m in net.modules() if isinstance(m, nn.Conv2d))
        assert net(_lq() if isinstance(net, SRPGGAN) else _photo(64)).isfinite().all()
    assert not any(isinstance(m, EqualConv2d) for m in _generator().modules())


def test_pixel_norm_gives_every_pixel_unit_mean_square() -> None:
    x = torch.randn(2, 16, 5, 7) * 30
    out = PixelNorm()(x)
    assert torch.allclose(out.square().mean(1), torch.ones(2, 5, 7), atol=1e-5)
    assert torch.allclose(out, PixelNorm()(x * 1e-2), atol=1e-5) and not PixelNorm()(x * 0).any()
    assert PixelNorm()(x.half()).dtype == torch.float16 and PixelNorm()((x * 0).half()).isfinite().all()
    count = sum(isinstance(m, PixelNorm) for m in _generator(pixel_norm=True).modules())
    assert count == 1 + 2 + 1 + 3 * 3  # head, block, after the blocks; three stages of a convolution and a block
    assert _generator(pixel_norm=True)(_lq()).isfinite().all()


@pytest.mark.parametrize('device', [{}, {'eql_lr': True}, {'pixel_norm': True}])
def test_icnr_begins_every_stage_as_nearest_neighbour_enlarging(device: dict[str, bool]) -> None:
    net = _generator(icnr=True, **device)
    for factor in (2, 4, 8):
        widen, shuffle = (net.get_submodule(f'stages.x{factor}.{number}') for number in (0, 1))
        enlarged = shuffle(widen(torch.randn(1, 4, 6, 6)))
        assert torch.equal(enlarged, enlarge(enlarged[..., ::2, ::2], 2)) and enlarged.std() > 0, factor
    weight = _generator(**device).get_parameter('stages.x2.0.0.weight')
    assert not torch.equal(weight[0], weight[1])


def test_minibatch_std_is_the_mean_deviation_of_a_group() -> None:
    x = torch.randn(8, 5, 4, 4)
    out = MinibatchStd()(x)
    assert out.shape == (8, 6, 4, 4) and torch.equal(out[:, :5], x)
    for group in (slice(0, 4), slice(4, 8)):
        expected = x[group].std(0, unbiased=False).mean()
        assert torch.allclose(out[group, 5], expected.expand(4, 4, 4), atol=1e-4)
    assert torch.allclose(MinibatchStd()(x[:1].expand(4, -1, -1, -1))[:, 5], torch.tensor(1e-4))  # all alike
    assert MinibatchStd()(x[:7])[:, 5].isfinite().all() and MinibatchStd()(x[:6])[3:, 5].unique().numel() == 1


def test_critic_with_minibatch_std_sees_its_batch_and_without_it_each_sample() -> None:
    photo = _photo(64)
    for mbstd in (False, True):
        critic = _critic(mbstd=mbstd)
        together, apart = critic(photo), torch.cat([critic(one) for one in photo.split(1)])
        assert torch.allclose(together, apart, atol=1e-6) != mbstd


@pytest.mark.parametrize('options', [{}, {'eql_lr': True, 'mbstd': True}])
def test_critic_bears_a_double_backward_pass(options: dict[str, bool]) -> None:
    critic = net_at(_critic(**options), 4, 0.5)
    photo = _photo(32).requires_grad_()
    (slope,) = torch.autograd.grad(critic(photo).sum(), photo, create_graph=True)
    (slope.flatten(1).norm(dim=1) - 1).square().mean().backward()
    for part in ('from_rgb.x2', 'from_rgb.x4', 'blocks.px32', 'verdict'):
        grads = [p.grad for key, p in critic.get_submodule(part).named_parameters() if key.endswith('weight')]
        assert all(g is not None and g.isfinite().all() and g.abs().sum() > 0 for g in grads)


def test_half_precision_autocast() -> None:
    net = net_at(_generator(pixel_norm=True), 4, 0.5)
    with torch.autocast('cpu', torch.bfloat16):
        image = net(_lq(), full_size=False)
    assert image.dtype == torch.bfloat16
    exact = net(_lq(), full_size=False)
    assert float((image.float() - exact).detach().abs().mean()) < 0.02 * float(exact.detach().std())


# ---- what they refuse ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('scale', [2, 3, 16])
def test_other_scales_are_refused(scale: int) -> None:
    with pytest.raises(ValueError, match=f'SRPGGAN: scale is one of 4, 8, not {scale}'):
        SRPGGAN(scale=scale)
    with pytest.raises(ValueError, match=f'SRPGGANCritic: scale is one of 4, 8, not {scale}'):
        SRPGGANCritic(scale=scale)


@pytest.mark.parametrize('size', [16, 96, 100])
def test_sizes_that_cannot_be_halved_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=rf'input_size is a power of two from 32 on \(an LR of 8 px\), not {size}'):
        SRPGGANCritic(input_size=size, scale=4)


def test_unfit_stages_and_images_are_named() -> None:
    net, critic = _generator(), _critic()
    with pytest.raises(ValueError, match='SRPGGAN: a stage is one of 2, 4, 8, not 1'):
        net.set_stage(1)
    with pytest.raises(ValueError, match='SRPGGAN: alpha is from 0 to 1, not 1.5'):
        net.set_stage(4, 1.5)
    with pytest.raises(ValueError, match='SRPGGANCritic: the first stage, 2, has none before it to fade from'):
        critic.set_stage(2, 0.5)
    critic.set_stage(4)
    with pytest.raises(ValueError, match='its stage takes 32x32 px, the image has 32x64'):
        critic(torch.rand(1, 3, 64, 32))
