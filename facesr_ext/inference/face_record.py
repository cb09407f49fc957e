"""What is told of the faces of a photograph."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np


@dataclass
class FaceRecord:
    """What became of a face.

    Attributes:
        number (int): From 1 on, the largest first.
        box (tuple): Left, top, right, bottom in the given photograph, pixels.
        score (float): The detector's, in [0, 1].
        size (float): Side of its aligned square, pixels.
        angle (float): By how many degrees the line of its eyes falls to the right.
        done (bool): Whether it was restored.
        reason (str | None): Why it was not.
        identity_distance (float | None): From before to after, by dlib (extra ``faces``).
        warning (str | None): What to look at.
        before, after (ndarray | None): The aligned square, uint8 RGB, as the network was given it and as it came back.
    """

    number: int
    box: tuple[float, ...]
    score: float
    size: float
    angle: float
    done: bool = False
    reason: str | None = None
    identity_distance: float | None = None
    warning: str | None = None
    before: np.ndarray | None = field(default=None, repr=False)
    after: np.ndarray | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        """All but the pictures."""
        return {key: value for key, value in vars(self).items() if key not in ('before', 'after')}


class RestoredPhoto(NamedTuple):
    """A photograph with its faces restored: (H, W, 3) RGB of the kind that was given, and the record of each face."""

    image: np.ndarray
    faces: list[FaceRecord]
