"""Parsing label sets, landmark sets, and the mappings between them: by name, so that two index spaces never mix.

Every mask that a dataset gives out is in :data:`CELEBAMASK19`; what a prior network predicts is a :class:`ChannelSet`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from facesr_ext.errors import OptionError

UNKNOWN = 255
"""The value of a mask's pixel whose class nobody knows."""


@dataclass(frozen=True)
class LabelSet:
    """Names of the classes of a mask file, in the order of their values."""

    name: str
    classes: tuple[str, ...]

    def value(self, cls: str) -> int:
        """The value of a class in masks, as 4 of 'l_eye'; ValueError for a class that the set has not."""
        return self.classes.index(cls)

    def flip_table(self) -> np.ndarray:
        """(256,) uint8: the value that each value becomes when the image is mirrored."""
        table = np.arange(256, dtype=np.uint8)
        for value, cls in enumerate(self.classes):
            mirrored = _mirrored(cls)
            table[value] = self.classes.index(mirrored) if mirrored in self.classes else value  # l_lip is the lower lip
        return table

    def table_to(self, other: LabelSet) -> np.ndarray:
        """(256,) uint8: the value in ``other`` of each value here; :data:`UNKNOWN` for a class it has not."""
        table = np.full(256, UNKNOWN, np.uint8)
        for value, cls in enumerate(self.classes):
            if cls in other.classes:
                table[value] = other.classes.index(cls)
        return table


@dataclass(frozen=True)
class ChannelSet:
    """The parsing maps that a prior network predicts: each the union of classes of a mask.

    Attributes:
        name (str): What option files call it.
        channels (tuple): For each map its name and the classes that it covers. Maps may overlap.
    """

    name: str
    channels: tuple[tuple[str, tuple[str, ...]], ...]

    def __len__(self) -> int:
        return len(self.channels)

    def matrix(self, labels: LabelSet) -> torch.Tensor:
        """(len(self), len(labels.classes)) float32: 1 where the map covers the class."""
        rows = [[float(cls in covered) for cls in labels.classes] for _, covered in self.channels]
        return torch.tensor(rows)


def _mirrored(cls: str) -> str:
    return {'l_': 'r_', 'r_': 'l_'}.get(cls[:2], cls[:2]) + cls[2:]


CELEBAMASK19 = LabelSet(
    'celebamask19',
    (
        'background',
        'skin',
        'nose',
        'eye_g',
        'l_eye',
        'r_eye',
        'l_brow',
        'r_brow',
        'l_ear',
        'r_ear',
        'mouth',
        'u_lip',
        'l_lip',
        'hair',
        'hat',
        'ear_r',
        'neck_l',
        'neck',
        'cloth',
    ),
)
PARSENET19 = LabelSet('parsenet19', CELEBAMASK19.classes)
BISENET19 = LabelSet(
    'bisenet19',
    (
        'background',
        'skin',
        'l_brow',
        'r_brow',
        'l_eye',
        'r_eye',
        'eye_g',
        'l_ear',
        'r_ear',
        'ear_r',
        'nose',
        'mouth',
        'u_lip',
        'l_lip',
        'neck',
        'neck_l',
        'cloth',
        'hair',
        'hat',
    ),
)
HELEN11_LABELS = LabelSet(
    'helen11', ('background', 'skin', 'l_brow', 'r_brow', 'l_eye', 'r_eye', 'nose', 'u_lip', 'mouth', 'l_lip', 'hair')
)
LABEL_SETS = {labels.name: labels for labels in (CELEBAMASK19, PARSENET19, BISENET19, HELEN11_LABELS)}

