"""What losses read that look at a result once more: the degraded result, and what the network makes of that."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import torch

from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.degradations.base import Degradation
from facesr_ext.imaging import imresize
from facesr_ext.models.batch import Batch, Output
from facesr_ext.models.forward import enlarge

READS = ('reduced', 'again')


class Recycler:
    """Completes an output by what losses read of it.

    Args:
        reads (Collection[str]): What losses read.
        degradation (Degradation | None): Of the training; the bicubic reduction without one.
        scale (int): LR-to-HR factor.
        info (ArchInfo): Of the network.
    """

    def __init__(self, reads: Collection[str], degradation: Degradation | None, scale: int, info: ArchInfo) -> None:
        self.reads = reads
        self.wanted = [name for name in READS if name in reads]
        self.degradation, self.scale, self.info = degradation, scale, info

    def complete(self, out: Output, batch: Batch, net: Callable[[Batch], torch.Tensor], seed: int) -> Output:
        """The output with ``reduced`` and ``again``, as far as they are wanted.

        Args:
            out (Output): In fp32.
            batch (Batch): With its GT.
            net (Callable): What the network makes of a batch, (N, 3, H, W).
            seed (int): Of the draws, for result and GT alike.
        """
        if not self.wanted or batch.gt is None:
            return out
        small = self.degraded(out.sr, seed)
        if 'reduced' in self.wanted:
            out = out._replace(reduced=(small, self.degraded(batch.gt, seed)))
        if 'again' in self.wanted and not any(self.info.sizes.padding(_size(batch.lq))):
            given = torch.cat([self._as_input(small), batch.lq[:, 3:]], 1)
            out = out._replace(again=net(replace(batch, lq=given)))
        return out

    def degraded(self, images: torch.Tensor, seed: int) -> torch.Tensor:
        """The LQ of images (N, 3, H, W), RGB, as the degradation gives it; its gradient is the bicubic reduction's."""
        smooth = self._reduce(images)
        if self.degradation is None:
            return smooth
        enlarged = self.degradation.enlarged
        if enlarged:
            smooth = imresize(smooth, _size(images))
        generator = torch.Generator(images.device).manual_seed(seed)
        with torch.no_grad():
            degraded = self.degradation(images.detach().clamp(0, 1), generator)
        return _with_value(smooth, degraded)

    def _reduce(self, images: torch.Tensor) -> torch.Tensor:
        height, width = _size(images)
        return imresize(images, (height // self.scale, width // self.scale)) if self.scale > 1 else images

    def _as_input(self, lq: torch.Tensor) -> torch.Tensor:
        """An LQ as the network takes it."""
        if self.info.input == 'small' or self.degradation is not None and self.degradation.enlarged or self.scale == 1:
            return lq
        height, width = _size(lq)
        smooth = imresize(lq, (height * self.scale, width * self.scale))
        return _with_value(smooth, enlarge(lq.detach(), self.scale))


def _size(images: torch.Tensor) -> tuple[int, int]:
    height, width = images.shape[-2:]
    return height, width


def _with_value(smooth: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """What has this value, and the gradient of the other."""
    return smooth + (value - smooth).detach()
