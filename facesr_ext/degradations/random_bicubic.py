"""Bicubic reduction by a random factor, brought back to the size that it had: small faces, enlarged."""

from __future__ import annotations

import math

import torch

from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.draws import Draws, Range
from facesr_ext.degradations.values import require_range
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.imaging import imresize, quantize


@DEGRADATION_REGISTRY.register()
class RandomBicubicDegradation(Degradation):
    """Each image is reduced by its own factor as MATLAB's ``imresize`` does, rounded to 8 bit, and enlarged again.

    What a network sees that restores faces of any size at one size. The LQ is always at HR size, rounded again.

    Args:
        scale (int): HR-to-LR factor of the option file; what is drawn does not depend on it.
        factor_range (Range): Factors, 1 to 16, drawn evenly on a logarithmic scale; 1 leaves the image as it is.
            Default: 2 to 8.

    Raises:
        OptionError: for factors outside of 1 to 16.
    """

    def __init__(self, scale: int, factor_range: Range = (2.0, 8.0)) -> None:
        super().__init__(scale, enlarged=True)
        self.factors = require_range('factor_range', factor_range, 1, 16)

    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(N, 3, H, W) RGB [0, 1] -> (N, 3, H, W), 8-bit levels."""
        height, width = gt.shape[-2:]
        low, high = self.factors
        factors = Draws(generator).uniform((math.log(low), math.log(high)), len(gt)).exp().tolist()
        lqs = []
        for img, factor in zip(gt, factors, strict=True):
            small = (max(1, round(height / factor)), max(1, round(width / factor)))
            lqs.append(imresize(quantize(imresize(img, small)), (height, width)))
        return quantize(torch.stack(lqs))
