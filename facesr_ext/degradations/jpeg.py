"""JPEG compression of a batch on its own device, quality by image."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from basicsr.utils import diffjpeg
from torch.nn import functional as F

from facesr_ext.degradations.ops import beside

_BLOCK = 8
_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # JFIF
_FROM_CBCR = ((0.0, 1.402), (-0.344136, -0.714136), (1.772, 0.0))


class _Tables(NamedTuple):
    """What a codec multiplies by, on one device."""

    to_ycbcr: torch.Tensor  # (3, 3), from RGB in [0, 1] to 255 levels
    from_cbcr: torch.Tensor  # (3, 2)
    dct: torch.Tensor  # (64, 64), orthonormal: frequencies of a block's pixels
    luma: torch.Tensor  # (64,), quantisation at quality 50
    chroma: torch.Tensor


@lru_cache(maxsize=8)
def _tables(device: torch.device, dtype: torch.dtype) -> _Tables:
    axis = torch.arange(_BLOCK, dtype=torch.float64)
    cosines = torch.cos((2 * axis + 1) * axis[:, None] * math.pi / (2 * _BLOCK))
    cosines *= torch.where(axis == 0, math.sqrt(1 / _BLOCK), math.sqrt(2 / _BLOCK))[:, None]
    # BasicSR's tables are parameters, shared by all its codecs: whoever brings one to a device takes them along
    luma, chroma = (table.detach().flatten().cpu() for table in (diffjpeg.y_table, diffjpeg.c_table))
    tables = (torch.tensor(_TO_YCBCR) * 255, torch.tensor(_FROM_CBCR), torch.kron(cosines, cosines), luma, chroma)
    return _Tables(*(table.to(device, dtype) for table in tables))


def compress(img: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """Compresses and decompresses each image at its own quality, chroma at half the size (4:2:0).

    Equals BasicSR's ``DiffJPEG(differentiable=False)``, which reads each quality back from the device.

    Args:
        img (Tensor): (N, 3, H, W), RGB; clamped to [0, 1] first, as values beyond would ring.
        quality (Tensor): (N,), on the CPU; clamped to 1 to 99, as the tables have no steps for 100.

    Returns:
        Tensor: (N, 3, H, W), RGB, [0, 1].
    """
    num, _, height, width = img.shape
    tables = _tables(img.device, img.dtype)
    quality = quality.clamp(1, 99)
    factor = beside(torch.where(quality < 50, 50 / quality, 2 - quality / 50), img)[:, None]
    padded = F.pad(img.clamp(0, 1), (0, -width % 16, 0, -height % 16))  # with black, as DiffJPEG
    ycbcr = (tables.to_ycbcr @ padded.flatten(2)).view_as(padded)
    luma = _requantise(ycbcr[:, :1] - 128, tables.luma * factor, tables.dct)
    small = F.avg_pool2d(ycbcr[:, 1:], 2)
    chroma = _requantise(small, tables.chroma * factor, tables.dct)
    colour = (tables.from_cbcr @ chroma.flatten(2)).view(num, 3, *small.shape[-2:])
    rgb = F.interpolate(colour, scale_factor=2.0).add_(luma).add_(128).div_(255).clamp_(0, 1)
    return rgb[..., :height, :width].contiguous()


def _requantise(planes: torch.Tensor, steps: torch.Tensor, dct: torch.Tensor) -> torch.Tensor:
    """Rounds the frequencies of each 8 x 8 block of (N, C, H, W) to multiples of steps (N, 64)."""
    num, channels, height, width = planes.shape
    grid = planes.reshape(num, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    blocks = grid.transpose(3, 4).reshape(num, -1, _BLOCK * _BLOCK)
    steps = steps[:, None]
    blocks = (blocks @ dct.t()).div_(steps).round_().mul_(steps) @ dct
    grid = blocks.view(num, channels, height // _BLOCK, width // _BLOCK, _BLOCK, _BLOCK)
    return grid.transpose(3, 4).reshape(planes.shape)
