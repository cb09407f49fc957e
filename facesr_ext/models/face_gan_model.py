from __future__ import annotations

from typing import Any

import torch
from basicsr.utils.registry import LOSS_REGISTRY, MODEL_REGISTRY
from torch import nn

from facesr_ext.host.options import build_part
from facesr_ext.models.face_sr_model import FaceSRModel, Losses
from facesr_ext.models.loss_table import Batch


@MODEL_REGISTRY.register()
class FaceGANModel(FaceSRModel):
    """Adds a discriminator to :class:`FaceSRModel`: ``network_d``, ``gan_opt``, ``optim_d``.

    An iteration is a step of the generator, where it is its turn, and one of the discriminator. As in BasicSR,
    ``net_d_iters`` counts iterations: the generator steps on every ``net_d_iters``-th one, and not before
    ``net_d_init_iters``. A discriminator that states ``conditional`` is given the enlarged LQ too.

    Args:
        opt (dict): The option file; in ``train`` besides those of :class:`FaceSRModel`: ``gan_opt``, ``optim_d``,
            ``net_d_iters`` (default 1), ``net_d_init_iters`` (default 0).
    """

    LOG_PREFIX = 'l_g_'
    TRAIN_KEYS = FaceSRModel.TRAIN_KEYS | {'gan_opt', 'optim_d', 'net_d_iters', 'net_d_init_iters'}

    def init_training_settings(self) -> None:
        train_opt = self.opt['train']
        self.net_d = self._build_net('d')
        self.net_d.train()
        self.cri_gan = build_part('train: gan_opt', LOSS_REGISTRY, train_opt.get('gan_opt')).to(self.device)
        self.net_d_iters: int = train_opt.get('net_d_iters', 1)
        self.net_d_init_iters: int = train_opt.get('net_d_init_iters', 0)
        self.step_logs: Losses = {}
        super().init_training_settings()

    def setup_optimizers(self) -> None:
        super().setup_optimizers()
        self.optimizer_d = self._build_optimizer('optim_d', self.net_d)

    def optimize_parameters(self, current_iter: int) -> None:
        """One iteration; the generator's last losses stay in the log where only the discriminator steps."""
        if current_iter % self.net_d_iters == 0 and current_iter > self.net_d_init_iters:
            self.step_logs.update(self.generator_step())
            self.fakes = self.outputs
        else:
            self.fakes = self._fakes()
        self.step_logs.update(self.critic_step())

    def generator_step(self) -> Losses:
        """One step of ``net_g`` against a discriminator that stays as it is."""
        self.net_d.requires_grad_(False)
        logs = super().generator_step()
        self.net_d.requires_grad_(True)
        return logs

    def critic_step(self) -> Losses:
        """One step of ``net_d`` on the fakes of this iteration."""
        fakes = iter(self.fakes)

        def losses(batch: Batch) -> tuple[Losses, Losses]:
            return self._critic_losses(batch, next(fakes))

        return self._step(self.net_d, self.optimizer_d, losses)

    def _generator_losses(self, batch: Batch) -> tuple[Losses, Losses]:
        losses, figures = super()._generator_losses(batch)
        # The bare network: among several processes the discriminator's gradients are not what is shared here.
        verdict = self._judge(self.get_bare_model(self.net_d), self.last_sr, batch)
        losses['l_g_gan'] = self.cri_gan(verdict, True, is_disc=False)
        return losses, figures

    def _critic_losses(self, batch: Batch, fake: torch.Tensor) -> tuple[Losses, Losses]:
        real_pred, fake_pred = (self._judge(self.net_d, img, batch) for img in (batch.gt, fake))
        losses = {
            'l_d_real': self.cri_gan(real_pred, True, is_disc=True),
            'l_d_fake': self.cri_gan(fake_pred, False, is_disc=True),
        }
        return losses, {'out_d_real': real_pred.mean(), 'out_d_fake': fake_pred.mean()}

    def _judge(self, net: nn.Module, img: Any, batch: Batch) -> torch.Tensor:
        """The discriminator's verdict as fp32 logits."""
        condition = (batch.enlarged,) if getattr(self.get_bare_model(net), 'conditional', False) else ()
        with self.precision.autocast():
            return net(self.precision.lay_out(img), *condition).float()

    @torch.no_grad()
    def _fakes(self) -> list[torch.Tensor]:
        """Results for an iteration in which the generator does not step."""
        with self.precision.autocast():
            return [self._forward(self.net_g, batch).sr.float() for batch, _ in self._micro_batches()]

    def saved_networks(self) -> dict[str, dict[str, nn.Module]]:
        return {'net_d': {'params': self.net_d}, **super().saved_networks()}
