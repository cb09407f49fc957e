from __future__ import annotations

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn
from torch.nn import functional as F

_SHARES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2  # of values in [0, 1]


@LOSS_REGISTRY.register()
class MSSSIMLoss(nn.Module):
    """1 - MS-SSIM: structure at several sizes, each half the one before.

    Paper: Multi-Scale Structural Similarity for Image Quality Assessment (Wang et al., Asilomar 2003), with its five
    exponents. An image that is too small for five sizes is compared at those that have room for the window of 11
    pixels, four at 128 px, by their exponents brought to the same sum. Zhao et al. (IEEE TCI 2017) take it with weight
    0.84 beside L1. Each channel counts alike; windows do not go beyond the border.

    Args:
        loss_weight (float): Default: 1.0.
        scales (int): Sizes at most, 1 to 5; 1 is SSIM. Default: 5.

    Raises:
        ValueError: for another number of sizes.
    """

    kernel: torch.Tensor

    def __init__(self, loss_weight: float = 1.0, scales: int = 5) -> None:
        super().__init__()
        if not 1 <= scales <= len(_SHARES):
            raise ValueError(f'MSSSIMLoss: scales is 1 to {len(_SHARES)}, not {scales}')
        self.loss_weight, self.scales = loss_weight, scales
        taps = torch.exp(-((torch.arange(_WINDOW) - _WINDOW // 2).double() ** 2) / (2 * _SIGMA**2))
        self.register_buffer('kernel', (taps / taps.sum()).float(), persistent=False)

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both (N, 3, H, W), RGB, [0, 1], at least 11 px a side -> a scalar, from 0 on.

        Raises:
            ValueError: for a smaller image.
        """
        side = min(pred.shape[-2:])
        if side < _WINDOW:
            raise ValueError(f'MSSSIMLoss: an image of {side} px is smaller than its window of {_WINDOW} px')
        count = min(self.scales, (side // _WINDOW).bit_length())
        shares = [share / sum(_SHARES[:count]) for share in _SHARES[:count]]
        value = pred.new_ones(())
        for level, share in enumerate(shares):
            luminance, structure = self._compare(pred, target)
            last = level == count - 1
            similar = luminance * structure if last else structure
            # Per channel; opposite structure counts as none, and 0 itself has no slope under a power.
            value = value * similar.mean((2, 3)).clamp(min=1e-4) ** share
            if not last:
                pred, target = F.avg_pool2d(pred, 2), F.avg_pool2d(target, 2)
        return self.loss_weight * (1 - value.mean())

    def _compare(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Luminance and contrast-structure of each window, (N, C, h, w)."""
        means = [self._blur(img) for img in (a, b)]
        variances = [self._blur(img * img) - mean * mean for img, mean in zip((a, b), means, strict=True)]
        covariance = self._blur(a * b) - means[0] * means[1]
        luminance = (2 * means[0] * means[1] + _C1) / (means[0] ** 2 + means[1] ** 2 + _C1)
        return luminance, (2 * covariance + _C2) / (variances[0] + variances[1] + _C2)

    def _blur(self, img: torch.Tensor) -> torch.Tensor:
        """The Gaussian mean of each whole window."""
        channels = img.shape[1]
        kernel = self.kernel.to(img.dtype).expand(channels, 1, 1, -1)
        rows = F.conv2d(img, kernel, groups=channels)
        return F.conv2d(rows, kernel.transpose(2, 3), groups=channels)
