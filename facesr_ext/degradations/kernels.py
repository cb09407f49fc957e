"""Blur kernels, a batch at once: Gaussian, generalised Gaussian and plateau, isotropic or not, and sinc."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch

Kind = Literal['iso', 'aniso', 'generalized_iso', 'generalized_aniso', 'plateau_iso', 'plateau_aniso']
KINDS: tuple[Kind, ...] = get_args(Kind)
_SMALLEST_SIGMA = 1e-150  # pixels, in place of 0: that gives a pulse instead of 0 / 0


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
        sigma_x, sigma_y (Tensor): (N,), pixels, from 0 on, along axes turned by theta (Tensor): (N,), radians.
        beta (Tensor): (N,), shape; 1 is the Gaussian.
        plateau (Tensor): (N,) bool.

    Returns:
        Tensor: (N, width, width), each sums to 1.
    """
    y, x = _grid(width)
    cos, sin = theta.cos()[:, None, None], theta.sin()[:, None, None]
    form = _over(cos * x + sin * y, sigma_x) ** 2 + _over(cos * y - sin * x, sigma_y) ** 2
    power = form ** beta[:, None, None]
    kernel = torch.where(plateau[:, None, None], 1 / (1 + power), torch.exp(-0.5 * power))
    return _normalised(kernel, sizes, width)


def _over(axis: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """(N, k, k): distances along an axis of each kernel, in its sigmas (N,)."""
    return axis / sigma.double().clamp(min=_SMALLEST_SIGMA)[:, None, None]


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
