"""Poisson counts of 8-bit levels by tables: each count is made of one random number, the same on every device.

``torch.poisson`` takes as many random numbers for a count as it happens to need. One pixel that another device rounds
the other way would give all pixels after it other noise; on a CPU it is also several times slower.
"""

from __future__ import annotations

from functools import lru_cache

import torch

_COLUMN_BITS, _REST_BITS = 9, 14
_COLUMNS, _CAPACITY = 1 << _COLUMN_BITS, 1 << _REST_BITS
RANDOM_BITS = _COLUMN_BITS + _REST_BITS
_LARGEST_EXPONENT = 8


def poisson_counts(levels: torch.Tensor, exponents: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Poisson counts at the rates ``levels / 255 * 2 ** exponents``.

    By the alias method (Walker, 1974): each count up to 511 has a column, a random number picks a column and says
    whether it stands for its own count or for its alias. Probabilities are whole multiples of 2 ** -23.

    Args:
        levels (Tensor): (N, C, H, W), floating point, whole numbers from 0 to 255.
        exponents (Tensor): (N,), whole numbers from 0 to 8, on the same device.
        bits (Tensor): As ``levels``, int32, random numbers from 0 to 2 ** 23 - 1.

    Returns:
        Tensor: As ``levels``.
    """
    columns = bits >> _REST_BITS
    rows = levels.int() + (exponents.int() * 256).view(-1, 1, 1, 1)
    entries = _table(levels.device).index_select(0, ((rows << _COLUMN_BITS) + columns).flatten()).view_as(bits)
    own = (bits & (_CAPACITY - 1)) < (entries >> _COLUMN_BITS)
    return torch.where(own, columns, entries & (_COLUMNS - 1)).to(levels.dtype)


@lru_cache(maxsize=8)
def _table(device: torch.device) -> torch.Tensor:
    """(9 * 256 * 512,) int32: threshold and alias of each exponent, level and column. Shared: do not write into it."""
    thresholds, aliases = alias_tables(_poisson_units())
    return (thresholds << _COLUMN_BITS | aliases).flatten().int().to(device)


def _poisson_units() -> torch.Tensor:
    """(9 * 256, 512) int64: probability of each count, in units of which a row has 512 * 2 ** 14."""
    rates = torch.arange(256, dtype=torch.float64) / 255 * 2.0 ** torch.arange(_LARGEST_EXPONENT + 1)[:, None]
    law = torch.distributions.Poisson(rates.flatten()[:, None], validate_args=False)  # a rate of 0 is fine
    units = (law.log_prob(torch.arange(_COLUMNS, dtype=torch.float64)).exp() * (_COLUMNS * _CAPACITY)).round().long()
    likeliest = units.argmax(1, keepdim=True)
    return units.scatter_add_(1, likeliest, _COLUMNS * _CAPACITY - units.sum(1, keepdim=True))


def alias_tables(units: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Shares the units of each row out, so that a column holds a capacity of 2 ** 14, of itself and of one other.

    Columns with less than the capacity are filled one after the other by those with more; one of the latter that has
    given too much is filled by the next of them. Sums tell who fills whom, for all rows at once.

    Args:
        units (Tensor): (R, 512) int64; each row sums to 512 * 2 ** 14.

    Returns:
        tuple[Tensor, Tensor]: how many units of each column are its own (R, 512), and the column of the others.
    """
    poor = units < _CAPACITY
    order = poor.int().argsort(dim=1, descending=True, stable=True)  # the poor first
    units, poor = units.gather(1, order), poor.gather(1, order)
    lacking = torch.where(poor, _CAPACITY - units, 0)
    lacks = lacking.cumsum(1)
    spares = torch.where(poor, 0, units - _CAPACITY).cumsum(1)
    filler = torch.searchsorted(spares, lacks - lacking, right=True)
    last_filled = torch.searchsorted(lacks, spares)
    overdrawn = lacks.gather(1, last_filled) - spares
    own = torch.where(poor, units, _CAPACITY - overdrawn)
    following = torch.arange(1, _COLUMNS + 1).expand_as(order)
    other = order.gather(1, torch.where(poor, filler, following).clamp_(max=_COLUMNS - 1))
    empty = torch.zeros_like(order)
    return empty.scatter(1, order, own), empty.scatter(1, order, other)
