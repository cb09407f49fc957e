from __future__ import annotations

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo, require_factor
from facesr_ext.imaging import imresize, luma, quantize

Triple = tuple[int, int, int]

# Places of the 3x3 neighbourhood:  0 1 2 / 3 4 5 / 6 7 8.
# Opposite directions in pairs: (bright side, dark side) of each. Of a diagonal the centre belongs to the dark side.
STRAIGHT_AND_DIAGONAL: tuple[tuple[bool, tuple[tuple[Triple, tuple[int, ...]], ...]], ...] = (
    (True, (((0, 1, 2), (6, 7, 8)), ((6, 7, 8), (0, 1, 2)))),
    (False, (((1, 2, 5), (3, 7)), ((3, 6, 7), (1, 5)))),
    (True, (((2, 5, 8), (0, 3, 6)), ((0, 3, 6), (2, 5, 8)))),
    (False, (((5, 8, 7), (1, 3)), ((3, 0, 1), (7, 5)))),
)


def _neighbours(x: torch.Tensor) -> list[torch.Tensor]:
    """The nine shifted views of (N, C, H, W), its border repeated."""
    height, width = x.shape[-2:]
    padded = F.pad(x, (1, 1, 1, 1), mode='replicate')
    return [padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]


def _edges(guide: torch.Tensor) -> torch.Tensor:
    """Sobel's magnitude upside down: (N, 1, H, W), 1 in flat places, 0 on strong edges."""
    tl, tc, tr, ml, _, mr, bl, bc, br = _neighbours(guide)
    dx = tr + 2 * mr + br - tl - 2 * ml - bl
    dy = bl + 2 * bc + br - tl - 2 * tc - tr
    return 1 - (dx * dx + dy * dy).sqrt().clamp(max=1)


def _push(image: torch.Tensor, guide: torch.Tensor, strength: float, once: bool) -> torch.Tensor:
    """Moves pixels towards the brighter side of the edge that they lie on.

    In each direction whose side is brighter than the pixel, and the opposite one darker, the pixel becomes
    ``(1 - strength) * pixel + strength * mean(bright side)``. Neighbours are those of the image as it was, so the order
    of the pixels does not matter, and nothing leaves the range of the 3x3 neighbourhood.

    Args:
        image (Tensor): (N, 3, H, W).
        guide (Tensor): (N, 1, H, W), what is compared; in 256 levels, so that noise below them moves nothing.
        strength (float): 0 to 1.
        once (bool): Only the first direction found counts; else one of each opposite pair, one after the other.

    Returns:
        Tensor: (N, 3, H, W).
    """
    pixel = torch.cat([image, quantize(guide)], 1)
    near = _neighbours(pixel)
    level = [view[:, -1:] for view in near]
    free = torch.ones_like(guide, dtype=torch.bool)
    for straight, pair in STRAIGHT_AND_DIAGONAL:
        open_ = free
        for bright, dark in pair:
            own = pixel[:, -1:]
            low = torch.stack([level[i] for i in bright]).amin(0)
            high = torch.stack([level[i] for i in dark]).amax(0)
            hit = open_ & (low > own) & ((own if straight else low) > high)
            side = torch.stack([near[i] for i in bright]).mean(0)
            pixel = torch.where(hit, torch.lerp(pixel, side, strength), pixel)
            open_ = open_ & ~hit
        free = open_ if once else free
    return pixel[:, :-1]


@ARCH_REGISTRY.register()
class Anime4K(nn.Module):
    """Anime4K 0.9: bicubic enlarging, then dark lines are thinned and edges sharpened; nothing is learnt.

    Each pass thins lines by luma, then pushes pixels away from edges by the Sobel magnitude of luma, both without
    overshoot. PSNR falls by design. Sources: the preprint of bloc97/Anime4K (2019); the comparisons are those of
    TianZerL/Anime4KPython's straight directions (the centre between both sides), the strengths by scale those of
    net2cn/Anime4KSharp. All pixels move at once here, and values are not rounded between the steps.

    Args:
        scale (int): Any whole number. Default: 2.
        passes (int): Default: 2.
        color_strength (float | None): Of the thinning, 0 to 1; 0 for none. Default: None, scale / 6, at most 1.
        gradient_strength (float | None): Of the sharpening, 0 to 1. Default: None, scale / 2, at most 1.

    Raises:
        ValueError: for another scale, a negative number of passes, or a strength outside of [0, 1].
    """

    def __init__(
        self,
        scale: int = 2,
        passes: int = 2,
        color_strength: float | None = None,
        gradient_strength: float | None = None,
    ) -> None:
        super().__init__()
        require_factor('Anime4K', scale)
        if passes < 0:
            raise ValueError(f'Anime4K: passes is 0 or more, not {passes}')
        self.color_strength = min(scale / 6, 1.0) if color_strength is None else color_strength
        self.gradient_strength = min(scale / 2, 1.0) if gradient_strength is None else gradient_strength
        for name in ('color_strength', 'gradient_strength'):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f'Anime4K: {name} is from 0 to 1, not {getattr(self, name)}')
        self.scale, self.passes = scale, passes
        self.info = ArchInfo(scale, decides=True)

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Super-resolves images.

        Args:
            lq (Tensor): (N, 3, h, w), RGB, [0, 1].

        Returns:
            Tensor: (N, 3, h * scale, w * scale), RGB, [0, 1].
        """
        x = imresize(lq, (lq.shape[-2] * self.scale, lq.shape[-1] * self.scale)).clamp(0, 1)
        for _ in range(self.passes):
            x = _push(x, luma(x), self.color_strength, once=False)
            x = _push(x, _edges(luma(x)), self.gradient_strength, once=True)
        return x
