from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from basicsr.losses.gan_loss import GANLoss
from basicsr.utils.registry import LOSS_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import require_literals


@LOSS_REGISTRY.register()
class RelativisticGANLoss(nn.Module):
    """Relativistic average GAN: whether a real image looks more real than the generated ones do on average.

    Papers: The Relativistic Discriminator (Jolicoeur-Martineau, ICLR 2019); ESRGAN (Wang et al., ECCVW 2018) takes the
    vanilla form. As in BasicSR's ESRGANModel a loss is the mean of its two terms, so the weights of published recipes
    mean the same here. The average is that of the samples which are judged together: with ``micro_batch``, and in each
    process of a distributed run, that of the micro-batch.

    Args:
        gan_type (str): BasicSR's ``GANLoss`` that the differences go into: 'vanilla', 'lsgan' or 'hinge' ('wgan'
            compares the two averages already). Default: 'vanilla'.
        real_label_val (float): Default: 1.0.
        fake_label_val (float | None): Default: -1.0 for 'lsgan', whose two differences are opposites, else 0.0.
        loss_weight (float): Weight of the generator's loss; the discriminator's has none. Default: 1.0.

    Raises:
        ValueError: for another gan_type.
    """

    def __init__(
        self,
        gan_type: Literal['vanilla', 'lsgan', 'hinge'] = 'vanilla',
        real_label_val: float = 1.0,
        fake_label_val: float | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        require_literals(RelativisticGANLoss, gan_type=gan_type)
        if fake_label_val is None:
            fake_label_val = -1.0 if gan_type == 'lsgan' else 0.0
        self.loss_weight = loss_weight
        self.gan = GANLoss(gan_type, real_label_val, fake_label_val)

    def critic(self, real_pred: torch.Tensor, fake_pred: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The discriminator's loss, as its terms for real and generated images.

        Args:
            real_pred (Tensor): (N, ...), logits of the real images.
            fake_pred (Tensor): (N, ...), logits of the generated ones.

        Returns:
            tuple[Tensor, Tensor]: Two scalars, to be added.
        """
        loss_real = self.gan(real_pred - fake_pred.mean(), True, is_disc=True)
        loss_fake = self.gan(fake_pred - real_pred.mean(), False, is_disc=True)
        return loss_real / 2, loss_fake / 2

    def generator(self, fake_pred: torch.Tensor, real_pred: torch.Tensor) -> torch.Tensor:
        """The generator's weighted loss, a scalar: the discriminator's with the parts exchanged.

        Args:
            fake_pred (Tensor): (N, ...), logits of the generated images.
            real_pred (Tensor): (N, ...), logits of the real ones, which need no gradient.
        """
        loss_fake, loss_real = self.critic(fake_pred, real_pred)
        return self.loss_weight * (loss_fake + loss_real)


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


@LOSS_REGISTRY.register()
class R1PenaltyLoss(nn.Module):
    """Keeps a discriminator flat at real images, so that it does not pull a generator away that has arrived there.

    Paper: Which Training Methods for GANs do actually Converge? (Mescheder et al., ICML 2018): gamma / 2 * |gradient|^2
    at real images alone. Analyzing and Improving the Image Quality of StyleGAN (Karras et al., CVPR 2020) computes it
    in every 16th iteration only, times 16. The discriminator must not have BatchNorm.

    Args:
        loss_weight (float): Gamma. Default: 10.0.
        interval (int): Of the iterations in which it is computed; its weight there is so many times as large. Default:
            1, each.

    Raises:
        ValueError: for an interval below 1.
    """

    def __init__(self, loss_weight: float = 10.0, interval: int = 1) -> None:
        super().__init__()
        if interval < 1:
            raise ValueError(f'R1PenaltyLoss: interval is at least 1, not {interval}')
        self.loss_weight, self.interval = loss_weight, interval

    def forward(self, critic: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor) -> torch.Tensor:
        """The penalty at each real image, in fp32, whatever the autocast around it.

        Args:
            critic (Callable): (N, 3, H, W) -> (N, ...), verdicts without a last activation; of several verdicts on a
                sample the mean counts. Neither compiled nor wrapped.
            real (Tensor): (N, 3, H, W), RGB, [0, 1].

        Returns:
            Tensor: The weighted penalty, a scalar; its gradient reaches the critic's parameters.
        """
        with torch.autocast(real.device.type, enabled=False):
            point = real.detach().float().requires_grad_()
            verdict = critic(point).flatten(1).mean(1)
            (slope,) = torch.autograd.grad(verdict.sum(), point, create_graph=True)
        return self.loss_weight * self.interval / 2 * slope.square().flatten(1).sum(1).mean()
