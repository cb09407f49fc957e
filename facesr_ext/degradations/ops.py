"""The steps of a degradation, each on a batch (N, 3, H, W), RGB, [0, 1], on its own device."""

from __future__ import annotations

from functools import lru_cache

import cv2
import torch
from basicsr.utils.img_process_util import filter2D
from torch.nn import functional as F

from facesr_ext.degradations.draws import Draws, Range
from facesr_ext.errors import DatasetError

RESIZE_MODES = ('area', 'bilinear', 'bicubic')
USM_RADIUS = 51
_GREY = (0.2989, 0.587, 0.114)  # as torchvision's rgb_to_grayscale, which Real-ESRGAN uses


def blur(img: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Filters each image by its own kernel (N, k, k), reflecting at the borders.

    A kernel that is wider than the image can be reflected is cut to what fits: a small face that an earlier step has
    made smaller still must not end a run.
    """
    half = kernels.shape[-1] // 2
    room = min(half, min(img.shape[-2:]) - 1)
    if room < half:
        kernels = kernels[:, half - room : half + room + 1, half - room : half + room + 1]
        kernels = kernels / kernels.sum((1, 2), keepdim=True)
    return filter2D(img.contiguous(), kernels.to(img.device))


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
    rows, cols = (_blur_matrix(length).to(img) for length in img.shape[-2:])
    img = torch.cat([rows[out, taken] @ img[..., taken, :] for out, taken in _bands(len(rows))], -2)
    return torch.cat([img[..., taken] @ cols[out, taken].t() for out, taken in _bands(len(cols))], -1)


def _bands(length: int, block: int = 64) -> list[tuple[slice, slice]]:
    """Blocks of an axis, each with what of the axis the blur reads for it."""
    half = USM_RADIUS // 2
    return [(slice(a, a + block), slice(max(0, a - half), a + block + half)) for a in range(0, length, block)]


@lru_cache(maxsize=16)
def _blur_matrix(length: int) -> torch.Tensor:
    """(length, length) float32 on the CPU: Gaussian blur along an axis, reflected at its ends. Do not write into it."""
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
    return torch.zeros(length, length, dtype=torch.float64).scatter_add_(1, taps, weights).float()


def resize(img: torch.Tensor, size: tuple[int, int], mode: str) -> torch.Tensor:
    """Resizes as torch does, without antialiasing but for 'area': what Real-ESRGAN's degradation means by its modes."""
    return F.interpolate(img, size=size, mode=mode)


def add_gaussian_noise(img: torch.Tensor, sigma: torch.Tensor, grey: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Normal noise of deviation sigma (N,), of 255; the same in all channels where grey (N,) is True. Clamped."""
    noise = draws.normal_like(img, 3)
    noise = torch.where(_per_image(grey, img) > 0, noise[:, :1], noise)
    return (img + noise * _per_image(sigma / 255, img)).clamp(0, 1)


def add_poisson_noise(img: torch.Tensor, scale: torch.Tensor, grey: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Shot noise times scale (N,); grey (N,) takes the luma's noise for all channels. Clamped.

    As in Real-ESRGAN, an image of n different levels has 2 ** ceil(log2 n) photons at full brightness.
    """
    colour = _shot_noise(img, draws)
    if bool(grey.any()):
        luma = torch.einsum('nchw,c->nhw', img, img.new_tensor(_GREY))[:, None]
        colour = torch.where(_per_image(grey, img) > 0, _shot_noise(luma, draws), colour)
    return (img + colour * _per_image(scale, img)).clamp(0, 1)


def _shot_noise(img: torch.Tensor, draws: Draws) -> torch.Tensor:
    levels = img.mul(255).round().clamp(0, 255)
    photons = torch.exp2(torch.ceil(torch.log2(count_levels(levels).float()))).view(-1, 1, 1, 1)
    clean = levels / 255
    return draws.poisson(clean * photons) / photons - clean


def count_levels(levels: torch.Tensor) -> torch.Tensor:
    """(N,): how many different whole numbers from 0 to 255 each image of a batch holds; by counting, not by sorting."""
    num = levels.shape[0]
    offsets = torch.arange(num, device=levels.device).view(-1, *[1] * (levels.dim() - 1)) * 256
    counts = torch.bincount((levels.long() + offsets).flatten(), minlength=num * 256)
    return (counts.view(num, 256) > 0).sum(1)


def _per_image(values: torch.Tensor, img: torch.Tensor) -> torch.Tensor:
    return values.to(img.device, img.dtype).view(-1, 1, 1, 1)


def add_noise(
    img: torch.Tensor, gaussian_prob: float, sigma: Range, poisson_scale: Range, grey_prob: float, draws: Draws
) -> torch.Tensor:
    """Normal noise for some images of a batch, shot noise for the others; strength and grey drawn for each.

    Args:
        img (Tensor): (N, 3, H, W), [0, 1].
        gaussian_prob (float): Share of images with normal noise.
        sigma (Range): Its standard deviation, of 255.
        poisson_scale (Range): Strength of shot noise.
        grey_prob (float): Share of images whose noise is the same in all channels.
        draws (Draws): What it draws from.
    """
    num = len(img)
    gaussian, grey = draws.chance(gaussian_prob, num), draws.chance(grey_prob, num)
    sigmas, scales = draws.uniform(sigma, num), draws.uniform(poisson_scale, num)
    out = img.clone()
    for chosen, strength, add in ((gaussian, sigmas, add_gaussian_noise), (~gaussian, scales, add_poisson_noise)):
        if bool(chosen.any()):
            index = chosen.nonzero().flatten().to(img.device)
            out[index] = add(img[index], strength[chosen], grey[chosen], draws)
    return out
