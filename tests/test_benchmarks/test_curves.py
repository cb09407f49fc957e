"""benchmarks/curves.py: two sides from the same weights, and the interval of their difference."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks.common import Spent
from benchmarks.curves import Trained, mean_interval, row
from benchmarks.train_sides import Case, Side
from tests.support import OPTIONS, small_options, write_options


def test_both_sides_begin_with_the_same_weights_and_follow_the_same_losses(tmp_path: Path) -> None:
    path = write_options(small_options(OPTIONS / 'fsrnet_noprior.yml'), tmp_path / 'opt.yml')
    case = Case(path, 64, 2, torch.get_num_threads(), 'fp32', batches=3, seed=5, pixels_alone=True)
    sides = [Side(case, stock, tmp_path / 'files') for stock in (True, False)]
    weights = [side.model.net_g.state_dict().values() for side in sides]
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))
    losses = [side.train(4)[0] for side in sides]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)  # BasicSR mirrors other faces
    psnrs = [side.psnrs(3) for side in sides]
    assert psnrs[0] == pytest.approx(psnrs[1], abs=0.5) and min(psnrs[0]) > 3


def test_a_row_of_several_seeds() -> None:
    theirs = [Trained([9.0, 0.2], [20.0 + seed], Spent(8.0, 8.0)) for seed in range(3)]
    ours = [Trained([9.0, 0.1], [20.5 + seed + 0.1 * (seed - 1)], Spent(2.0, 2.0)) for seed in range(3)]
    figures = row(theirs, ours)
    assert figures['ratio of CPU s'] == 4 and figures['loss, ours'] == pytest.approx(0.1)
    mean, low, high = figures['difference, dB']
    assert mean == pytest.approx(0.5) and (low, high) == pytest.approx((0.5 - 0.2484, 0.5 + 0.2484), abs=1e-3)
    assert math.isnan(mean_interval([1.0]).low)
