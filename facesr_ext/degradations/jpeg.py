"""JPEG compression of a batch on its own device, quality by image."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import torch
from basicsr.utils import diffjpeg
from torch.nn import functional as F

from facesr_ext.degradations.ops import on_device_of
from facesr_ext.imaging import dct_basis

CodecName = Literal['libjpeg', 'diffjpeg']
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
    matrices = (torch.tensor(_TO_YCBCR), torch.tensor(_FROM_CBCR), dct_basis())
    return _Matrices(*(matrix.to(device, dtype) for matrix in matrices))


class DiffJpeg:
    """BasicSR's ``DiffJPEG(differentiable=False)``, with which Real-ESRGAN is trained.

    It takes the table of luma with rows and columns exchanged, rounds nothing but frequencies, repeats chroma's pixels,
    and sets black beside an image whose sides are no multiple of 16.

    Attributes:
        padding (str): What lies beside the image, a mode of ``torch.nn.functional.pad``.
        enlarging (str): How chroma comes back to full size, a mode of ``torch.nn.functional.interpolate``.
        tie (float): What is added before rounding.
        upright (bool): The table of luma has rows and columns as in the standard; BasicSR stores them exchanged.
    """

    padding, enlarging, tie, upright = 'constant', 'nearest', 0.0, False

    def steps(self, quality: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 64) of luma and of chroma for qualities (N,): what frequencies are rounded to multiples of."""
        # BasicSR's tables are parameters, shared by all its codecs: whoever brings one to a device takes them along
        luma, chroma = (table.detach().cpu() for table in (diffjpeg.y_table, diffjpeg.c_table))
        return self._scaled(luma.t() if self.upright else luma, quality), self._scaled(chroma, quality)

    def whole(self, planes: torch.Tensor) -> torch.Tensor:
        """Values 0 to 255 on the way in, as the codec keeps them."""
        return planes

    def decoded(self, planes: torch.Tensor) -> torch.Tensor:
        """Luma or chroma, -128 to 127, on the way out."""
        return planes

    def _scaled(self, table: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
        return table.flatten() * torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None]


class LibJpeg(DiffJpeg):
    """What a JPEG file holds, as OpenCV writes and reads it, to 44 dB from quality 20 on."""

    padding, enlarging, tie, upright = 'replicate', 'bilinear', _TIE, True

    def whole(self, planes: torch.Tensor) -> torch.Tensor:
        return planes.round_()

    def decoded(self, planes: torch.Tensor) -> torch.Tensor:
        return planes.round_().clamp_(-128, 127)

    def _scaled(self, table: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
        return (super()._scaled(table, quality) + 0.5).floor().clamp(1, 255)


CODECS: dict[str, DiffJpeg] = {'libjpeg': LibJpeg(), 'diffjpeg': DiffJpeg()}


def compress(img: torch.Tensor, quality: torch.Tensor, codec: CodecName = 'libjpeg') -> torch.Tensor:
    """Compresses and decompresses each image at its own quality, chroma at half the size (4:2:0).

    Args:
        img (Tensor): (N, 3, H, W), RGB; clamped to [0, 1] first, as values beyond would ring.
        quality (Tensor): (N,), on the CPU; clamped to 1 to 99, as 'diffjpeg' has no steps for 100.
        codec (str): 'libjpeg' (:class:`LibJpeg`) or 'diffjpeg' (:class:`DiffJpeg`). Default: 'libjpeg'.

    Returns:
        Tensor: (N, 3, H, W), RGB, [0, 1].
    """
    num, _, height, width = img.shape
    how, matrices = CODECS[codec], _matrices(img.device, img.dtype)
    luma_steps, chroma_steps = (on_device_of(steps, img) for steps in how.steps(quality.clamp(1, 99)))
    margin = (0, -width % 16, 0, -height % 16)
    levels = how.whole(F.pad(img.clamp(0, 1) * 255, margin, mode=how.padding))
    ycbcr = how.whole((matrices.to_ycbcr @ levels.flatten(2)).view_as(levels).add_(how.tie))
    small = F.avg_pool2d(ycbcr[:, 1:], 2)
    luma = how.decoded(_requantise(ycbcr[:, :1] - 128, luma_steps, how.tie, matrices.dct))
    chroma = how.decoded(_requantise(small, chroma_steps, how.tie, matrices.dct))
    colour = (matrices.from_cbcr @ chroma.flatten(2)).view(num, 3, *small.shape[-2:])
    colour = F.interpolate(colour, scale_factor=2.0, mode=how.enlarging)
    return colour.add_(luma).add_(128).div_(255).clamp_(0, 1)[..., :height, :width].contiguous()


def _requantise(planes: torch.Tensor, steps: torch.Tensor, tie: float, dct: torch.Tensor) -> torch.Tensor:
    """Rounds the frequencies of each 8 x 8 block of (N, C, H, W) to multiples of steps (N, 64)."""
    num, channels, height, width = planes.shape
    grid = planes.reshape(num, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    blocks = grid.transpose(3, 4).reshape(num, -1, _BLOCK * _BLOCK)
    steps = steps[:, None]
    blocks = (blocks @ dct.t()).div_(steps).add_(tie).round_().mul_(steps) @ dct
    grid = blocks.view(num, channels, height // _BLOCK, width // _BLOCK, _BLOCK, _BLOCK)
    return grid.transpose(3, 4).reshape(planes.shape)
