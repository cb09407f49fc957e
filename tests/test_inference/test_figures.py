"""benchmarks/restoration.py and benchmarks/photos.py, on drawn faces."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import photos, restoration
from benchmarks.gfpgan_style import GfpganStyle, faces_restored, paste_squares, square_mask
from facesr_ext import PhotoRestorer, Restorer
from facesr_ext.archs.espcn_arch import ESPCN
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import DatasetError
from facesr_ext.faces.alignment import Frame
from facesr_ext.faces.detection import Face
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.metrics.face_metric import psnr_rgb
from facesr_ext.runs.checkpoints import META_KEY, save_atomic

needs_facexlib = pytest.mark.skipif(
    importlib.util.find_spec('facexlib') is None, reason='the extra facexlib is not installed'
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A 4x network with random weights."""
    torch.manual_seed(0)
    path = tmp_path / 'espcn.pth'
    save_atomic({'params': ESPCN().state_dict(), META_KEY: {'arch': {'type': 'ESPCN'}, 'scale': 4}}, path)
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Three drawn faces of 64 px, and of 16 px."""
    for index in range(3):
        gt = render_face(0, index, 64).image
        write_image(tmp_path / 'gt' / f'{index}.png', gt)
        write_image(tmp_path / 'lq' / f'{index}.png', restoration.resized(gt, 16))
    return tmp_path


def _figures(text: str, figure: str) -> list[float]:
    """The means of a row."""
    (line,) = (line for line in text.splitlines() if line.startswith(f'{figure} '))
    return [float(cell) for cell in re.findall(r'(-?[\d.]+)(?= \[)', line)]


def test_a_model_beside_bicubic(
    pairs: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(restoration, 'METRICS', ('psnr_rgb', 'psnr_y'))
    where = ['--gt', str(pairs / 'gt'), '--lq', str(pairs / 'lq'), '--sheet', str(pairs / 'sheet.png')]
    monkeypatch.setattr(sys, 'argv', ['x', *where, '--model', str(model), '--peers', 'bicubic', '--clean'])
    restoration.main()
    means, differences, clean = capsys.readouterr().out.split('\n\n')
    expected: list[list[float]] = [[], []]
    restorer = Restorer(model, device='cpu')
    for index in range(3):
        gt, lq = (read_image(pairs / kind / f'{index}.png') for kind in ('gt', 'lq'))
        for values, made in zip(expected, (restorer.restore(lq), restoration.resized(lq, 64)), strict=True):
            values.append(psnr_rgb(made, gt))
    ours, bicubic = (np.mean(values) for values in expected)
    assert np.allclose(_figures(means, 'psnr_rgb'), [ours, bicubic], atol=6e-4)
    assert np.allclose(_figures(differences, 'psnr_rgb'), [ours - bicubic], atol=6e-4) and 'p ' in differences
    assert '0 of 3 at 38.0 dB' in clean
    assert read_image(pairs / 'sheet.png').shape == (18 + 3 * 66, 4 * 66, 3)


def test_pairs_that_are_none(pairs: Path) -> None:
    assert [pair.name for pair in restoration.read_pairs(pairs / 'gt', pairs / 'lq', 2)] == ['0.png', '1.png']
    write_image(pairs / 'gt' / '0.png', np.zeros((64, 32, 3), np.uint8))
    with pytest.raises(DatasetError, match=r'0\.png is no square'):
        restoration.read_pairs(pairs / 'gt', pairs / 'lq', 2)
    (pairs / 'lq' / '1.png').unlink()
    with pytest.raises(DatasetError, match=r'lq.1\.png'):
        restoration.read_pairs(pairs / 'gt', pairs / 'lq', 2)


class _Keep(torch.nn.Module):
    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        return lq


def _photo() -> np.ndarray:
    """(200, 260, 3): a drawn face of 128 px at (60, 40) before a slope."""
    photo = np.repeat(np.linspace(60, 200, 260)[None, :, None], 200, 0).repeat(3, 2).astype(np.uint8)
    photo[40:168, 60:188] = render_face(3, 0, 128).image
    return photo


def _detector(image: np.ndarray) -> list[Face]:
    points = render_face(3, 0, 128).landmarks + (60, 40)
    five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
    return [Face(np.concatenate([points.min(0), points.max(0)]).astype(np.float32), 0.9, five.astype(np.float32))]


def _restorer(**more: int) -> PhotoRestorer:
    return PhotoRestorer(Restorer(None, arch=_Keep(), scale=1, device='cpu'), detector=_detector, **more)


@needs_facexlib
def test_a_peer_around_a_network_that_changes_nothing_changes_little() -> None:
    photo, restorer = _photo(), _restorer()
    change = np.abs(GfpganStyle(restorer).restore(photo).astype(int) - photo)
    assert 0 < change.mean() < 1 and not change[:20].any()
    assert len(faces_restored(restorer, photo)) == 1 and not faces_restored(_restorer(max_face=20), photo)


@needs_facexlib
def test_facexlibs_paste_counts_where_its_mask_says() -> None:
    photo = np.full((600, 600, 3), 100, np.uint8)
    frame = Frame(np.array([[1, 0, -99.5], [0, 1, -99.5]]) / 400, 400)  # from pixel 100 to 499
    share = (paste_squares(photo, [frame], [photo + 100])[..., 0].astype(np.float32) - 100) / 100
    assert np.abs(share[100:500, 100:500] - square_mask()).mean() < 0.01
    share[100:500, 100:500] = 0
    assert share.max() < 0.01


@needs_facexlib
def test_start_batches_and_seam_of_a_photograph(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from skimage import data

    write_image(tmp_path / 'astronaut.png', data.astronaut()[:256, 96:352])
    monkeypatch.setattr(sys, 'argv', ['x', str(tmp_path / 'astronaut.png'), '--model', str(model), '--cpu-seconds'])
    photos.main()
    start, batches, seam = capsys.readouterr().out.split('\n\n')[1:]
    cells = start.splitlines()[1].split()
    assert cells[:6] == ['astronaut.png', '256', 'x', '256', '1', '1']
    seconds = [float(cell) for cell in cells[6:]]
    assert len(seconds) == 2 + len(photos.START) and seconds[0] >= sum(seconds[1:]) - 0.3
    assert batches.splitlines()[0].startswith('1 faces of 1 photographs') and len(batches.splitlines()) == 6
    assert batches.splitlines()[2].split()[3:6][-1] == '1.00'
    assert seam.splitlines()[1].split()[:2] == ['astronaut.png', '1']
