"""KID of benchmarks/learned_degradation.py, against values by hand."""

from __future__ import annotations

import pytest
import torch

from benchmarks.learned_degradation import kid, kid_interval


def _column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


@pytest.mark.parametrize(
    ('real', 'fake', 'expected'),
    [
        ((1, -1), (0, 0), -1),  # 0 + 1 - 2 * 1: no bias means that it can be below 0
        ((1, 1), (0, 0), 7),  # 8 + 1 - 2 * 1
        ((1, 1), (1, 1), 0),
    ],
)
def test_values_by_hand(real: tuple[float, ...], fake: tuple[float, ...], expected: float) -> None:
    assert kid(_column(*real), _column(*fake)) == expected


def test_interval_holds_0_for_one_distribution_and_not_for_two() -> None:
    generator = torch.Generator().manual_seed(0)
    real, same, other = (torch.randn(200, 8, generator=generator, dtype=torch.float64) for _ in range(3))
    _, low, high = kid_interval(real, same)
    assert low < 0 < high
    assert kid_interval(real, other + 0.5)[1] > high
