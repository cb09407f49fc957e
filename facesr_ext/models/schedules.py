"""Schedules of the learning rate: BasicSR's two, and two that follow ``train: total_iter``."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from basicsr.models.lr_scheduler import CosineAnnealingRestartLR, MultiStepRestartLR
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from facesr_ext.archs.arch_info import require_literals
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import known_name

_SHAPES: dict[str, Callable[[float], float]] = {
    'linear': lambda left: left,
    'cosine': lambda left: (1 - math.cos(math.pi * left)) / 2,
    'sqrt': lambda left: 1 - math.sqrt(1 - left),
}
"""Part of the decay that is left, 1 to 0 -> part of the rate."""


class _ToTheEnd(LRScheduler):
    """A rate that is a function of the iteration and of the whole number of them, whatever went before.

    A training that goes on with another ``total_iter`` has from there on the rate of the longer one.
    """

    def __init__(self, optimizer: Optimizer, total_iter: int, eta_min: float = 0.0) -> None:
        self.total_iter, self.eta_min = total_iter, eta_min
        super().__init__(optimizer)

    def share(self, iteration: int) -> float:
        """What of the optimiser's rate there is after so many iterations, 1 to 0."""
        raise NotImplementedError

    def get_lr(self) -> list[float | torch.Tensor]:
        """One rate a group; ``eta_min`` is that of a group of the full rate."""
        share, bases = self.share(min(self.last_epoch, self.total_iter)), [float(base) for base in self.base_lrs]
        lowest = self.eta_min / (max(bases) or 1.0)
        return [base * (lowest + (1 - lowest) * share) for base in bases]


class CosineLR(_ToTheEnd):
    """Falls along half a cosine from the end of the warm-up (``train: warmup_iter``) to the last iteration.

    Paper: SGDR (Loshchilov and Hutter, ICLR 2017), without restarts.

    Args:
        optimizer (Optimizer): Its rate is where the schedule begins.
        total_iter (int): ``train: total_iter``.
        eta_min (float): The rate at the end. Default: 0.
        hold_iter (int): Iterations that the rate stays as it is first; for the warm-up's rate to reach the full one,
            at least ``warmup_iter``. Default: 0.

    Raises:
        ValueError: for a hold_iter that leaves no iteration to fall in.
    """

    def __init__(self, optimizer: Optimizer, total_iter: int, eta_min: float = 0.0, hold_iter: int = 0) -> None:
        if not 0 <= hold_iter < total_iter:
            raise ValueError(f'CosineLR: hold_iter is 0 to total_iter - 1, not {hold_iter}')
        self.hold_iter = hold_iter
        super().__init__(optimizer, total_iter, eta_min)

    def share(self, iteration: int) -> float:
        past = max(0, iteration - self.hold_iter) / (self.total_iter - self.hold_iter)
        return (1 + math.cos(math.pi * past)) / 2


class WarmupStableDecayLR(_ToTheEnd):
    """Stays as it is and falls at the very end, so that a training can be prolonged at will.

    Any checkpoint before the decay is a place to go on from: a greater ``total_iter`` with ``--auto_resume`` prolongs
    the training as if it had been planned so, and one a ``decay_iter`` ahead closes it. The rise at the beginning is
    ``train: warmup_iter``.

    Papers: MiniCPM (Hu et al., 2024), which names it; Scaling Laws and Compute-Optimal Training Beyond Fixed Training
    Durations (Hägele et al., NeurIPS 2024), for the shape 'sqrt' and a decay of a tenth to a fifth.

    Args:
        optimizer (Optimizer): Its rate is the one that stays.
        total_iter (int): ``train: total_iter``.
        decay_iter (int): The last so many iterations, in which it falls.
        eta_min (float): The rate at the end. Default: 0.
        shape (str): Along which it falls: 'linear', 'cosine', or 'sqrt' (fast at first). Default: 'sqrt'.

    Raises:
        ValueError: for a decay that is longer than the training, or another shape.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_iter: int,
        decay_iter: int,
        eta_min: float = 0.0,
        shape: Literal['linear', 'cosine', 'sqrt'] = 'sqrt',
    ) -> None:
        require_literals(WarmupStableDecayLR, shape=shape)
        if not 1 <= decay_iter <= total_iter:
            raise ValueError(f'WarmupStableDecayLR: decay_iter is 1 to total_iter, not {decay_iter}')
        self.decay_iter, self.shape = decay_iter, shape
        super().__init__(optimizer, total_iter, eta_min)

    def share(self, iteration: int) -> float:
        left = min(1.0, (self.total_iter - iteration) / self.decay_iter)
        return _SHAPES[self.shape](left)


SCHEDULERS: dict[str, Callable[..., LRScheduler]] = {
    'MultiStepLR': MultiStepRestartLR,
    'MultiStepRestartLR': MultiStepRestartLR,
    'CosineAnnealingRestartLR': CosineAnnealingRestartLR,
    'CosineLR': CosineLR,
    'WarmupStableDecayLR': WarmupStableDecayLR,
}
"""``type`` of ``train: scheduler`` -> class; the first three names are BasicSR's."""


def build_scheduler(section: Mapping[str, Any], optimizer: Optimizer, total_iter: int) -> LRScheduler:
    """Builds what ``train: scheduler`` says.

    Args:
        section (Mapping): ``type`` and its arguments but ``total_iter``, which is that of ``train``.
        optimizer (Optimizer): Whose rates follow it.
        total_iter (int): Iterations of the training.

    Raises:
        OptionError: for an unknown type or argument, or a value that it refuses.
    """
    key, arguments = ('train', 'scheduler'), {name: value for name, value in section.items() if name != 'type'}
    target = SCHEDULERS[known_name((*key, 'type'), section.get('type'), SCHEDULERS)]
    if 'total_iter' in inspect.signature(target).parameters:
        arguments = {'total_iter': total_iter, **arguments}
    try:
        return target(optimizer, **arguments)
    except (TypeError, ValueError, AssertionError) as err:
        raise OptionError(str(err), key) from err
