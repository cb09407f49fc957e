from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import require_literals

Region = Literal['eyes', 'brows', 'nose', 'mouth', 'skin', 'hair']
BY_LANDMARKS = ('eyes', 'brows', 'nose', 'mouth')


@LOSS_REGISTRY.register()
class RegionLoss(nn.Module):
    """Mean error of the pixels of some regions of the face alone, to be added to a loss of all pixels.

    Where the regions lie, the labels of the training set say: its masks, or its landmarks, around each of which pixels
    up to an eighth of the distance of the eyes belong to the region. Faces without labels do not count.

    Source: Progressive Face Super-Resolution (Kim et al., BMVC 2019) weights pixels by heatmaps of landmarks.

    Args:
        loss_weight (float): Default: 1.0.
        regions (Sequence[str]): Of 'eyes', 'brows', 'nose', 'mouth'; by masks also 'skin' and 'hair'. Default: eyes and
            mouth.
        by (str): 'parsing' or 'landmarks'. Default: 'parsing'.
        criterion (str): 'l1' or 'mse'. Default: 'l1'.

    Raises:
        ValueError: for another by or criterion, no region, or one that the labels do not know.
    """

    READS = 'regions'

    def __init__(
        self,
        loss_weight: float = 1.0,
        regions: Sequence[Region] = ('eyes', 'mouth'),
        by: Literal['parsing', 'landmarks'] = 'parsing',
        criterion: Literal['l1', 'mse'] = 'l1',
    ) -> None:
        super().__init__()
        require_literals(RegionLoss, by=by, criterion=criterion)
        known = BY_LANDMARKS if by == 'landmarks' else (*BY_LANDMARKS, 'skin', 'hair')
        wrong = [region for region in regions if region not in known]
        if wrong or not regions:
            given = f'not {wrong[0]!r}' if wrong else 'at least one'
            raise ValueError(f'RegionLoss: regions by {by} are {", ".join(known)}, {given}')
        self.loss_weight, self.regions, self.by, self.criterion = loss_weight, tuple(regions), by, criterion

    def forward(self, pred: torch.Tensor, target: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
        """Compares pixels of the regions.

        Args:
            pred, target (Tensor): (N, 3, H, W), RGB, [0, 1].
            inside (Tensor): (N, 1, H, W), [0, 1]: how much of a pixel belongs to them; 0 where that is unknown.

        Returns:
            Tensor: The weighted loss, a scalar; 0 where no pixel belongs to them.
        """
        difference = pred - target
        error = difference.abs() if self.criterion == 'l1' else difference.square()
        return self.loss_weight * (error * inside).sum() / (inside.sum() * pred.shape[1]).clamp(min=1.0)
