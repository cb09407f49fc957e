from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo, require_factor
from facesr_ext.imaging import imresize


class _Interpolation(nn.Module, ABC):
    """Enlarging without anything learnt, by any whole factor; 1 gives back an image that is enlarged already."""

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        require_factor(type(self).__name__, scale)
        self.scale = scale
        self.info = ArchInfo(scale, 'enlarged' if scale == 1 else 'small')

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Enlarges images.

        Args:
            lq (Tensor): (N, 3, h, w), RGB, [0, 1].

        Returns:
            Tensor: (N, 3, h * scale, w * scale), RGB, not clamped.
        """
        return self.enlarge(lq, (lq.shape[-2] * self.scale, lq.shape[-1] * self.scale))

    @abstractmethod
    def enlarge(self, lq: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """(N, 3, h, w) -> (N, 3, *size)."""


@ARCH_REGISTRY.register()
class Bicubic(_Interpolation):
    """MATLAB's bicubic enlarging, the baseline of the literature, as a network without weights.

    Args:
        scale (int): Any whole number. Default: 4.

    Raises:
        ValueError: for another scale.
    """

    def enlarge(self, lq: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return imresize(lq, size)


@ARCH_REGISTRY.register()
class Lanczos(_Interpolation):
    """Enlarging by Lanczos' kernel of three lobes, as a network without weights.

    Args:
        scale (int): Any whole number. Default: 4.

    Raises:
        ValueError: for another scale.
    """

    def enlarge(self, lq: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return imresize(lq, size, 'lanczos3')


@ARCH_REGISTRY.register()
class Nearest(_Interpolation):
    """Each pixel becomes a square of its colour; as a network without weights.

    Args:
        scale (int): Any whole number. Default: 4.

    Raises:
        ValueError: for another scale.
    """

    def enlarge(self, lq: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        return F.interpolate(lq, size, mode='nearest')
