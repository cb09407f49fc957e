"""Metrics of whole images beside PSNR and SSIM of windows: SSIM of one window, and NIQE."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from basicsr.metrics import calculate_metric, calculate_niqe

from facesr_ext.faces.drawn.face import render_face
from facesr_ext.metrics import metric_info
from facesr_ext.metrics.metric_info import Metrics, higher_is_better, needs_reference


def _pair(size: int = 64) -> dict[str, np.ndarray]:
    gt = render_face(0, 1, size).image
    noise = np.random.default_rng(0).normal(0, 12, gt.shape)
    return {'img': np.clip(gt + noise, 0, 255).astype(np.uint8), 'img2': gt}


def test_ssim_of_one_window_by_hand() -> None:
    """Two pixels a channel, 0 and 2 against 2 and 6: means 1 and 4, deviations sqrt(2) and sqrt(8), covariance 4."""
    x, y = (np.repeat(np.array([[a, b]], np.uint8)[..., None], 3, 2) for a, b in ((0, 2), (2, 6)))
    x, y = (np.repeat(image, 2, 0) for image in (x, y))  # four pixels: variances 4 / 3 and 16 / 3, covariance 8 / 3
    c1, c2 = 6.5025, 58.5225
    luminance = (2 * 1 * 4 + c1) / (1 + 16 + c1)
    contrast = (2 * math.sqrt(4 / 3 * 16 / 3) + c2) / (4 / 3 + 16 / 3 + c2)
    structure = (8 / 3 + c2 / 2) / (math.sqrt(4 / 3 * 16 / 3) + c2 / 2)
    value = calculate_metric({'img': x, 'img2': y}, {'type': 'ssim_global'})
    assert value == pytest.approx(luminance * contrast * structure, abs=1e-12)


def test_ssim_of_one_window_is_that_of_windows_at_its_ends_alone() -> None:
    pair = _pair()
    same = {'img': pair['img'], 'img2': pair['img']}
    assert calculate_metric(same, {'type': 'ssim_global'}) == pytest.approx(1)
    noisy, inverted = (
        calculate_metric({**pair, 'img': image}, {'type': 'ssim_global', 'crop_border': 4})
        for image in (pair['img'], 255 - pair['img2'])
    )
    assert inverted < 0 < noisy < 1
    inner = {key: image[4:-4, 4:-4] for key, image in pair.items()}
    assert calculate_metric(inner, {'type': 'ssim_global'}) == noisy


def test_niqe_is_basicsrs_and_nan_on_small_images(told: list[str]) -> None:
    metric_info._told.clear()
    image = _pair(200)['img']
    assert not needs_reference('niqe') and higher_is_better('niqe') is False
    expected = calculate_niqe(image, crop_border=0)
    for given in ({'img': image}, {'img': image, 'img2': image}):  # BasicSR's models hand on the GT, too
        assert calculate_metric(given, {'type': 'niqe', 'better': 'lower'}) == pytest.approx(expected)
    small = image[:191]
    assert math.isnan(Metrics({'n': {'type': 'niqe'}}).measure(small, small)['n'])
    assert told == ['niqe needs 192 px a side, and an image has 200x191 px: nan']


def test_niqe_of_a_flat_image_is_nan(told: list[str]) -> None:
    metric_info._told.clear()
    image = np.full((200, 200, 3), 77, np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # numpy's mean of nothing
        assert math.isnan(Metrics({'n': {'type': 'niqe'}}).measure(image, image)['n'])
    assert 'niqe: an image is too flat: nan' in told
