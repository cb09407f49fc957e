"""Landmarks as heatmaps."""

from __future__ import annotations

import torch


def landmark_heatmaps(
    landmarks: torch.Tensor, image_size: tuple[int, int], size: tuple[int, int], sigma: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws one Gaussian of peak 1 for each landmark.

    Args:
        landmarks (Tensor): (N, L, 2), x and y in pixels of the image (pixel centres are integers); NaN where unknown.
        image_size (tuple[int, int]): Height and width of the image, pixels.
        size (tuple[int, int]): Height and width of the maps, pixels.
        sigma (float): Standard deviation, pixels of the maps.

    Returns:
        tuple[Tensor, Tensor]: heatmaps (N, L, *size) in [0, 1], zero for an unknown landmark, and (N, L, 1, 1) that is
        1 where the landmark is known and 0 elsewhere.
    """
    known = torch.isfinite(landmarks).all(-1)
    xy = torch.nan_to_num(landmarks)
    axes = []
    for axis, length in ((1, 0), (0, 1)):  # rows from y, columns from x
        ratio = size[length] / image_size[length]
        centre = (xy[..., axis] + 0.5) * ratio - 0.5
        grid = torch.arange(size[length], device=xy.device, dtype=xy.dtype)
        axes.append(torch.exp(-((grid - centre[..., None]) ** 2) / (2 * sigma**2)))
    maps = axes[0][..., :, None] * axes[1][..., None, :]
    mask = known[..., None, None].to(maps.dtype)
    return maps * mask, mask
