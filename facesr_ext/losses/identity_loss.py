from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import require_literals
from facesr_ext.host.programs import load_program
from facesr_ext.imaging import luma


@LOSS_REGISTRY.register()
class IdentityLoss(nn.Module):
    """1 - cosine of what a network of face recognition makes of result and GT: it is to be the same person.

    The network is the user's own, as a file that holds the network and not its weights alone: a program of
    ``torch.export`` (``.pt2``) or TorchScript (``.pt``, of ``torch.jit.save``) that takes a batch of any number of
    faces (N, C, s, s) and gives (N, D). Weights become one in the code that they come from: ``torch.export.save(
    torch.export.export(net.eval(), (torch.zeros(2, 3, 112, 112),), dynamic_shapes=({0: torch.export.Dim('n')},)),
    'identity.pt2')``. Faces are cut out by a fixed box, so the training set has to be aligned. The defaults are those
    of ArcFace (Deng et al., CVPR 2019).

    Args:
        loss_weight (float): Default: 1.0.
        path (str): The file.
        size (int): Height and width of what the network takes, pixels. Default: 112.
        box (Sequence[float]): The part of the image that it sees: left, top, right and bottom, shares of width and
            height. Default: all of it.
        mean, std (float): It takes (value - mean) / std of values in [0, 1]. Default: 0.5, 0.5.
        channels (str): 'rgb', 'bgr' or 'grey' (one channel). Default: 'rgb'.

    Raises:
        CheckpointError: for a file that is none of these, or gives no (N, D).
        OptionError: if it does not exist.
        ValueError: for other channels, a box that is none, or a size below 1.
    """

    def __init__(
        self,
        path: str,
        loss_weight: float = 1.0,
        size: int = 112,
        box: Sequence[float] = (0.0, 0.0, 1.0, 1.0),
        mean: float = 0.5,
        std: float = 0.5,
        channels: Literal['rgb', 'bgr', 'grey'] = 'rgb',
    ) -> None:
        super().__init__()
        require_literals(IdentityLoss, channels=channels)
        if len(box) != 4 or not 0 <= box[0] < box[2] <= 1 or not 0 <= box[1] < box[3] <= 1:
            raise ValueError(f'IdentityLoss: box is left, top, right, bottom in [0, 1], not {list(box)}')
        if size < 1 or std <= 0:
            raise ValueError(f'IdentityLoss: size is at least 1 and std above 0, not {size} and {std}')
        self.loss_weight, self.size, self.box, self.channels = loss_weight, size, tuple(box), channels
        self.mean, self.std = mean, std
        self.network = load_program(path, torch.zeros(2, 1 if channels == 'grey' else 3, size, size))

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both (N, 3, H, W), RGB, [0, 1] -> a scalar, [0, 2 * loss_weight]."""
        with torch.no_grad():
            wanted = self._vectors(target)
        return self.loss_weight * (1 - F.cosine_similarity(self._vectors(pred), wanted)).mean()

    def _vectors(self, faces: torch.Tensor) -> torch.Tensor:
        height, width = faces.shape[-2:]
        left, top, right, bottom = self.box
        rows = slice(int(top * height), max(int(top * height) + 1, round(bottom * height)))
        columns = slice(int(left * width), max(int(left * width) + 1, round(right * width)))
        cut = faces[..., rows, columns]
        seen = F.interpolate(cut, (self.size, self.size), mode='bilinear', antialias=True, align_corners=False)
        seen = luma(seen) if self.channels == 'grey' else seen.flip(1) if self.channels == 'bgr' else seen
        vectors: torch.Tensor = self.network((seen - self.mean) / self.std)
        return vectors.float().flatten(1)
