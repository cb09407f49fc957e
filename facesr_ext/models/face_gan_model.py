from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from basicsr.utils.registry import LOSS_REGISTRY, MODEL_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.degradations.ops import usm_sharpen
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import build_part
from facesr_ext.losses.adversarial_loss import GradientPenaltyLoss, R1PenaltyLoss, RelativisticGANLoss
from facesr_ext.models.batch import Batch, Output, on_device
from facesr_ext.models.critic import refuse_batch_norm, refuse_size
from facesr_ext.models.face_sr_model import FaceSRModel
from facesr_ext.models.step import Losses, Pass, StepResult
from facesr_ext.settings.train import GANTrain, Train


@MODEL_REGISTRY.register()
class FaceGANModel(FaceSRModel):
    """Adds a discriminator to :class:`FaceSRModel`: ``network_d``, ``gan_opt``, ``optim_d``.

    An iteration is a step of the generator, where it is its turn, and one of the discriminator. As in BasicSR,
    ``net_d_iters`` counts iterations: the generator steps on every ``net_d_iters``-th one, and not before
    ``net_d_init_iters``. A discriminator that states ``conditional`` is given the enlarged LQ too.

    Args:
        opt (dict): The option file; what its ``train`` may have, :class:`~facesr_ext.settings.train.GANTrain` states.

    Raises:
        OptionError: for options that do not fit.
    """

    LOG_PREFIX = 'l_g_'
    SETTINGS: type[Train] = GANTrain

    train_settings: GANTrain

    def init_training_settings(self) -> None:
        train_opt = self.opt['train']
        settings = self.train_settings
        self.net_d = self._build_net('d', bool(settings.gradient_penalty_opt))
        self.net_d.train()
        self.cri_gan, self.cri_gan_d = self._build_gan_losses(train_opt['gan_opt'])
        self.cri_gp = self._build_gradient_penalty()
        self.net_d_iters: int = settings.net_d_iters
        self.net_d_init_iters: int = settings.net_d_init_iters
        super().init_training_settings()

    def _build_gan_losses(self, section: dict[str, Any]) -> tuple[nn.Module, nn.Module]:
        """The generator's loss, and the discriminator's: the same, but for the label of real images."""
        label = self.train_settings.gan_real_label
        own = section if label is None else {**section, 'real_label_val': label}
        first, second = (build_part(('train', 'gan_opt'), LOSS_REGISTRY, one).to(self.device) for one in (section, own))
        return first, second

    def _build_gradient_penalty(self) -> GradientPenaltyLoss | R1PenaltyLoss | None:
        """``gradient_penalty_opt``, where there is one and the discriminator bears it."""
        section = self.opt['train'].get('gradient_penalty_opt')
        if not section:
            return None
        refuse_batch_norm(self.get_bare_model(self.net_d))
        penalty = build_part(('train', 'gradient_penalty_opt'), LOSS_REGISTRY, section)
        if not isinstance(penalty, (GradientPenaltyLoss, R1PenaltyLoss)):
            raise OptionError(
                f'type is GradientPenaltyLoss or R1PenaltyLoss, and not {type(penalty).__name__}',
                ('train', 'gradient_penalty_opt'),
            )
        return penalty

    def setup_optimizers(self) -> None:
        super().setup_optimizers()
        self.optimizer_d = self._build_optimizer('d', self.net_d)

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """As :meth:`FaceSRModel.update_learning_rate`; that the generator's first step comes later is meant."""
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', 'Detected call of `lr_scheduler.step', UserWarning)
            super().update_learning_rate(current_iter, warmup_iter)

    def _prepare(self, data: dict[str, Any], generator: torch.Generator, enlarged: bool, train: bool = False) -> Batch:
        batch = super()._prepare(data, generator, enlarged, train)
        if not train or batch.gt is None or self.train_settings.gan_gt_usm is None:
            return batch
        gt = on_device(data['gt'], self.device)
        return replace(batch, gan_gt=usm_sharpen(gt) if self.train_settings.gan_gt_usm else gt)

    def feed_data(self, data: dict[str, Any]) -> None:
        """Takes a training batch, whose size the discriminator must bear.

        Raises:
            OptionError: if it does not.
        """
        super().feed_data(data)
        if self.batch.gt is not None:
            refuse_size(self.get_bare_model(self.net_d), tuple(self.batch.gt.shape[-2:]))

    def optimize_parameters(self, current_iter: int) -> None:
        """One iteration; the generator's last losses stay in the log where only the discriminator steps."""
        self.current_iter = current_iter
        parts = self.micro_batches()
        if current_iter % self.net_d_iters == 0 and current_iter > self.net_d_init_iters:
            made = self.generator_step(parts)
            self.step_logs.update(made.logs)
            fakes = made.outputs
        else:
            fakes = self.sample(parts)
        parts = [replace(part, fake=fake) for part, fake in zip(parts, fakes, strict=True)]
        self.step_logs.update(self.critic_step(parts).logs)

    def generator_step(self, parts: Sequence[Batch]) -> StepResult:
        """One step of ``net_g`` against a discriminator that stays as it is."""
        self.net_d.requires_grad_(False)
        result = super().generator_step(parts)
        self.net_d.requires_grad_(True)
        return result

    def critic_step(self, parts: Sequence[Batch]) -> StepResult:
        """One step of ``net_d`` on micro-batches that have their ``fake``."""
        return self.run_step('d', parts, self._critic_pass)

    def generator_losses(self, batch: Batch, out: Output) -> Losses:
        losses = super().generator_losses(batch, out)
        # The bare network: among several processes the discriminator's gradients are not what is shared here.
        net = self.get_bare_model(self.net_d)
        fake_pred = self._judge(net, out.sr, batch)
        if isinstance(self.cri_gan, RelativisticGANLoss):
            with torch.no_grad():
                real_pred = self._judge(net, batch.real, batch)
            losses['l_g_gan'] = self.cri_gan.generator(fake_pred, real_pred)
        else:
            losses['l_g_gan'] = self.cri_gan(fake_pred, True, is_disc=False)
        if self.train_settings.gan_ramp_iter:
            losses['l_g_gan'] = losses['l_g_gan'] * self.gan_share
        return losses

    @property
    def gan_share(self) -> float:
        """What of the GAN loss's weight there is in this iteration, 0 to 1."""
        past = (self.current_iter - self.net_d_init_iters) / self.train_settings.gan_ramp_iter
        past = min(1.0, max(0.0, past))
        return past if self.train_settings.gan_ramp == 'linear' else (1 - math.cos(math.pi * past)) / 2

    def _critic_pass(self, batch: Batch) -> Pass:
        real_pred, fake_pred = (self._judge(self.net_d, img, batch) for img in (batch.real, batch.fake))
        if isinstance(self.cri_gan_d, RelativisticGANLoss):
            l_real, l_fake = self.cri_gan_d.critic(real_pred, fake_pred)
        else:
            l_real, l_fake = (self.cri_gan_d(*pair, is_disc=True) for pair in ((real_pred, True), (fake_pred, False)))
        losses = {'l_d_real': l_real, 'l_d_fake': l_fake}
        if self.cri_gp is not None:
            losses.update(self._penalties(self.cri_gp, batch, real_pred))
        return Pass(losses, {'out_d_real': real_pred.mean(), 'out_d_fake': fake_pred.mean()})

    def _penalties(self, penalty: GradientPenaltyLoss | R1PenaltyLoss, batch: Batch, real_pred: torch.Tensor) -> Losses:
        """What the critic pays for its slope, and, where that has a weight, for drifting away."""
        net, real = self.get_bare_model(self.net_d), batch.real  # bare: nothing is to be sent in a double backward pass
        if isinstance(penalty, R1PenaltyLoss):
            due = self.current_iter % penalty.interval == 0
            return {'l_d_r1': penalty(lambda img: self._verdict(net, img, batch), real)} if due else {}
        mix = torch.rand(len(batch), 1, 1, 1, generator=self.generator, device=self.device)
        losses = {'l_d_gp': penalty(lambda img: self._verdict(net, img, batch), real, batch.fake, mix)}
        if penalty.drift_weight:
            losses['l_d_drift'] = penalty.drift(real_pred)
        return losses

    def _judge(self, net: nn.Module, img: Any, batch: Batch) -> torch.Tensor:
        """The discriminator's verdict as fp32 logits."""
        with self.precision.autocast():
            return self._verdict(net, img, batch).float()

    def _verdict(self, net: nn.Module, img: Any, batch: Batch) -> torch.Tensor:
        """The discriminator's verdict, in the precision of the moment."""
        bare = self.get_bare_model(net)
        condition = (batch.enlarged,) if arch_info(bare).conditional else ()
        return net(self.precision.lay_out(img, bare), *condition)

    @torch.no_grad()
    def sample(self, parts: Sequence[Batch]) -> list[torch.Tensor]:
        """Results for an iteration in which the generator does not step, (N, 3, H, W) each."""
        with self.precision.autocast():
            return [self._forward(self.net_g, part).sr.float() for part in parts]

    def saved_networks(self) -> dict[str, dict[str, nn.Module]]:
        return {'net_d': {'params': self.get_bare_model(self.net_d)}, **super().saved_networks()}
