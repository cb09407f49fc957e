"""``train: stages``: which stage of growing networks an iteration belongs to, and how far it has faded in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from facesr_ext.archs.srpggan_arch import SRPGGAN, SRPGGANCritic
from facesr_ext.errors import OptionError

KEYS = ('size', 'iters', 'fade', 'micro_batch')
DEFAULT_FADE = 0.5
PLACE = ('train', 'stages')

Fault = tuple[tuple[str, ...], str]
"""A place in the option file, and what is wrong there; entries of a list are '0', '1', ..."""


@dataclass(frozen=True)
class Stage:
    """One stage of a training.

    Attributes:
        factor (int): Its image's side as a multiple of the LR's.
        start (int): Iterations before it.
        iters (int): Iterations that it lasts.
        fade (int): Those of them in which it fades in, from the first on.
        micro_batch (int | None): Samples a backward pass, where that differs from ``train: micro_batch``.
    """

    factor: int
    start: int
    iters: int
    fade: int = 0
    micro_batch: int | None = None

    @property
    def end(self) -> int:
        """Its last iteration."""
        return self.start + self.iters

    def alpha(self, iteration: int) -> float:
        """Weight of what the stage adds: linear, above 0 in its first iteration, 1 from the fade's last one on."""
        return min(1.0, (iteration - self.start) / self.fade) if self.fade else 1.0


def stage_at(stages: Sequence[Stage], iteration: int) -> Stage:
    """The stage of an iteration, counted from 1; the last one where all are over."""
    return next((stage for stage in stages if iteration <= stage.end), stages[-1])


def read_stages(train_opt: dict[str, Any], net_g: nn.Module, net_d: nn.Module) -> tuple[Stage, ...]:
    """Reads ``train: stages``, a list of ``{size, iters, fade, micro_batch}``.

    ``size`` is the image's side in pixels, ``iters`` how long the stage lasts, ``fade`` the part of it in which it
    fades in (default: half; the first stage has nothing to fade from), ``micro_batch`` the samples a backward pass.

    Args:
        train_opt (dict): ``train:`` of the option file.
        net_g, net_d (Module): The bare networks.

    Raises:
        OptionError: naming the first fault.
    """
    for place, message in stage_faults(train_opt, net_g, net_d):
        raise OptionError(message, place)
    stages: list[Stage] = []
    for factor, entry in zip(net_g.factors, train_opt['stages'], strict=True):  # type: ignore[arg-type]
        start = stages[-1].end if stages else 0
        iters, part, micro_batch = int(entry['iters']), entry.get('fade'), entry.get('micro_batch')
        if part is None:
            part = DEFAULT_FADE if stages else 0
        stages.append(Stage(factor, start, iters, round(iters * part), micro_batch and int(micro_batch)))
    return tuple(stages)


def stage_faults(train_opt: dict[str, Any], net_g: nn.Module, net_d: nn.Module) -> Iterator[Fault]:
    """What is wrong with networks that are to grow, and with their stages.

    What builds on something wrong is not looked at.

    Args:
        train_opt (dict): ``train:`` of the option file.
        net_g, net_d (Module): The bare networks; they may be on the meta device.

    Yields:
        Fault: Place and message.
    """
    if not isinstance(net_g, SRPGGAN):
        yield ('network_g', 'type'), f'{type(net_g).__name__} does not grow; SRPGGANModel trains a SRPGGAN'
    elif not isinstance(net_d, SRPGGANCritic):
        yield ('network_d', 'type'), f'{type(net_d).__name__} does not grow; SRPGGANModel needs a SRPGGANCritic'
    elif net_g.factors != net_d.factors:
        message = f'grows by {_listing(net_d.factors)}, but network_g by {_listing(net_g.factors)}'
        yield ('network_d',), f'{message}; make scale and lr_stage agree'
    else:
        sizes = [net_d.lr_size * factor for factor in net_d.factors]
        faults = [*_entry_faults(train_opt.get('stages'), sizes)]
        yield from faults or _plan_faults(train_opt, sizes)


def _entry_faults(stages: Any, sizes: list[int]) -> Iterator[Fault]:
    """Entries that are none, and values of another kind."""
    if not isinstance(stages, list) or not stages:
        example = ', '.join(f'{{size: {size}, iters: 50000}}' for size in sizes)
        yield PLACE, f'must be a list with an entry for each size, as [{example}]'
        return
    for number, entry in enumerate(stages):
        place = (*PLACE, str(number))
        if not isinstance(entry, dict):
            yield place, f'must be a section as {{size: {sizes[0]}, iters: 50000}}, not {entry!r}'
            continue
        unknown = [key for key in entry if key not in KEYS]
        for key in unknown:
            yield (*place, key), f'unknown key; an entry has {", ".join(KEYS)}'
        yield from () if unknown else _value_faults(place, entry)


def _value_faults(place: tuple[str, ...], entry: dict[str, Any]) -> Iterator[Fault]:
    """Values of an entry that are missing or of another kind; ``~`` is a default's place."""
    for key in ('size', 'iters', 'micro_batch'):
        value = entry.get(key)
        if not _whole(value) and (value is not None or key != 'micro_batch'):
            yield (*place, key), f'must be a whole number from 1 on, not {value!r}'
    fade = entry.get('fade')
    if fade is not None and not _share(fade):
        yield (*place, 'fade'), f'is the part of the stage in which it fades in, from 0 to 1, not {fade!r}'


def _plan_faults(train_opt: dict[str, Any], sizes: list[int]) -> Iterator[Fault]:
    """Entries that do not suit the networks, or the length of the training."""
    stages = train_opt['stages']
    given = [entry['size'] for entry in stages]
    if given != sizes:
        message = f'the sizes are {_listing(given)}, but the networks grow through {_listing(sizes)}'
        yield PLACE, f'{message}; give each an entry, in this order, or change input_size, scale or lr_stage'
    elif stages[0].get('fade'):
        message = f'the first stage, {sizes[0]} px, has none before it to fade from'
        yield (*PLACE, '0', 'fade'), f'{message}; remove this key'
    total, lasts = train_opt.get('total_iter'), sum(int(entry['iters']) for entry in stages)
    if total != lasts:
        message = f'is {total}, but the iters of the stages sum to {lasts}'
        yield ('train', 'total_iter'), f'{message}; write total_iter: {lasts}, or change theirs'


def _whole(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and value == int(value) and value >= 1


def _share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _listing(numbers: Sequence[int]) -> str:
    return ', '.join(map(str, numbers))
