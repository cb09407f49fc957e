"""Augmentation of a batch on its device, from the training's own generator: ``train: augment``."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.errors import OptionError
from facesr_ext.models.batch import Batch
from facesr_ext.settings.train import Augment


def augment_faults(settings: Augment, reads: Collection[str], info: ArchInfo) -> Iterator[OptionError]:
    """What cannot be done to the batches of a training.

    Args:
        settings (Augment): What is asked for.
        reads (Collection[str]): What its losses read.
        info (ArchInfo): Of the generator.

    Yields:
        OptionError: One for each, with its key.
    """
    labels = [name for name in ('landmarks', 'parsing', 'regions') if name in reads]
    if settings.mixup and labels:
        message = f'blends faces, and a loss reads their {labels[0]}, which cannot be blended; set it to 0'
        yield OptionError(message, ('train', 'augment', 'mixup'))
    if settings.cutblur and info.input != 'enlarged':
        message = "puts the GT into the LQ, and network_g takes one that is smaller; take a network of the GT's size"
        yield OptionError(f'{message} or set it to 0', ('train', 'augment', 'cutblur'))


def permute_colours(data: Mapping[str, Any], probability: float, generator: torch.Generator) -> dict[str, Any]:
    """Exchanges the colour channels of some samples, GT and stored LQ alike, before anything degrades them.

    Source: Best entry of the AI6126 challenge of 2020 (Mini-DIV2K 4x), beside mixup.

    Args:
        data (Mapping): A collated batch with ``gt`` and perhaps ``lq``, (N, 3, h, w).
        probability (float): Of each sample; it may draw the order that it has.
        generator (Generator): What is drawn from.
    """
    count = len(data['gt'])
    orders = torch.rand(count, 3, generator=generator, device=generator.device).argsort(1)
    chosen = torch.rand(count, 1, generator=generator, device=generator.device) < probability
    orders = torch.where(chosen, orders, torch.arange(3, device=orders.device))
    permuted = {
        key: data[key].gather(1, orders.to(data[key].device)[:, :, None, None].expand_as(data[key]))
        for key in ('gt', 'lq')
        if key in data
    }
    return {**data, **permuted}


def augment(batch: Batch, settings: Augment, generator: torch.Generator) -> Batch:
    """Mixup and CutBlur, as far as they are asked for.

    Args:
        batch (Batch): With GT; for CutBlur with an LQ of the GT's size.
        settings (Augment): How much.
        generator (Generator): What is drawn from.
    """
    if settings.mixup:
        batch = mixup(batch, settings.mixup, settings.mixup_alpha, generator)
    return cutblur(batch, settings.cutblur, generator) if settings.cutblur else batch


def mixup(batch: Batch, probability: float, alpha: float, generator: torch.Generator) -> Batch:
    """Blends some samples with the next one, LQ and GT by the same share.

    Paper: mixup (Zhang et al., ICLR 2018), with the share from Beta(alpha, alpha), here by the larger of the two, so
    that a sample stays mostly what it is.

    Args:
        batch (Batch): At least two samples, else there is nothing to blend.
        probability (float): Of each sample.
        alpha (float): Above 0, at most 1, which draws any share alike; less draws near none.
        generator (Generator): What is drawn from.
    """
    count, device = len(batch), batch.lq.device
    chosen = torch.rand(count, generator=generator, device=generator.device) < probability
    share = _beta(alpha, count, generator)
    share = torch.where(chosen, torch.maximum(share, 1 - share), torch.ones_like(share))
    weight = share.to(device)[:, None, None, None]

    images = {name: getattr(batch, name) for name in ('lq', 'enlarged', 'gt', 'gan_gt')}
    blended = {
        name: torch.lerp(img.roll(1, 0), img, weight.to(img.dtype)) for name, img in images.items() if img is not None
    }
    return replace(batch, **blended)


def _beta(alpha: float, count: int, generator: torch.Generator) -> torch.Tensor:
    """(count,) of Beta(alpha, alpha), by Johnk's method: the first of many tries that fits, without a loop."""
    tries = torch.rand(2, 64, count, generator=generator, device=generator.device).double().pow(1 / alpha)
    sums = tries.sum(0)
    fits = (sums <= 1) & (sums > 0)
    first = fits.int().argmax(0)[None]
    share = (tries[0].gather(0, first) / sums.gather(0, first).clamp(min=1e-300))[0]
    return torch.where(fits.any(0), share, torch.full_like(share, 0.5)).float()


def cutblur(batch: Batch, probability: float, generator: torch.Generator) -> Batch:
    """Exchanges a rectangle of some LQ for the GT's, or all but a rectangle: the network learns where to leave alone.

    Paper: Rethinking Data Augmentation for Image Super-resolution (Yoo et al., CVPR 2020).

    Args:
        batch (Batch): Its LQ has the size of its GT.
        probability (float): Of each sample.
        generator (Generator): What is drawn from.
    """
    gt = batch.enlarged if batch.gt is None else batch.gt
    count, (height, width), device = len(batch), gt.shape[-2:], batch.lq.device
    draws = torch.rand(6, count, generator=generator, device=generator.device).to(device)
    chosen, outside = draws[0] < probability, draws[1] < 0.5
    rows, columns = (0.2 + 0.5 * draw for draw in draws[2:4])  # shares of the sides
    top, left = (1 - rows) * draws[4], (1 - columns) * draws[5]
    y = ((torch.arange(height, device=device) + 0.5) / height)[None, :, None]
    x = ((torch.arange(width, device=device) + 0.5) / width)[None, None, :]
    bounds = [value[:, None, None] for value in (top, top + rows, left, left + columns)]
    inside = (y >= bounds[0]) & (y < bounds[1]) & (x >= bounds[2]) & (x < bounds[3])
    sharp = ((inside ^ outside[:, None, None]) & chosen[:, None, None])[:, None]
    images = torch.where(sharp, gt.to(batch.lq.dtype), batch.lq[:, :3])
    lq = torch.cat([images, batch.lq[:, 3:]], 1) if batch.lq.shape[1] > 3 else images
    return replace(batch, lq=lq, enlarged=images)
