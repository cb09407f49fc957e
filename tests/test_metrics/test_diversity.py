"""Measures of draws: what is noise, what is structure, and values by hand."""

from __future__ import annotations

import math

import pytest
import torch

from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.packaged import find_packaged
from facesr_ext.imaging import quantize, to_tensor
from facesr_ext.metrics.diversity import (
    STATISTICS,
    content_error,
    pairwise_lpips,
    picture_statistics,
    spread,
    structure_share,
    tint_spread,
)

needs_lpips = pytest.mark.skipif(find_packaged('LPIPS_v0.1_alex-df73285e.pth') is None, reason='no weights of LPIPS')


def _noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_spread_is_that_of_8_bit_levels() -> None:
    draws = torch.tensor([10.0, 14.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4) / 255
    assert spread(draws) == pytest.approx(8**0.5)
    assert spread(draws[:1].expand(3, -1, -1, -1)) == 0


def test_white_noise_has_no_structure_and_a_brightness_nothing_else() -> None:
    noise = 0.5 + 0.05 * _noise(10, 3, 32, 32)
    assert structure_share(noise) < 0.02
    bright = (0.5 + 0.05 * _noise(10, 3, 1, 1)).expand(-1, -1, 16, 16)
    assert structure_share(bright) == pytest.approx(1)
    assert math.isnan(structure_share(bright[:1].expand(4, -1, -1, -1)))
    assert tint_spread(bright) == pytest.approx(spread(bright)) and tint_spread(noise) < 0.05 * spread(noise)
    # of one variance each: half of it
    both = 0.5 + 0.05 * (_noise(40, 3, 1, 1, seed=1) + _noise(40, 3, 32, 32, seed=2))
    assert structure_share(both) == pytest.approx(0.5, abs=0.06)
    blurred = torch.nn.functional.avg_pool2d(noise, 3, 1)
    assert 0.2 < structure_share(blurred) < 1


def test_noise_of_a_strength_that_varies_over_the_picture_is_no_structure() -> None:
    strength = torch.linspace(0.01, 0.1, 32)
    assert structure_share(0.5 + strength * _noise(10, 3, 32, 32)) < 0.02


def test_statistics_by_hand() -> None:
    flat = torch.full((1, 3, 16, 16), 0.5)
    assert picture_statistics(flat) == [127.5, 0, 0, 0]
    noisy = (0.5 + 10 / 255 * _noise(1, 1, 256, 256)).expand(-1, 3, -1, -1)
    mean, sharpness, noise, block = picture_statistics(noisy)
    assert mean == pytest.approx(127.5, abs=0.2) and noise == pytest.approx(10, rel=0.02)
    assert sharpness == pytest.approx(10 * 20**0.5, rel=0.02) and block == pytest.approx(1, abs=0.05)
    steps = torch.arange(16).div(8, rounding_mode='floor') / 255 * 10 + torch.arange(16) / 255
    assert picture_statistics(steps.expand(1, 3, 16, 16))[3] == pytest.approx(11, rel=1e-4)
    assert math.isnan(picture_statistics(flat[..., :8, :8])[STATISTICS.index('blockiness')])


def test_content_is_what_a_window_of_pixels_averages_to() -> None:
    hr = to_tensor(render_face(1, 0, 64).image)[None]
    lq = quantize(torch.nn.functional.avg_pool2d(hr, 4))
    assert content_error(lq, hr) < 0.2
    assert content_error((lq + 8 / 255).clamp(0, 1) * 0 + 0.5, torch.full_like(hr, 0.25)) == pytest.approx(64.25)
    fine = lq + 0.1 * torch.tensor([1.0, -1.0]).repeat(8)
    assert content_error(fine, hr) < 0.25 * 0.1 * 255


@needs_lpips
def test_lpips_of_pairs_is_0_for_equal_ones_and_grows() -> None:
    lq = quantize(torch.nn.functional.avg_pool2d(to_tensor(render_face(1, 0, 64).image)[None], 4))
    same = lq.expand(3, -1, -1, -1)
    little, much = (quantize((same + s * _noise(3, 3, 16, 16)).clamp(0, 1)) for s in (0.02, 0.1))
    assert pairwise_lpips(same) == 0
    assert 0 < pairwise_lpips(little) < pairwise_lpips(much)
    one_differs = torch.cat([lq, lq, much[:1]])
    assert pairwise_lpips(one_differs) == pytest.approx(pairwise_lpips(torch.cat([lq, much[:1]])) * 2 / 3, rel=1e-4)
