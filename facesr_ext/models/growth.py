"""``train: stages``: which stage of growing networks an iteration belongs to, and how far it has faded in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from facesr_ext.archs.srpggan_arch import SRPGGAN, SRPGGANCritic
from facesr_ext.errors import OptionError
from facesr_ext.settings.train import Stage as StageSettings

DEFAULT_FADE = 0.5
PLACE = ('train', 'stages')


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


def plan_stages(
    entries: Sequence[StageSettings], total_iter: int, net_g: nn.Module, net_d: nn.Module
) -> tuple[Stage, ...]:
    """The stages of a training, one after the other.

    Args:
        entries (Sequence[StageSettings]): ``train: stages``.
        total_iter (int): ``train: total_iter``.
        net_g, net_d (Module): The bare networks.

    Raises:
        OptionError: naming the first fault.
    """
    for err in stage_faults(entries, total_iter, net_g, net_d):
        raise err
    stages: list[Stage] = []
    for factor, entry in zip(net_g.factors, entries, strict=True):  # type: ignore[arg-type]
        start = stages[-1].end if stages else 0
        part = entry.fade if entry.fade is not None else DEFAULT_FADE if stages else 0
        stages.append(Stage(factor, start, entry.iters, round(entry.iters * part), entry.micro_batch))
    return tuple(stages)


def stage_faults(
    entries: Sequence[StageSettings], total_iter: int | None, net_g: nn.Module, net_d: nn.Module
) -> Iterator[OptionError]:
    """What is wrong with networks that are to grow, and with their stages.

    What builds on something wrong is not looked at.

    Args:
        entries (Sequence[StageSettings]): ``train: stages``.
        total_iter (int | None): ``train: total_iter``.
        net_g, net_d (Module): The bare networks; they may be on the meta device.

    Yields:
        OptionError: One for each fault, with its key.
    """
    if not isinstance(net_g, SRPGGAN):
        message = f'{type(net_g).__name__} does not grow; SRPGGANModel trains a SRPGGAN'
        yield OptionError(message, ('network_g', 'type'))
    elif not isinstance(net_d, SRPGGANCritic):
        message = f'{type(net_d).__name__} does not grow; SRPGGANModel needs a SRPGGANCritic'
        yield OptionError(message, ('network_d', 'type'))
    elif net_g.factors != net_d.factors:
        message = f'grows by {_listing(net_d.factors)}, but network_g by {_listing(net_g.factors)}'
        yield OptionError(f'{message}; make scale and lr_stage agree', ('network_d',))
    else:
        yield from _plan_faults(entries, total_iter, [net_d.lr_size * factor for factor in net_d.factors])


def _plan_faults(
    entries: Sequence[StageSettings], total_iter: int | None, sizes: Sequence[int]
) -> Iterator[OptionError]:
    """Entries that do not suit the networks, or the length of the training."""
    given = [entry.size for entry in entries]
    if given != sizes:
        message = f'the sizes are {_listing(given)}, but the networks grow through {_listing(sizes)}'
        remedy = 'give each an entry, in this order, or change input_size, scale or lr_stage'
        yield OptionError(f'{message}; {remedy}', PLACE)
    elif entries[0].fade:
        message = f'the first stage, {sizes[0]} px, has none before it to fade from'
        yield OptionError(f'{message}; remove this key', (*PLACE, '0', 'fade'))
    lasts = sum(entry.iters for entry in entries)
    if total_iter != lasts:
        message = f'is {total_iter}, but the iters of the stages sum to {lasts}'
        yield OptionError(f'{message}; write total_iter: {lasts}, or change theirs', ('train', 'total_iter'))


def _listing(numbers: Sequence[int]) -> str:
    return ', '.join(map(str, numbers))
