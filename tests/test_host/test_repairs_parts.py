"""Repairs of single parts, and the defects as the stock code shows them."""

from __future__ import annotations

import inspect
import logging
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.data import degradations
from basicsr.losses import basic_loss
from basicsr.metrics import calculate_niqe, fid
from basicsr.metrics import niqe as niqe_module
from basicsr.utils import USMSharp, img_process_util
from basicsr.utils.registry import LOSS_REGISTRY, METRIC_REGISTRY
from scipy import linalg
from torch import nn

from facesr_ext.errors import DatasetError
from facesr_ext.host.patching import names_used, warn_once
from facesr_ext.host.repairs import parts as repairs_parts
from tests.support import stock_copy

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']


def test_applying_twice_changes_nothing() -> None:
    parts: list[tuple[Any, str]] = [
        (degradations, 'add_jpg_compression'),
        (niqe_module, 'niqe'),
        (fid, 'linalg'),
        (basic_loss.PerceptualLoss, '__init__'),
        (img_process_util.USMSharp, 'forward'),
    ]
    before = [getattr(owner, name) for owner, name in parts]
    for repair in repairs_parts.REPAIRS:
        repair()
    assert before == [getattr(owner, name) for owner, name in parts]


def test_jpeg_takes_a_drawn_quality() -> None:
    img = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    stock = stock_copy('data.degradations').add_jpg_compression
    try:
        stock(img, 72.6)
    except Exception as err:  # noqa: BLE001  (what it raises depends on OpenCV)
        assert 'params' in str(err)
    else:
        pytest.skip('this OpenCV takes a fraction')
    assert np.array_equal(degradations.add_jpg_compression(img, 72.6), stock(img, 72))
    assert degradations.random_add_jpg_compression(img, (30.0, 95.0)).shape == img.shape


@pytest.mark.parametrize('size', [(96, 96), (95, 400), (200, 128)])
def test_niqe_of_a_small_picture_is_nan_with_one_warning(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    img = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    if size == (200, 128):  # two blocks: a value, and the stock one
        monkeypatch.delitem(METRIC_REGISTRY._obj_map, 'calculate_niqe')
        assert calculate_niqe(img, 0) == stock_copy('metrics.niqe').calculate_niqe(img, 0)
        return
    warn_once.cache_clear()
    monkeypatch.setattr(logging.getLogger('basicsr'), 'handlers', [caplog.handler])
    assert np.isnan(calculate_niqe(img, 0)) and np.isnan(calculate_niqe(img, 4, better='lower'))
    assert [r.getMessage()[:27] for r in caplog.records] == ['NIQE needs two blocks of 96']


def test_stock_niqe_of_a_small_picture_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(METRIC_REGISTRY._obj_map, 'calculate_niqe')
    img = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    try:
        stock_copy('metrics.niqe').calculate_niqe(img, 0)
    except np.linalg.LinAlgError:
        return
    pytest.skip('this NumPy inverts a covariance of one row without a word')


def test_fid_with_a_sqrtm_that_knows_no_disp(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    (mu1, s1), (mu2, s2) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (rng.normal(size=(50, 4)) for _ in 'ab'))
    root = linalg.sqrtm
    monkeypatch.setattr(linalg, 'sqrtm', lambda A: root(A))
    monkeypatch.setattr(fid, 'linalg', linalg)
    with pytest.raises(TypeError, match='disp'):
        fid.calculate_fid(mu1, s1, mu2, s2)
    repairs_parts.repair_fid()
    expected = ((mu1 - mu2) ** 2).sum() + np.trace(s1 + s2 - 2 * root(s1 @ s2)).real
    assert fid.calculate_fid(mu1, s1, mu2, s2) == pytest.approx(expected)


def test_perceptual_loss_takes_l2(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name in LOSS_REGISTRY._obj_map if name in vars(basic_loss)]
    for name in names:
        monkeypatch.delitem(LOSS_REGISTRY._obj_map, name)
    stock = stock_copy('losses.basic_loss')

    class Features(nn.Module):
        def __init__(self, **options: Any) -> None:
            super().__init__()

        def forward(self, img: torch.Tensor) -> dict[str, torch.Tensor]:
            return {'conv1_1': img}

    for module in (stock, basic_loss):
        monkeypatch.setattr(module, 'VGGFeatureExtractor', Features)
    if 'L2loss' in names_used(stock.PerceptualLoss.__init__):  # mended upstream after 1.4.2
        with pytest.raises(AttributeError, match='L2loss'):
            stock.PerceptualLoss({'conv1_1': 1.0}, criterion='l2')
    pred, target = torch.zeros(1, 3, 2, 2), torch.full((1, 3, 2, 2), 3.0)
    values = {
        criterion: float(basic_loss.PerceptualLoss({'conv1_1': 0.5}, criterion=criterion)(pred, target)[0])
        for criterion in ('l1', 'l2')
    }
    assert values == {'l1': 1.5, 'l2': 4.5}
    assert list(inspect.signature(basic_loss.PerceptualLoss).parameters)[0] == 'layer_weights'
    with pytest.raises(NotImplementedError):
        basic_loss.PerceptualLoss({'conv1_1': 1.0}, 'vgg19', True, False, 1.0, 0.0, 'l3')


def test_usm_of_a_small_image_is_named() -> None:
    stock = stock_copy('utils.img_process_util').USMSharp()
    with pytest.raises(RuntimeError, match='[Pp]adding'):
        stock(torch.rand(1, 3, 25, 40))
    with pytest.raises(DatasetError, match='images of 26 px or more a side, not 40x25 px: make gt_size larger'):
        USMSharp()(torch.rand(1, 3, 25, 40))
    img = torch.rand(1, 3, 26, 40)
    assert torch.equal(USMSharp()(img), stock(img))


def test_filters_of_scipy_are_supplied_where_they_are_gone(run_python: RunPython) -> None:
    code = """
import sys, warnings
import scipy.ndimage
warnings.simplefilter('error', DeprecationWarning)  # where SciPy still has it, it says that it will go
import importlib.machinery
real = importlib.machinery.PathFinder.find_spec
class WithoutFilters(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == 'scipy.ndimage.filters' else real(name, path, target)
sys.meta_path[:] = [f for f in sys.meta_path if f is not importlib.machinery.PathFinder] + [WithoutFilters]
vars(scipy.ndimage).pop('filters', None)
sys.modules.pop('scipy.ndimage.filters', None)
"""
    supplied = 'from scipy.ndimage.filters import convolve\nassert convolve is scipy.ndimage.convolve\n'
    run_python(code + supplied + "assert not hasattr(sys.modules['scipy.ndimage.filters'], '__file__')")
    off = run_python(code + supplied, env={'FACESR_EXT_AUTOLOAD': '0'}, check=False)
    assert 'No module named' in off.stderr
