from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from facesr_ext.data.image_io import list_images, read_image
from facesr_ext.degradations.bicubic import BicubicDegradation
from facesr_ext.degradations.presets import PRESETS, build_degradation
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import to_images, to_tensor
from facesr_ext.metrics.face_metric import psnr_rgb
from tests.support import PHOTOS, needs_photos


@pytest.mark.parametrize('preset', sorted(PRESETS))
def test_preset(preset: str) -> None:
    degradation = build_degradation({'preset': preset}, PRESETS[preset].get('scale', 4))
    gt = torch.rand(2, 3, 128, 128)
    outs = [degradation(gt, torch.Generator().manual_seed(3)) for _ in range(2)]
    side = 128 if degradation.enlarged else 128 // degradation.scale
    assert outs[0].shape == (2, 3, side, side)
    assert torch.equal(*outs)
    levels = outs[0] * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4) and levels.min() >= 0 and levels.max() <= 255


@pytest.mark.parametrize('scale', range(2, 9))
def test_every_scale(scale: int) -> None:
    from basicsr.utils.matlab_functions import imresize

    gt = torch.rand(3, scale * 8, scale * 6)
    lq = BicubicDegradation(scale)(gt[None], torch.Generator())[0]
    expected = (imresize(gt, 1 / scale) * 255).round().clamp(0, 255) / 255
    assert (lq - expected).abs().max() <= 1.01 / 255  # a value at the border between two levels may fall on either side
    assert (lq - expected).abs().mean() < 1e-5


def test_a_benchmark_in_jpeg_files() -> None:
    """As OpenCV writes and reads them, at their quality."""
    faces = torch.stack([to_tensor(render_face(0, index, 128).image) for index in range(4)])
    plain, published = (BicubicDegradation(8, True, quality)(faces, torch.Generator()) for quality in (None, 75))
    for image, made in zip(to_images(plain), to_images(published), strict=True):
        file = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
        stored = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1]
        assert psnr_rgb(made, stored) > 44 > psnr_rgb(image, stored)
    with pytest.raises(OptionError, match='jpeg_quality: must be a whole number from 1 to 99, not 100'):
        build_degradation({'preset': 'fsrnet_x8', 'jpeg_quality': 100}, 8)


@needs_photos
def test_the_published_pairs_of_fsrnet_are_jpeg_of_quality_75() -> None:
    """The HR is one as well, made after the LR: nearer than this nobody comes."""
    folder, away = PHOTOS / 'fsrnet_celeba_x8', []
    for name in list_images(folder / 'HR')[:20]:
        hr = to_tensor(read_image(folder / 'HR' / name))[None]
        stored = read_image(folder / 'LR_bicubic' / name).astype(float)
        made = (
            build_degradation({'preset': name}, 8)(hr, torch.Generator())
            for name in ('fsrnet_x8', 'fsrnet_x8_published')
        )
        away.append([((to_images(lq)[0] - stored) ** 2).mean() ** 0.5 for lq in made])
    plain, published = np.mean(away, axis=0)
    assert plain == pytest.approx(1.95, abs=0.05) and published < 0.95 * plain


def test_errors_name_what_fits() -> None:
    with pytest.raises(OptionError, match="preset: 'fsrnetx8' is unknown; did you mean fsrnet_x8"):
        build_degradation({'preset': 'fsrnetx8'}, 8)
    with pytest.raises(OptionError, match='reduces by 4, but scale is 8'):
        build_degradation({'preset': 'bicubic_x4'}, 8)
    with pytest.raises(OptionError, match='enlarged: BicubicDegradation has no such option; did you mean enlarge'):
        build_degradation({'type': 'BicubicDegradation', 'enlarged': True}, 8)
    with pytest.raises(OptionError, match='whole number from 1 to 8, not 9'):
        BicubicDegradation(9)
    with pytest.raises(DatasetError, match='a GT of 60x64 px cannot be reduced by 8'):
        BicubicDegradation(8)(torch.rand(1, 3, 64, 60), torch.Generator())
