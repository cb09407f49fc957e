"""The steps that random degradations are made of.

Each draws what every image of a batch has of its own (``draw``), and applies it to a group of these images (``apply``).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch

from facesr_ext.degradations import jpeg, kernels, ops
from facesr_ext.degradations.draws import Draws, Range
from facesr_ext.degradations.noise import add_impulses, add_noise
from facesr_ext.degradations.values import (
    is_list,
    require_factors,
    require_probability,
    require_range,
    require_sizes,
    require_weights,
)
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import known_name

Params = tuple[torch.Tensor, ...]
"""What a step has drawn: tensors (N, ...) on the CPU, an entry for each image."""

ResizeBy = Literal['size', 'scale_factor']
RESIZE_BY: tuple[ResizeBy, ...] = get_args(ResizeBy)
"""How a random factor becomes a resize: to its size in whole pixels, edges on edges, or by the factor as it is."""


class Step(ABC):
    """A step whose parameters are drawn for each image."""

    @abstractmethod
    def draw(self, num: int, draws: Draws) -> Params:
        """The parameters of ``num`` images."""

    @abstractmethod
    def apply(self, img: torch.Tensor, params: Params, draws: Draws) -> torch.Tensor:
        """Changes images.

        Args:
            img (Tensor): (N, 3, H, W), RGB, [0, 1].
            params (Params): Of these images.
            draws (Draws): For what is drawn for each pixel.

        Returns:
            Tensor: (N, 3, H, W), RGB.
        """


class Group:
    """Images that are degraded together, with what each of them has of its own.

    Args:
        drawn (Mapping): The parameters of each step.
        draws (Draws): For what the group has in common, and for pixels.
    """

    def __init__(self, drawn: Mapping[Step, Params], draws: Draws) -> None:
        self.drawn, self.draws = drawn, draws

    def split(self, counts: Sequence[int]) -> list[Group]:
        """Groups of so many images each."""
        ends = torch.tensor(counts).cumsum(0).tolist()
        parts = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
        return [
            Group({step: tuple(values[part] for values in params) for step, params in self.drawn.items()}, self.draws)
            for part in parts
        ]

    def apply(self, img: torch.Tensor, *steps: Step) -> torch.Tensor:
        """One step after the other on the group's images (N, 3, H, W)."""
        for step in steps:
            img = step.apply(img, self.drawn[step], self.draws)
        return img


