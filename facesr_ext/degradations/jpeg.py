"""JPEG compression of a batch on its own device, quality by image."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from basicsr.utils import diffjpeg
from torch.nn import functional as F

from facesr_ext.degradations.ops import beside

CODECS = ('libjpeg', 'diffjpeg')
_BLOCK = 8
_TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))  # JFIF
_FROM_CBCR = ((0.0, 1.402), (-0.344136, -0.714136), (1.772, 0.0))
_TIE = 5e-4  # whole numbers meet halves often; every device is to round these up, whatever its last digit is


class _Matrices(NamedTuple):
    """What a codec multiplies by, on one device."""

    to_ycbcr: torch.Tensor  # (3, 3)
    from_cbcr: torch.Tensor  # (3, 2)
    dct: torch.Tensor  # (64, 64), orthonormal: frequencies of a block's pixels


@lru_cache(maxsize=8)
def _matrices(device: torch.device, dtype: torch.dtype) -> _Matrices:
    axis = torch.arange(_BLOCK, dtype=torch.float64)
    cosines = torch.cos((2 * axis + 1) * axis[:, None] * math.pi / (2 * _BLOCK))
    cosines *= torch.where(axis == 0, math.sqrt(1 / _BLOCK), math.sqrt(2 / _BLOCK))[:, None]
    matrices = (torch.tensor(_TO_YCBCR), torch.tensor(_FROM_CBCR), torch.kron(cosines, cosines))
    return _Matrices(*(matrix.to(device, dtype) for matrix in matrices))


def compress(img: torch.Tensor, quality: torch.Tensor, codec: str = 'libjpeg') -> torch.Tensor:
    """Compresses and decompresses each image at its own quality, chroma at half the size (4:2:0).

    'libjpeg' gives what a JPEG file holds, as OpenCV writes and reads it, 44 dB from quality 20 on. 'diffjpeg' equals
    BasicSR's ``DiffJPEG(differentiable=False)``, with which Real-ESRGAN is trained: it takes the table of luma with
    rows and columns exchanged, rounds nothing but frequencies, repeats chroma's pixels, and sets black beside a picture
    whose sides are no multiple of 16.

    Args:
        img (Tensor): (N, 3, H, W), RGB; clamped to [0, 1] first, as values beyond would ring.
        quality (Tensor): (N,), on the CPU; clamped to 1 to 99, as 'diffjpeg' has no steps for 100.
        codec (str): One of :data:`CODECS`. Default: 'libjpeg'.

    Returns:
        Tensor: (N, 3, H, W), RGB, [0, 1].
    """
    num, _, height, width = img.shape
    as_file, matrices = codec == 'libjpeg', _matrices(img.device, img.dtype)
    luma_steps, chroma_steps = (beside(steps, img) for steps in _steps(quality.clamp(1, 99), as_file))
    margin = (0, -width % 16, 0, -height % 16)
    levels = F.pad(img.clamp(0, 1) * 255, margin, mode='replicate' if as_file else 'constant')
    levels = levels.round_() if as_file else levels
    ycbcr = (matrices.to_ycbcr @ levels.flatten(2)).view_as(levels)
    ycbcr = ycbcr.add_(_TIE).round_() if as_file else ycbcr
    tie = _TIE if as_file else 0.0
    luma = _requantise(ycbcr[:, :1] - 128, luma_steps, tie, matrices.dct)
    small = F.avg_pool2d(ycbcr[:, 1:], 2)
    chroma = _requantise(small, chroma_steps, tie, matrices.dct)
    if as_file:
        luma, chroma = (planes.round_().clamp_(-128, 127) for planes in (luma, chroma))
    colour = (matrices.from_cbcr @ chroma.flatten(2)).view(num, 3, *small.shape[-2:])
    colour = F.interpolate(colour, scale_factor=2.0, mode='bilinear' if as_file else 'nearest')
    return colour.add_(luma).add_(128).div_(255).clamp_(0, 1)[..., :height, :width].contiguous()


def _steps(quality: torch.Tensor, as_file: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """(N, 64) on the CPU, of luma and of chroma: what frequencies are rounded to multiples of."""
    # BasicSR's tables are parameters, shared by all its codecs: whoever brings one to a device takes them along
    luma, chroma = (table.detach().cpu() for table in (diffjpeg.y_table, diffjpeg.c_table))
    luma = luma.t() if as_file else luma  # stored with rows and columns exchanged
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None]
    steps = [table.flatten() * factor for table in (luma, chroma)]
    if as_file:
        steps = [(values + 0.5).floor().clamp(1, 255) for values in steps]
    return steps[0], steps[1]


def _requantise(planes: torch.Tensor, steps: torch.Tensor, tie: float, dct: torch.Tensor) -> torch.Tensor:
    """Rounds the frequencies of each 8 x 8 block of (N, C, H, W) to multiples of steps (N, 64)."""
    num, channels, height, width = planes.shape
    grid = planes.reshape(num, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    blocks = grid.transpose(3, 4).reshape(num, -1, _BLOCK * _BLOCK)
    steps = steps[:, None]
    blocks = (blocks @ dct.t()).div_(steps).add_(tie).round_().mul_(steps) @ dct
    grid = blocks.view(num, channels, height // _BLOCK, width // _BLOCK, _BLOCK, _BLOCK)
    return grid.transpose(3, 4).reshape(planes.shape)
