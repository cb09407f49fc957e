"""From an LQ batch to its result: what validation, test and :class:`~facesr_ext.inference.restorer.Restorer` share."""

from __future__ import annotations

from collections.abc import Callable

import torch

from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.imaging import imresize, mirror, quantize
from facesr_ext.models.tiles import Tiling, tiled

Forward = Callable[[torch.Tensor], torch.Tensor]


def enlarge(lq: torch.Tensor, scale: int) -> torch.Tensor:
    """(N, 3, h, w) in [0, 1] -> (N, 3, h * scale, w * scale) by MATLAB's bicubic, 8-bit levels."""
    return quantize(imresize(lq, (lq.shape[-2] * scale, lq.shape[-1] * scale)))


def mirror_mean(sr: torch.Tensor, forward: Forward, lq: torch.Tensor) -> torch.Tensor:
    """The mean of a result and that of the mirrored picture (Timofte et al., CVPR 2016: self-ensemble), not rounded.

    Args:
        sr (Tensor): (N, 3, H, W), what ``forward`` makes of ``lq``.
        forward (Callable): The network.
        lq (Tensor): (N, 3, h, w), or with coordinates (N, 5, h, w).
    """
    return (sr + forward(mirror(lq)).flip(-1)) / 2


def mirrored(forward: Forward) -> Forward:
    """A network whose result is its :func:`mirror_mean`."""
    return lambda lq: mirror_mean(forward(lq), forward, lq)


def upscale(
    net: Forward,
    lq: torch.Tensor,
    info: ArchInfo,
    scale: int,
    tiling: Tiling | None = None,
    self_ensemble: bool = False,
) -> torch.Tensor:
    """The result for a batch as the network takes it.

    Args:
        net (Callable): The network, in evaluation mode.
        lq (Tensor): (N, 3, h, w), RGB, [0, 1]: small, or enlarged where ``info`` says so; with coordinates
            (N, 5, h, w) where it says so.
        info (ArchInfo): Of the network.
        scale (int): LR-to-HR factor.
        tiling (Tiling | None): Cut pictures that are larger than a tile.
        self_ensemble (bool): Take the mean with the mirrored picture's result.

    Returns:
        Tensor: (N, 3, H, W), RGB, not clamped.
    """
    forward = mirrored(net) if self_ensemble else net
    if tiling is None or not tiling.needed(lq):
        return forward(lq)
    return tiled(forward, lq, tiling, 1 if info.input == 'enlarged' else scale, info.sizes.multiple_of)
