"""First-order degradation: blur, downscale, noise, JPEG, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from facesr_ext.degradations import ops
from facesr_ext.degradations.base import GroupedDegradation
from facesr_ext.degradations.draws import Range
from facesr_ext.degradations.kernels import Kind
from facesr_ext.degradations.steps import Blur, Group, Jpeg, Noise, draw_modes
from facesr_ext.degradations.values import require_factors
from facesr_ext.host.registry import DEGRADATION_REGISTRY


@DEGRADATION_REGISTRY.register()
class FirstOrderDegradation(GroupedDegradation):
    """Blur, downscale by a random factor, noise, JPEG, then back to HR size and by area to LR size.

    The degradation of the AI6126 challenge's first editions (MMEditing's), and of face restoration before Real-ESRGAN.
    The factor and the modes are drawn for each of the batch's random groups, all else for each image.

    Args:
        scale (int): HR-to-LR factor.
        groups (int): Groups a batch. Default: 4.
        usm_lq, usm_target (bool): Sharpen the source of the LQ, or what the network is trained towards. Default: False.
        kernel_sizes (Sequence[int]): Odd, pixels. Default: 41.
        kernel_list, kernel_prob, sinc_prob, blur_sigma, betag_range, betap_range: The blur.
        downscale_range (Range): Size after the downscale, as a share of the GT's. Default: 1/16 to 1.
        gaussian_noise_prob, noise_range, poisson_scale_range, gray_noise_prob: The noise; sigma is of 255.
        jpeg_range (Range): Quality, 1 to 100.
        jpeg_codec (str): 'libjpeg', as files, or 'diffjpeg', as BasicSR's. Default: 'libjpeg'.

    Raises:
        OptionError: for an unknown kernel kind or codec, or a value that is out of bounds.
    """

    def __init__(
        self,
        scale: int,
        groups: int = 4,
        usm_lq: bool = False,
        usm_target: bool = False,
        kernel_sizes: Sequence[int] = (41,),
        kernel_list: Sequence[Kind] = ('iso', 'aniso'),
        kernel_prob: Sequence[float] = (0.5, 0.5),
        sinc_prob: float = 0.0,
        blur_sigma: Range = (0.2, 5.0),
        betag_range: Range = (0.5, 4.0),
        betap_range: Range = (1.0, 2.0),
        downscale_range: Range = (0.0625, 1.0),
        gaussian_noise_prob: float = 1.0,
        noise_range: Range = (0.0, 25.0),
        poisson_scale_range: Range = (0.0, 1.0),
        gray_noise_prob: float = 0.0,
        jpeg_range: Range = (50.0, 95.0),
        jpeg_codec: Literal['libjpeg', 'diffjpeg'] = 'libjpeg',
    ) -> None:
        blur = Blur(kernel_sizes, kernel_list, kernel_prob, sinc_prob, blur_sigma, betag_range, betap_range)
        self.downscale_range = require_factors('downscale_range', downscale_range, around=False)
        self.noise = Noise(gaussian_noise_prob, noise_range, poisson_scale_range, gray_noise_prob)
        self.jpeg = Jpeg(jpeg_range, jpeg_codec)
        super().__init__(scale, groups, usm_lq, usm_target, blur, (self.noise, self.jpeg))

    def degrade_group(self, img: torch.Tensor, size: tuple[int, int], group: Group) -> torch.Tensor:
        full = (img.shape[-2], img.shape[-1])
        factor = float(group.draws.uniform(self.downscale_range, 1))
        down, up = draw_modes(2, group.draws)
        small = (max(1, round(full[0] * factor)), max(1, round(full[1] * factor)))
        img = group.apply(ops.resize_by_opencv(img, small, down), self.noise, self.jpeg)
        if small == size:
            return img  # it is at LR size already
        return ops.resize(ops.resize_by_opencv(img, full, up), size, 'area')
