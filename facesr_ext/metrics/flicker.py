"""Flicker: how much aligned faces change from one frame to the next, beside how much they did before."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Shares of red, green and blue."""


def temporal_difference(earlier: np.ndarray, later: np.ndarray, mask: np.ndarray) -> float:
    """How much an aligned face differs from itself one frame earlier.

    Args:
        earlier, later (ndarray): (S, S, 3) uint8 RGB, cut out by the same points.
        mask (ndarray): (S, S) float32 in [0, 1]: where it counts.

    Returns:
        float: The mean absolute difference of luma, levels of 255; NaN for an empty mask.
    """
    difference = np.abs((later.astype(np.float32) - earlier.astype(np.float32)) @ LUMA)
    total = float(mask.sum())
    return float((difference * mask).sum()) / total if total > 0 else math.nan


@dataclass
class Flicker:
    """The mean of `temporal_difference` over pairs of neighbouring frames, before and after.

    Attributes:
        pairs (int): How many there are.
        before, after (float): Sums over them, levels of 255.
    """

    pairs: int = 0
    before: float = 0.0
    after: float = 0.0

    def add(self, before: float, after: float) -> None:
        """Takes one more pair; one without a value is passed over."""
        if not (math.isnan(before) or math.isnan(after)):
            self.pairs, self.before, self.after = self.pairs + 1, self.before + before, self.after + after

    def join(self, other: Flicker) -> None:
        """Takes the pairs of another part."""
        self.pairs, self.before, self.after = (
            self.pairs + other.pairs,
            self.before + other.before,
            self.after + other.after,
        )

    def means(self) -> tuple[float, float] | None:
        """Before and after, levels of 255; None without a pair."""
        return (self.before / self.pairs, self.after / self.pairs) if self.pairs else None
