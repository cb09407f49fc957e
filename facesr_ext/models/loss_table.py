"""The one table of losses: what each option key of ``train:`` reads and what the log calls it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn

from facesr_ext.archs.arch_util import imresize
from facesr_ext.archs.fsrnet_arch import FSRNetOutput
from facesr_ext.host.options import build_part


@dataclass(frozen=True)
class Batch:
    """One batch, on the model's device, ready for the network.

    Attributes:
        lq (Tensor): (N, 3, h, w), RGB, [0, 1], as the network takes it; (N, 5, h, w) where it takes coordinates.
        enlarged (Tensor): (N, 3, H, W): the LQ at HR size: what a discriminator is conditioned on, and bicubic's
            result.
        gt (Tensor | None): (N, 3, H, W), RGB, [0, 1].
        heatmaps, heatmap_mask (Tensor | None): Landmark targets (N, L, h', w') and what of them is known.
        planes, plane_mask (Tensor | None): Parsing targets (N, C, h', w') and the share of known pixels.
        unpaired (Tensor | None): (N, 3, h, w), RGB, [0, 1]: pictures that have nothing to do with the others.
        z, other_z (Tensor | None): (N, K), standard normal: the random inputs of the result, and of a second one.
    """

    lq: torch.Tensor
    enlarged: torch.Tensor
    gt: torch.Tensor | None = None
    heatmaps: torch.Tensor | None = None
    heatmap_mask: torch.Tensor | None = None
    planes: torch.Tensor | None = None
    plane_mask: torch.Tensor | None = None
    unpaired: torch.Tensor | None = None
    z: torch.Tensor | None = None
    other_z: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.lq)

    @property
    def real(self) -> torch.Tensor | None:
        """What a discriminator is to take for real."""
        return self.gt if self.unpaired is None else self.unpaired

    def small(self, scale: int) -> torch.Tensor:
        """(N, 3, H / scale, W / scale): the LQ at its own size, brought back to it where it is stored enlarged."""
        size = (self.enlarged.shape[-2] // scale, self.enlarged.shape[-1] // scale)
        return self.lq[:, :3] if self.lq.shape[-2:] == size else imresize(self.enlarged, size)

    def part(self, start: int, stop: int) -> Batch:
        """Samples start to stop."""
        return replace(self, **{name: t[start:stop] for name, t in self._tensors().items()})

    def fits(self, other: Batch) -> bool:
        """Whether `join` can join them: the same fields, of the same sizes."""
        mine, theirs = ({name: t.shape[1:] for name, t in batch._tensors().items()} for batch in (self, other))
        return mine == theirs

    @staticmethod
    def join(batches: Sequence[Batch]) -> Batch:
        """The samples of several batches that fit each other."""
        return Batch(**{name: torch.cat([getattr(b, name) for b in batches]) for name in batches[0]._tensors()})

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: t for name, t in tensors.items() if t is not None}


@dataclass(frozen=True)
class LossSpec:
    """What a loss is called in the log, and what it reads; None where the batch or the network has it not."""

    log: str
    reads: Callable[[FSRNetOutput, Batch], tuple[Any, ...] | None]


def _landmarks(out: FSRNetOutput, batch: Batch) -> tuple[Any, ...] | None:
    return (out.landmarks, batch.heatmaps, batch.heatmap_mask) if out.landmarks and batch.heatmaps is not None else None


def _parsing(out: FSRNetOutput, batch: Batch) -> tuple[Any, ...] | None:
    return (out.parsing, batch.planes, batch.plane_mask) if out.parsing and batch.planes is not None else None


LOSS_TABLE: dict[str, LossSpec] = {
    'pixel_opt': LossSpec('pix', lambda out, batch: (out.sr, batch.gt)),
    'coarse_opt': LossSpec('coarse', lambda out, batch: (out.coarse, batch.gt)),
    'content_opt': LossSpec('content', lambda out, batch: (out.sr, batch.gt)),
    'perceptual_opt': LossSpec('percep', lambda out, batch: (out.sr, batch.gt)),
    'landmark_opt': LossSpec('landmark', _landmarks),
    'parsing_opt': LossSpec('parsing', _parsing),
}


def build_losses(train_opt: dict[str, Any], device: torch.device) -> nn.ModuleDict:
    """Builds every loss of the table that the ``train`` section names, keyed as there.

    Raises:
        OptionError: for a section that cannot be built.
    """
    wanted = [key for key in LOSS_TABLE if train_opt.get(key)]
    return nn.ModuleDict({key: build_part(f'train: {key}', LOSS_REGISTRY, train_opt[key]) for key in wanted}).to(device)


def compute_losses(losses: nn.ModuleDict, out: FSRNetOutput, batch: Batch) -> dict[str, torch.Tensor]:
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