class Blur(Step):
    """Filters each image by a kernel of its own, under Real-ESRGAN's names.

    Args:
        sizes (Sequence[int]): Odd sizes, pixels, drawn evenly.
        kernel_list, kernel_prob (Sequence): Kinds of :data:`~facesr_ext.degradations.kernels.KINDS`, their weights.
        sinc_prob (float): Share of sinc kernels.
        blur_sigma (Range): Standard deviations, pixels; 0 leaves the image as it is.
        betag_range, betap_range (Range): Shape of generalised and of plateau kernels; half of the draws lie below 1.
        prob (float | None): Share of images that are blurred; None for all. Default: None.
        suffix (str): What the option names end in, for messages. Default: ''.

    Raises:
        OptionError: for an unknown kind or a value that is out of bounds.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        kernel_list: Sequence[kernels.Kind],
        kernel_prob: Sequence[float],
        sinc_prob: float,
        blur_sigma: Range,
        betag_range: Range,
        betap_range: Range,
        prob: float | None = None,
        suffix: str = '',
    ) -> None:
        self.sizes = require_sizes('kernel_sizes', sizes)
        self.kinds = _require_kinds('kernel_list' + suffix, kernel_list)
        self.weights = require_weights('kernel_prob' + suffix, kernel_prob, self.kinds)
        self.sinc_prob = require_probability('sinc_prob' + suffix, sinc_prob)
        self.sigma = require_range('blur_sigma' + suffix, blur_sigma)
        self.betag = require_factors('betag_range' + suffix, betag_range)
        self.betap = require_factors('betap_range' + suffix, betap_range)
        self.prob = prob

    def draw(self, num: int, draws: Draws) -> Params:
        """Kernels (num, k, k) float32, k the largest size; each sums to 1."""
        drawn = self._kernels(num, draws)
        if self.prob is not None:
            blurred = draws.chance(self.prob, num)
            drawn = torch.where(blurred[:, None, None], drawn, kernels.pulse(drawn.shape[-1]))
        return (drawn,)

    def apply(self, img: torch.Tensor, params: Params, draws: Draws) -> torch.Tensor:
        return ops.blur(img, *params)

    def _kernels(self, num: int, draws: Draws) -> torch.Tensor:
        width, sizes = max(self.sizes), _draw_sizes(self.sizes, num, draws)
        kinds = [self.kinds[i] for i in draws.choice(self.weights, num).tolist()]
        isotropic = torch.tensor([not kind.endswith('aniso') for kind in kinds])
        sigma_x, sigma_y = draws.uniform(self.sigma, num), draws.uniform(self.sigma, num)
        theta = draws.uniform((-math.pi, math.pi), num)
        sigma_y, theta = torch.where(isotropic, sigma_x, sigma_y), torch.where(isotropic, 0.0, theta)
        plateau = torch.tensor([kind.startswith('plateau') for kind in kinds])
        general = torch.tensor([kind.startswith('generalized') for kind in kinds])
        beta = torch.where(plateau, _draw_beta(self.betap, num, draws), _draw_beta(self.betag, num, draws))
        beta = torch.where(plateau | general, beta, 1.0)
        blur = kernels.blur_kernels(width, sizes, sigma_x, sigma_y, theta, beta, plateau)
        cutoff = draws.uniform((0, 1), num)
        lowest = torch.where(sizes < 13, math.pi / 3, math.pi / 5)  # a wide kernel may cut off more
        sinc = kernels.sinc_kernels(width, sizes, lowest + cutoff * (math.pi - lowest))
        return torch.where(draws.chance(self.sinc_prob, num)[:, None, None], sinc, blur)


class Sinc(Step):
    """The final filter: sinc kernels for a share of the images, nothing for the others.

    Args:
        sizes (Sequence[int]): Odd sizes, pixels, drawn evenly.
        final_sinc_prob (float): The share.

    Raises:
        OptionError: for a share beyond 0 to 1.
    """

    def __init__(self, sizes: Sequence[int], final_sinc_prob: float) -> None:
        self.sizes = require_sizes('kernel_sizes', sizes)
        self.prob = require_probability('final_sinc_prob', final_sinc_prob)

    def draw(self, num: int, draws: Draws) -> Params:
        """Kernels (num, k, k) float32, k the largest size."""
        width, sizes = max(self.sizes), _draw_sizes(self.sizes, num, draws)
        sinc = kernels.sinc_kernels(width, sizes, draws.uniform((math.pi / 3, math.pi), num))
        return (torch.where(draws.chance(self.prob, num)[:, None, None], sinc, kernels.pulse(width)),)

    def apply(self, img: torch.Tensor, params: Params, draws: Draws) -> torch.Tensor:
        return ops.blur(img, *params)


class Noise(Step):
    """Adds to each image its own kind of noise, under Real-ESRGAN's names.

    Args:
        gaussian_noise_prob (float): Share of images with normal noise; the others get shot noise.
        noise_range (Range): Standard deviation of normal noise, of 255.
        poisson_scale_range (Range): Factor of shot noise.
        gray_noise_prob (float): Share of images whose noise is the same in all channels.
        suffix (str): What the option names end in, for messages. Default: ''.

    Raises:
        OptionError: for a value that is out of bounds.
    """

    def __init__(
        self,
        gaussian_noise_prob: float,
        noise_range: Range,
        poisson_scale_range: Range,
        gray_noise_prob: float,
        suffix: str = '',
    ) -> None:
        self.gaussian = require_probability('gaussian_noise_prob' + suffix, gaussian_noise_prob)
        self.sigma = require_range('noise_range' + suffix, noise_range, most=255)
        self.scale = require_range('poisson_scale_range' + suffix, poisson_scale_range)
        self.grey = require_probability('gray_noise_prob' + suffix, gray_noise_prob)

    def draw(self, num: int, draws: Draws) -> Params:
        """Normal or shot noise, grey or not, (num,) bool each; and its strength (num,), as for `add_noise`."""
        gaussian, grey = draws.chance(self.gaussian, num), draws.chance(self.grey, num)
        sigma, factor = draws.uniform(self.sigma, num) / 255, draws.uniform(self.scale, num)
        return gaussian, grey, torch.where(gaussian, sigma, factor)

    def apply(self, img: torch.Tensor, params: Params, draws: Draws) -> torch.Tensor:
        gaussian, grey, strength = params
        return add_noise(img, gaussian, grey, strength, draws)


class Impulse(Step):
    """Salt-and-pepper noise: a share of the values of each image becomes 1 or 0.

    Args:
        impulse_range (Range): The share, 0 to 1.
        salt_share (float): How many of those become 1; the others become 0.

    Raises:
        OptionError: for a value that is out of bounds.
    """

    def __init__(self, impulse_range: Range, salt_share: float) -> None:
        self.density = require_range('impulse_range', impulse_range, 0, 1)
        self.salt_share = require_probability('salt_share', salt_share)

    def draw(self, num: int, draws: Draws) -> Params:
        """Shares (num,)."""
        return (draws.uniform(self.density, num),)

    def apply(self, img: torch.Tensor, params: Params, draws: Draws) -> torch.Tensor:
        (density,) = params
        return add_impulses(img, density, self.salt_share, draws)


class Jpeg(Step):
    """Compresses each image at its own quality.

    Args:
        jpeg_range (Range): Quality, 1 to 100.
        jpeg_codec (str): One of :data:`~facesr_ext.degradations.jpeg.CODECS`.
        suffix (str): What the option names end in, for messages. Default: ''.

    Raises:
        OptionError: for an unknown codec or a quality that is out of bounds.
    """

    def __init__(self, jpeg_range: Range, jpeg_codec: jpeg.CodecName, suffix: str = '') -> None:
        self.quality = require_range('jpeg_range' + suffix, jpeg_range, 1, 100)
        known_name(('degradation', 'jpeg_codec'), jpeg_codec, jpeg.CODECS)
        self.codec = jpeg_codec

    def draw(self, num: int, draws: Draws) -> Params:
        """Qualities (num,)."""
        return (draws.uniform(self.quality, num),)

    def apply(self, img: torch.Tensor, params: Params, draws: Draws) -> torch.Tensor:
        (quality,) = params
        return jpeg.compress(img, quality, self.codec)


class Resize:
    """Resizes a group up, down or not at all; its images have no parameters of their own, as this sets their size.

    Args:
        resize_prob (Sequence[float]): Weights of up, down, keep.
        resize_range (Range): The smallest and the largest factor.
        suffix (str): What the option names end in, for messages. Default: ''.
        by (str): One of :data:`RESIZE_BY`. Default: 'size'.

    Raises:
        OptionError: for other than three weights, a range that is out of bounds, or an unknown ``by``.
    """

    def __init__(
        self, resize_prob: Sequence[float], resize_range: Range, suffix: str = '', by: ResizeBy = 'size'
    ) -> None:
        self.weights = require_weights('resize_prob' + suffix, resize_prob, ('up', 'down', 'keep'))
        low, high = require_factors('resize_range' + suffix, resize_range)
        self.ranges = ((1.0, high), (low, 1.0), (1.0, 1.0))
        self.by = known_name(('degradation', 'resize_by'), by, RESIZE_BY)

    def apply(self, img: torch.Tensor, size: Sequence[int], draws: Draws) -> torch.Tensor:
        """(N, 3, H, W) -> (N, 3, height * factor, width * factor), where (height, width) is ``size``.

        By 'scale_factor' it is the image's own size that is multiplied.
        """
        factor = float(draws.uniform(self.ranges[int(draws.choice(self.weights, 1))], 1))
        (mode,) = draw_modes(1, draws)
        if self.by == 'scale_factor':
            return ops.resize_by_factor(img, factor, mode)
        return ops.resize(img, (max(1, int(size[0] * factor)), max(1, int(size[1] * factor))), mode)


def draw_modes(num: int, draws: Draws) -> list[str]:
    """So many of :data:`~facesr_ext.degradations.ops.RESIZE_MODES`, drawn evenly."""
    return [ops.RESIZE_MODES[i] for i in draws.choice([1.0] * len(ops.RESIZE_MODES), num).tolist()]


def _draw_sizes(sizes: Sequence[int], num: int, draws: Draws) -> torch.Tensor:
    return torch.tensor(sizes)[draws.choice([1.0] * len(sizes), num)]


def _draw_beta(limits: Range, num: int, draws: Draws) -> torch.Tensor:
    low, high = draws.uniform((limits[0], 1), num), draws.uniform((1, limits[1]), num)
    return torch.where(draws.chance(0.5, num), low, high)


def _require_kinds(name: str, value: Any) -> list[str]:
    if not is_list(value) or not value:
        raise OptionError(f'must be a list of {", ".join(kernels.KINDS)}, not {value!r}', ('degradation', name))
    return [known_name(('degradation', name), kind, kernels.KINDS) for kind in value]
