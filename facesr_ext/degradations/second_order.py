"""Real-ESRGAN's second-order degradation: blur, resize, noise and JPEG twice, then a sinc filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from facesr_ext.degradations import jpeg, ops
from facesr_ext.degradations.base import GroupedDegradation
from facesr_ext.degradations.draws import Draws, Range
from facesr_ext.degradations.kernels import KINDS, KernelSpec, draw_kernels, draw_sinc_kernels, pulse
from facesr_ext.host.registry import DEGRADATION_REGISTRY

SIZES = tuple(range(7, 22, 2))
KIND_PROB = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)


@dataclass(frozen=True)
class _Noise:
    """Noise of one stage, under Real-ESRGAN's names."""

    gaussian_noise_prob: float
    noise_range: Range
    poisson_scale_range: Range
    gray_noise_prob: float

    def add(self, img: torch.Tensor, draws: Draws) -> torch.Tensor:
        return ops.add_noise(
            img, self.gaussian_noise_prob, self.noise_range, self.poisson_scale_range, self.gray_noise_prob, draws
        )


@DEGRADATION_REGISTRY.register()
class SecondOrderDegradation(GroupedDegradation):
    """Real-ESRGAN's degradation, every option under its name there; the defaults are its own.

    The batch is cut into random groups. Resize modes and factors and the order of the last two steps are drawn for
    each group, as they set the size; kernels, noise, grey noise and JPEG quality for each image. Real-ESRGAN draws the
    former once a batch and mixes batches in a pool of pairs instead.

    Paper: Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data (Wang et al., ICCVW 2021).

    Args:
        scale (int): HR-to-LR factor.
        groups (int): Groups a batch. Default: 4.
        usm_lq (bool): The LQ is made from the sharpened GT. Default: False.
        usm_target (bool): The network is trained towards the sharpened GT. Default: False.
        kernel_list, kernel_prob, sinc_prob, blur_sigma, betag_range, betap_range: First blur.
        resize_prob (Sequence[float]): Weights of up, down, keep. resize_range (Range): Factors.
        gaussian_noise_prob, noise_range, poisson_scale_range, gray_noise_prob: First noise; sigma is of 255.
        jpeg_range (Range): Quality.
        second_blur_prob (float): Share of images that are blurred twice. The rest ends in 2 and is the second stage.
        final_sinc_prob (float): Share of images with the final sinc filter.

    Raises:
        OptionError: for an unknown kernel kind or weights that do not match.
    """

    def __init__(
        self,
        scale: int,
        groups: int = 4,
        usm_lq: bool = False,
        usm_target: bool = False,
        kernel_list: Sequence[str] = KINDS,
        kernel_prob: Sequence[float] = KIND_PROB,
        sinc_prob: float = 0.1,
        blur_sigma: Range = (0.2, 3.0),
        betag_range: Range = (0.5, 4.0),
        betap_range: Range = (1.0, 2.0),
        resize_prob: Sequence[float] = (0.2, 0.7, 0.1),
        resize_range: Range = (0.15, 1.5),
        gaussian_noise_prob: float = 0.5,
        noise_range: Range = (1.0, 30.0),
        poisson_scale_range: Range = (0.05, 3.0),
        gray_noise_prob: float = 0.4,
        jpeg_range: Range = (30.0, 95.0),
        second_blur_prob: float = 0.8,
        kernel_list2: Sequence[str] = KINDS,
        kernel_prob2: Sequence[float] = KIND_PROB,
        sinc_prob2: float = 0.1,
        blur_sigma2: Range = (0.2, 1.5),
        betag_range2: Range = (0.5, 4.0),
        betap_range2: Range = (1.0, 2.0),
        resize_prob2: Sequence[float] = (0.3, 0.4, 0.3),
        resize_range2: Range = (0.3, 1.2),
        gaussian_noise_prob2: float = 0.5,
        noise_range2: Range = (1.0, 25.0),
        poisson_scale_range2: Range = (0.05, 2.5),
        gray_noise_prob2: float = 0.4,
        jpeg_range2: Range = (30.0, 95.0),
        final_sinc_prob: float = 0.8,
    ) -> None:
        super().__init__(scale, groups, usm_lq, usm_target)
        self.second_blur_prob, self.final_sinc_prob = second_blur_prob, final_sinc_prob
        self.blur1 = KernelSpec(SIZES, kernel_list, kernel_prob, sinc_prob, blur_sigma, betag_range, betap_range)
        self.blur2 = KernelSpec(SIZES, kernel_list2, kernel_prob2, sinc_prob2, blur_sigma2, betag_range2, betap_range2)
        self.resize1, self.resize2 = (resize_prob, resize_range), (resize_prob2, resize_range2)
        self.noise1 = _Noise(gaussian_noise_prob, noise_range, poisson_scale_range, gray_noise_prob)
        self.noise2 = _Noise(gaussian_noise_prob2, noise_range2, poisson_scale_range2, gray_noise_prob2)
        self.jpeg1, self.jpeg2 = jpeg_range, jpeg_range2

    def degrade_group(self, img: torch.Tensor, size: torch.Size, draws: Draws) -> torch.Tensor:
        return self._second_stage(self._first_stage(img, draws), size, draws)

    def _first_stage(self, img: torch.Tensor, draws: Draws) -> torch.Tensor:
        img = ops.blur(img, draw_kernels(self.blur1, len(img), draws))
        factor = _draw_factor(*self.resize1, draws)
        size = (max(1, int(img.shape[-2] * factor)), max(1, int(img.shape[-1] * factor)))
        img = self.noise1.add(ops.resize(img, size, _draw_mode(draws)), draws)
        return jpeg.compress(img, self.jpeg1, draws)

    def _second_stage(self, img: torch.Tensor, size: torch.Size, draws: Draws) -> torch.Tensor:
        kernels = draw_kernels(self.blur2, len(img), draws)
        blurred = draws.chance(self.second_blur_prob, len(img))
        img = ops.blur(img, torch.where(blurred[:, None, None], kernels, pulse(kernels.shape[-1])))
        factor = _draw_factor(*self.resize2, draws)
        between = (max(1, int(size[0] * factor)), max(1, int(size[1] * factor)))
        img = self.noise2.add(ops.resize(img, between, _draw_mode(draws)), draws)
        sinc_last, mode = bool(draws.chance(0.5, 1)), _draw_mode(draws)
        sinc = draw_sinc_kernels(SIZES, self.final_sinc_prob, len(img), draws)
        if sinc_last:
            img = jpeg.compress(img, self.jpeg2, draws)
            return ops.blur(ops.resize(img, (size[0], size[1]), mode), sinc)
        img = ops.blur(ops.resize(img, (size[0], size[1]), mode), sinc)
        return jpeg.compress(img, self.jpeg2, draws)


def _draw_factor(weights: Sequence[float], limits: Range, draws: Draws) -> float:
    """Resize factor: up, down or none."""
    ranges = ((1.0, limits[1]), (limits[0], 1.0), (1.0, 1.0))
    return float(draws.uniform(ranges[int(draws.choice(weights, 1))], 1))


def _draw_mode(draws: Draws) -> str:
    return ops.RESIZE_MODES[int(draws.choice([1.0] * len(ops.RESIZE_MODES), 1))]
