from __future__ import annotations

from collections.abc import Callable

import torch
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn


@LOSS_REGISTRY.register()
class GradientPenaltyLoss(nn.Module):
    """Keeps a critic near slope 1 between real and generated images, as the Wasserstein distance asks for.

    Paper: Improved Training of Wasserstein GANs (Gulrajani et al., NeurIPS 2017): 10 * (|gradient| - 1)^2, where the
    norm is over all values of a sample. (BasicSR's ``gradient_penalty_loss`` takes it over the channels of each pixel,
    which is another penalty.) The critic must judge each sample by itself, so it must not have BatchNorm.

    Args:
        loss_weight (float): Default: 10.0.
        drift_weight (float): Weight of the mean squared verdict on real images, which keeps verdicts from drifting
            away; Progressive Growing of GANs (Karras et al., ICLR 2018) takes 1e-3. Default: 0.0.
    """

    def __init__(self, loss_weight: float = 10.0, drift_weight: float = 0.0) -> None:
        super().__init__()
        self.loss_weight, self.drift_weight = loss_weight, drift_weight

    def forward(
        self, critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor
    ) -> torch.Tensor:
        """The penalty at one point between each real image and its generated counterpart.

        It is computed in fp32, whatever the autocast around it; the critic must be neither compiled nor wrapped.

        Args:
            critic (Callable): (N, 3, H, W) -> (N, ...), verdicts without a last activation; of several verdicts on a
                sample the mean counts.
            real (Tensor): (N, 3, H, W), RGB, [0, 1].
            fake (Tensor): The same.
            mix (Tensor): (N, 1, 1, 1), [0, 1]: the share of the real image.

        Returns:
            Tensor: The weighted penalty, a scalar; its gradient reaches the critic's parameters and neither image.
        """
        with torch.autocast(real.device.type, enabled=False):
            point = torch.lerp(fake.detach().float(), real.detach().float(), mix.float()).requires_grad_()
            verdict = critic(point).flatten(1).mean(1)
            (slope,) = torch.autograd.grad(verdict.sum(), point, create_graph=True)
        return self.loss_weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()

    def drift(self, real_pred: torch.Tensor) -> torch.Tensor:
        """The weighted mean square of the verdicts on real images (N, ...), a scalar."""
        return self.drift_weight * real_pred.square().mean()
