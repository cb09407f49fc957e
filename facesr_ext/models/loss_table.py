"""The one table of losses: what each option key of ``train:`` reads and what the log calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, Priors
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import build_part
from facesr_ext.models.batch import Batch, Output


@dataclass(frozen=True)
class LossSpec:
    """What a loss is called in the log, and what it reads; None where the batch has no labels for it."""

    log: str
    reads: Callable[[Output, Batch], tuple[Any, ...] | None]


def _landmarks(out: Output, batch: Batch) -> tuple[Any, ...] | None:
    return (out.landmarks, batch.heatmaps, batch.heatmap_mask) if out.landmarks and batch.heatmaps is not None else None


def _parsing(out: Output, batch: Batch) -> tuple[Any, ...] | None:
    return (out.parsing, batch.planes, batch.plane_mask) if out.parsing and batch.planes is not None else None


LOSS_TABLE: dict[str, LossSpec] = {
    'pixel_opt': LossSpec('pix', lambda out, batch: (out.sr, batch.gt)),
    'coarse_opt': LossSpec('coarse', lambda out, batch: (out.coarse, batch.gt)),
    'content_opt': LossSpec('content', lambda out, batch: (out.sr, batch.gt)),
    'perceptual_opt': LossSpec('percep', lambda out, batch: (out.sr, batch.gt)),
    'landmark_opt': LossSpec('landmark', _landmarks),
    'parsing_opt': LossSpec('parsing', _parsing),
}


def unserved_losses(train: Mapping[str, Any], info: ArchInfo) -> Iterator[OptionError]:
    """The losses of ``train`` whose input a network never gives: they would teach nothing, or the result twice.

    Args:
        train (Mapping): The section, as read or as it stands in the file.
        info (ArchInfo): Of the generator.

    Yields:
        OptionError: One for each, with its key.
    """
    given = info.priors or Priors()
    for key, what, served, remedy in (
        ('coarse_opt', 'gives no coarse image', info.priors is not None, ''),
        ('landmark_opt', 'predicts no landmarks', given.landmarks > 0, ', or set network_g: num_landmark'),
        ('parsing_opt', 'predicts no parsing maps', given.parsing > 0, ', or set network_g: num_parsing'),
    ):
        if train.get(key) and not served:
            remedy = remedy if info.priors is not None else ', or take a network that does, as FSRNet'
            yield OptionError(f'network_g {what}, so there is nothing to compare; remove {key}{remedy}', ('train', key))


def build_losses(train_opt: dict[str, Any], device: torch.device) -> nn.ModuleDict:
    """Builds every loss of the table that the ``train`` section names, keyed as there.

    Raises:
        OptionError: for a section that cannot be built.
    """
    wanted = [key for key in LOSS_TABLE if train_opt.get(key)]
    return nn.ModuleDict({key: build_part(('train', key), LOSS_REGISTRY, train_opt[key]) for key in wanted}).to(device)


def compute_losses(losses: nn.ModuleDict, out: Output, batch: Batch) -> dict[str, torch.Tensor]:
    """Every loss that can be read from the batch, each part of it by its name in the log."""
    values: dict[str, torch.Tensor] = {}
    for key, loss in losses.items():
        inputs = LOSS_TABLE[key].reads(out, batch)
        if inputs is None:
            continue
        values.update(_parts(LOSS_TABLE[key].log, loss(*inputs)))
    return values


def _parts(log: str, value: Any) -> dict[str, torch.Tensor]:
    """What a loss gives, by name: a scalar, its parts under names of their own, or BasicSR's (percep, style)."""
    if isinstance(value, dict):
        return {f'{log}_{part}': inner for part, inner in value.items()}
    pair = value if isinstance(value, tuple) else (value,)
    return {name: inner for name, inner in zip((log, 'style'), pair, strict=False) if inner is not None}


def batch_psnr(sr: torch.Tensor, gt: torch.Tensor | None) -> torch.Tensor:
    """Mean PSNR-RGB (dB) of a batch, as a tensor so that nothing waits for the device."""
    if gt is None:
        return sr.new_zeros(())
    mse = (sr.clamp(0, 1) - gt).square().flatten(1).mean(1)
    return (-10 * mse.clamp(min=1e-10).log10()).mean()
