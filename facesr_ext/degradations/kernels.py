"""Blur kernels, a batch at once: Gaussian, generalised Gaussian and plateau, isotropic or not, and sinc."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from facesr_ext.degradations.draws import Draws, Range
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import known_name

KINDS = ('iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso')


@dataclass(frozen=True)
class KernelSpec:
    """How the kernels of one blur are drawn, under Real-ESRGAN's names.

    Attributes:
        sizes (Sequence[int]): Odd sizes, pixels, drawn evenly.
        kernel_list, kernel_prob (Sequence): Kinds of :data:`KINDS` and their weights.
        sinc_prob (float): Share of sinc kernels.
        blur_sigma (Range): Standard deviations, pixels.
        betag_range, betap_range (Range): Shape of generalised and of plateau kernels; half of the draws lie below 1.

    Raises:
        OptionError: for an unknown kind, an even size or weights that do not match.
    """

    sizes: Sequence[int]
    kernel_list: Sequence[str]
    kernel_prob: Sequence[float]
    sinc_prob: float
    blur_sigma: Range
    betag_range: Range
    betap_range: Range

    def __post_init__(self) -> None:
        for kind in self.kernel_list:
            known_name(('degradation', 'kernel_list'), kind, KINDS)
        if len(self.kernel_list) != len(self.kernel_prob):
            raise OptionError('needs one weight for each kind of kernel_list', ('degradation', 'kernel_prob'))
        if any(size % 2 == 0 for size in self.sizes):
            raise OptionError(f'must be odd, not {list(self.sizes)}', ('degradation', 'kernel_sizes'))


def draw_kernels(spec: KernelSpec, num: int, draws: Draws) -> torch.Tensor:
    """Kernels of one blur.

    Returns:
        Tensor: (num, k, k) float32 on the CPU, k the largest size; each sums to 1.
    """
    sizes = torch.tensor(spec.sizes)[draws.choice([1.0] * len(spec.sizes), num)]
    kinds = [spec.kernel_list[i] for i in draws.choice(spec.kernel_prob, num).tolist()]
    isotropic = torch.tensor([not kind.endswith('aniso') for kind in kinds])
    sigma_x, sigma_y = draws.uniform(spec.blur_sigma, num), draws.uniform(spec.blur_sigma, num)
    theta = draws.uniform((-math.pi, math.pi), num)
    sigma_y, theta = torch.where(isotropic, sigma_x, sigma_y), torch.where(isotropic, 0.0, theta)
    plateau = torch.tensor([kind.startswith('plateau') for kind in kinds])
    general = torch.tensor([kind.startswith('generalized') for kind in kinds])
    beta = torch.where(plateau, _draw_beta(spec.betap_range, num, draws), _draw_beta(spec.betag_range, num, draws))
    beta = torch.where(plateau | general, beta, 1.0)
    blur = blur_kernels(max(spec.sizes), sizes, sigma_x, sigma_y, theta, beta, plateau)
    cutoff = draws.uniform((0, 1), num)
    lowest = torch.where(sizes < 13, math.pi / 3, math.pi / 5)  # a wide kernel may cut off more
    sinc = sinc_kernels(max(spec.sizes), sizes, lowest + cutoff * (math.pi - lowest))
    return torch.where(draws.chance(spec.sinc_prob, num)[:, None, None], sinc, blur)


def draw_sinc_kernels(sizes: Sequence[int], probability: float, num: int, draws: Draws) -> torch.Tensor:
    """The final filter: a sinc kernel with the probability, else none (a pulse); (num, k, k) as above."""
    chosen = torch.tensor(sizes)[draws.choice([1.0] * len(sizes), num)]
    sinc = sinc_kernels(max(sizes), chosen, draws.uniform((math.pi / 3, math.pi), num))
    return torch.where(draws.chance(probability, num)[:, None, None], sinc, pulse(max(sizes)))


def pulse(size: int) -> torch.Tensor:
    """(size, size): the kernel that changes nothing."""
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = 1
    return kernel


def blur_kernels(
    width: int,
    sizes: torch.Tensor,
    sigma_x: torch.Tensor,
    sigma_y: torch.Tensor,
    theta: torch.Tensor,
    beta: torch.Tensor,
    plateau: torch.Tensor,
) -> torch.Tensor:
    """Generalised Gaussian exp(-q^beta / 2) and plateau 1 / (1 + q^beta) kernels, q the Mahalanobis form.

    Args:
        width (int): Size of the array, odd.
        sizes (Tensor): (N,), size of each kernel within it; outside it is 0.
        sigma_x, sigma_y (Tensor): (N,), pixels, along axes turned by theta (Tensor): (N,), radians.
        beta (Tensor): (N,), shape; 1 is the Gaussian.
        plateau (Tensor): (N,) bool.

    Returns:
        Tensor: (N, width, width), each sums to 1.
    """
    y, x = _grid(width)
    cos, sin = theta.cos()[:, None, None], theta.sin()[:, None, None]
    along, across = (cos * x + sin * y), (cos * y - sin * x)
    form = (along / sigma_x[:, None, None]) ** 2 + (across / sigma_y[:, None, None]) ** 2
    power = form ** beta[:, None, None]
    kernel = torch.where(plateau[:, None, None], 1 / (1 + power), torch.exp(-0.5 * power))
    return _normalised(kernel, sizes, width)


def sinc_kernels(width: int, sizes: torch.Tensor, cutoff: torch.Tensor) -> torch.Tensor:
    """Circular low-pass kernels: cutoff * J1(cutoff * r) / (2 pi r).

    Args:
        width (int): Size of the array, odd.
        sizes (Tensor): (N,), size of each kernel within it.
        cutoff (Tensor): (N,), radians a pixel; pi passes all.

    Returns:
        Tensor: (N, width, width), each sums to 1.
    """
    y, x = _grid(width)
    radius = torch.sqrt(x**2 + y**2)
    cut = cutoff[:, None, None].double()
    inner = radius.clamp(min=1e-9)
    kernel = cut * torch.special.bessel_j1(cut * inner) / (2 * math.pi * inner)
    kernel = torch.where(radius == 0, cut**2 / (4 * math.pi), kernel)
    return _normalised(kernel, sizes, width)


def _grid(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    axis = torch.arange(width, dtype=torch.float64) - width // 2
    return axis[:, None], axis[None, :]


def _normalised(kernel: torch.Tensor, sizes: torch.Tensor, width: int) -> torch.Tensor:
    y, x = _grid(width)
    inside = torch.maximum(y.abs(), x.abs()) <= (sizes // 2)[:, None, None]
    kernel = kernel * inside
    return (kernel / kernel.sum((1, 2), keepdim=True)).float()


def _draw_beta(limits: Range, num: int, draws: Draws) -> torch.Tensor:
    low, high = draws.uniform((limits[0], 1), num), draws.uniform((1, limits[1]), num)
    return torch.where(draws.chance(0.5, num), low, high)
