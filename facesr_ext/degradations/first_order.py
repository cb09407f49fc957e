"""First-order degradation: blur, downscale, noise, JPEG, once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facesr_ext.degradations import jpeg, ops
from facesr_ext.degradations.base import GroupedDegradation
from facesr_ext.degradations.draws import Draws, Range
from facesr_ext.degradations.kernels import KernelSpec, draw_kernels
from facesr_ext.degradations.noise import Noise, NoiseSpec, add_noise
from facesr_ext.host.parts import known_name
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
        jpeg_range (Range): Quality.
        jpeg_codec (str): 'libjpeg', as files, or 'diffjpeg', as BasicSR's. Default: 'libjpeg'.

    Raises:
        OptionError: for an unknown kernel kind or codec, an even size or weights that do not match.
    """

    def __init__(
        self,
        scale: int,
        groups: int = 4,
        usm_lq: bool = False,
        usm_target: bool = False,
        kernel_sizes: Sequence[int] = (41,),
        kernel_list: Sequence[str] = ('iso', 'aniso'),
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
        jpeg_codec: str = 'libjpeg',
    ) -> None:
        super().__init__(scale, groups, usm_lq, usm_target)
        self.kernels = KernelSpec(
            kernel_sizes, kernel_list, kernel_prob, sinc_prob, blur_sigma, betag_range, betap_range
        )
        self.downscale_range, self.jpeg_range = downscale_range, jpeg_range
        self.codec = known_name(('degradation', 'jpeg_codec'), jpeg_codec, jpeg.CODECS)
        self.noise = NoiseSpec(gaussian_noise_prob, noise_range, poisson_scale_range, gray_noise_prob)

    def degrade_groups(
        self, img: torch.Tensor, counts: list[int], size: tuple[int, int], draws: Draws
    ) -> list[torch.Tensor]:
        num = len(img)
        img = ops.blur(img, draw_kernels(self.kernels, num, draws))
        noises, qualities = self.noise.draw(num, draws).split(counts), draws.uniform(self.jpeg_range, num).split(counts)
        parts = zip(img.split(counts), noises, qualities, strict=True)
        return [self._degrade_group(part, size, noise, quality, draws) for part, noise, quality in parts]

    def _degrade_group(
        self, img: torch.Tensor, size: tuple[int, int], noise: Noise, quality: torch.Tensor, draws: Draws
    ) -> torch.Tensor:
        full = (img.shape[-2], img.shape[-1])
        factor = float(draws.uniform(self.downscale_range, 1))
        down, up = (ops.RESIZE_MODES[i] for i in draws.choice([1.0] * len(ops.RESIZE_MODES), 2).tolist())
        small = (max(1, round(full[0] * factor)), max(1, round(full[1] * factor)))
        img = add_noise(ops.resize_by_opencv(img, small, down), noise, draws)
        img = jpeg.compress(img, quality, self.codec)
        if small == size:
            return img  # it is at LR size already
        return ops.resize(ops.resize_by_opencv(img, full, up), size, 'area')
