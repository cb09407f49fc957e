"""Impulse noise: how much of what it replaces by what, its bounds, and report S1's table."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import impulse_noise
from facesr_ext.archs.srnet_arch import SRNet
from facesr_ext.data.image_io import write_image
from facesr_ext.degradations.draws import Draws
from facesr_ext.degradations.noise import add_impulses
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.runs.checkpoints import META_KEY, save_atomic


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _band(share: float, count: int) -> float:
    """Five standard deviations of the share among so many independent draws."""
    return 5 * math.sqrt(share * (1 - share) / count)


@pytest.mark.parametrize('salt_share', [0.5, 0.1, 0.0, 1.0])
def test_share_of_replaced_values(salt_share: float) -> None:
    """Of each image its own share; each value for itself; the rest stays bit for bit."""
    density = torch.tensor([0.0, 0.01, 0.2, 0.5, 1.0])
    img = torch.full((5, 3, 256, 256), 0.25)
    out, count = add_impulses(img, density, salt_share, _draws()), 3 * 256 * 256
    for number, share in enumerate(density.tolist()):
        salt, pepper = (float((out[number] == value).double().mean()) for value in (1, 0))
        assert salt == pytest.approx(share * salt_share, abs=_band(share * salt_share, count))
        assert pepper == pytest.approx(share * (1 - salt_share), abs=_band(share * (1 - salt_share), count))
        assert set(out[number].unique().tolist()) <= {0.0, 0.25, 1.0}
    changed = (out[3] != 0.25).double()
    together = float((changed[0] * changed[1]).mean())  # channels are drawn apart: 0.5 x 0.5
    assert together == pytest.approx(0.25, abs=_band(0.25, 256 * 256))


def test_the_batch_is_seeded_and_each_image_has_its_own_share() -> None:
    gt = torch.full((16, 3, 64, 64), 0.5)
    degradation = build_degradation({'preset': 'report_s1'}, 1)
    outs = [degradation(gt, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])
    shares = (outs[0] != outs[0].flatten().median()).float().flatten(1).mean(1)
    assert 0.01 <= shares.min() < 0.25 and 0.75 < shares.max() <= 1


def test_the_lr_is_that_of_bicubic_where_no_value_is_replaced() -> None:
    gt = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    lqs = [
        build_degradation(section, 4)(gt, torch.Generator())
        for section in ({'preset': 'report_s1', 'impulse_range': [0, 0]}, {'preset': 'bicubic_x4'})
    ]
    assert torch.equal(*lqs)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('impulse_range', [0.0, 5.0]),
        ('impulse_range', [0.4, 0.2]),
        ('impulse_range', 0.1),
        ('impulse_range', [-0.1, 0.1]),
        ('salt_share', 50),
        ('salt_share', -0.5),
        ('salt_share', None),
    ],
)
def test_values_out_of_bounds_are_refused(key: str, value: Any) -> None:
    with pytest.raises(OptionError) as error:
        build_degradation({'preset': 'report_s1', key: value}, 4)
    assert error.value.key == ('degradation', key)


def test_the_table_of_report_s1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image's own column follows the law, for photographs too; bicubic and a network stand beside it."""
    for index in range(4):
        write_image(tmp_path / 'gt' / f'{index}.png', render_face(0, index, 150).image)
    torch.manual_seed(0)
    arch = {'type': 'SRNet', 'num_feat': 4}
    save_atomic({'params': SRNet(num_feat=4).state_dict(), META_KEY: {'arch': arch, 'scale': 4}}, tmp_path / 'net.pth')
    monkeypatch.setattr(sys, 'argv', ['x', str(tmp_path / 'gt'), '--run', str(tmp_path / 'net.pth')])
    impulse_noise.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == '4 images of 128 px' and 'bicubic 4x: PSNR, SSIM' in lines[2] and 'network: PSNR' in lines[2]
    rows = np.array([[float(cell) for cell in line.split()] for line in lines[3:]])
    assert rows.shape == (6, 9) and np.array_equal(rows[:, 0], list(impulse_noise.TABLE))
    assert (np.abs(rows[:, 3] - rows[:, 2]) < 0.4 * np.sqrt(0.005 / rows[:, 0])).all()  # four deviations from the law
    assert (np.diff(rows[:, 3]) < 0).all() and (np.diff(rows[:, 5]) < 0).all()
