"""Interpolation as networks: Pillow's Lanczos, whole factors, and bicubic's figures in a test run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facesr_ext.archs.interpolation_arch import Bicubic, Lanczos, Nearest
from facesr_ext.cli.run import run_pipeline
from tests.support import OPTIONS, PHOTOS, needs_photos, read_table, small_options, write_options


@pytest.mark.parametrize('scale', [1, 2, 3, 4, 7])
def test_sizes(scale: int) -> None:
    torch.manual_seed(0)
    lq = torch.rand(2, 3, 5, 6)
    for cls in (Bicubic, Lanczos, Nearest):
        assert cls(scale)(lq).shape == (2, 3, 5 * scale, 6 * scale)
    assert torch.equal(Nearest(scale)(lq)[..., ::scale, ::scale], lq)
    assert torch.allclose(Bicubic(1)(lq), lq, atol=1e-6) and torch.allclose(Lanczos(1)(lq), lq, atol=1e-6)


@pytest.mark.parametrize(('cls', 'how'), [(Bicubic, Image.Resampling.BICUBIC), (Lanczos, Image.Resampling.LANCZOS)])
def test_equals_pillow_away_from_the_border(cls: type[Bicubic], how: Image.Resampling) -> None:
    """At the border Pillow cuts the kernel off, where MATLAB mirrors the picture."""
    img = torch.rand(16, 14, generator=torch.Generator().manual_seed(0))
    expected = np.asarray(Image.fromarray(img.numpy()).resize((42, 48), how))
    out = cls(3)(img.expand(1, 3, -1, -1))[0, 0].numpy()
    assert np.abs(out - expected)[9:-9, 9:-9].max() < 1e-5


def test_refuse_parts_of_a_factor() -> None:
    with pytest.raises(ValueError, match='Lanczos: scale is a whole number from 1 on, not 2.5'):
        Lanczos(2.5)
    with pytest.raises(ValueError, match='Bicubic: scale is a whole number from 1 on, not 0'):
        Bicubic(0)


@needs_photos
def test_bicubic_has_the_figures_of_the_bicubic_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test run on real faces, 8x."""
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / 'test' / 'bicubic.yml')
    opt.update(scale=8, degradation={'preset': 'bicubic_x8'}, network_g={'type': 'Bicubic', 'scale': 8})
    root = PHOTOS / 'fsrnet_celeba_x8' / 'HR'
    opt['datasets']['test_1'] = {'name': 'faces', 'type': 'FaceDataset', 'dataroot_gt': str(root)}
    opt['val'].update(save_img=False, max_images=8)
    run_pipeline('test', ['-opt', str(write_options(opt, tmp_path / 'test.yml'))])
    rows = read_table(tmp_path / 'results' / opt['name'] / 'visualization' / 'faces.csv')
    assert len(rows) == 8 and all(
        float(row[key]) == float(row[f'{key}_bicubic']) for row in rows for key in opt['val']['metrics']
    )
