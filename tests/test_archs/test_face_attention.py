"""FaceAttentionNet: parameters, attention, heads, the start, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml

from facesr_ext.archs.arch_info import Priors, Sizes, arch_info
from facesr_ext.archs.face_attention_arch import AttentionUnit, FaceAttentionNet, FaceAttentionOutput
from facesr_ext.check.examine import check_file
from tests.support import OPTIONS

SMALL: dict[str, Any] = {'widths': [4, 8], 'mid_units': 1}
RECIPE = OPTIONS / 'faceattention.yml'


def _count(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_parameters() -> None:
    arguments = yaml.safe_load(RECIPE.read_text(encoding='utf-8'))['network_g']
    del arguments['type']
    assert _count(FaceAttentionNet(**arguments)) == _count(FaceAttentionNet()) == 1_720_879
    without = FaceAttentionNet(attention='none')
    assert _count(without) == 1_650_016 and not any('attention' in name for name, _ in without.named_parameters())


def test_begins_as_the_enlarged_input_but_for_a_little() -> None:
    torch.manual_seed(0)
    lq = torch.rand(1, 3, 64, 64)
    assert (FaceAttentionNet()(lq) - lq).abs().max() < 0.1


@pytest.mark.parametrize(('attention', 'maps'), [('shared', 1), ('each', 8)])
def test_attention_weights_each_place_of_the_residual(attention: str, maps: int) -> None:
    unit = AttentionUnit(8, maps)
    x = torch.rand(2, 8, 8, 8)
    weights = unit.attention(x)  # type: ignore[misc]
    assert weights.shape == (2, maps, 8, 8) and weights.min() > 0 and weights.max() < 1
    assert weights.mean() > 0.75  # open at first
    with torch.no_grad():
        unit.attention.weigh.weight.zero_()  # type: ignore[union-attr]
        unit.attention.weigh.bias.fill_(-50)  # type: ignore[union-attr]
    assert torch.allclose(unit(x), x, atol=1e-6)
    net = FaceAttentionNet(**SMALL, attention=attention)  # type: ignore[arg-type]
    net(torch.rand(1, 3, 32, 32)).square().mean().backward()
    grads = [p.grad for name, p in net.named_parameters() if 'weigh' in name]
    assert grads and all(g is not None and g.abs().sum() > 0 for g in grads)


def test_attention_looks_around_itself() -> None:
    """A change of one place moves the weights of its neighbours, and not those far away."""
    unit = AttentionUnit(8, 1)
    x = torch.rand(1, 8, 32, 32)
    other = x.clone()
    other[..., 16, 16] += 1
    with torch.no_grad():
        moved = (unit.attention(other) - unit.attention(x)).abs()[0, 0] > 0  # type: ignore[misc]
    assert moved[16, 16] and moved[19, 14] and not moved[:12].any() and not moved[:, 22:].any()


@pytest.mark.parametrize('fused', [True, False])
def test_heads_give_maps_that_join_the_features_or_not(fused: bool) -> None:
    torch.manual_seed(0)
    net = FaceAttentionNet(**SMALL, num_landmark=5, num_parsing=11, fuse_priors=fused)
    assert net.info.priors == Priors(5, 11, 4, fused, coarse=False)
    out = net(torch.rand(2, 3, 32, 32), return_priors=True)
    assert isinstance(out, FaceAttentionOutput) and out.coarse is None
    assert [tuple(m.shape) for m in (*out.landmarks, *out.parsing)] == [(2, 5, 8, 8), (2, 11, 8, 8)]
    out.sr.mean().backward()
    heads = [p.grad for name, p in net.named_parameters() if '_head' in name]
    assert all((g is not None and bool(g.abs().sum() > 0)) == fused for g in heads)


def test_levels_and_sizes() -> None:
    assert arch_info(FaceAttentionNet()).sizes == Sizes(16) and FaceAttentionNet().info.priors is None
    one = FaceAttentionNet(widths=[4], enc_units=[], dec_units=[], num_parsing=11)
    assert one(torch.rand(1, 3, 16, 24), return_priors=True).parsing[0].shape == (1, 11, 4, 6)
    three = FaceAttentionNet(widths=[4, 6, 8], enc_units=[1, 2], dec_units=[2, 1], fold=2)
    assert three.info.sizes == Sizes(16) and three(torch.rand(1, 3, 48, 16)).shape == (1, 3, 48, 16)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'attention': 'self'}, 'attention is one of shared, each, none'),
        ({'fold': 3}, 'fold is one of 2, 4'),
        ({'enc_units': [1, 1]}, 'one number for each of widths but the last, not 2 and 1 for 2'),
        ({'widths': [], 'enc_units': [], 'dec_units': []}, 'one number for each of widths'),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f'FaceAttentionNet: .*{message}'):
        FaceAttentionNet(**arguments)


@pytest.mark.parametrize(
    'changes',
    [
        ['scale=4', 'network_g:scale=4', 'degradation:preset=bicubic_x4', 'network_g:enc_units=[3]'],
        [
            'network_g:num_parsing=11',
            'train:parsing_opt={type: ParsingLoss, loss_weight: 0.2, criterion: ce}',
            'network_g:num_landmark=68',
            'train:landmark_opt={type: LandmarkLoss}',
        ],
        ['network_g:num_parsing=11', 'network_g:num_landmark=68', 'network_g:fuse_priors=false'],
        ['train:losses={fft: {type: FFTLoss, loss_weight: 0.01}, eyes: {type: RegionLoss}}'],
        ['train:augment={mixup: 0.5, colours: 0.5, cutblur: 0.5}'],
    ],
)
def test_what_the_recipe_tells_of_is_in_order(changes: list[str]) -> None:
    assert check_file(str(RECIPE), 'train', changes) == []


def test_an_untaught_head_that_joins_is_refused() -> None:
    (fault,) = check_file(str(RECIPE), 'train', ['network_g:num_parsing=11'])
    assert fault.key == ('network_g', 'num_parsing') and 'parsing_opt is missing' in fault.message
