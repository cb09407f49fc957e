from __future__ import annotations

import logging
import math
import warnings

import numpy as np
import pytest
from basicsr.metrics import calculate_metric, calculate_psnr, calculate_ssim
from basicsr.metrics.metric_util import to_y_channel
from basicsr.utils.registry import METRIC_REGISTRY

from facesr_ext.data.image_io import read_image
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.metrics import metric_info
from facesr_ext.metrics.metric_info import Metrics, higher_is_better
from tests.support import PHOTOS, needs_photos


def _pair() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    img = rng.integers(0, 256, (48, 40, 3), dtype=np.uint8)
    noisy = np.clip(img + rng.normal(0, 10, img.shape), 0, 255).astype(np.uint8)
    return {'img': noisy, 'img2': img}


def _metric(pair: dict[str, np.ndarray], name: str) -> float:
    return calculate_metric(pair, {'type': name, 'crop_border': 0, 'better': 'higher'})


def test_equal_to_basicsr() -> None:
    pair = _pair()
    for name, stock, luma in (
        ('psnr_rgb', calculate_psnr, False),
        ('psnr_y', calculate_psnr, True),
        ('ssim_rgb', calculate_ssim, False),
        ('ssim_y', calculate_ssim, True),
    ):
        assert _metric(pair, name) == pytest.approx(stock(**pair, crop_border=0, test_y_channel=luma), abs=1e-9)


def test_fsrnet_luma_psnr() -> None:
    pair = _pair()
    assert _metric(pair, 'psnr_y_fsrnet') == pytest.approx(_metric(pair, 'psnr_y'), abs=0.05)
    same = {'img': pair['img'], 'img2': pair['img']}
    assert _metric(same, 'psnr_y_fsrnet') == pytest.approx(48.1308, abs=1e-4)


def test_fsrnet_luma_ssim() -> None:
    pair = _pair()
    cut = {key: np.floor(to_y_channel(image)) for key, image in pair.items()}
    expected = calculate_ssim(**cut, crop_border=2)
    assert calculate_metric(pair, {'type': 'ssim_y_fsrnet', 'crop_border': 2}) == pytest.approx(expected, abs=1e-6)
    assert _metric(pair, 'ssim_y_fsrnet') == pytest.approx(_metric(pair, 'ssim_y'), abs=0.01)
    same = {'img': pair['img'], 'img2': pair['img']}
    assert _metric(same, 'ssim_y_fsrnet') == pytest.approx(1)


def test_different_sizes_are_named() -> None:
    pair = _pair()
    with pytest.raises(DatasetError, match='result is 40x48 px, its GT 20x48'):
        _metric({'img': pair['img'], 'img2': pair['img2'][:, :20]}, 'psnr_y')


def test_the_direction_is_the_metrics_own() -> None:
    names = ('psnr_y', 'ssim_rgb', 'calculate_psnr', 'calculate_ssim', 'calculate_niqe', 'calculate_fid')
    assert [higher_is_better(name) for name in names] == [True, True, True, True, False, None]  # fid: not registered
    metrics = Metrics({'psnr': {'type': 'psnr_y', 'better': 'higher'}, 'niqe': {'type': 'calculate_niqe'}})
    assert [metrics.higher_is_better(name) for name in metrics] == [True, False]
    with pytest.raises(OptionError, match="calculate_niqe is better where it is lower, not 'higher'") as err:
        Metrics({'n': {'type': 'calculate_niqe', 'crop_border': 0, 'better': 'higher'}})
    assert err.value.key == ('val', 'metrics', 'n', 'better')


def test_metrics_of_others_say_it_by_an_attribute_or_their_section(monkeypatch: pytest.MonkeyPatch) -> None:
    def stated(img: np.ndarray, img2: np.ndarray) -> float:
        return 2.0

    def silent(img: np.ndarray, img2: np.ndarray) -> float:
        return 3.0

    stated.higher_is_better = False  # type: ignore[attr-defined]
    functions = {**METRIC_REGISTRY._obj_map, 'stated': stated, 'silent': silent}
    monkeypatch.setattr(METRIC_REGISTRY, '_obj_map', functions)
    metrics = Metrics({'a': {'type': 'stated'}, 'b': {'type': 'silent', 'better': 'lower'}, 'c': {'type': 'silent'}})
    assert [metrics.higher_is_better(name) for name in metrics] == [False, False, True]
    img = np.zeros((8, 8, 3), np.uint8)
    assert metrics.measure(img, img) == {'a': 2.0, 'b': 3.0, 'c': 3.0}  # better is nobody's argument
    with pytest.raises(OptionError, match="is higher or lower, not 'highest'"):
        Metrics({'b': {'type': 'silent', 'better': 'highest'}})


def test_metrics_take_rgb_and_name_what_they_do_not_take() -> None:
    pair = _pair()
    metrics = Metrics({'y': {'type': 'psnr_y', 'crop_border': 2}})
    expected = calculate_psnr(**pair, crop_border=2, test_y_channel=True)
    assert metrics.measure(pair['img'][..., ::-1], pair['img2'][..., ::-1]) == {'y': pytest.approx(expected)}
    with pytest.raises(OptionError, match='val:metrics:y: .*crop'):
        Metrics({'y': {'type': 'psnr_y', 'crop': 2}}).measure(pair['img'], pair['img2'])


@needs_photos
def test_published_bicubic_figures() -> None:
    """The figures of the 500 published FSRNet CelebA pairs, whose LR is stored enlarged."""
    folder = PHOTOS / 'fsrnet_celeba_x8'
    sums = dict.fromkeys(('psnr_y', 'ssim_y', 'psnr_rgb'), 0.0)
    paths = sorted((folder / 'HR').glob('*.jpg'))
    for path in paths:
        images = {'img': read_image(folder / 'LR_bicubic' / path.name)[..., ::-1], 'img2': read_image(path)[..., ::-1]}
        for name in sums:
            sums[name] += _metric(images, name) / len(paths)
    assert len(paths) == 500
    assert sums['psnr_y'] == pytest.approx(23.57, abs=0.006)
    assert sums['psnr_rgb'] == pytest.approx(22.17, abs=0.006)
    assert sums['ssim_y'] == pytest.approx(0.6330, abs=0.0006)


@pytest.mark.parametrize(
    ('name', 'size', 'border'),
    [('psnr_y', 32, 16), ('psnr_rgb', 8, 4), ('psnr_y_fsrnet', 8, 5), ('calculate_psnr', 8, 4), ('ssim_y', 10, 0),
     ('ssim_rgb', 32, 11), ('calculate_ssim', 10, 0)],
)  # fmt: skip
def test_images_too_small_for_a_metric_are_told_once(
    name: str, size: int, border: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.full((size, size + 20, 3), 9, np.uint8)
    metrics = Metrics({'m': {'type': name, 'crop_border': border}})
    metric_info._told.clear()
    told: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'warning', told.append)
    with warnings.catch_warnings():
        warnings.simplefilter('error')  # numpy's mean of nothing
        for _ in range(3):
            assert math.isnan(metrics.measure(image, image)['m'])
    assert [name in text for text in told] == [True]
    larger = np.zeros((size + 24, size + 24, 3), np.uint8)
    assert not math.isnan(metrics.measure(larger, larger)['m'])


def test_a_metric_of_ours_called_by_itself_gives_nan_too() -> None:
    image = np.zeros((9, 9, 3), np.uint8)
    assert math.isnan(calculate_metric({'img': image, 'img2': image}, {'type': 'ssim_y'}))
