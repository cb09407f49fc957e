"""Real-ESRGAN's second-order degradation: blur, resize, noise and JPEG twice, then a sinc filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

from facesr_ext.degradations import jpeg, ops
from facesr_ext.degradations.base import GroupedDegradation
from facesr_ext.degradations.draws import Draws, Range
from facesr_ext.degradations.kernels import KINDS, KernelSpec, draw_kernels, draw_sinc_kernels, pulse
from facesr_ext.degradations.noise import Noise, NoiseSpec, add_noise
from facesr_ext.host.parts import known_name
from facesr_ext.host.registry import DEGRADATION_REGISTRY

SIZES = tuple(range(7, 22, 2))
KIND_PROB = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)


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
        jpeg_codec (str): 'diffjpeg', as Real-ESRGAN, or 'libjpeg', as files. Default: 'diffjpeg'.

    Raises:
        OptionError: for an unknown kernel kind or codec, or weights that do not match.
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
        jpeg_codec: str = 'diffjpeg',
    ) -> None:
        super().__init__(scale, groups, usm_lq, usm_target)
        self.second_blur_prob, self.final_sinc_prob = second_blur_prob, final_sinc_prob
        self.blur1 = KernelSpec(SIZES, kernel_list, kernel_prob, sinc_prob, blur_sigma, betag_range, betap_range)
        self.blur2 = KernelSpec(SIZES, kernel_list2, kernel_prob2, sinc_prob2, blur_sigma2, betag_range2, betap_range2)
        self.resize1, self.resize2 = (resize_prob, resize_range), (resize_prob2, resize_range2)
        self.noise1 = NoiseSpec(gaussian_noise_prob, noise_range, poisson_scale_range, gray_noise_prob)
        self.noise2 = NoiseSpec(gaussian_noise_prob2, noise_range2, poisson_scale_range2, gray_noise_prob2)
        self.jpeg1, self.jpeg2 = jpeg_range, jpeg_range2
        self.codec = known_name(('degradation', 'jpeg_codec'), jpeg_codec, jpeg.CODECS)

    def degrade_groups(
        self, img: torch.Tensor, counts: list[int], size: tuple[int, int], draws: Draws
    ) -> list[torch.Tensor]:
        img = ops.blur(img, draw_kernels(self.blur1, len(img), draws))
        groups = zip(*(values.split(counts) for values in self._draw_for_images(len(img), draws)), strict=True)
        parts = zip(img.split(counts), groups, strict=True)
        return [self._degrade_group(part, size, _PerImage(*drawn), draws) for part, drawn in parts]

    def _draw_for_images(self, num: int, draws: Draws) -> _PerImage:
        """What follows the first blur."""
        kernels, twice = draw_kernels(self.blur2, num, draws), draws.chance(self.second_blur_prob, num)
        return _PerImage(
            noise1=self.noise1.draw(num, draws),
            quality1=draws.uniform(self.jpeg1, num),
            kernels2=torch.where(twice[:, None, None], kernels, pulse(kernels.shape[-1])),
            noise2=self.noise2.draw(num, draws),
            quality2=draws.uniform(self.jpeg2, num),
            sincs=draw_sinc_kernels(SIZES, self.final_sinc_prob, num, draws),
        )

    def _degrade_group(self, img: torch.Tensor, size: tuple[int, int], drawn: _PerImage, draws: Draws) -> torch.Tensor:
        img = _draw_resize(img, (img.shape[-2], img.shape[-1]), self.resize1, draws)
        img = jpeg.compress(add_noise(img, drawn.noise1, draws), drawn.quality1, self.codec)
        img = _draw_resize(ops.blur(img, drawn.kernels2), size, self.resize2, draws)
        img = add_noise(img, drawn.noise2, draws)
        mode, sinc_last = _draw_mode(draws), bool(draws.chance(0.5, 1))
        if sinc_last:
            img = jpeg.compress(img, drawn.quality2, self.codec)
            return ops.blur(ops.resize(img, size, mode), drawn.sincs)
        return jpeg.compress(ops.blur(ops.resize(img, size, mode), drawn.sincs), drawn.quality2, self.codec)


class _PerImage(NamedTuple):
    """What each image of a batch, or of a group, has of its own after the first blur."""

    noise1: Noise
    quality1: torch.Tensor
    kernels2: torch.Tensor
    noise2: Noise
    quality2: torch.Tensor
    sincs: torch.Tensor


def _draw_resize(
    img: torch.Tensor, size: tuple[int, int], how: tuple[Sequence[float], Range], draws: Draws
) -> torch.Tensor:
    """Resizes to a size times a factor: up, down or none by weights, and by the factors' limits."""
    weights, (low, high) = how
    ranges = ((1.0, high), (low, 1.0), (1.0, 1.0))
    factor = float(draws.uniform(ranges[int(draws.choice(weights, 1))], 1))
    return ops.resize(img, (max(1, int(size[0] * factor)), max(1, int(size[1] * factor))), _draw_mode(draws))


def _draw_mode(draws: Draws) -> str:
    return ops.RESIZE_MODES[int(draws.choice([1.0] * len(ops.RESIZE_MODES), 1))]
