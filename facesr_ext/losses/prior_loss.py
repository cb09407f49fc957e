from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import require_literals


class _PriorLoss(nn.Module):
    """Loss of predicted maps, summed over the hourglasses, averaged over what is known."""

    def __init__(self, loss_weight: float, criterion: Literal['mse', 'l1', 'ce']) -> None:
        super().__init__()
        require_literals(type(self), criterion=criterion)
        self.loss_weight, self.criterion = loss_weight, criterion

    def forward(self, pred: Sequence[torch.Tensor], target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Compares the maps of each stack with the target.

        Args:
            pred (Sequence[Tensor]): one (N, C, h, w) for each supervised hourglass.
            target (Tensor): (N, C, h, w), [0, 1].
            mask (Tensor): Weights that broadcast to the target, 0 where it is unknown.

        Among several processes or micro-batches each takes the average over what is known in its own samples; these
        averages then count by their samples, and not by how much of them is known.

        Returns:
            Tensor: The weighted loss, a scalar; it depends on every prediction also where nothing is known, so that
            each parameter gets a gradient on every process.
        """
        weight = mask.expand_as(target) if self.criterion != 'ce' else mask[:, :1].expand_as(target[:, :1])
        count = weight.sum().clamp(min=1.0)
        loss = pred[0].new_zeros(())
        for maps in pred:
            loss = loss + (self._error(maps.float(), target) * weight).sum() / count
        return self.loss_weight * loss

    def _error(self, maps: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self.criterion == 'ce':
            return -(target * F.log_softmax(maps, 1)).sum(1, keepdim=True)
        return (maps - target).square() if self.criterion == 'mse' else (maps - target).abs()


@LOSS_REGISTRY.register()
class LandmarkLoss(_PriorLoss):
    """Loss of landmark heatmaps; an unknown landmark's map does not count.

    Paper: FSRNet (Chen et al., CVPR 2018): mean squared error.

    Args:
        loss_weight (float): Default: 1.0.
        criterion (str): 'mse' or 'l1'. Default: 'mse'.

    Raises:
        ValueError: for another criterion.
    """

    READS = 'landmarks'

    def __init__(self, loss_weight: float = 1.0, criterion: Literal['mse', 'l1'] = 'mse') -> None:
        super().__init__(loss_weight, criterion)


@LOSS_REGISTRY.register()
class ParsingLoss(_PriorLoss):
    """Loss of parsing maps; pixels of unknown class do not count.

    Paper: FSRNet (Chen et al., CVPR 2018): mean squared error to soft planes. 'ce' (soft cross-entropy) takes logits:
    set ``parsing_logits: true`` in the network.

    Args:
        loss_weight (float): Default: 1.0.
        criterion (str): 'mse', 'l1' or 'ce'. Default: 'mse'.

    Raises:
        ValueError: for another criterion.
    """

    READS = 'parsing'

    def __init__(self, loss_weight: float = 1.0, criterion: Literal['mse', 'l1', 'ce'] = 'mse') -> None:
        super().__init__(loss_weight, criterion)
