from __future__ import annotations

from typing import Literal

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, require_literals
from facesr_ext.imaging import exchange_luma, imresize, luma

ACTIVATIONS: dict[str, type[nn.Module]] = {'tanh': nn.Tanh, 'relu': nn.ReLU}


@ARCH_REGISTRY.register()
class ESPCN(nn.Module):
    """ESPCN: three convolutions on the small image, then a pixel shuffle.

    Paper: Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network
    (Shi et al., CVPR 2016): 5-3-3 with tanh, on luma. The border is repeated, since zeros leave a frame.

    Args:
        scale (int): 2, 3, 4 or 8. Default: 4.
        num_feat (int): Output maps of the first convolution; the second has half as many. Default: 64.
        activation (str): 'tanh' or 'relu'. Default: 'tanh'.
        luma (bool): Work on luma alone; chroma is enlarged by MATLAB's bicubic. Default: False, RGB.

    Raises:
        ValueError: for another scale or activation.

    Examples:
        >>> ESPCN(scale=4)(torch.zeros(1, 3, 24, 32)).shape
        torch.Size([1, 3, 96, 128])
    """

    def __init__(
        self,
        scale: Literal[2, 3, 4, 8] = 4,
        num_feat: int = 64,
        activation: Literal['tanh', 'relu'] = 'tanh',
        luma: bool = False,
    ) -> None:
        super().__init__()
        require_literals(ESPCN, scale=scale, activation=activation)
        self.info = ArchInfo(scale)
        self.luma = luma
        channels = 1 if luma else 3
        self.body = nn.Sequential(
            nn.Conv2d(channels, num_feat, 5, padding=2, padding_mode='replicate'),
            ACTIVATIONS[activation](),
            nn.Conv2d(num_feat, num_feat // 2, 3, padding=1, padding_mode='replicate'),
            ACTIVATIONS[activation](),
            nn.Conv2d(num_feat // 2, channels * scale**2, 3, padding=1, padding_mode='replicate'),
            nn.PixelShuffle(scale),
        )

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Super-resolves images.

        Args:
            lq (Tensor): (N, 3, h, w), RGB, [0, 1].

        Returns:
            Tensor: (N, 3, h * scale, w * scale), RGB, not clamped.
        """
        if not self.luma:
            return self.body(lq)
        new = self.body(luma(lq))
        return exchange_luma(imresize(lq, (new.shape[-2], new.shape[-1])), new)
