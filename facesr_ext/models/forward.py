"""From an LQ batch to its result: what validation, test and :class:`~facesr_ext.inference.restorer.Restorer` share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.imaging import imresize, mirror, quantize
from facesr_ext.models.tiles import Tiling, tiled

Forward = Callable[[torch.Tensor], torch.Tensor]


def enlarge(lq: torch.Tensor, scale: int) -> torch.Tensor:
    """(N, 3, h, w) in [0, 1] -> (N, 3, h * scale, w * scale) by MATLAB's bicubic, 8-bit levels."""
    return quantize(imresize(lq, (lq.shape[-2] * scale, lq.shape[-1] * scale)))


def cut_to_multiple(data: Mapping[str, Any], scale: int, enlarged: bool) -> dict[str, Any]:
    """A collated sample whose GT, with its labels, is a multiple of the scale, as benchmarks cut theirs.

    What is cut off lies below and on the right, so that landmarks stay where they are.

    Args:
        data (Mapping): ``gt`` (N, 3, H, W), ``parsing`` (N, H, W), ``lq`` and what else a data set gives.
        scale (int): LR-to-HR factor.
        enlarged (bool): A stored LQ is at HR size, and is cut, too.

    Returns:
        dict: The same; new tensors where anything was cut.
    """
    cut = dict(data)
    for key in ('gt', 'parsing', 'lq') if enlarged else ('gt', 'parsing'):
        if key in cut:
            height, width = (side - side % scale for side in cut[key].shape[-2:])
            cut[key] = cut[key][..., :height, :width]
    return cut


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
    """The result for a batch; sizes that the network does not take are filled up by repeating the border, and cut.

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
    forward, factor = mirrored(net) if self_ensemble else net, 1 if info.input == 'enlarged' else scale
    height, width = lq.shape[-2:]
    down, right = info.sizes.padding((height, width))
    given = F.pad(lq, (0, right, 0, down), mode='replicate') if down or right else lq
    if tiling is None or not tiling.needed(given):
        sr = forward(given)
    else:
        sr = tiled(forward, given, tiling, factor, info.sizes.multiple_of)
    return sr[..., : height * factor, : width * factor] if down or right else sr
