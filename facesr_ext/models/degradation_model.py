from __future__ import annotations

import zlib
from dataclasses import replace
from os import path as osp
from typing import Any

import torch
from basicsr.utils.registry import LOSS_REGISTRY, MODEL_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.degradation_arch import DegradationNet
from facesr_ext.archs.fsrnet_arch import FSRNetOutput
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import build_part
from facesr_ext.models.batch import Batch
from facesr_ext.models.degradation_validation import DegradationValidation
from facesr_ext.models.face_gan_model import FaceGANModel
from facesr_ext.models.face_sr_model import Losses
from facesr_ext.settings.train import DegradationTrain, Train


@MODEL_REGISTRY.register()
class DegradationModel(FaceGANModel):
    """Trains a high-to-low network (:class:`~facesr_ext.archs.degradation_arch.DegradationNet`) without pairs.

    The generator is given HR faces (``lq`` of the batch) and random z; its pixel loss compares with the HR faces
    averaged over scale x scale cells (``gt``), and the discriminator with real LR faces, which have nothing to do with
    the HR faces. All else is :class:`FaceGANModel`'s.

    Args:
        opt (dict): The option file; in ``train`` besides those of :class:`FaceGANModel`: ``diversity_opt``, a loss of
            two results for the same HR faces, whose z differ in the first ``z_dim`` values alone: the same noise by two
            cameras. (Different noise is no merit: any noise would do.)

    Raises:
        OptionError: for another network, a degradation, or a data set that does not fit.
    """

    TRAIN_KEYS = FaceGANModel.TRAIN_KEYS | {'diversity_opt'}
    SETTINGS: type[Train] = DegradationTrain
    VALIDATION = DegradationValidation  # type: ignore[assignment]

    def __init__(self, opt: dict[str, Any]) -> None:
        if opt.get('degradation'):
            raise OptionError('is what DegradationModel is to learn; remove the section', ('degradation',))
        super().__init__(opt)

    def _build_net(self, label: str) -> nn.Module:
        net = super()._build_net(label)
        kind = type(self.get_bare_model(net))
        if label == 'g' and kind is not DegradationNet:
            raise OptionError(f'DegradationModel trains a DegradationNet, not {kind.__name__}', ('network_g',))
        return net

    def init_training_settings(self) -> None:
        diversity_opt = self.opt['train'].get('diversity_opt')
        self.cri_diversity = (
            build_part(('train', 'diversity_opt'), LOSS_REGISTRY, diversity_opt) if diversity_opt else None
        )
        super().init_training_settings()

    def _prepare(self, data: dict[str, Any], generator: torch.Generator, enlarged: bool, train: bool = False) -> Batch:
        """HR faces, the target of the pixel loss, real LR faces and z."""
        if 'gt' not in data or train and 'lq' not in data:
            raise OptionError('DegradationModel needs HR and real LR faces; take UnpairedFaceDataset', ('datasets',))
        hr = self.precision.lay_out(data['gt'].to(self.device))
        self._check_size(hr)
        target = F.avg_pool2d(hr, self.scale)
        real = data['lq'].to(self.device) if 'lq' in data else None
        if real is not None and real.shape[-2:] != target.shape[-2:]:
            raise OptionError(
                f'LR faces have {real.shape[-1]}x{real.shape[-2]} px, expected '
                f'{target.shape[-1]}x{target.shape[-2]} px: HR faces have {hr.shape[-1]}x{hr.shape[-2]}, scale is '
                f'{self.scale}; take UnpairedFaceDataset, which makes them fit',
                ('datasets',),
            )
        z, other_z = (self.draw_z(hr, generator) for _ in range(2))
        camera = self._camera_size()
        other_z = torch.cat([other_z[:, :camera], z[:, camera:]], 1)
        return Batch(lq=hr, enlarged=hr, gt=target, unpaired=real, z=z, other_z=other_z)

    def _check_size(self, lq: torch.Tensor) -> None:
        super()._check_size(lq)
        fixed = self.info.sizes.fixed
        if fixed and tuple(lq.shape[-2:]) != (fixed, fixed):
            raise OptionError(
                f'takes HR faces of {fixed}x{fixed} px, not {lq.shape[-1]}x{lq.shape[-2]}; set its size, or '
                'image_size in the data sets',
                ('network_g',),
            )

    def draw_z(self, hr: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(N, K): the random input for a batch of HR faces (N, 3, H, W)."""
        size = self.get_bare_model(self.net_g).z_size(*hr.shape[-2:])
        return torch.randn(len(hr), size, generator=generator, device=generator.device).to(self.device)

    def _forward(self, net: nn.Module, batch: Batch) -> FSRNetOutput:
        sr = net(batch.lq, batch.z)
        return FSRNetOutput(sr, sr, (), ())

    def _generator_losses(self, batch: Batch) -> tuple[Losses, Losses]:
        losses, figures = super()._generator_losses(batch)
        if self.cri_diversity is not None:
            with self.precision.autocast():
                other = self._forward(self.net_g, replace(batch, z=batch.other_z)).sr.float()
            camera = self._camera_size()
            cameras = (z[:, :camera] for z in (batch.z, batch.other_z) if z is not None)
            losses['l_g_diversity'] = self.cri_diversity(self.last_sr, other, *cameras)
        return losses, figures

    def _camera_size(self) -> int:
        """How many values of z are not mere noise: two results that are to differ have these apart, and no others."""
        size: int = self.get_bare_model(self.net_g).z_dim
        return size

    @torch.no_grad()
    def draws(self, hr: torch.Tensor, name: str, count: int) -> torch.Tensor:
        """Several results for one HR face, by the averaged weights where there are any.

        Args:
            hr (Tensor): (1, 3, H, W), RGB, [0, 1].
            name (str): The face's name, which seeds z.
            count (int): How many.

        Returns:
            Tensor: (count, 3, H / scale, W / scale), RGB, [0, 1].
        """
        generator = torch.Generator().manual_seed(zlib.crc32(osp.basename(name).encode()))  # the same on every device
        hr = hr.expand(count, -1, -1, -1)
        return self.infer(Batch(lq=hr, enlarged=hr, z=self.draw_z(hr, generator))).sr

    def _first_batch_columns(self) -> dict[str, torch.Tensor | None]:
        return {'HR': self.batch.lq, 'HR averaged': self.batch.gt, 'real LR (of others)': self.batch.unpaired}
