from __future__ import annotations

from typing import Literal

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import require_literals

Criterion = Literal['l1', 'mse']
CRITERIA = {'l1': F.l1_loss, 'mse': F.mse_loss}


@LOSS_REGISTRY.register()
class LRConsistencyLoss(nn.Module):
    """Asks the result, degraded as the training degrades, to be the LQ that the GT gives.

    Result and GT are degraded by the same draws, so that noise is no difference; without a degradation (stored pairs)
    both are reduced by the bicubic one. What the degradation rounds and draws has no slope: the gradient is that of the
    bicubic reduction, which for bicubic LQ is all there is.

    Paper: Lugmayr et al., SRFlow (ECCV 2020), ask 45 dB and more of it; the metric ``lr_consistency`` measures it.

    Args:
        loss_weight (float): Default: 1.0.
        criterion (str): 'l1' or 'mse'. Default: 'l1'.

    Raises:
        ValueError: for another criterion.
    """

    READS = 'reduced'

    def __init__(self, loss_weight: float = 1.0, criterion: Criterion = 'l1') -> None:
        super().__init__()
        require_literals(LRConsistencyLoss, criterion=criterion)
        self.loss_weight, self.criterion = loss_weight, CRITERIA[criterion]

    def forward(self, reduced: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The degraded result and the degraded GT, both (N, 3, h, w), RGB, [0, 1] -> a scalar."""
        return self.loss_weight * self.criterion(reduced, target)


@LOSS_REGISTRY.register()
class CycleLoss(nn.Module):
    """Asks the network to find its way back: applied to its own degraded result, it is to give the GT, or the result.

    Paper: CFRNet (2026), a compact face network trained as a fixed point: supervision of further cycles ('gt') and
    idempotence ('result'). A step costs a second pass through the network, a result nothing.

    Args:
        loss_weight (float): Default: 1.0.
        target (str): 'gt', or 'result': the first pass's image, whose gradient is not taken. Default: 'gt'.
        criterion (str): 'l1' or 'mse'. Default: 'l1'.

    Raises:
        ValueError: for another target or criterion.
    """

    READS = 'again'

    def __init__(
        self, loss_weight: float = 1.0, target: Literal['gt', 'result'] = 'gt', criterion: Criterion = 'l1'
    ) -> None:
        super().__init__()
        require_literals(CycleLoss, target=target, criterion=criterion)
        self.loss_weight, self.target, self.criterion = loss_weight, target, CRITERIA[criterion]

    def forward(self, again: torch.Tensor, result: torch.Tensor, gt: torch.Tensor) -> torch.Tensor:
        """The second pass's image, the first's and the GT, each (N, 3, H, W), RGB -> a scalar."""
        return self.loss_weight * self.criterion(again, gt if self.target == 'gt' else result.detach())
