"""Sheets of what a network is given: the first batch of a training, with its priors drawn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import write_image
from facesr_ext.imaging import to_images
from facesr_ext.models.batch import Batch

ROWS = 10


def batch_columns(batch: Batch) -> dict[str, torch.Tensor | None]:
    """What is worth seeing of a batch, (N, 3, H, W) each, by headline."""
    columns = {'LQ': batch.enlarged, 'GT': batch.gt}
    if batch.planes is not None:
        columns['parsing'] = _paint(batch.planes)
    if batch.heatmaps is not None:
        columns['landmarks'] = batch.heatmaps.amax(1, keepdim=True).expand(-1, 3, -1, -1)
    return columns


def write_sheet(columns: Mapping[str, torch.Tensor | None], path: Path) -> None:
    """Writes the first samples of a batch, one a row.

    Args:
        columns (Mapping): (N, 3, H, W) each, RGB, [0, 1], by headline; None is left out.
        path (Path): Where to.
    """
    images = {title: to_images(t[:ROWS]) for title, t in columns.items() if t is not None}
    write_image(path, contact_sheet([list(row) for row in zip(*images.values(), strict=True)], list(images)))


def _paint(planes: torch.Tensor) -> torch.Tensor:
    """(N, C, h, w) parsing planes -> (N, 3, h, w) in one colour a plane."""
    hues = torch.arange(planes.shape[1], device=planes.device) * 2.4
    colours = torch.stack([hues.cos(), (hues + 2.1).cos(), (hues + 4.2).cos()], 1) * 0.4 + 0.5
    return torch.einsum('nchw,cr->nrhw', planes, colours)
