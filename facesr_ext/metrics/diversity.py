"""How much the results for one input differ, and what small pictures are like: functions of draws, no metrics of pairs.

Draws are (K, 3, h, w) RGB in [0, 1], made of one input with K random inputs; they are taken at 8 bit.
"""

from __future__ import annotations

import math
from itertools import combinations

import torch
from torch.nn import functional as F

from facesr_ext.imaging import imresize, low_pass, quantize, to_images
from facesr_ext.metrics.lpips_metric import Backbone, lpips_between

STATISTICS = ('mean', 'sharpness', 'noise', 'blockiness')
WINDOW, CONTENT = 3, 5
"""Sides of the windows that part structure from noise, and content from texture, pixels."""
_LEAST = 64  # px to which draws are enlarged for LPIPS


def spread(draws: torch.Tensor) -> float:
    """Standard deviation over the draws of each value of a pixel, their mean, in 8-bit units."""
    return float(_levels(draws).std(0).mean())


def structure_share(draws: torch.Tensor, window: int = WINDOW) -> float:
    """The share of the variance over the draws that is not noise of single pixels.

    Means over a sliding window keep what neighbours share, and 1 / window^2 of what they do not: of the variance that
    is left, that much is taken off. So white noise of any strength has a share of 0, and a colour or a brightness that
    varies 1; differences of sharpness, which are fine, count as noise.

    Args:
        draws (Tensor): K from 2 on, not smaller than the window.
        window (int): Odd, pixels. Default: 3.

    Returns:
        float: [0, 1]; NaN where the draws are all the same.
    """
    levels = _levels(draws).double()
    variance = F.avg_pool2d(levels.var(0)[None], window, 1)
    if not variance.any():
        return math.nan
    shared = F.avg_pool2d(levels, window, 1).var(0)
    part = 1 / window**2
    kept = (shared - part * variance[0]).sum() / (1 - part)
    return float((kept / variance.sum()).clamp(0, 1))


def tint_spread(draws: torch.Tensor) -> float:
    """Standard deviation over the draws of the mean of each channel, their mean, in 8-bit units: light and colour."""
    return float(_levels(draws).mean((2, 3)).std(0).mean())


def pairwise_lpips(draws: torch.Tensor, name: Backbone = 'alexnet') -> float:
    """Mean LPIPS of all pairs of draws, enlarged by bicubic to 64 px or more; raises as `LPIPS` does."""
    height, width = draws.shape[-2:]
    factor = max(1, math.ceil(_LEAST / min(height, width)))
    images = to_images(quantize(imresize(draws, (height * factor, width * factor))))
    return lpips_between(list(combinations(range(len(images)), 2)), images, name)


def picture_statistics(lq: torch.Tensor) -> list[float]:
    """`STATISTICS` of one picture.

    Args:
        lq (Tensor): (1, 3, h, w), RGB, [0, 1], from 3 px a side on.

    Returns:
        list[float]: Mean level; sharpness: standard deviation of the Laplacian; noise: median absolute deviation of the
        finest diagonal differences, as a standard deviation; all of 255. Blockiness: jumps across the 8 x 8 grid over
        those beside it; NaN below 9 px.
    """
    luma = (lq * 255).mean(1)[0]
    laplacian = F.conv2d(luma[None, None], luma.new_tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]]))
    diagonal = luma[1:, 1:] - luma[1:, :-1] - luma[:-1, 1:] + luma[:-1, :-1]
    jumps = (luma[:, 1:] - luma[:, :-1]).abs().mean(0)
    grid = torch.arange(len(jumps), device=jumps.device) % 8 == 7
    block = jumps[grid].mean() / jumps[~grid].mean().clamp(min=1e-3)
    return [float(v) for v in (luma.mean(), laplacian.std(), diagonal.abs().median() / 0.6745 / 2, block)]


def content_error(draws: torch.Tensor, hr: torch.Tensor, window: int = CONTENT) -> float:
    """How far the draws' low frequencies are from the HR picture's.

    Args:
        draws (Tensor): K from 1 on.
        hr (Tensor): (1, 3, H, W), RGB, [0, 1]; H and W are a multiple of h and w.
        window (int): Odd, pixels of the draws. Default: 5.

    Returns:
        float: Mean absolute difference, of 255, of means over the window: of a draw, and of the HR picture averaged
        over cells (Fritsche, Gu, Timofte, ICCVW 2019).
    """
    averaged = F.avg_pool2d(hr, hr.shape[-1] // draws.shape[-1])
    return float(low_pass(quantize(draws) - averaged, window).abs().mean() * 255)


def _levels(draws: torch.Tensor) -> torch.Tensor:
    return draws.clamp(0, 1).mul(255).round()
