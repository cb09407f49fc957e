from __future__ import annotations

from typing import Literal

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import require_literals
from facesr_ext.host.lpips import LPIPSNetwork


@LOSS_REGISTRY.register()
class LPIPSLoss(nn.Module):
    """LPIPS 0.1, the metric's own network with gradients: whether two images look alike to people.

    Paper: The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., CVPR 2018). A network
    that is trained by one backbone is better measured by the other.

    Args:
        loss_weight (float): Default: 1.0.
        net (str): 'vgg16' or 'alexnet'. Default: 'vgg16'.
        weights (str | None): Folder with the weights, as the metrics ``lpips_vgg`` and ``lpips_alex`` take it. Default:
            where such files are looked for.

    Raises:
        DependencyError: if the weights are nowhere to be found; it names the file and where to put it.
        ValueError: for another net.
    """

    def __init__(
        self, loss_weight: float = 1.0, net: Literal['vgg16', 'alexnet'] = 'vgg16', weights: str | None = None
    ) -> None:
        super().__init__()
        require_literals(LPIPSLoss, net=net)
        self.loss_weight, self.network = loss_weight, LPIPSNetwork(net, weights)

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both (N, 3, H, W), RGB, [0, 1], at least 16 px a side -> a scalar, the mean distance."""
        with torch.no_grad():
            wanted = self.network.features(target)
        return self.loss_weight * self.network.distance(self.network.features(pred), wanted).mean()
