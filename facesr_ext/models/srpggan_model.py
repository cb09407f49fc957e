from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from basicsr.utils import get_root_logger
from basicsr.utils.registry import MODEL_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.srpggan_arch import enlarge, fade_in
from facesr_ext.errors import OptionError
from facesr_ext.models.batch import Batch, Output
from facesr_ext.models.face_gan_model import FaceGANModel
from facesr_ext.models.growth import Stage, plan_stages, stage_at
from facesr_ext.models.loss_table import build_losses
from facesr_ext.settings.train import SRPGGANTrain, Train


@MODEL_REGISTRY.register()
class SRPGGANModel(FaceGANModel):
    """Trains :class:`~facesr_ext.archs.srpggan_arch.SRPGGAN` stage by stage, as report S3 does.

    Stage and fade are functions of the iteration alone. All stages are built at the start; what is not in use has no
    gradient, so the optimisers pass over it, and the average of what has not moved is what it is. The GT is
    average-pooled to the stage's size; in a fade it is mixed with itself at half that size, by the same weight as the
    networks. ``content_opt`` takes ``mode: mse`` in every stage but the last. Validation is at the stage's size, and
    figures of another size do not count as its best.

    Args:
        opt (dict): The option file; what its ``train`` may have, :class:`~facesr_ext.settings.train.SRPGGANTrain`
            states.

    Raises:
        OptionError: for options that do not fit.
    """

    SETTINGS: type[Train] = SRPGGANTrain
    SERVES = frozenset({'result'})

    train_settings: SRPGGANTrain

    def __init__(self, opt: dict[str, Any]) -> None:
        if opt.get('dist') and opt.get('is_train'):
            opt = {**opt, 'find_unused_parameters': True}  # each stage leaves some without a gradient
        super().__init__(opt)

    def init_training_settings(self) -> None:
        super().init_training_settings()
        nets = (self.get_bare_model(net) for net in (self.net_g, self.net_d))
        self.stages = plan_stages(self.train_settings.stages, self.train_settings.total_iter, *nets)
        self.usual_micro_batch = self.micro_batch
        self.last_losses, self.early_losses = self.losses, self._early_losses()
        self.stage = self._enter_stage(1)

    def _early_losses(self) -> nn.ModuleDict:
        """The losses of every stage but the last: features say little of an image that is still to be refined."""
        content = self.opt['train'].get('content_opt') or {}
        if content.get('type') != 'ContentLoss':
            return self.losses
        pixels = build_losses({'content_opt': {**content, 'mode': 'mse'}}, self.device)
        return nn.ModuleDict({**dict(self.losses.items()), **dict(pixels.items())})

    @property
    def factor(self) -> int:
        """In training the stage's; a test has the result at full size, whatever the stage of the file."""
        return self.stage.factor if self.is_train else self.scale

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        super().update_learning_rate(current_iter, warmup_iter)
        before, self.stage = self.stage, self._enter_stage(current_iter)
        if self.stage is not before or not self.started:
            side = self.get_bare_model(self.net_d).info.sizes.fixed
            fades = f', fading in over the first {self.stage.fade}' if self.stage.fade else ''
            span = f'iterations {self.stage.start + 1} to {self.stage.end}'
            get_root_logger().info(f'Stage of {side} px ({self.factor}x): {span}{fades}')

    def resume_training(self, resume_state: dict[str, Any]) -> None:
        super().resume_training(resume_state)
        self.stage = self._enter_stage(max(1, self.current_iter))  # it may be validated before it goes on

    def _enter_stage(self, iteration: int) -> Stage:
        """Puts networks and losses where the iteration has them."""
        stage = stage_at(self.stages, iteration)
        for net in (self.net_g, self.net_d, getattr(self, 'net_g_ema', None)):
            if net is not None:
                self.get_bare_model(net).set_stage(stage.factor, stage.alpha(iteration))
        self.micro_batch = stage.micro_batch or self.usual_micro_batch
        self.losses = self.last_losses if stage is self.stages[-1] else self.early_losses
        return stage

    def _prepare(self, data: dict[str, Any], generator: torch.Generator, enlarged: bool, train: bool = False) -> Batch:
        batch = super()._prepare(data, generator, enlarged, train)
        if batch.gt is None or not self.is_train:
            return batch
        side = self.get_bare_model(self.net_d).input_size
        if train and set(batch.gt.shape[-2:]) != {side}:
            raise OptionError(
                f'the GT is {batch.gt.shape[-1]}x{batch.gt.shape[-2]} px, but network_d is built for '
                f'input_size: {side}; make them agree',
                ('datasets', 'train'),
            )
        gan_gt = None if batch.gan_gt is None else self._at_stage(batch.gan_gt, train)
        return replace(batch, gt=self._at_stage(batch.gt, train), gan_gt=gan_gt)

    def _at_stage(self, gt: torch.Tensor, train: bool) -> torch.Tensor:
        """(N, 3, H, W) at the stage's size; in a training's fade mixed with its half."""
        gt = F.avg_pool2d(gt, self.scale // self.factor)
        if train and self.get_bare_model(self.net_g).fading:
            gt = fade_in(enlarge(F.avg_pool2d(gt, 2), 2), gt, self.get_bare_model(self.net_g).growth[1])
        return gt

    def _forward(self, net: nn.Module, batch: Batch) -> Output:
        return Output(net(batch.lq, full_size=not self.is_train))

    def model_ema(self, decay: float = 0.999) -> None:
        """As FaceSRModel's, but it warms up in every stage anew: what a stage adds has no past to be averaged with."""
        age = self.current_iter - self.stage.start
        super().model_ema(min(decay, (1 + age) / (10 + age)))

    # ---- the best is that of a stage ----------------------------------------------------------------------------

    def best_figures(self, set_name: str, means: Mapping[str, float]) -> dict[str, dict[str, Any]]:
        """As FaceSRModel's, of this stage alone."""
        records = self.best_metric_results.get(set_name, {}) if self.is_train else {}
        if any(0 <= record['iter'] <= self.stage.start for record in records.values()):
            del self.best_metric_results[set_name]
        return super().best_figures(set_name, means)

    def keep_best(self, set_name: str, means: Mapping[str, float]) -> None:
        """As FaceSRModel's, in the last stage alone."""
        if self.is_train and self.stage is self.stages[-1]:
            super().keep_best(set_name, means)
