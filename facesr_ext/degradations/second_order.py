"""Real-ESRGAN's second-order degradation: blur, resize, noise and JPEG twice, then a sinc filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from facesr_ext.degradations import ops
from facesr_ext.degradations.base import GroupedDegradation
from facesr_ext.degradations.draws import Range
from facesr_ext.degradations.kernels import KINDS, Kind
from facesr_ext.degradations.steps import Blur, Group, Jpeg, Noise, Resize, ResizeBy, Sinc, draw_modes
from facesr_ext.degradations.values import require_probability
from facesr_ext.host.registry import DEGRADATION_REGISTRY

SIZES = tuple(range(7, 22, 2))
KIND_PROB = (0.45, 0.25, 0.12, 0.03, 0.12, 0.03)


@DEGRADATION_REGISTRY.register()
class SecondOrderDegradation(GroupedDegradation):
    """Real-ESRGAN's degradation, every option under its name there; the defaults are its own, but for ``resize_by``.

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
        resize_by (str): The first resize. 'size': to whole pixels, aligned at the edges. 'scale_factor': by the factor
            as it is drawn, as Real-ESRGAN; the LQ then lies right of and below the GT, by 0.3 of its pixels on
            average. Default: 'size'.
        gaussian_noise_prob, noise_range, poisson_scale_range, gray_noise_prob: First noise; sigma is of 255.
        jpeg_range (Range): Quality, 1 to 100.
        second_blur_prob (float): Share of images that are blurred twice. The rest ends in 2 and is the second stage.
        final_sinc_prob (float): Share of images with the final sinc filter.
        jpeg_codec (str): 'diffjpeg', as Real-ESRGAN, or 'libjpeg', as files. Default: 'diffjpeg'.

    Raises:
        OptionError: for an unknown kernel kind or codec, or a value that is out of bounds.
    """

    def __init__(
        self,
        scale: int,
        groups: int = 4,
        usm_lq: bool = False,
        usm_target: bool = False,
        kernel_list: Sequence[Kind] = KINDS,
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
        kernel_list2: Sequence[Kind] = KINDS,
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
        jpeg_codec: Literal['libjpeg', 'diffjpeg'] = 'diffjpeg',
        resize_by: ResizeBy = 'size',
    ) -> None:
        blur = Blur(SIZES, kernel_list, kernel_prob, sinc_prob, blur_sigma, betag_range, betap_range)
        self.resize = Resize(resize_prob, resize_range, by=resize_by)
        self.noise = Noise(gaussian_noise_prob, noise_range, poisson_scale_range, gray_noise_prob)
        self.jpeg = Jpeg(jpeg_range, jpeg_codec)
        twice = require_probability('second_blur_prob', second_blur_prob)
        shape2 = (sinc_prob2, blur_sigma2, betag_range2, betap_range2)
        self.blur2 = Blur(SIZES, kernel_list2, kernel_prob2, *shape2, twice, suffix='2')
        self.resize2 = Resize(resize_prob2, resize_range2, suffix='2')
        self.noise2 = Noise(gaussian_noise_prob2, noise_range2, poisson_scale_range2, gray_noise_prob2, suffix='2')
        self.jpeg2 = Jpeg(jpeg_range2, jpeg_codec, suffix='2')
        self.sinc = Sinc(SIZES, final_sinc_prob)
        drawn = (self.blur2, self.noise, self.jpeg, self.noise2, self.jpeg2, self.sinc)
        super().__init__(scale, groups, usm_lq, usm_target, blur, drawn)

    def degrade_group(self, img: torch.Tensor, size: tuple[int, int], group: Group) -> torch.Tensor:
        img = self.resize.apply(img, img.shape[-2:], group.draws)
        img = group.apply(img, self.noise, self.jpeg, self.blur2)
        img = self.resize2.apply(img, size, group.draws)
        img = group.apply(img, self.noise2)
        (mode,), sinc_last = draw_modes(1, group.draws), bool(group.draws.chance(0.5, 1))
        if sinc_last:
            return group.apply(ops.resize(group.apply(img, self.jpeg2), size, mode), self.sinc)
        return group.apply(ops.resize(img, size, mode), self.sinc, self.jpeg2)
