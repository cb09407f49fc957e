"""What is found out of networks that state nothing of themselves: BasicSR's, and users'."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional

from facesr_ext.archs.arch_info import ArchInfo, Sizes, arch_info, makes_no_image, scale_argument

RRDB = {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'num_grow_ch': 4}
SWIN = {'embed_dim': 6, 'depths': [1], 'num_heads': [1], 'img_size': 56}


class UNet(nn.Module):
    """Halves twice and adds what was, without a word on it."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 3, 3, 4, 1)
        self.up = nn.ConvTranspose2d(3, 3, 4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.down(x)) + x


class Judge(nn.Module):
    """A discriminator: no image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2, 3))


@pytest.mark.parametrize(
    ('name', 'options', 'scale', 'multiple'),
    [
        ('RRDBNet', {**RRDB, 'scale': 4}, 4, 1),
        ('RRDBNet', {**RRDB, 'scale': 2}, 2, 2),
        ('RRDBNet', {**RRDB, 'scale': 1}, 1, 4),
        ('EDSR', {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 3}, 3, 1),
        ('RCAN', {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 16, 'num_group': 1, 'num_block': 1, 'upscale': 4}, 4, 1),
        ('SwinIR', {**SWIN, 'upscale': 4, 'window_size': 8, 'upsampler': 'pixelshuffle'}, 4, 8),
        ('SwinIR', {**SWIN, 'upscale': 2, 'window_size': 7, 'upsampler': 'pixelshuffledirect'}, 2, 7),
    ],
)
def test_basicsrs_networks_are_tried(name: str, options: dict[str, Any], scale: int, multiple: int) -> None:
    net = ARCH_REGISTRY.get(name)(**options)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    info = arch_info(net)
    assert (info.scale, info.sizes) == (scale, Sizes(multiple)) and arch_info(net) is info
    assert info.input == ('enlarged' if scale == 1 else 'small')
    side = multiple * -(-16 // multiple)
    assert net.eval()(torch.rand(1, 3, side, side)).shape[-1] == side * scale
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert scale_argument(net) in options


def test_users_networks_are_tried() -> None:
    assert arch_info(UNet()).sizes == Sizes(4) and arch_info(UNet().to('meta')).sizes == Sizes(4)
    assert arch_info(Judge()) == ArchInfo()


class Users(nn.Module):
    """A network as users write them: what `kind` says happens in its forward pass.

    Args:
        kind (str): What it does or asks for.
        sf (int): Its scale.
    """

    def __init__(self, kind: str, sf: int = 4) -> None:
        super().__init__()
        self.kind, self.sf = kind, sf
        self.conv = nn.Conv2d(3, 3 * sf**2, 3, 1, 1)
        self.calls: Any
        self.register_buffer('calls', torch.zeros(1))
        self.lock = threading.Lock() if kind == 'cannot be copied' else None

    def forward(self, x: torch.Tensor) -> Any:
        self.calls += 1
        (height, width), kind = x.shape[-2:], self.kind
        if kind.startswith('multiple') and (height % int(kind[8:]) or width % int(kind[8:])):
            raise ValueError('a size that does not fit')
        if kind.startswith('fixed') and (height, width) != (int(kind[5:]), int(kind[5:])):
            raise AssertionError
        if kind == 'values':  # there are none on the meta device
            x = x * (1 if x.sum().item() >= 0 else 2)
        if kind == 'numpy':
            x = torch.from_numpy(x.numpy())
        if kind == 'gpu':
            raise RuntimeError('Found no NVIDIA driver on your system')
        if kind == 'exit':
            raise SystemExit(3)
        if kind.startswith('pads'):
            x = functional.pad(x, (0, -width % 8, 0, -height % 8), 'reflect')
        out = functional.pixel_shuffle(self.conv(x), self.sf)
        if kind == 'pads':
            out = out[..., : height * self.sf, : width * self.sf]
        return {'tuple': (out, out), 'list': [out], 'dict': {'sr': out}, 'grey': out[:, :1]}.get(kind, out)


@pytest.mark.parametrize(
    ('kind', 'sizes'),
    [
        ('any', Sizes()), ('values', Sizes()), ('numpy', Sizes()), ('pads', Sizes()), ('pads only', Sizes(8)),
        ('multiple18', Sizes(18)), ('multiple64', Sizes(64)), ('multiple96', Sizes(96)), ('multiple128', Sizes(128)),
        ('fixed32', Sizes(fixed=32)), ('fixed224', Sizes(fixed=224)),
    ],
)  # fmt: skip
@pytest.mark.parametrize('sf', [1, 3])
def test_scale_and_sizes_of_users_networks_are_found(kind: str, sizes: Sizes, sf: int) -> None:
    """Without a trace in the network or in torch's random numbers."""
    net, state = Users(kind, sf), torch.get_rng_state()
    info = arch_info(net)
    assert (info.scale, info.sizes, info.input) == (sf, sizes, 'enlarged' if sf == 1 else 'small')
    assert not makes_no_image(net) and scale_argument(net) == 'sf'
    assert net.training and not net.calls.item() and torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize('kind', ['tuple', 'list', 'dict', 'grey', 'gpu', 'exit', 'cannot be copied', 'multiple1000'])
def test_networks_of_which_nothing_is_found(kind: str) -> None:
    net = Users(kind)
    assert arch_info(net) == ArchInfo() and makes_no_image(net)
