from __future__ import annotations

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.archs.face_attention_arch import AttentionUnit, FaceAttentionNet
from facesr_ext.archs.nafsr_arch import ChannelAttention, NAFBlock
from facesr_ext.errors import OptionError
from facesr_ext.models.tiles import Tiling, tiled
from tests.support import SMALL_NETS


def _net(scale: int = 1) -> nn.Module:
    """Sees three pixels to each side."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 8, 5, 1, 2))
    return nn.Sequential(net, nn.Conv2d(8, 3 * scale**2, 1), nn.PixelShuffle(scale)).requires_grad_(False)


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 70), (100, 20), (24, 40)])
@pytest.mark.parametrize('scale', [1, 4])
def test_equals_the_whole_where_the_overlap_covers_what_the_network_sees(height: int, width: int, scale: int) -> None:
    net, img = _net(scale), torch.rand(2, 3, height, width)
    out = tiled(net, img, Tiling(32, 12), scale)
    assert out.shape == (2, 3, height * scale, width * scale)
    assert torch.allclose(out, net(img), atol=1e-5)


def test_a_short_overlap_is_exact_away_from_the_seams() -> None:
    net, img = _net(), torch.rand(1, 3, 32, 60)
    whole, out = net(img), tiled(net, img, Tiling(32, 4))
    off = (out - whole).abs().amax((0, 1, 2)) > 1e-5
    assert off.any() and not off[:25].any() and not off[35:].any()


def test_tiles_keep_the_grid_of_a_network_with_strides() -> None:
    net = nn.Sequential(nn.PixelUnshuffle(4), nn.Conv2d(48, 48, 1), nn.PixelShuffle(4)).requires_grad_(False)
    img = torch.rand(1, 3, 52, 92)
    assert torch.allclose(tiled(net, img, Tiling(32, 8), multiple_of=4), net(img), atol=1e-5)


def test_no_pixel_lacks_weight_and_sizes_stay_whole() -> None:
    seen: list[torch.Size] = []

    def forward(tile: torch.Tensor) -> torch.Tensor:
        seen.append(tile.shape[-2:])
        return tile

    for width in range(16, 64):
        for overlap in (0, 1, 5, 15):
            img = torch.rand(1, 1, 16, width)
            assert torch.allclose(tiled(forward, img, Tiling(16, overlap)), img, atol=1e-6)
    assert set(seen) == {(16, 16)}


@pytest.mark.parametrize(
    ('tiling', 'multiple', 'message'),
    [
        (Tiling(32, 32), 1, 'overlap: must be from 0 to below size 32'),
        (Tiling(40, 8), 16, 'size: must be a multiple of 16'),
    ],
)
def test_unfit_numbers(tiling: Tiling, multiple: int, message: str) -> None:
    with pytest.raises(OptionError, match=f'val:tile:{message}'):
        tiling.require(('val', 'tile'), multiple)
    assert not Tiling(32, 8).needed(torch.zeros(1, 3, 32, 32)) and Tiling(32, 8).needed(torch.zeros(1, 3, 8, 33))


def _generators() -> list[str]:
    """Networks of ours that take an LR image of any size that suits their grid."""
    ours = sorted(name for name, cls in ARCH_REGISTRY if cls.__module__.startswith('facesr_ext'))
    return [name for name in ours if not name.endswith(('Discriminator', 'Critic')) and name != 'DegradationNet']


@pytest.mark.parametrize('name', _generators())
@torch.no_grad()
def test_tiles_on_the_grid_that_a_network_states_are_the_whole(name: str) -> None:
    """And off it, by half of what it states, they are not: it states neither too little nor too much."""
    torch.manual_seed(0)
    net = ARCH_REGISTRY.get(name)(**SMALL_NETS.get(name, {})).eval()
    for part in net.modules():
        if isinstance(part, NAFBlock):  # which begins as the identity
            part.beta.fill_(0.5)
            part.gamma.fill_(0.5)
        if isinstance(part, AttentionUnit):  # whose residual is small at first, and its attention even
            part.second.weight.mul_(10)
            part.attention.weigh.weight.mul_(100)
            part.attention.weigh.bias.zero_()
        if isinstance(part, ChannelAttention):  # it looks at the whole image, as no tile does
            part.weigh.weight.zero_()
    if isinstance(net, FaceAttentionNet):
        net.tail.weight.mul_(10)
    info = arch_info(net)
    factor = 1 if info.input == 'enlarged' else info.scale
    lq = torch.rand(1, 3, 192, 192)
    whole = net(lq)
    assert (tiled(net, lq, Tiling(160, 128), factor, info.sizes.multiple_of) - whole).abs().max() < 1e-5
    if info.sizes.multiple_of > 1:
        off = info.sizes.multiple_of // 2
        shifted = net(lq[..., off : off + 160, off : off + 160])[..., (64 - off) * factor : (96 - off) * factor, :]
        inside = slice(64 * factor, 96 * factor), slice((64 - off) * factor, (96 - off) * factor)
        assert (shifted[..., inside[1]] - whole[..., inside[0], inside[0]]).abs().max() > 1e-4
