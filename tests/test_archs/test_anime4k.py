"""Anime4K: the vectorised pushes against the algorithm pixel by pixel, and what it does to lines and flat places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facesr_ext.archs.anime4k_arch import Anime4K
from facesr_ext.imaging import imresize

# Bright and dark side of the eight directions, as (row, column) steps from the pixel; (0, 0) is the pixel itself.
ABOVE, BELOW = ((-1, -1), (-1, 0), (-1, 1)), ((1, -1), (1, 0), (1, 1))
LEFT, RIGHT = ((-1, -1), (0, -1), (1, -1)), ((-1, 1), (0, 1), (1, 1))
UP_RIGHT, DOWN_LEFT = ((-1, 0), (-1, 1), (0, 1)), ((0, -1), (1, -1), (1, 0))
DOWN_RIGHT, UP_LEFT = ((0, 1), (1, 1), (1, 0)), ((0, -1), (-1, -1), (-1, 0))
DARK_OF = {
    ABOVE: BELOW, BELOW: ABOVE, RIGHT: LEFT, LEFT: RIGHT,
    UP_RIGHT: ((0, -1), (0, 0), (1, 0)), DOWN_LEFT: ((-1, 0), (0, 0), (0, 1)),
    DOWN_RIGHT: ((-1, 0), (0, 0), (0, -1)), UP_LEFT: ((1, 0), (0, 0), (0, 1)),
}  # fmt: skip
PAIRS = ((ABOVE, BELOW), (UP_RIGHT, DOWN_LEFT), (RIGHT, LEFT), (DOWN_RIGHT, UP_LEFT))


def _push_one_by_one(image: np.ndarray, guide: np.ndarray, strength: float, once: bool) -> np.ndarray:
    """The pushes of the preprint as loops over pixels and directions; image (H, W, 3), guide (H, W)."""
    height, width = guide.shape
    out = image.copy()
    for y in range(height):
        for x in range(width):

            def place(step: tuple[int, int], y: int = y, x: int = x) -> tuple[int, int]:
                return min(max(y + step[0], 0), height - 1), min(max(x + step[1], 0), width - 1)

            own, colour, pushed = guide[y, x], image[y, x].copy(), False
            for pair in PAIRS:
                for bright in pair:
                    lows = [guide[place(step)] for step in bright]
                    dark = DARK_OF[bright]
                    highs = [own if step == (0, 0) else guide[place(step)] for step in dark]
                    straight = (0, 0) not in dark
                    fits = min(lows) > own > max(highs) if straight else min(lows) > max(highs)
                    if fits and not (once and pushed):
                        mean = np.mean([image[place(step)] for step in bright], axis=0)
                        colour = colour * (1 - strength) + strength * mean
                        own = own * (1 - strength) + strength * np.mean(lows)
                        pushed = True
                        break
            out[y, x] = colour
    return out


def _sobel(guide: np.ndarray) -> np.ndarray:
    padded = np.pad(guide, 1, mode='edge')
    rows = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    return 1 - np.minimum(1, np.hypot((windows * rows).sum((2, 3)), (windows * rows.T).sum((2, 3))))


@pytest.mark.parametrize('scale', [1, 2])
def test_equals_the_algorithm_pixel_by_pixel(scale: int) -> None:
    torch.manual_seed(0)
    lq = imresize(torch.rand(1, 3, 5, 6, dtype=torch.float64), (10, 12)).clamp(0, 1)
    big = imresize(lq, (10 * scale, 12 * scale)).clamp(0, 1)
    image = big[0].permute(1, 2, 0).numpy()
    weights = np.array([0.299, 0.587, 0.114])
    image = _push_one_by_one(image, np.round(image @ weights * 255) / 255, min(scale / 6, 1), once=False)
    image = _push_one_by_one(image, np.round(_sobel(image @ weights) * 255) / 255, min(scale / 2, 1), once=True)
    out = Anime4K(scale, passes=1)(lq)[0].permute(1, 2, 0).numpy()
    assert np.abs(out - image).max() < 1e-6
    assert np.abs(image - big[0].permute(1, 2, 0).numpy()).max() > 0.05


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_sizes_strengths_and_flat_pictures(scale: int) -> None:
    net = Anime4K(scale)
    flat = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(2, 3, 7, 9)
    out = net(flat)
    assert out.shape == (2, 3, 7 * scale, 9 * scale)
    assert torch.allclose(out, flat[..., :1, :1].expand_as(out), atol=1e-6)
    assert net.color_strength == pytest.approx(scale / 6) and net.gradient_strength == 1.0
    assert Anime4K(8).color_strength == 1.0  # no strength overshoots


def test_a_dark_line_becomes_narrower() -> None:
    x = torch.arange(24.0) - 11.3
    lq = (0.9 - 0.8 * torch.exp(-((x / 1.6) ** 2))).expand(1, 3, 24, 24)
    before, after = (img[0, 1, 24] for img in (imresize(lq, (48, 48)), Anime4K(2)(lq)))
    assert 0 < (after < 0.5).sum() < (before < 0.5).sum()  # thinner, not gone


def test_a_soft_edge_becomes_steeper() -> None:
    lq = ((torch.arange(24.0) - 11.3) / 2).sigmoid().expand(1, 3, 24, 24)
    before, after = (img[0, 1, 24] for img in (imresize(lq, (48, 48)), Anime4K(2)(lq)))
    assert after.diff().abs().max() > 1.3 * before.diff().abs().max()


def test_nothing_overshoots() -> None:
    torch.manual_seed(0)
    lq = torch.rand(2, 3, 9, 8)
    big = imresize(lq, (18, 16)).clamp(0, 1)

    def within(out: torch.Tensor, reach: int) -> bool:
        padded = F.pad(big, (reach,) * 4, mode='replicate')
        high, low = F.max_pool2d(padded, 2 * reach + 1, 1), -F.max_pool2d(-padded, 2 * reach + 1, 1)
        return bool(((out <= high + 1e-6) & (out >= low - 1e-6)).all())

    assert within(Anime4K(passes=1, color_strength=0)(lq), 1)
    assert within(Anime4K(passes=1, gradient_strength=0)(lq), 1)
    assert within(Anime4K()(lq), 4)


def test_a_batch_is_its_pictures_and_strengths_of_0_do_nothing() -> None:
    torch.manual_seed(0)
    lq = torch.rand(3, 3, 9, 8)
    net = Anime4K()
    assert torch.equal(net(lq), torch.cat([net(one) for one in lq.split(1)]))
    still = Anime4K(color_strength=0, gradient_strength=0)(lq)
    assert torch.allclose(still, imresize(lq, (18, 16)).clamp(0, 1), atol=1e-6)
    assert torch.equal(Anime4K(passes=0)(lq), imresize(lq, (18, 16)).clamp(0, 1))


def test_refuses() -> None:
    with pytest.raises(ValueError, match='Anime4K: scale is a whole number from 1 on, not 1.5'):
        Anime4K(1.5)
    with pytest.raises(ValueError, match='Anime4K: passes is 0 or more, not -1'):
        Anime4K(passes=-1)
    with pytest.raises(ValueError, match='Anime4K: color_strength is from 0 to 1, not 2'):
        Anime4K(color_strength=2)
