"""MATLAB-exact bicubic downscaling, the degradation of classical benchmarks and of FSRNet."""

from __future__ import annotations

import torch

from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.values import require_whole
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.imaging import imresize, quantize


@DEGRADATION_REGISTRY.register()
class BicubicDegradation(Degradation):
    """Antialiased bicubic reduction as MATLAB's ``imresize``, rounded to 8 bit; draws nothing.

    Args:
        scale (int): HR-to-LR factor, 1 to 8. 1 gives the image itself.
        enlarge (bool): Bring the LR back to HR size by the same bicubic, and round again: FSRNet's input. Default:
            False.

    Raises:
        OptionError: for a scale outside of 1 to 8.

    Examples:
        >>> BicubicDegradation(8)(torch.zeros(2, 3, 128, 128), torch.Generator()).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, scale: int, enlarge: bool = False) -> None:
        super().__init__(require_whole('scale', scale, most=8), enlarged=enlarge)

    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(N, 3, H, W) RGB [0, 1] -> (N, 3, H / scale, W / scale), or (N, 3, H, W) where ``enlarge`` is set."""
        height, width = gt.shape[-2:]
        lq = quantize(imresize(gt, (height // self.scale, width // self.scale)))
        return quantize(imresize(lq, (height, width))) if self.enlarged else lq