_FEATURES = ('l_brow', 'r_brow', 'l_eye', 'r_eye', 'nose', 'mouth', 'u_lip', 'l_lip')
HELEN11 = ChannelSet('helen11', (
    ('background', ('background', 'l_ear', 'r_ear', 'ear_r', 'neck', 'neck_l', 'cloth', 'hat')),
    ('skin', ('skin', 'eye_g')),
    ('l_brow', ('l_brow',)), ('r_brow', ('r_brow',)), ('l_eye', ('l_eye',)), ('r_eye', ('r_eye',)), ('nose', ('nose',)),
    ('u_lip', ('u_lip',)), ('mouth', ('mouth',)), ('l_lip', ('l_lip',)), ('hair', ('hair',)),
))  # fmt: skip
"""The 11 classes of Helen (Smith et al., CVPR 2013), which FSRNet used."""
CSGIUNG11 = ChannelSet('csgiung11', (
    # CelebAMask-HQ's skin file covers the features, unlike a mask of one value a pixel
    ('skin', ('skin', 'eye_g', *_FEATURES)),
    ('l_brow', ('l_brow',)), ('r_brow', ('r_brow',)), ('l_eye', ('l_eye',)), ('r_eye', ('r_eye',)),
    ('l_ear', ('l_ear',)), ('r_ear', ('r_ear',)), ('nose', ('nose',)), ('mouth', ('mouth',)),
    ('u_lip', ('u_lip',)), ('l_lip', ('l_lip',)),
))  # fmt: skip
"""The 11 maps of the cs-giung re-implementation: no background, no hair."""
CHANNEL_SETS = {channels.name: channels for channels in (HELEN11, CSGIUNG11)}

# (left in the picture, right in the picture) of every pair that changes places when the picture is mirrored
_IBUG68_PAIRS = (
    [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)] + [(31, 35), (32, 34)]
    + [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
    + [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)]
)  # fmt: skip
_WFLW98_PAIRS = (
    [(i, 32 - i) for i in range(16)] + [(33 + i, 46 - i) for i in range(5)] + [(38, 50), (39, 49), (40, 48), (41, 47)]
    + [(55, 59), (56, 58)] + [(60 + i, 72 - i) for i in range(5)] + [(65, 75), (66, 74), (67, 73), (96, 97)]
    + [(76, 82), (77, 81), (78, 80), (87, 83), (86, 84), (88, 92), (89, 91), (95, 93)]
)  # fmt: skip
LANDMARK_PAIRS: dict[int, list[tuple[int, int]]] = {
    5: [(0, 1), (3, 4)],  # RetinaFace: eyes, nose, mouth corners
    68: _IBUG68_PAIRS,
    98: _WFLW98_PAIRS,
}


def landmark_flip(num: int) -> np.ndarray:
    """(num,) int64: which landmark of the picture each landmark of the mirrored picture is.

    Raises:
        OptionError: if no left / right pairs are known for that many landmarks.
    """
    if num not in LANDMARK_PAIRS:
        raise OptionError(
            f'no left/right pairs are known for {num} landmarks (known: {sorted(LANDMARK_PAIRS)}); '
            'set use_hflip: false in the dataset'
        )
    order = np.arange(num)
    for left, right in LANDMARK_PAIRS[num]:
        order[left], order[right] = right, left
    return order


def five_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """(68, 2) of iBUG -> (5, 2) of RetinaFace: eyes, nose tip, mouth corners, left in the picture first."""
    eyes = (landmarks[36:42].mean(0), landmarks[42:48].mean(0))
    return np.stack([*eyes, landmarks[30], landmarks[48], landmarks[54]])


def parsing_planes(
    parsing: torch.Tensor, channels: ChannelSet, size: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft target planes of a prior network from masks, area-averaged to the size of its maps.

    Args:
        parsing (Tensor): (N, H, W), int64, values of :data:`CELEBAMASK19` or :data:`UNKNOWN`.
        channels (ChannelSet): The maps wanted.
        size (tuple[int, int]): Height and width of the maps.

    Returns:
        tuple[Tensor, Tensor]: planes (N, C, *size) float32 in [0, 1], and the share (N, 1, *size) of known pixels.
    """
    known = parsing != UNKNOWN
    one_hot = F.one_hot(parsing.masked_fill(~known, 0), len(CELEBAMASK19.classes)).permute(0, 3, 1, 2).float()
    one_hot = F.adaptive_avg_pool2d(one_hot * known[:, None], size)
    share = F.adaptive_avg_pool2d(known[:, None].float(), size)
    planes = torch.einsum('cl,nlhw->nchw', channels.matrix(CELEBAMASK19).to(one_hot.device), one_hot)
    return planes / share.clamp(min=1e-6), share
