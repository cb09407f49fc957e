"""The law of PSNR under salt-and-pepper noise, which report S1's table follows."""

from __future__ import annotations

import numpy as np
import pytest

from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.metrics.face_metric import psnr_rgb

# Report S1: probability of either extreme -> PSNR (dB). Its picture's constant is 5.15 to 5.22.
TABLE = {0.005: 25.2171, 0.025: 18.1606, 0.05: 15.1875, 0.1: 12.1646, 0.25: 8.19091, 0.5: 5.18667}


def _salt_and_pepper(img: np.ndarray, either: float, seed: int) -> np.ndarray:
    """Each value becomes 0 with probability ``either``, 255 likewise."""
    draw = np.random.default_rng(seed).random(img.shape)
    return np.where(draw < either, 0, np.where(draw < 2 * either, 255, img)).astype(np.uint8)


@pytest.mark.parametrize(('either', 'reported'), TABLE.items())
def test_psnr_falls_as_the_share_of_spoilt_values(either: float, reported: float) -> None:
    img = DrawnFaces(1, 0, 512)[0].image
    values = img.astype(np.float64)
    # MSE = p / 2 (E[x^2] + E[(255 - x)^2]), p = 2 either
    constant = 10 * np.log10(255**2 / ((values**2 + (255 - values) ** 2).mean() / 2))
    measured = psnr_rgb(_salt_and_pepper(img, either, 0), img)
    assert measured == pytest.approx(constant - 10 * np.log10(2 * either), abs=0.1)
    assert reported + 10 * np.log10(2 * either) == pytest.approx(5.185, abs=0.04)  # one constant for the whole table
