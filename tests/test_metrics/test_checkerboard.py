"""The grid of enlarging layers, of known patterns and of networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from basicsr.metrics import calculate_metric

from facesr_ext.archs.srresnet_arch import SRResNet
from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import to_images, to_tensor
from facesr_ext.metrics import metric_info
from facesr_ext.metrics.checkerboard_metric import checkerboard
from facesr_ext.metrics.metric_info import Metrics, higher_is_better, needs_reference

NONE = 1.5
"""dB that an image without a grid stays below."""


def _face(size: int = 128) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 4, (size, size, 1))
    return np.clip(render_face(0, 1, size).image + noise, 0, 255).astype(np.uint8)


def _with_grid(image: np.ndarray, levels: float, period: int) -> np.ndarray:
    """A cosine of a period in both directions, of an amplitude in levels."""
    waves = [np.cos(2 * np.pi * np.arange(side) / period) for side in image.shape[:2]]
    return np.clip(np.round(image + levels * np.outer(*waves)[..., None]), 0, 255).astype(np.uint8)


def test_a_grid_stands_out_the_more_the_stronger_it_is() -> None:
    values = [checkerboard(_with_grid(_face(), levels, 2)) for levels in (0, 2, 4, 8)]
    assert values[0] < NONE and np.all(np.diff(values) > 0.2), values
    assert checkerboard(_with_grid(_face(), 8, 2), period=2) > 5 + values[-1]  # one of 3 frequencies, for 15


def test_a_grid_is_found_by_its_own_period_wherever_it_begins() -> None:
    image = _with_grid(_face(), 8, 4)
    assert checkerboard(image) > checkerboard(_face()) + 2
    assert checkerboard(image, period=2) < NONE
    moved = image[1:, 3:]
    assert checkerboard(moved) == pytest.approx(checkerboard(image), abs=1)
    assert checkerboard(image, crop_border=2) == checkerboard(image[2:-2, 2:-2])


@pytest.mark.parametrize('size', [(64, 64), (67, 130), (512, 200)])
def test_nothing_stands_out_of_noise_or_of_nothing(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert abs(checkerboard(noise)) < NONE
    assert checkerboard(np.full((*size, 3), 77, np.uint8)) == pytest.approx(0, abs=1e-9)


def test_pixel_shuffle_leaves_a_grid_where_icnr_does_not() -> None:
    """Odena's and Aitken's finding, of the same layers before any training."""
    lq = to_tensor(_face(32))[None]
    found = {}
    for icnr in (False, True):
        torch.manual_seed(0)
        with torch.no_grad():
            made = SRResNet(num_block=1, num_feat=16, icnr=icnr).eval()(lq)
        made = (made - made.mean()) / made.std() / 6 + 0.5
        found[icnr] = checkerboard(to_images(made)[0])
    assert found[False] > 10 > NONE > found[True], found


def test_it_needs_no_gt_and_enough_periods(told: list[str]) -> None:
    metric_info._told.clear()
    assert not needs_reference('checkerboard') and higher_is_better('checkerboard') is False
    image = _face()
    assert calculate_metric({'img': image, 'img2': image}, {'type': 'checkerboard', 'better': 'lower'}) < NONE
    found = Metrics({'fine': {'type': 'checkerboard'}, 'wide': {'type': 'checkerboard', 'period': 8}})
    values = found.measure(image[:100], image[:100])
    assert math.isfinite(values['fine']) and math.isnan(values['wide'])
    assert told == ['checkerboard: an image of 128x100 px has not 16 periods of 8 px a side: nan']


@pytest.mark.parametrize('period', [1, 0, 2.5, True, 'four', None])
def test_a_period_that_is_none_is_refused(period: object) -> None:
    with pytest.raises(OptionError, match='a grid repeats every 2 px or more, whole ones') as error:
        Metrics({'grid': {'type': 'checkerboard', 'period': period}})
    assert error.value.key == ('val', 'metrics', 'grid', 'period')
