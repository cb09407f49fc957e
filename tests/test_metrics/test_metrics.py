from __future__ import annotations

import numpy as np
import pytest
from basicsr.metrics import calculate_metric, calculate_psnr, calculate_ssim

from facesr_ext.data.image_io import read_image
from facesr_ext.errors import DatasetError
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


def test_different_sizes_are_named() -> None:
    pair = _pair()
    with pytest.raises(DatasetError, match='result is 40x48 px, its GT 20x48'):
        _metric({'img': pair['img'], 'img2': pair['img2'][:, :20]}, 'psnr_y')


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
