"""Metrics whose names carry their convention; BasicSR's own, where it has them.

All take ``img`` and ``img2``: (H, W, 3) uint8 BGR, as BasicSR hands them over, and accept ``crop_border``.
"""

from __future__ import annotations

import numpy as np
from basicsr.metrics.psnr_ssim import calculate_psnr, calculate_ssim

from facesr_ext.errors import DatasetError
from facesr_ext.metrics.metric_info import register_metric


def _same_size(img: np.ndarray, img2: np.ndarray) -> None:
    if img.shape != img2.shape:
        raise DatasetError(
            f'the result is {img.shape[1]}x{img.shape[0]} px, its GT {img2.shape[1]}x{img2.shape[0]} px: '
            'scale, lq_enlarged and the network do not fit each other'
        )


@register_metric(higher_is_better=True)
def psnr_rgb(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """PSNR (dB) over all RGB values, 8 bit."""
    _same_size(img, img2)
    return float(calculate_psnr(img, img2, crop_border=crop_border))


@register_metric(higher_is_better=True)
def psnr_y(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """PSNR (dB) of MATLAB's luma (16-235), not rounded."""
    _same_size(img, img2)
    return float(calculate_psnr(img, img2, crop_border=crop_border, test_y_channel=True))


@register_metric(higher_is_better=True, least=11)
def ssim_rgb(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM (Gaussian 11x11, sigma 1.5, valid region), mean of the RGB channels."""
    _same_size(img, img2)
    return float(calculate_ssim(img, img2, crop_border=crop_border))


@register_metric(higher_is_better=True, least=11)
def ssim_y(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM (Gaussian 11x11, sigma 1.5, valid region) of MATLAB's luma, not rounded."""
    _same_size(img, img2)
    return float(calculate_ssim(img, img2, crop_border=crop_border, test_y_channel=True))


@register_metric(higher_is_better=True)
def psnr_y_fsrnet(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """PSNR-Y (dB) of FSRNet's published script: luma cut off to whole numbers, squared error at least 1 (48.13 dB)."""
    _same_size(img, img2)
    difference = _luma_floor(img) - _luma_floor(img2)
    if crop_border:
        difference = difference[crop_border:-crop_border, crop_border:-crop_border]
    return float(10 * np.log10(255.0**2 / max(1.0, float(np.mean(difference**2)))))


@register_metric(higher_is_better=True, least=11)
def ssim_y_fsrnet(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM as `ssim_y`, of luma cut off to whole numbers: the convention of FSRNet's published figures."""
    _same_size(img, img2)
    lumas = [_luma_floor(image)[..., None] for image in (img, img2)]
    return float(calculate_ssim(*lumas, crop_border=crop_border))


def _luma_floor(bgr: np.ndarray) -> np.ndarray:
    return np.floor(bgr.astype(np.float64) @ np.array([24.966, 128.553, 65.481]) / 255 + 16)
