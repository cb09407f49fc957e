"""JPEG compression on the device: BasicSR's ``DiffJPEG``, quality by image."""

from __future__ import annotations

from functools import lru_cache

import torch
from basicsr.utils import DiffJPEG

from facesr_ext.degradations.draws import Draws, Range


@lru_cache(maxsize=8)
def _codec(device: torch.device) -> DiffJPEG:
    return DiffJPEG(differentiable=False).to(device)


def compress(img: torch.Tensor, quality: Range, draws: Draws) -> torch.Tensor:
    """Compresses and decompresses each image at a quality drawn for it.

    Args:
        img (Tensor): (N, 3, H, W), RGB; clamped to [0, 1] first, as values beyond would ring.
        quality (Range): Lowest and highest quality, 0 to 100.
        draws (Draws): What it draws from.

    Returns:
        Tensor: (N, 3, H, W), RGB, [0, 1].
    """
    qualities = draws.uniform(quality, len(img)).clamp(max=99).to(img.device)  # DiffJPEG divides by zero at 100
    return _codec(img.device)(img.clamp(0, 1), quality=qualities).contiguous()
