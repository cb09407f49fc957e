"""What is found out of networks that state nothing of themselves: BasicSR's, and users'."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, Sizes, arch_info, scale_argument

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
