from __future__ import annotations

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.imaging import low_pass

_LEAST_FIGURE = 0.25 / 255  # a quarter of a level: below it pictures do not differ


@LOSS_REGISTRY.register()
class DiversityLoss(nn.Module):
    """Asks two results for the same input to differ as their random inputs do, up to a bound.

    ``loss_weight * mean(max(0, tau - ratio))``, where ratio is the mean absolute difference of the two pictures over
    that of their z. Without the bound, a generator whose pixel loss is weak would go on until its pictures are noise.

    Papers: Diversity-Sensitive Conditional Generative Adversarial Networks (Yang et al., ICLR 2019), which has the
    bound; Mode Seeking Generative Adversarial Networks (Mao et al., CVPR 2019), which has the ratio.

    Args:
        loss_weight (float): Default: 1.0.
        tau (float): The ratio that is enough. For pictures in [0, 1] and standard normal z, pictures whose pixels have
            a standard deviation of s have a ratio of about s. Default: 0.5.
        kernel_size (int): The pictures' difference is averaged over a sliding window of this size first, odd: without
            that the cheapest difference is a pattern of single pixels. Default: 1, none.
        centred (bool): A picture's mean colour does not count: it is the cheapest difference that is left, and a
            generator may rest with tints of one and the same picture. Default: False.

    Raises:
        ValueError: for a tau that is not above 0, or an even window.
    """

    def __init__(self, loss_weight: float = 1.0, tau: float = 0.5, kernel_size: int = 1, centred: bool = False) -> None:
        super().__init__()
        if tau <= 0:
            raise ValueError(f'DiversityLoss: tau is above 0, not {tau}')
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f'DiversityLoss: kernel_size is odd, not {kernel_size}')
        self.loss_weight, self.tau, self.kernel_size, self.centred = loss_weight, tau, kernel_size, centred

    def forward(
        self, first: torch.Tensor, second: torch.Tensor, z_first: torch.Tensor, z_second: torch.Tensor
    ) -> torch.Tensor:
        """Compares two results for the same inputs.

        Args:
            first, second (Tensor): (N, 3, h, w), RGB, [0, 1].
            z_first, z_second (Tensor): (N, K), what they were made with.

        Returns:
            Tensor: A scalar, [0, loss_weight * tau].
        """
        difference = first - second
        if self.centred:
            difference = difference - difference.mean((2, 3), keepdim=True)
        apart = low_pass(difference, self.kernel_size).abs().flatten(1).mean(1)
        ratio = apart / (z_first - z_second).abs().flatten(1).mean(1).clamp(min=1e-5)
        return self.loss_weight * (self.tau - ratio).clamp(min=0).mean()


@LOSS_REGISTRY.register()
class LowPassLoss(nn.Module):
    """Mean absolute error of the means over a sliding window: content and colour are held, noise and texture are free.

    Paper: Frequency Separation for Real-World Super-Resolution (Fritsche, Gu, Timofte, ICCVW 2019): windows of 5 x 5.

    Args:
        loss_weight (float): Default: 1.0.
        kernel_size (int): Height and width of the window, odd; at the borders it is reflected. Default: 5.
        margin (float): Errors up to it cost nothing: what cameras and JPEG do to such means. Default: 0.

    Raises:
        ValueError: for an even or too small window, or a negative margin.
    """

    def __init__(self, loss_weight: float = 1.0, kernel_size: int = 5, margin: float = 0.0) -> None:
        super().__init__()
        if kernel_size < 3 or kernel_size % 2 == 0:
            raise ValueError(f'LowPassLoss: kernel_size is odd and at least 3, not {kernel_size}')
        if margin < 0:
            raise ValueError(f'LowPassLoss: margin is at least 0, not {margin}')
        self.loss_weight, self.kernel_size, self.margin = loss_weight, kernel_size, margin

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both (N, 3, h, w), RGB, [0, 1], larger than half a window -> a scalar."""
        return self.loss_weight * (low_pass(pred - target, self.kernel_size).abs() - self.margin).clamp(min=0).mean()


@LOSS_REGISTRY.register()
class StatisticsLoss(nn.Module):
    """Asks a batch of made pictures to have as many sharp, blurred, noisy and clean ones as a batch of real ones.

    Of each picture, and of it at half the size, figures are taken, as logarithms: the mean absolute Laplacian of its
    mean channel (sharpness), the mean absolute diagonal difference of that (noise), the same of what its channels
    differ from it by (noise of colours), and, at full size, noise over sharpness, since a sharp picture without noise
    has high values of both. The loss is the Wasserstein distance between the two batches in each figure: the mean
    absolute difference of sorted values. The pictures need not be of the same people, since only the spread of the
    figures is compared. A discriminator asks for that, too, but a generator that always makes pictures of middling
    sharpness may satisfy it.

    Args:
        loss_weight (float): Default: 1.0.
    """

    def __init__(self, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Both (N, 3, h, w), RGB, [0, 1], of any numbers of pictures -> a scalar."""
        count = min(len(made), len(real))
        levels = (torch.arange(count, device=made.device, dtype=torch.float32) + 0.5) / count
        spreads = [torch.quantile(picture_figures(pictures), levels, 1) for pictures in (made, real)]
        return self.loss_weight * (spreads[0] - spreads[1]).abs().mean()


def picture_figures(pictures: torch.Tensor) -> torch.Tensor:
    """(N, 3, h, w), RGB, [0, 1], from 6 px a side on -> (7, N): logarithms of sharpness, noise, noise of colours, and
    noise over sharpness, then of the first three at half the size."""
    pictures = pictures.float()
    sharpness, noise, of_colours = _strengths(pictures)
    halved = _strengths(F.avg_pool2d(pictures, 2))
    return torch.stack([sharpness, noise, of_colours, noise - sharpness, *halved])


def _strengths(pictures: torch.Tensor) -> list[torch.Tensor]:
    luma = pictures.mean(1, keepdim=True)
    middle, beside = luma[..., 1:-1, 1:-1], luma[..., 1:-1, :-2] + luma[..., 1:-1, 2:]
    laplacian = beside + luma[..., :-2, 1:-1] + luma[..., 2:, 1:-1] - 4 * middle
    figures = (laplacian, _diagonal(luma), _diagonal(pictures - luma))
    return [(figure.abs().flatten(1).mean(1) + _LEAST_FIGURE).log() for figure in figures]


def _diagonal(x: torch.Tensor) -> torch.Tensor:
    return x[..., 1:, 1:] - x[..., 1:, :-1] - x[..., :-1, 1:] + x[..., :-1, :-1]
