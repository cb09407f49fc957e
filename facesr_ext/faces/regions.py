"""Regions of a face as weights of its pixels, from masks or landmarks, on their own device."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from facesr_ext.faces.labels import CELEBAMASK19

CLASSES = {
    'eyes': ('l_eye', 'r_eye'),
    'brows': ('l_brow', 'r_brow'),
    'nose': ('nose',),
    'mouth': ('mouth', 'u_lip', 'l_lip'),
    'skin': ('skin', 'nose'),
    'hair': ('hair',),
}
"""Region -> its classes in masks of celebamask19."""
POINTS: dict[int, dict[str, tuple[int, ...]]] = {
    5: {'eyes': (0, 1), 'nose': (2,), 'mouth': (3, 4)},
    68: {
        'eyes': tuple(range(36, 48)),
        'brows': tuple(range(17, 27)),
        'nose': tuple(range(27, 36)),
        'mouth': tuple(range(48, 68)),
    },
    98: {
        'eyes': (*range(60, 76), 96, 97),
        'brows': tuple(range(33, 51)),
        'nose': tuple(range(51, 60)),
        'mouth': tuple(range(76, 96)),
    },
}
"""Number of landmarks -> region -> which of them are its."""
_EYES = {5: ((0,), (1,)), 68: (tuple(range(36, 42)), tuple(range(42, 48))), 98: ((96,), (97,))}
_REACH = 1 / 8  # of the distance of the eyes' centres


def regions_of_masks(masks: torch.Tensor, regions: Sequence[str]) -> torch.Tensor:
    """(N, H, W) int64 of celebamask19, or unknown -> (N, 1, H, W) float32: 1 in one of the regions, else 0."""
    values = sorted({CELEBAMASK19.value(cls) for region in regions for cls in CLASSES[region]})
    return torch.isin(masks, torch.tensor(values, device=masks.device))[:, None].float()


def regions_of_landmarks(landmarks: torch.Tensor, regions: Sequence[str], size: tuple[int, int]) -> torch.Tensor:
    """The pixels around the landmarks of regions, up to an eighth of the distance of the eyes.

    Args:
        landmarks (Tensor): (N, 5, 68 or 98, 2), x and y in pixels; NaN where unknown.
        regions (Sequence[str]): Of :data:`POINTS`.
        size (tuple[int, int]): Height and width.

    Returns:
        Tensor: (N, 1, *size) float32, 1 in one of the regions, else 0; 0 in a face whose eyes are unknown.
    """
    count, (height, width) = landmarks.shape[1], size
    which = [index for region in regions for index in POINTS[count][region]]
    left, right = (landmarks[:, list(eye)].mean(1) for eye in _EYES[count])
    reach = (right - left).norm(dim=1)[:, None, None] * _REACH  # NaN for unknown eyes, to which nothing is near
    columns = torch.arange(width, device=landmarks.device, dtype=landmarks.dtype)
    rows = torch.arange(height, device=landmarks.device, dtype=landmarks.dtype)
    inside = torch.zeros(len(landmarks), height, width, dtype=torch.bool, device=landmarks.device)
    for point in landmarks[:, which].unbind(1):  # one after the other: all at once would take much memory
        aside, above = point[:, :1] - columns, point[:, 1:] - rows
        inside |= aside.square()[:, None] + above.square()[:, :, None] <= reach.square()
    return inside[:, None].float()
