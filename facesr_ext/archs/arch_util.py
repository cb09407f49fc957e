"""What several networks begin with."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def icnr_(conv: nn.Conv2d, factor: int = 2) -> None:
    """Initialises the convolution before a pixel shuffle so that the two begin as nearest-neighbour enlarging.

    All of the ``factor ** 2`` output channels that the shuffle lays side by side begin as the first of them, which
    keeps the checkerboard of independent ones out of the result. Paper: Checkerboard artifact free sub-pixel
    convolution (Aitken et al., 2017).

    Args:
        conv (Conv2d): Its weights are changed in place.
        factor (int): Of the pixel shuffle. Default: 2.
    """
    for parameter in conv.parameters():
        parameter.copy_(parameter[:: factor**2].repeat_interleave(factor**2, dim=0))
