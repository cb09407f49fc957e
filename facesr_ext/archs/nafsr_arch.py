from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo, Sizes, require_literals
from facesr_ext.imaging import imresize, with_coordinates


class LayerNorm2d(nn.LayerNorm):
    """Layer normalisation over the channels of each place; without copies where the memory is channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SimpleGate(nn.Module):
    """The product of both halves of the channels."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, dim=1)
        return first * second


class ChannelAttention(nn.Module):
    """NAFNet's simplified one: channels weighted by a linear map of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weigh = nn.Conv2d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weigh(x.mean((2, 3), keepdim=True))


class NAFBlock(nn.Module):
    """NAFNet's block: gated depthwise convolution with channel attention, then a gated 1x1 network.

    Both parts are added to their input times a scale that begins at 0, so that the block begins as the identity.

    Args:
        channels (int): Of input and output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            LayerNorm2d(channels, eps=1e-6),
            nn.Conv2d(channels, channels * 2, 1),
            nn.Conv2d(channels * 2, channels * 2, 3, 1, 1, groups=channels * 2),
            SimpleGate(),
            ChannelAttention(channels),
            nn.Conv2d(channels, channels, 1),
        )
        self.feed = nn.Sequential(
            LayerNorm2d(channels, eps=1e-6),
            nn.Conv2d(channels, channels * 2, 1),
            SimpleGate(),
            nn.Conv2d(channels, channels, 1),
        )
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.addcmul(x, self.beta, self.mix(x))
        return torch.addcmul(x, self.gamma, self.feed(x))


@ARCH_REGISTRY.register()
class NAFSR(nn.Module):
    """NAFNet's U-Net on the small image, with pixel shuffles to the large one at its end.

    Each level down halves the size and doubles the channels, so that most of the blocks see a large part of the face at
    a small price. Sizes that the levels do not divide are padded inside.

    With ``scale`` 1 it restores: it takes the face at its final size, enlarged where it was smaller, and gives one of
    that size. ``fold`` then makes it as cheap as on the small image, and loses none of what a larger face has.

    Paper: Simple Baselines for Image Restoration (Chen et al., ECCV 2022), for the block and the U-Net.

    Args:
        scale (int): 1, 2, 4 or 8. Default: 4.
        num_in_ch (int): Channels of input and output. Default: 3.
        num_feat (int): Width of the first level and of the upsampling. Default: 48.
        enc_blocks (Sequence[int]): Blocks of each level down. Default: (3, 3).
        mid_blocks (int): Blocks at the deepest level. Default: 5.
        dec_blocks (Sequence[int]): Blocks of each level up, the deepest first. Default: (3, 3).
        skip (str): What the result is added to: the input enlarged by 'bicubic' (MATLAB's) or 'bilinear', or 'none'.
            With ``scale`` 1 either is the input itself. Default: 'bicubic'.
        coords (bool): Also look at where in the face each pixel is, for faces that are aligned: crops say which part
            they show, anything else is taken for a whole face. Default: False.
        fold (int): With ``scale`` 1, 2 or 4: the whole network works at 1 / fold of the resolution, the image folded
            into channels (pixel unshuffle), the result unfolded. Default: 1.

    Raises:
        ValueError: for another scale, skip or fold, a fold with a scale above 1, or numbers of levels that differ.
    """

    def __init__(
        self,
        scale: Literal[1, 2, 4, 8] = 4,
        num_in_ch: int = 3,
        num_feat: int = 48,
        enc_blocks: Sequence[int] = (3, 3),
        mid_blocks: int = 5,
        dec_blocks: Sequence[int] = (3, 3),
        skip: Literal['bicubic', 'bilinear', 'none'] = 'bicubic',
        coords: bool = False,
        fold: Literal[1, 2, 4] = 1,
    ) -> None:
        super().__init__()
        require_literals(NAFSR, scale=scale, skip=skip, fold=fold)
        if scale > 1 and fold > 1:
            raise ValueError(f'NAFSR: fold {fold} is for scale 1, not {scale}: the small image is folded as it is')
        if len(enc_blocks) != len(dec_blocks):
            raise ValueError(
                f'NAFSR: enc_blocks and dec_blocks have one number a level, not {len(enc_blocks)} and {len(dec_blocks)}'
            )
        levels = len(enc_blocks)
        self.scale, self.skip, self.fold, self.multiple = scale, skip, fold, fold * 2**levels
        self.info = ArchInfo(scale, 'enlarged' if scale == 1 else 'small', Sizes(self.multiple), coords=coords)
        widths = [num_feat * 2**level for level in range(levels)]
        self.num_in_ch = num_in_ch
        self.head = nn.Conv2d((num_in_ch + 2 * coords) * fold**2, num_feat, 3, 1, 1)
        self.encoders = nn.ModuleList(_blocks(num, width) for num, width in zip(enc_blocks, widths, strict=True))
        self.downs = nn.ModuleList(nn.Conv2d(width, width * 2, 2, 2) for width in widths)
        self.middle = _blocks(mid_blocks, num_feat * 2**levels)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width * 2, width * 4, 1, bias=False), nn.PixelShuffle(2))
            for width in reversed(widths)
        )
        self.decoders = nn.ModuleList(
            _blocks(num, width) for num, width in zip(dec_blocks, reversed(widths), strict=True)
        )
        self.tail = _tail(num_feat, num_in_ch * fold**2, int(math.log2(scale)))

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Super-resolves images.

        Args:
            lq (Tensor): (N, 3, h, w), RGB, [0, 1], any size; with ``coords`` also (N, 5, h, w), as
                :func:`~facesr_ext.imaging.with_coordinates` makes it.

        Returns:
            Tensor: (N, 3, h * scale, w * scale), RGB, not clamped.
        """
        if self.info.coords and lq.shape[1] == self.num_in_ch:
            lq = with_coordinates(lq)
        height, width = lq.shape[-2:]
        padded = F.pad(lq, (0, -width % self.multiple, 0, -height % self.multiple), mode='replicate')
        folded = F.pixel_unshuffle(padded, self.fold)
        x = self.head(folded.contiguous(memory_format=torch.channels_last))  # LayerNorm2d copies nothing so
        levels = []
        for blocks, down in zip(self.encoders, self.downs, strict=True):
            levels.append(blocks(x))
            x = down(levels[-1])
        x = self.middle(x)
        for up, blocks in zip(self.ups, self.decoders, strict=True):
            x = blocks(up(x) + levels.pop())
        out = F.pixel_shuffle(self.tail(x), self.fold)[..., : height * self.scale, : width * self.scale]
        return out + self._base(lq[:, : self.num_in_ch])

    def _base(self, lq: torch.Tensor) -> torch.Tensor | float:
        """What the result is added to."""
        if self.skip == 'none':
            return 0.0
        if self.scale == 1:
            return lq
        size = (lq.shape[-2] * self.scale, lq.shape[-1] * self.scale)
        if self.skip == 'bicubic':
            return imresize(lq, size)
        return F.interpolate(lq, size, mode='bilinear', align_corners=False)


def _blocks(num: int, channels: int) -> nn.Sequential:
    return nn.Sequential(*(NAFBlock(channels) for _ in range(num)))


def _tail(num_feat: int, out_ch: int, doublings: int) -> nn.Sequential:
    """To the large image, twice the size at each step."""
    layers: list[nn.Module] = []
    for _ in range(doublings):
        layers += [nn.Conv2d(num_feat, num_feat * 4, 3, 1, 1), nn.PixelShuffle(2), nn.LeakyReLU(0.1, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(num_feat, out_ch, 3, 1, 1))
