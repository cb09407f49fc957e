"""``lr_consistency``: a result made small again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from basicsr.metrics import calculate_metric

from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import imresize, quantize, to_images, to_tensor
from facesr_ext.metrics import metric_info
from facesr_ext.metrics.face_metric import psnr_rgb
from facesr_ext.metrics.metric_info import Metrics

GT = np.ascontiguousarray(render_face(0, 3, 64).image[..., ::-1])
NOISY = np.clip(GT + np.random.default_rng(0).normal(0, 12, GT.shape), 0, 255).astype(np.uint8)


def _value(img: np.ndarray, **arguments: Any) -> float:
    return float(calculate_metric({'img': img, 'img2': GT}, {'type': 'lr_consistency', **arguments}))


def _small(image: np.ndarray, scale: int) -> np.ndarray:
    return to_images(imresize(to_tensor(image)[None], (64 // scale, 64 // scale)))[0]


@pytest.mark.parametrize('scale', [2, 4, 8])
def test_it_is_the_psnr_of_matlabs_bicubic(scale: int) -> None:
    assert _value(NOISY, scale=scale) == pytest.approx(psnr_rgb(_small(NOISY, scale), _small(GT, scale)))
    assert _value(GT, scale=scale) == pytest.approx(10 * math.log10(255**2 * 3 * (64 // scale) ** 2))  # finite
    cut = psnr_rgb(_small(NOISY, scale), _small(GT, scale), crop_border=1)
    assert _value(NOISY, scale=scale, crop_border=1) == pytest.approx(cut)


def test_noise_that_bicubic_takes_away_counts_less_than_a_shift() -> None:
    enlarged = to_images(imresize(quantize(imresize(to_tensor(GT)[None], (16, 16))), (64, 64)))[0]
    assert _value(enlarged, scale=4) > 33 > _value(np.roll(GT, 2, 1), scale=4)


def test_a_seed_degrades_both_alike() -> None:
    section = {'preset': 'ai6126_2023'}
    assert _value(GT, scale=4, degradation=section, seed=3) == _value(GT, scale=4)  # equal LQ
    one, again, other = (_value(NOISY, scale=4, degradation=section, seed=seed) for seed in (3, 3, 4))
    assert one == again != other


@pytest.mark.parametrize(
    ('section', 'key', 'reason'),
    [
        ({'preset': 'realesrgan'}, ('degradation',), 'SecondOrderDegradation draws at random'),
        ({'preset': 'report_s1'}, ('degradation',), 'ImpulseDegradation draws at random'),
        ({'preset': 'realesrgen'}, ('degradation', 'preset'), 'unknown'),
        ({'preset': 'bicubic_x8'}, ('degradation',), 'reduces by 8, but scale is 4'),
    ],
)
def test_what_is_no_function_of_the_image_is_refused(section: dict[str, Any], key: Any, reason: str) -> None:
    with pytest.raises(OptionError, match=reason) as err:
        Metrics({'lr': {'type': 'lr_consistency', 'scale': 4, 'degradation': section}})
    assert err.value.key == ('val', 'metrics', 'lr', *key)


def test_what_is_one_is_taken() -> None:
    Metrics({'lr': {'type': 'lr_consistency', 'scale': 4, 'degradation': {'preset': 'realesrgan'}, 'seed': 1}})
    metrics = Metrics({'lr': {'type': 'lr_consistency', 'scale': 8, 'degradation': {'preset': 'fsrnet_x8'}}})
    assert build_degradation({'preset': 'fsrnet_x8'}, 8).enlarged
    assert 10 < metrics.measure(NOISY, GT)['lr'] < 60


def test_a_size_that_is_no_multiple_is_nan_and_told_once(told: list[str]) -> None:
    metric_info._told.clear()
    image = NOISY[:60]
    metrics = Metrics({'lr': {'type': 'lr_consistency', 'scale': 8}})
    assert [math.isnan(metrics.measure(image, image)['lr']) for _ in range(2)] == [True, True]
    assert told == ['lr_consistency: images of 64x60 px cannot be reduced by 8: nan']


def test_a_border_that_leaves_nothing_of_the_lq_is_nan() -> None:
    assert not math.isnan(_value(NOISY, scale=8, crop_border=3)) and math.isnan(_value(NOISY, scale=8, crop_border=4))
