from __future__ import annotations

import math
from typing import Literal

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, require_literals
from facesr_ext.archs.arch_util import icnr_


class _ResidualBlock(nn.Module):
    """conv-BN-PReLU-conv-BN plus identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.BatchNorm2d(channels),
            nn.PReLU(),
            nn.Conv2d(channels, channels, 3, 1, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


@ARCH_REGISTRY.register()
class SRResNet(nn.Module):
    """SRResNet as published, SRGAN's generator; BasicSR's MSRResNet is the modified one.

    Residual blocks with BatchNorm and PReLU (one slope a layer), then a pixel shuffle for each doubling.

    Paper: Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al., CVPR
    2017), figure 4. Values are in [0, 1] here, without the paper's change of range.

    Args:
        scale (int): 2, 4 or 8. Default: 4.
        num_in_ch (int): Channels of input and output. Default: 3.
        num_feat (int): Width. Default: 64.
        num_block (int): Residual blocks. Default: 16.
        icnr (bool): Each pixel shuffle begins as nearest-neighbour enlarging, without checkerboards. Default: False.

    Raises:
        ValueError: for another scale.
    """

    def __init__(
        self,
        scale: Literal[2, 4, 8] = 4,
        num_in_ch: int = 3,
        num_feat: int = 64,
        num_block: int = 16,
        icnr: bool = False,
    ) -> None:
        super().__init__()
        require_literals(SRResNet, scale=scale)
        self.info = ArchInfo(scale)
        self.head = nn.Sequential(nn.Conv2d(num_in_ch, num_feat, 9, 1, 4), nn.PReLU())
        self.body = nn.Sequential(
            *(_ResidualBlock(num_feat) for _ in range(num_block)),
            nn.Conv2d(num_feat, num_feat, 3, 1, 1),
            nn.BatchNorm2d(num_feat),
        )
        stages: list[nn.Module] = []
        for _ in range(int(math.log2(scale))):
            stages += [nn.Conv2d(num_feat, num_feat * 4, 3, 1, 1), nn.PixelShuffle(2), nn.PReLU()]
        self.upsample = nn.Sequential(*stages)
        self.tail = nn.Conv2d(num_feat, num_in_ch, 9, 1, 4)
        if icnr:
            for stage in stages:
                if isinstance(stage, nn.Conv2d):
                    icnr_(stage)

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Super-resolves images.

        Args:
            lq (Tensor): (N, 3, h, w), RGB, [0, 1].

        Returns:
            Tensor: (N, 3, h * scale, w * scale), RGB, not clamped.
        """
        x = self.head(lq)
        return self.tail(self.upsample(x + self.body(x)))
