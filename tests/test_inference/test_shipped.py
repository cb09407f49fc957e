"""The models that come with the package: whole, small, without paths, and better than what they are given."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from facesr_ext import PhotoRestorer
from facesr_ext.data.image_io import read_image
from facesr_ext.errors import CheckpointError
from facesr_ext.inference import shipped
from facesr_ext.inference.shipped import SHIPPED, shipped_model
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint
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
    assert told['arch']['type'] == 'NAFSR' and (told['scale'], told['input']) == (1, 'enlarged')
    assert not set('/\\') & set(json.dumps(told))
    assert PhotoRestorer(name).max_face == 512


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
