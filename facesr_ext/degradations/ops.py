"""What the steps of a degradation do with images, each on a batch (N, 3, H, W), RGB, [0, 1], on its own device."""

from __future__ import annotations

from functools import lru_cache

import cv2
import torch
from scipy.fft import next_fast_len
from torch.nn import functional as F

from facesr_ext.errors import DatasetError

RESIZE_MODES = ('area', 'bilinear', 'bicubic')
USM_RADIUS = 51


def on_device_of(values: torch.Tensor, img: torch.Tensor) -> torch.Tensor:
    """Values from the CPU on the image's device, without waiting until it has done what it was asked before."""
    return values.to(img.device, non_blocking=img.is_cuda)


def blur(img: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Filters each image by its own kernel (N, k, k), reflecting at the borders.

    Equals BasicSR's ``filter2D``, but multiplies spectra: with kernels so wide that is faster on a CPU.

    A kernel that is wider than the image can be reflected is cut to what fits: a small face that an earlier step has
    made smaller still must not end a run.
    """
    height, width = img.shape[-2:]
    half = kernels.shape[-1] // 2
    room = min(half, min(height, width) - 1)
    if room < half:
        kernels = kernels[:, half - room : half + room + 1, half - room : half + room + 1]
        kernels = kernels / kernels.sum((1, 2), keepdim=True)
    padded = F.pad(img, (room,) * 4, mode='reflect')
    size = [next_fast_len(length, real=True) for length in padded.shape[-2:]]
    spectrum = torch.fft.rfft2(padded, s=size)
    spectrum *= torch.fft.rfft2(on_device_of(kernels, img).flip(-2, -1), s=size)[:, None]
    whole = torch.fft.irfft2(spectrum, s=size)
    return whole[..., 2 * room : 2 * room + height, 2 * room : 2 * room + width]


def usm_sharpen(img: torch.Tensor, weight: float = 0.5, threshold: float = 10.0) -> torch.Tensor:
    """Unsharp masking as Real-ESRGAN's ``USMSharp`` (radius 50), by two one-dimensional filters.

    Args:
        img (Tensor): (N, 3, H, W), [0, 1]; H and W over 25 px.
        weight (float): Share of the difference to the blurred image that is added.
        threshold (float): Differences up to this, of 255, are left alone.
    """
    difference = img - _gaussian(img)
    mask = _gaussian((difference.abs() * 255 > threshold).to(img.dtype))
    sharp = (img + weight * difference).clamp(0, 1)
    return mask * sharp + (1 - mask) * img


def _gaussian(img: torch.Tensor) -> torch.Tensor:
    """Gaussian blur by matrix products: for so wide a kernel several times faster than convolutions.

    The matrices are banded, so each block of 64 rows (columns) is made from the 114 that it depends on.
    """
    rows, cols = (_blur_matrix(length, img.device, img.dtype) for length in img.shape[-2:])
    img = torch.cat([rows[out, taken] @ img[..., taken, :] for out, taken in _bands(len(rows))], -2)
    return torch.cat([img[..., taken] @ cols[out, taken].t() for out, taken in _bands(len(cols))], -1)


def _bands(length: int, block: int = 64) -> list[tuple[slice, slice]]:
    """Blocks of an axis, each with what of the axis the blur reads for it."""
    half = USM_RADIUS // 2
    return [(slice(a, a + block), slice(max(0, a - half), a + block + half)) for a in range(0, length, block)]


@lru_cache(maxsize=16)
def _blur_matrix(length: int, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    """(length, length): Gaussian blur along an axis, reflected at its ends. Shared: do not write into it."""
    half = USM_RADIUS // 2
    if length <= half:
        raise DatasetError(
            f'an image of {length} px a side is too small for USM, which needs more than {half} px: enlarge '
            'image_size / gt_size, or set usm_lq and usm_target to false'
        )
    taps = torch.arange(length)[:, None] + torch.arange(-half, half + 1)
    taps = taps.abs()
    taps = torch.where(taps >= length, 2 * (length - 1) - taps, taps)
    weights = torch.from_numpy(cv2.getGaussianKernel(USM_RADIUS, 0)).flatten().expand_as(taps)
    return torch.zeros(length, length, dtype=torch.float64).scatter_add_(1, taps, weights).to(device, dtype)


def resize(img: torch.Tensor, size: tuple[int, int], mode: str) -> torch.Tensor:
    """Resizes as torch does, without antialiasing but for 'area': what Real-ESRGAN's degradation means by its modes."""
    return F.interpolate(img, size=size, mode=mode)


def resize_by_factor(img: torch.Tensor, factor: float, mode: str) -> torch.Tensor:
    """Resizes as :func:`resize`, to whole pixels of (H, W) * ``factor``, but reads at just this factor.

    Where that gives no whole number, a strip below one pixel of the result is lost at the right and at the bottom, and
    whatever brings the image back to a fixed size moves its content there. 'area' knows sizes alone. It is what
    Real-ESRGAN's first resize does.
    """
    if min(img.shape[-2:]) * factor < 1:
        return resize(img, (max(1, int(img.shape[-2] * factor)), max(1, int(img.shape[-1] * factor))), mode)
    return F.interpolate(img, scale_factor=factor, mode=mode)


def resize_by_opencv(img: torch.Tensor, size: tuple[int, int], mode: str) -> torch.Tensor:
    """Resizes as OpenCV does: a pixel by 'area' is the mean of just what it covers, also when it enlarges.

    Torch's 'area' counts every pixel that is touched as a whole, which leaves blocks where OpenCV leaves none.
    """
    if mode != 'area':
        return resize(img, size, mode)
    rows, cols = (_coverage(length, out, img) for length, out in zip(img.shape[-2:], size, strict=True))
    return rows @ img @ cols.t()


def _coverage(length: int, out: int, like: torch.Tensor) -> torch.Tensor:
    """(out, length): the share that each pixel of an axis has in each of the resized one; rows sum to 1."""
    edges = torch.arange(out + 1, device=like.device, dtype=like.dtype) * (length / out)
    starts = torch.arange(length, device=like.device, dtype=like.dtype)
    overlap = torch.minimum(edges[1:, None], starts + 1) - torch.maximum(edges[:-1, None], starts)
    return overlap.clamp_(min=0) * (out / length)
