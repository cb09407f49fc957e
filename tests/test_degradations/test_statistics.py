"""Statistics of benchmarks/degradation_statistics.py: where the content of an LQ lies."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import degradation_statistics
from benchmarks.degradation_statistics import content_shift
from facesr_ext.data.image_io import write_image
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.imaging import imresize, to_tensor


@pytest.fixture(scope='module')
def faces() -> torch.Tensor:
    drawn = DrawnFaces(8, 5, 256)
    return torch.stack([to_tensor(drawn[i].image) for i in range(8)])


@pytest.mark.parametrize(('x', 'y'), [(0, 0), (1, 0), (0, -2), (3, 1)])
@pytest.mark.parametrize('disturbed', [False, True])
def test_content_shift(x: int, y: int, disturbed: bool, faces: torch.Tensor) -> None:
    """Whole pixels of the GT, which are quarters of the LQ's; also under blur, noise and another contrast."""
    found = []
    for face in faces[:, None]:
        moved = torch.roll(face, (y, x), (-2, -1))
        if disturbed:
            blurred = torch.nn.functional.avg_pool2d(moved, 9, 1, 4, count_include_pad=False)
            noise = torch.randn(blurred.shape, generator=torch.Generator().manual_seed(0))
            moved = 0.1 + 0.8 * blurred + 0.1 * noise
        inner = (..., slice(8, -8), slice(8, -8))  # without what was rolled around
        found.append(content_shift(face[inner], imresize(moved[inner], (60, 60))))
    assert np.median(found, 0) == pytest.approx((x, y), abs=0.1 if disturbed else 0.03)


def test_resizing_by_the_factor_is_told_from_that_by_size(faces: torch.Tensor) -> None:
    """By the factor the LQ lies right of and below the GT, by 0.3 px on average."""
    shifts = {}
    for resize_by in ('size', 'scale_factor'):
        degradation = build_degradation({'preset': 'ai6126_2024', 'groups': 8, 'resize_by': resize_by}, 4)
        lqs = [degradation(faces, torch.Generator().manual_seed(seed)) for seed in range(6)]
        pairs = [(faces[i : i + 1], lq[i : i + 1]) for lq in lqs for i in range(len(faces))]
        shifts[resize_by] = np.mean([content_shift(*pair) for pair in pairs], 0)
    assert np.abs(shifts['size']).max() < 0.12
    assert shifts['scale_factor'].min() > 0.15 and shifts['scale_factor'].max() < 0.5


def test_the_benchmark_prints_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], faces: torch.Tensor
) -> None:
    """Beside BasicSR's, and beside stored LQ, of which some have a GT; a name of a stored one is enough."""
    for index in range(3):
        write_image(tmp_path / 'gt' / f'{index}.png', DrawnFaces(3, 5, 128)[index].image)
        write_image(tmp_path / 'lq' / f'{index + 2}.jpg', DrawnFaces(3, 5, 32)[index].image)
        write_image(tmp_path / 'other' / f'x{index}.png', DrawnFaces(3, 5, 32)[index].image)
    base = ['x', str(tmp_path / 'gt'), '--num', '3']
    for more in (
        ['--preset', 'ai6126_2024', '--set', 'resize_by=size'],
        ['--preset', 'ai6126_2023', '--stored', str(tmp_path / 'lq')],
        ['--preset', 'bicubic_x4', '--stored', str(tmp_path / 'other')],
    ):
        monkeypatch.setattr(sys, 'argv', [*base, *more])
        degradation_statistics.main()
        lines = capsys.readouterr().out.splitlines()
        assert [line[:11].strip() for line in lines[-6:]] == [
            *degradation_statistics.STATISTICS,
            *degradation_statistics.SHIFTS,
        ]
        assert ('no GT' in lines[-1]) == ('bicubic_x4' in more) and 'nan' not in '\n'.join(lines)
