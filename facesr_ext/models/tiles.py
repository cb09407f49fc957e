"""Large pictures in tiles: what a network makes of each is blended over their overlap."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from facesr_ext.errors import OptionError


class Tiling(NamedTuple):
    """How a picture is cut, in pixels of the network's input.

    Attributes:
        size (int): Height and width of a tile.
        overlap (int): What neighbouring tiles have in common. Its outer quarters are thrown away, over its middle half
            one tile fades into the other: a result is exact where the network looks no further than ``overlap / 4``.
    """

    size: int
    overlap: int

    def needed(self, img: torch.Tensor) -> bool:
        """Whether (N, C, h, w) is larger than one tile."""
        return max(img.shape[-2:]) > self.size

    def require(self, key: Sequence[str], multiple_of: int = 1) -> None:
        """Looks whether the numbers fit each other and the network.

        Args:
            key (Sequence[str]): The option that gives them.
            multiple_of (int): What height and width of the network's input must be a multiple of.

        Raises:
            OptionError: naming the key.
        """
        if not 0 <= self.overlap < self.size:
            raise OptionError(f'must be from 0 to below size {self.size}, not {self.overlap}', (*key, 'overlap'))
        if self.size % multiple_of or self.size - self.overlap < multiple_of:
            raise OptionError(
                f'must be a multiple of {multiple_of}, which the network asks for, and larger than overlap by '
                f'{multiple_of} or more; they are {self.size} and {self.overlap}',
                (*key, 'size'),
            )


def tiled(
    forward: Callable[[torch.Tensor], torch.Tensor],
    img: torch.Tensor,
    tiling: Tiling,
    scale: int = 1,
    multiple_of: int = 1,
) -> torch.Tensor:
    """Runs a network over a picture tile by tile.

    Only one tile at a time is at the network; ``img`` may lie in host memory where ``forward`` moves what it is given.

    Args:
        forward (Callable): (N, C, h, w) -> (N, C', h * scale, w * scale), on any device.
        img (Tensor): (N, C, H, W); H and W are a multiple of ``multiple_of``.
        tiling (Tiling): Size and overlap, as `Tiling.require` allows.
        scale (int): How many times larger the result is than the input.
        multiple_of (int): Tiles begin at multiples of it, so that a network with strides sees the grid it would see in
            the whole picture.

    Returns:
        Tensor: (N, C', H * scale, W * scale), on the device of ``img``, float32.
    """
    height, width = img.shape[-2:]
    total, weights = torch.zeros(()), torch.zeros(height * scale, width * scale, device=img.device)
    for y, x in itertools.product(*(_starts(length, tiling, multiple_of) for length in (height, width))):
        tile = img[..., y : y + tiling.size, x : x + tiling.size]
        out = forward(tile).to(img.device, torch.float32)
        axes = zip(tile.shape[-2:], (y, x), (height, width), strict=True)
        rows, columns = (_ramp(*axis, tiling.overlap, scale) for axis in axes)
        weight = (rows[:, None] * columns).to(img.device)
        if not total.ndim:
            total = out.new_zeros(*out.shape[:-2], *weights.shape)
        place = (..., slice(y * scale, y * scale + out.shape[-2]), slice(x * scale, x * scale + out.shape[-1]))
        total[place] += out * weight
        weights[place] += weight
    return total / weights


def _starts(length: int, tiling: Tiling, multiple_of: int) -> list[int]:
    """Where tiles begin along one axis: evenly spread, the last one ends with the picture."""
    if length <= tiling.size:
        return [0]
    step = (tiling.size - tiling.overlap) // multiple_of * multiple_of
    count = math.ceil((length - tiling.size) / step) + 1
    room = (length - tiling.size) // multiple_of
    return [room * i // (count - 1) * multiple_of for i in range(count - 1)] + [length - tiling.size]


def _ramp(size: int, start: int, whole: int, overlap: int, scale: int) -> torch.Tensor:
    """Weights (size * scale,) of a tile along one axis: 1, fading towards each side where there is a neighbour."""
    place = torch.arange(size * scale) + 0.5
    weight = torch.ones_like(place)
    for near, inner in ((place, start > 0), (size * scale - place, start + size < whole)):
        if inner and overlap:
            weight = weight * (2 * near / (overlap * scale) - 0.5).clamp(0, 1)
    return weight
