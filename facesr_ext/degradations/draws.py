"""Random draws of a degradation: its parameters on the CPU, its noise on the image's device, all from one generator."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import torch

Range = Sequence[float]


class Draws:
    """Draws from a generator.

    Parameters (kernels, factors, qualities) are drawn on the CPU, from a stream that the generator's state seeds; the
    state lies on the CPU for a device's generator, too, so that nothing waits for the device. With a generator on the
    CPU everything is drawn there, so that the same seed gives the same LQ on every device; with one on the device,
    noise is drawn where the images are.

    Args:
        generator (Generator): On the CPU or on the images' device.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self._cpu = torch.Generator().manual_seed(zlib.crc32(generator.get_state().numpy().tobytes()))
        self._noise = generator
        torch.rand(1, generator=generator, device=generator.device)  # another state for whoever comes next

    def uniform(self, limits: Range, num: int) -> torch.Tensor:
        """(num,) float32 on the CPU, evenly from [low, high)."""
        low, high = limits
        return torch.rand(num, generator=self._cpu) * (high - low) + low

    def chance(self, probability: float, num: int) -> torch.Tensor:
        """(num,) bool on the CPU, True with the probability."""
        return torch.rand(num, generator=self._cpu) < probability

    def choice(self, weights: Sequence[float], num: int) -> torch.Tensor:
        """(num,) int64 on the CPU: indices drawn by their weights, with replacement."""
        return torch.multinomial(torch.tensor(weights, dtype=torch.float64), num, True, generator=self._cpu)

    def permutation(self, num: int) -> torch.Tensor:
        """(num,) int64 on the CPU: 0 to num - 1 in random order."""
        return torch.randperm(num, generator=self._cpu)

    def normal_like(self, img: torch.Tensor, channels: int) -> torch.Tensor:
        """Standard normal noise (N, channels, H, W) for a batch, on its device."""
        shape = (img.shape[0], channels, *img.shape[-2:])
        return torch.randn(shape, generator=self._noise, device=self._noise.device).to(img.device)

    def bits_like(self, img: torch.Tensor, bits: int) -> torch.Tensor:
        """As the image, int32: whole numbers from 0 to 2 ** bits - 1, on its device."""
        shape, device = img.shape, self._noise.device
        return torch.randint(1 << bits, shape, generator=self._noise, device=device, dtype=torch.int32).to(img.device)
