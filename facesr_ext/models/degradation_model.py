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
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import build_part
from facesr_ext.imaging import to_images
from facesr_ext.metrics.diversity import spread
from facesr_ext.models.batch import Batch, Output, on_device
from facesr_ext.models.face_gan_model import FaceGANModel
from facesr_ext.models.step import Losses
from facesr_ext.models.validation import Judged
from facesr_ext.settings.train import DegradationTrain, Train

DRAWS = 10
STD = 'std_z'


@MODEL_REGISTRY.register()
class DegradationModel(FaceGANModel):
    """Trains a high-to-low network (:class:`~facesr_ext.archs.degradation_arch.DegradationNet`) without pairs.

    The generator is given HR faces (``lq`` of the batch) and random z; its pixel loss compares with the HR faces
    averaged over scale x scale cells (``gt``), and the discriminator with real LR faces, which have nothing to do with
    the HR faces. ``diversity_opt`` is a loss of two results for the same HR faces, whose z differ in the first
    ``z_dim`` values alone: the same noise by two cameras. (Different noise is no merit: any noise would do.)
    ``statistics_opt`` is a loss of the results and the real LR faces, as two batches of whatever people.
    ``latent_opt`` is a loss of these values and of what ``regress_z`` of the network guesses them to be, from the
    result: what cannot be seen in the picture cannot be guessed. All else is :class:`FaceGANModel`'s.

    In validation there is no true LR to compare with. Its figure is ``std_z``: how far ten results for the same face
    lie apart, the mean of the per-pixel standard deviation in 8-bit units. The contact sheet shows them beside the HR
    face and its average over scale x scale cells; the first of them is what is saved as an image.

    Args:
        opt (dict): The option file; what its ``train`` may have,
            :class:`~facesr_ext.settings.train.DegradationTrain` states.

    Raises:
        OptionError: for another network, a degradation, metrics, tiles, or a data set that does not fit.
    """

    SETTINGS: type[Train] = DegradationTrain
    SERVES = frozenset({'result'})

    def __init__(self, opt: dict[str, Any]) -> None:
        if opt.get('degradation'):
            raise OptionError('is what DegradationModel is to learn; remove the section', ('degradation',))
        super().__init__(opt)
        for key, given, reason in (
            ('metrics', self.val.metrics, 'there is no true LR to compare with, and std_z is always given'),
            ('tile', self.val.tile, 'a high-to-low network takes whole faces'),
        ):
            if given:
                raise OptionError(f'{reason}; remove it', ('val', key))

    def _build_net(self, label: str, penalised: bool = False) -> nn.Module:
        net = super()._build_net(label, penalised)
        kind = type(self.get_bare_model(net))
        if label == 'g' and kind is not DegradationNet:
            raise OptionError(f'DegradationModel trains a DegradationNet, not {kind.__name__}', ('network_g',))
        return net

    def init_training_settings(self) -> None:
        self.cri_diversity = self._build_loss('diversity_opt')
        self.cri_latent = self._build_loss('latent_opt')
        self.cri_statistics = self._build_loss('statistics_opt')
        guesses = self.get_bare_model(self.net_g).regressor is not None
        if guesses != (self.cri_latent is not None):
            lacking = 'train: latent_opt, without which' if guesses else 'regress_z: true, without which'
            what = 'it guesses z for nothing' if guesses else 'train: latent_opt has nothing to compare with z'
            raise OptionError(f'needs {lacking} {what}', ('network_g',))
        super().init_training_settings()

    def _build_loss(self, key: str) -> nn.Module | None:
        section = self.opt['train'].get(key)
        loss: nn.Module | None = build_part(('train', key), LOSS_REGISTRY, section) if section else None
        return loss

    def _prepare(self, data: dict[str, Any], generator: torch.Generator, enlarged: bool, train: bool = False) -> Batch:
        """HR faces, the target of the pixel loss, real LR faces and z."""
        if 'gt' not in data or train and 'lq' not in data:
            raise OptionError('DegradationModel needs HR and real LR faces; take UnpairedFaceDataset', ('datasets',))
        hr = self.precision.lay_out(on_device(data['gt'], self.device))
        self._require_size(hr)
        target = F.avg_pool2d(hr, self.scale)
        real = on_device(data['lq'], self.device) if 'lq' in data else None
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

    def _require_size(self, lq: torch.Tensor) -> None:
        super()._require_size(lq)
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

    def _forward(self, net: nn.Module, batch: Batch) -> Output:
        return Output(net(batch.lq, batch.z))

    def generator_losses(self, batch: Batch, out: Output) -> Losses:
        losses = super().generator_losses(batch, out)
        if self.cri_diversity is not None:
            with self.precision.autocast():
                other = self._forward(self.net_g, replace(batch, z=batch.other_z)).sr.float()
            camera = self._camera_size()
            cameras = (z[:, :camera] for z in (batch.z, batch.other_z) if z is not None)
            losses['l_g_diversity'] = self.cri_diversity(out.sr, other, *cameras)
        if self.cri_statistics is not None and batch.unpaired is not None:
            losses['l_g_statistics'] = self.cri_statistics(out.sr, batch.unpaired)
        if self.cri_latent is not None and batch.z is not None:
            with self.precision.autocast():
                guess = self.get_bare_model(self.net_g).regress(out.sr).float()
            losses['l_g_latent'] = self.cri_latent(guess, batch.z[:, : self._camera_size()])
        return losses

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

    def judge(self, path: str, batch: Batch, out: Output, whole: bool) -> Judged:
        """The spread of ten results for an HR face."""
        draws = self.draws(batch.lq, path, DRAWS)
        lqs = to_images(draws)
        images = {'HR': to_images(batch.lq)[0]}
        if batch.gt is not None:
            images['HR averaged'] = to_images(batch.gt)[0]
        images |= {f'z {i}': lq for i, lq in enumerate(lqs, 1)}
        return Judged(images, lqs[0], {STD: spread(draws)}, {})

    def first_batch_columns(self) -> dict[str, torch.Tensor | None]:
        return {'HR': self.batch.lq, 'HR averaged': self.batch.gt, 'real LR (of others)': self.batch.unpaired}
