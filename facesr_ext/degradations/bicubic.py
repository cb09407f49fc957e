"""MATLAB-exact bicubic downscaling, the degradation of classical benchmarks and of FSRNet."""

from __future__ import annotations

import torch

from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.jpeg import compress
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
        jpeg_quality (int | None): At last a JPEG file of this quality, 1 to 99, as the published pairs of a benchmark
            may be (FSRNet's are of 75). Default: None.

    Raises:
        OptionError: for a scale outside of 1 to 8, or such a quality.

    Examples:
        >>> BicubicDegradation(8)(torch.zeros(2, 3, 128, 128), torch.Generator()).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, scale: int, enlarge: bool = False, jpeg_quality: int | None = None) -> None:
        super().__init__(require_whole('scale', scale, most=8), enlarged=enlarge)
        self.jpeg_quality = None if jpeg_quality is None else require_whole('jpeg_quality', jpeg_quality, most=99)

    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(N, 3, H, W) RGB [0, 1] -> (N, 3, H / scale, W / scale), or (N, 3, H, W) where ``enlarge`` is set."""
        height, width = gt.shape[-2:]
        lq = quantize(imresize(gt, (height // self.scale, width // self.scale)))
        lq = quantize(imresize(lq, (height, width))) if self.enlarged else lq
        if self.jpeg_quality is None:
            return lq
        return quantize(compress(lq, torch.full((len(lq),), float(self.jpeg_quality))))
