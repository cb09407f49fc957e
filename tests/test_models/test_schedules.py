"""The schedules that follow ``train: total_iter``: their values, and what a prolonged training has."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from facesr_ext.errors import OptionError
from facesr_ext.models.schedules import build_scheduler


def _rates(section: dict[str, Any], total: int, steps: int, groups: tuple[float, ...] = (1.0,)) -> list[list[float]]:
    """The rates of iterations 1, 2, ..., as the runner steps the schedule."""
    parameters = [{'params': [torch.nn.Parameter(torch.zeros(1))], 'lr': lr} for lr in groups]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    scheduler = build_scheduler(section, optimizer, total)
    found = []
    for _ in range(steps):
        found.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


def test_cosine_from_the_end_of_the_warm_up_to_the_last_iteration() -> None:
    section = {'type': 'CosineLR', 'eta_min': 0.1, 'hold_iter': 10}
    rates = [rate for (rate,) in _rates(section, 50, 51)]
    assert rates[:11] == [1.0] * 11 and rates[30] == pytest.approx(0.55) and rates[50] == pytest.approx(0.1)
    assert rates[20] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert all(a > b for a, b in zip(rates[10:], rates[11:], strict=False))


@pytest.mark.parametrize(('shape', 'half'), [('linear', 0.5), ('cosine', 0.5), ('sqrt', 1 - math.sqrt(0.5))])
def test_stable_then_decay(shape: str, half: float) -> None:
    section = {'type': 'WarmupStableDecayLR', 'decay_iter': 10, 'shape': shape}
    rates = [rate for (rate,) in _rates(section, 40, 41)]
    assert rates[:31] == [1.0] * 31 and rates[35] == pytest.approx(half) and rates[40] == pytest.approx(0, abs=1e-12)
    assert 0 < rates[39] < rates[31] < 1


def test_a_prolonged_training_has_the_rates_of_the_longer_one() -> None:
    """Up to the decay of the shorter one nothing differs: any checkpoint there is a place to go on from."""
    section = {'type': 'WarmupStableDecayLR', 'decay_iter': 10}
    short, long = _rates(section, 40, 40), _rates(section, 80, 80)
    assert short[:31] == long[:31] and long[30:71] == [[1.0]] * 41


def test_slower_parts_stay_in_proportion() -> None:
    rates = _rates({'type': 'CosineLR', 'eta_min': 0.1}, 20, 21, (1.0, 0.5, 0.0))
    assert all(one[1] == pytest.approx(one[0] / 2) and one[2] == 0 for one in rates)


@pytest.mark.parametrize(
    ('section', 'message'),
    [
        ({'type': 'CosinLR'}, 'scheduler:type: .*did you mean CosineLR'),
        ({'type': 'WarmupStableDecayLR'}, 'scheduler: .*decay_iter'),
        ({'type': 'WarmupStableDecayLR', 'decay_iter': 50}, 'decay_iter is 1 to total_iter, not 50'),
        ({'type': 'WarmupStableDecayLR', 'decay_iter': 5, 'shape': 'step'}, 'shape is one of linear, cosine, sqrt'),
        ({'type': 'CosineLR', 'hold_iter': 40}, 'hold_iter is 0 to total_iter - 1, not 40'),
    ],
)
def test_what_is_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        _rates(section, 40, 1)
