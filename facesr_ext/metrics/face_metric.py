"""Metrics whose names carry their convention; BasicSR's own, where it has them.

All take ``img`` and ``img2``: (H, W, 3) uint8 BGR, as BasicSR hands them over, and accept ``crop_border``.
"""

from __future__ import annotations

import numpy as np
from basicsr.metrics.psnr_ssim import calculate_psnr, calculate_ssim

from facesr_ext.metrics.metric_info import register_metric


@register_metric(higher_is_better=True, unit='dB')
def psnr_rgb(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """PSNR (dB) over all RGB values, 8 bit.

    Examples:
        >>> image = np.full((8, 8, 3), 100, np.uint8)
        >>> round(psnr_rgb(image, image + 1), 2)
        48.13
    """
    return float(calculate_psnr(img, img2, crop_border=crop_border))


@register_metric(higher_is_better=True, unit='dB')
def psnr_y(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """PSNR (dB) of MATLAB's luma (16-235), not rounded."""
    return float(calculate_psnr(img, img2, crop_border=crop_border, test_y_channel=True))


@register_metric(higher_is_better=True, least=11)
def ssim_rgb(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM (Gaussian 11x11, sigma 1.5, valid region), mean of the RGB channels."""
    return float(calculate_ssim(img, img2, crop_border=crop_border))


@register_metric(higher_is_better=True, least=11)
def ssim_y(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM (Gaussian 11x11, sigma 1.5, valid region) of MATLAB's luma, not rounded."""
    return float(calculate_ssim(img, img2, crop_border=crop_border, test_y_channel=True))


@register_metric(higher_is_better=True, unit='dB')
def psnr_y_fsrnet(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """PSNR-Y (dB) of FSRNet's published script: luma cut off to whole numbers, squared error at least 1 (48.13 dB)."""
    difference = _luma_floor(img) - _luma_floor(img2)
    if crop_border:
        difference = difference[crop_border:-crop_border, crop_border:-crop_border]
    return float(10 * np.log10(255.0**2 / max(1.0, float(np.mean(difference**2)))))


@register_metric(higher_is_better=True, least=11)
def ssim_y_fsrnet(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM as `ssim_y`, of luma cut off to whole numbers: the convention of FSRNet's published figures."""
    lumas = [_luma_floor(image)[..., None] for image in (img, img2)]
    return float(calculate_ssim(*lumas, crop_border=crop_border))


@register_metric(higher_is_better=True, least=2)
def ssim_global(img: np.ndarray, img2: np.ndarray, crop_border: int = 0) -> float:
    """SSIM of one window as large as the image: variances over N - 1, C3 = C2 / 2; mean of the RGB channels.

    l * c * s of the means, deviations and covariance of a whole channel: report S2's formula. It cannot be compared
    with an SSIM of windows: noise costs less, and where in the image an error lies does not count.
    """
    border = slice(crop_border, -crop_border or None)
    x, y = (image[border, border].reshape(-1, image.shape[2]).astype(np.float64) for image in (img, img2))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    (mean_x, mean_y), (std_x, std_y) = (x.mean(0), y.mean(0)), (x.std(0, ddof=1), y.std(0, ddof=1))
    covariance = ((x - mean_x) * (y - mean_y)).sum(0) / (len(x) - 1)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    contrast = (2 * std_x * std_y + c2) / (std_x**2 + std_y**2 + c2)
    structure = (covariance + c2 / 2) / (std_x * std_y + c2 / 2)
    return float((luminance * contrast * structure).mean())


def _luma_floor(bgr: np.ndarray) -> np.ndarray:
    return np.floor(bgr.astype(np.float64) @ np.array([24.966, 128.553, 65.481]) / 255 + 16)
