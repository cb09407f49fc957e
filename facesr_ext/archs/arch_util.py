"""What networks share: their description, initialisation and MATLAB's bicubic resize."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import nn

__all__ = ['ArchInfo', 'arch_info', 'imresize', 'quantize', 'resize_matrix']


@dataclass(frozen=True)
class ArchInfo:
    """What a network needs to be fed and what it can do.

    Attributes:
        scale (int): LR-to-HR factor that the network was built for; 1 where it does not change the size.
        input (str): 'small' where it takes the LR image itself, 'enlarged' where it takes the LR image brought to HR
            size, 'hr' where it takes the HR image and makes the LR one of it.
        multiple_of (int): Height and width of the input must be a multiple of this.
        fixed_size (int | None): The one input size that it takes, or None.
        halves (bool): Whether bf16 / fp16 autocast is allowed.
    """

    scale: int = 1
    input: str = 'small'
    multiple_of: int = 1
    fixed_size: int | None = None
    halves: bool = True


def arch_info(net: nn.Module) -> ArchInfo:
    """The :class:`ArchInfo` of a network; BasicSR's own state none and take the small image."""
    info = getattr(net, 'info', None)
    return info if isinstance(info, ArchInfo) else ArchInfo(scale=int(getattr(net, 'upscale', 1)))


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel with a = -0.5, MATLAB's choice (OpenCV and torch take -0.75)."""
    ax = np.abs(x)
    near = (1.5 * ax - 2.5) * ax * ax + 1.0
    far = ((-0.5 * ax + 2.5) * ax - 4.0) * ax + 2.0
    return np.where(ax <= 1, near, np.where(ax <= 2, far, 0.0))


@lru_cache(maxsize=64)
def resize_matrix(in_length: int, out_length: int) -> torch.Tensor:
    """Weights of MATLAB's ``imresize(..., 'bicubic')`` along one axis.

    Antialiased when it shrinks, mirrored at the borders (half-sample symmetric), rows sum to 1.

    Returns:
        Tensor: (out_length, in_length), float64, on the CPU. Shared: do not write into it.
    """
    scale = out_length / in_length
    stretch = min(scale, 1.0)  # < 1 widens the kernel: MATLAB's antialiasing
    centre = (np.arange(out_length) + 0.5) / scale - 0.5
    support = int(np.ceil(4.0 / stretch)) + 2
    taps = np.floor(centre - 2.0 / stretch).astype(np.int64)[:, None] + np.arange(support)
    weight = stretch * _cubic((centre[:, None] - taps) * stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = np.mod(taps, 2 * in_length)
    mirrored = np.where(mirrored < in_length, mirrored, 2 * in_length - 1 - mirrored)
    matrix = np.zeros((out_length, in_length))
    np.add.at(matrix, (np.repeat(np.arange(out_length), support), mirrored.ravel()), weight.ravel())
    return torch.from_numpy(matrix)


def imresize(img: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """MATLAB's antialiased bicubic resize on the tensor's own device, differentiable.

    Equals ``basicsr.utils.matlab_functions.imresize``, for a whole batch and without its loop over rows.

    Args:
        img (Tensor): (..., h, w), floating point, any range.
        size (tuple[int, int]): Output height and width.

    Returns:
        Tensor: (..., *size), same dtype; overshoots the input's range a little, as every cubic does.
    """
    rows = resize_matrix(img.shape[-2], size[0]).to(device=img.device, dtype=img.dtype)
    cols = resize_matrix(img.shape[-1], size[1]).to(device=img.device, dtype=img.dtype)
    return rows @ img @ cols.t()


def quantize(img: torch.Tensor) -> torch.Tensor:
    """Rounds an image in [0, 1] to the 256 levels that an 8-bit file can hold (and clamps it)."""
    return img.mul(255).round_().clamp_(0, 255).div_(255)
