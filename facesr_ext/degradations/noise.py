"""Gaussian, shot and impulse noise, added on the images' own device."""

from __future__ import annotations

import torch

from facesr_ext.degradations.draws import Draws
from facesr_ext.degradations.ops import on_device_of
from facesr_ext.degradations.poisson import RANDOM_BITS, poisson_counts

_IMPULSE_BITS = 24  # random bits a value: densities are multiples of 2 ** -24
_GREY = (0.2989, 0.587, 0.114)  # as torchvision's rgb_to_grayscale, which Real-ESRGAN uses


def add_noise(
    img: torch.Tensor, gaussian: torch.Tensor, grey: torch.Tensor, strength: torch.Tensor, draws: Draws
) -> torch.Tensor:
    """Adds to each image its own kind of noise.

    Args:
        img (Tensor): (N, 3, H, W), [0, 1].
        gaussian (Tensor): (N,) bool on the CPU: normal noise, or shot noise.
        grey (Tensor): (N,) bool on the CPU: the same in all channels.
        strength (Tensor): (N,) on the CPU: standard deviation of normal noise, of 1; factor of shot noise.
        draws (Draws): What the noise itself is drawn from.

    Returns:
        Tensor: (N, 3, H, W), [0, 1].
    """
    kinds = list(zip(gaussian.tolist(), grey.tolist(), strict=True))
    if len(set(kinds)) == 1:
        return _add_one_kind(img, *kinds[0], strength, draws)
    out = torch.empty_like(img)
    for kind in sorted(set(kinds)):
        chosen = torch.tensor([i for i, other in enumerate(kinds) if other == kind])
        index = on_device_of(chosen, img)
        out[index] = _add_one_kind(img[index], *kind, strength[chosen], draws)
    return out


def add_impulses(img: torch.Tensor, density: torch.Tensor, salt_share: float, draws: Draws) -> torch.Tensor:
    """Replaces values by 1 (salt) or 0 (pepper), each channel of a pixel for itself.

    Args:
        img (Tensor): (N, 3, H, W), [0, 1].
        density (Tensor): (N,) on the CPU: the probability of each value of an image to be replaced, 0 to 1.
        salt_share (float): How many of those become 1, 0 to 1.
        draws (Draws): What the noise itself is drawn from.

    Returns:
        Tensor: (N, 3, H, W), [0, 1].
    """
    bits = draws.bits_like(img, _IMPULSE_BITS)
    spoilt = density.double() * (1 << _IMPULSE_BITS)
    salt, both = (on_device_of(limit.round().int(), img).view(-1, 1, 1, 1) for limit in (spoilt * salt_share, spoilt))
    return torch.where(bits < both, (bits < salt).to(img.dtype), img)


def _add_one_kind(img: torch.Tensor, gaussian: bool, grey: bool, strength: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Adds noise of one kind, of strength (N,), and clamps."""
    noise = draws.normal_like(img, 1 if grey else 3) if gaussian else _shot_noise(img, grey, draws)
    return torch.addcmul(img, noise, on_device_of(strength, img).view(-1, 1, 1, 1)).clamp_(0, 1)


def _shot_noise(img: torch.Tensor, grey: bool, draws: Draws) -> torch.Tensor:
    """Difference of a Poisson draw to the image, or to its luma (N, 1, H, W).

    As in Real-ESRGAN, an image of n different levels has 2 ** ceil(log2 n) photons at full brightness.
    """
    if grey:
        red, green, blue = img.split(1, dim=1)
        img = _GREY[0] * red + _GREY[1] * green + _GREY[2] * blue
    levels = img.mul(255).round_().clamp_(0, 255)
    exponents = (count_levels(levels)[:, None] > 2 ** torch.arange(8, device=img.device)).sum(1)  # ceil(log2 n)
    counts = poisson_counts(levels, exponents, draws.bits_like(levels, RANDOM_BITS))
    return counts.div_((2**exponents).view(-1, 1, 1, 1)).sub_(levels.div_(255))


def count_levels(levels: torch.Tensor) -> torch.Tensor:
    """(N,) float: how many different whole numbers from 0 to 255 each image of a batch holds.

    By marking them: neither sorting nor ``bincount``, which would wait for the device.
    """
    flat = levels.flatten(1).long()
    marked = levels.new_zeros(len(flat), 256)
    return marked.scatter_(1, flat, levels.new_ones(1, 1).expand_as(flat)).sum(1)
