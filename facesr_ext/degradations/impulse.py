"""Bicubic reduction with salt-and-pepper noise, the one noise of report S1."""

from __future__ import annotations

import torch

from facesr_ext.degradations.bicubic import BicubicDegradation
from facesr_ext.degradations.draws import Draws, Range
from facesr_ext.degradations.steps import Impulse
from facesr_ext.host.registry import DEGRADATION_REGISTRY


@DEGRADATION_REGISTRY.register()
class ImpulseDegradation(BicubicDegradation):
    """MATLAB's bicubic to 8 bit as :class:`BicubicDegradation`, then impulse noise; each image has a share of its own.

    Args:
        scale (int): HR-to-LR factor, 1 to 8. 1 spoils the image itself, as in report S1's table.
        impulse_range (Range): Share of the values that are replaced by 0 or 1, 0 to 1. Default: 0.01 to 1, which is
            what S1's table covers.
        salt_share (float): How many of those become 1, 0 to 1. Default: 0.5.

    Raises:
        OptionError: for a value that is out of bounds.
    """

    def __init__(self, scale: int, impulse_range: Range = (0.01, 1.0), salt_share: float = 0.5) -> None:
        super().__init__(scale)
        self.impulse = Impulse(impulse_range, salt_share)

    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(N, 3, H, W) RGB [0, 1] -> (N, 3, H / scale, W / scale)."""
        draws = Draws(generator)
        return self.impulse.apply(super().degrade(gt, generator), self.impulse.draw(len(gt), draws), draws)
