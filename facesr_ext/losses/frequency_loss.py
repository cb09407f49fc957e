from __future__ import annotations

from typing import Literal

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import require_literals

_NOISE = 1 / 255 / 12**0.5
"""Amplitude of 8-bit rounding at any frequency: the phase of what is weaker says nothing."""


@LOSS_REGISTRY.register()
class FFTLoss(nn.Module):
    """Mean absolute error of the spectra of whole images: detail counts wherever in the image it is.

    Papers: SFMNet (Wang et al., CVPR 2023: Spatial-Frequency Mutual Learning for Face Super-Resolution) compares
    amplitudes and phases, with weight 0.01 beside L1; others compare real and imaginary parts, with weight 0.05 to 0.1
    (MIMO-UNet, Cho et al., ICCV 2021). The transform is the orthonormal one, so that a value is of the size of a
    pixel's error whatever the image's size. Phases are compared around the circle, at most pi apart, and only where
    both images have more than the noise of 8-bit rounding.

    Args:
        loss_weight (float): Default: 1.0.
        mode (str): 'polar' (amplitude and phase, radians) or 'complex' (real and imaginary part). Default: 'polar'.
        phase_weight (float): With 'polar', of the phases beside the amplitudes. Default: 1.0.

    Raises:
        ValueError: for another mode.
    """

    def __init__(
        self, loss_weight: float = 1.0, mode: Literal['polar', 'complex'] = 'polar', phase_weight: float = 1.0
    ) -> None:
        super().__init__()
        require_literals(FFTLoss, mode=mode)
        self.loss_weight, self.mode, self.phase_weight = loss_weight, mode, phase_weight

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """Both (N, 3, H, W), RGB, [0, 1] -> a scalar; with 'polar' the weighted parts by name, to be added."""
        made, wanted = (torch.fft.rfft2(img.float(), norm='ortho') for img in (pred, target))
        if self.mode == 'complex':
            difference = made - wanted
            return self.loss_weight * (difference.real.abs().mean() + difference.imag.abs().mean()) / 2
        # An amplitude of 0 has no slope; far below the noise it does not matter which.
        sizes = [(f.real.square() + f.imag.square()).clamp(min=_NOISE**2 / 100).sqrt() for f in (made, wanted)]
        heard = (sizes[0] > _NOISE) & (sizes[1] > _NOISE)
        turn = torch.where(heard, made * wanted.conj(), torch.ones_like(made))
        apart = torch.atan2(turn.imag, turn.real).abs().sum() / heard.sum().clamp(min=1)
        amplitude = (sizes[0] - sizes[1]).abs().mean()
        return {
            'amplitude': self.loss_weight * amplitude,
            'phase': self.loss_weight * self.phase_weight * apart,
        }
