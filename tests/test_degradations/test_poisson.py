"""Poisson counts by tables: exact tables, the law itself, and independence of the pixels."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare, poisson

from facesr_ext.degradations import poisson as ours


def _counts(level: float, exponent: int, num: int = 200_000, seed: int = 0) -> torch.Tensor:
    levels = torch.full((1, 1, 1, num), level)
    bits = torch.randint(1 << ours.RANDOM_BITS, levels.shape, generator=torch.Generator().manual_seed(seed))
    return ours.poisson_counts(levels, torch.tensor([exponent]), bits.int()).flatten()


def test_alias_tables_hold_the_units_they_were_made_of() -> None:
    units = ours._poisson_units()
    own, other = ours.alias_tables(units)
    capacity = 1 << 14
    assert own.min() >= 0 and own.max() <= capacity and (units.sum(1) == 512 * capacity).all()
    assert torch.equal(own.scatter_add(1, other, capacity - own), units)


@pytest.mark.parametrize(('level', 'exponent'), [(255, 8), (128, 8), (3, 8), (255, 0), (40, 5)])
def test_counts_follow_the_law(level: int, exponent: int) -> None:
    counts = _counts(level, exponent)
    rate = level / 255 * 2**exponent
    observed = torch.bincount(counts.long(), minlength=512).double().numpy()
    expected = poisson.pmf(range(512), rate) * len(counts)
    often = expected > 20
    seen, due = (list(values[often]) + [values[~often].sum()] for values in (observed, expected))
    due = [value * sum(seen) / sum(due) for value in due]
    assert chisquare(seen, due).pvalue > 1e-3


def test_black_has_no_photons_and_rows_are_not_mixed() -> None:
    assert not _counts(0, 8, 1000).any()
    levels = torch.tensor([0.0, 255.0]).view(2, 1, 1, 1).expand(2, 1, 1, 5000).contiguous()
    bits = torch.randint(1 << ours.RANDOM_BITS, levels.shape, generator=torch.Generator().manual_seed(1)).int()
    counts = ours.poisson_counts(levels, torch.tensor([8, 3]), bits)
    assert not counts[0].any() and float(counts[1].mean()) == pytest.approx(8, rel=0.02)


def test_another_level_changes_its_own_pixel_alone() -> None:
    levels = torch.full((1, 1, 1, 1000), 90.0)
    bits = torch.randint(1 << ours.RANDOM_BITS, levels.shape, generator=torch.Generator().manual_seed(2)).int()
    changed = levels.clone()
    changed[..., 400] = 91
    one, two = (ours.poisson_counts(values, torch.tensor([8]), bits).flatten() for values in (levels, changed))
    assert (one != two).nonzero().flatten().tolist() in ([], [400])
