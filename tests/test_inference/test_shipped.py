"""The models that come with the package: whole, small, without paths, and better than what they are given."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from facesr_ext import PhotoRestorer, Restorer
from facesr_ext.comparison.methods import open_methods
from facesr_ext.data.image_io import read_image
from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.inference import shipped
from facesr_ext.inference.publication import publish
from facesr_ext.inference.shipped import FOR_PHOTOS, SHIPPED, shipped_model
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint
from facesr_ext.settings.comparison import CompareFile
from tests.support import PHOTOS, needs_photos

MODELS = sorted(SHIPPED)


def _psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a.astype(float) - b) ** 2) / 255**2))


def _small_and_large(image: np.ndarray, factor: int = 4) -> np.ndarray:
    side = image.shape[0]
    small = cv2.resize(image, (side // factor, side // factor), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize('name', MODELS)
def test_a_few_megabytes_that_say_what_they_are(name: str) -> None:
    path = shipped_model(name)
    assert path.stat().st_size < 6e6
    told = load_checkpoint(path)[META_KEY]
    assert not set('/\\') & set(json.dumps(told))
    kinds = {'x4': ('NAFSR', 4, 'small'), 'x8': ('FSRNet', 8, 'enlarged')}
    assert (told['arch']['type'], told['scale'], told['input']) == kinds.get(name, ('NAFSR', 1, 'enlarged'))


@pytest.mark.parametrize('name', FOR_PHOTOS)
def test_faces_up_to_512_px(name: str) -> None:
    assert PhotoRestorer(name).max_face == 512


def test_a_face_is_enlarged_to_what_the_model_says(tmp_path: Path) -> None:
    assert PhotoRestorer().sizes.fed(60, 60) == 448
    for least, fed in ((None, 448), (300, 352), (480, 480), (9999, 512)):  # from the least of the training on
        publish(shipped_model('default'), tmp_path / 'made.pth', least_face=least, force=True)
        assert PhotoRestorer(tmp_path / 'made.pth').sizes.fed(60, 60) == fed


@pytest.mark.parametrize(('name', 'side'), [('x4', 128), ('x8', 16)])
def test_aligned_faces_by_their_names(name: str, side: int) -> None:
    restorer = Restorer(name, device='cpu')
    small = cv2.resize(data.astronaut()[20:220, 120:320], (side, side), interpolation=cv2.INTER_AREA)
    made = restorer.restore(small)
    assert made.shape == (side * restorer.scale,) * 2 + (3,)
    aligned = PhotoRestorer(name, upscale=restorer.scale, precision='fp32').restore_aligned(small).image
    assert np.abs(made.astype(int) - aligned).max() <= 1


def test_a_comparison_takes_a_model_by_its_name() -> None:
    file = CompareFile.model_validate(
        {'name': 'c', 'scale': 8, 'datasets': {'faces': {'dataroot_gt': 'builtin'}},
         'degradation': {'type': 'BicubicDegradation'}, 'methods': {'ours': {'checkpoint': 'x8'}},
         'val': {'metrics': {'psnr_y': {'type': 'psnr_y'}}}}
    )  # fmt: skip
    (method,) = open_methods(file, torch.device('cpu'))
    assert method.facts.problem is None or method.facts.problem == ''
    assert method.facts.sha256 == SHIPPED['x8'].sha256


@pytest.mark.parametrize('name', ['x4', 'x8'])
def test_photographs_are_refused_where_aligned_faces_are_needed(name: str) -> None:
    with pytest.raises(OptionError, match=f'{name} is for pictures that are one aligned face .*default or sharp'):
        PhotoRestorer(name).restore(data.astronaut())


def test_terms_and_card_lie_beside_them() -> None:
    folder = shipped_model('default').parent
    assert 'CC BY-NC-SA 4.0' in (folder / 'LICENSE').read_text(encoding='utf-8')
    card = (folder / 'README.md').read_text(encoding='utf-8')
    assert all(model.file in card and model.sha256 in card for model in SHIPPED.values())


def test_a_damaged_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped, '_FOLDER', tmp_path)
    with pytest.raises(CheckpointError, match="the model 'default' of the package .* is missing; install"):
        PhotoRestorer()
    (tmp_path / SHIPPED['default'].file).write_bytes(b'x')
    with pytest.raises(CheckpointError, match='is damaged; install facesr_ext anew'):
        PhotoRestorer()


@pytest.mark.parametrize(('name', 'gain'), [('default', 1.0), ('sharp', 0.5)])
def test_a_clean_face_stays_and_a_damaged_one_gets_better(name: str, gain: float) -> None:
    clean = cv2.resize(data.astronaut()[:240, 100:340], (512, 512), interpolation=cv2.INTER_CUBIC)
    restorer = PhotoRestorer(name)
    assert _psnr(restorer.restore_aligned(clean).image, clean) > 38
    blurred = _small_and_large(clean)
    noisy = np.clip(blurred + np.random.default_rng(0).normal(0, 5, clean.shape), 0, 255).astype(np.uint8)
    assert _psnr(restorer.restore_aligned(noisy).image, clean) > _psnr(noisy, clean) + gain


@needs_photos
def test_pairs_of_the_challenge() -> None:
    gains, kept = [], []
    restorer = PhotoRestorer()
    for path in sorted((PHOTOS / 'blind_x4/val/GT').iterdir())[:6]:
        gt, lq = read_image(path), read_image(path.parents[1] / 'LQ' / path.name)
        large = cv2.resize(lq, (512, 512), interpolation=cv2.INTER_CUBIC)
        gains.append(_psnr(restorer.restore_aligned(large).image, gt) - _psnr(large, gt))
        kept.append(_psnr(restorer.restore_aligned(gt).image, gt))
    assert np.mean(gains) > 0.5 and min(kept) > 38
