"""Targets of the prior network, made from a batch's masks and landmarks on the model's device."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from facesr_ext.archs.arch_info import Priors, arch_info
from facesr_ext.data.sources import BUILTIN
from facesr_ext.errors import OptionError
from facesr_ext.faces.heatmaps import landmark_heatmaps
from facesr_ext.faces.labels import CHANNEL_SETS, HELEN11, parsing_planes
from facesr_ext.host.parts import known_name
from facesr_ext.models.loss_table import stated_losses


class PriorTargets:
    """Makes heatmaps and parsing planes of the size that the network predicts.

    Args:
        net (nn.Module): The bare generator; where it predicts no priors there is nothing to make.
        parsing (str): The channel set: helen11 or csgiung11. Default: helen11.
        sigma (float): The heatmaps' standard deviation in their pixels. Default: 1.5.

    Raises:
        OptionError: if the channel set is unknown or does not have ``num_parsing`` maps.
    """

    def __init__(self, net: nn.Module, parsing: str = HELEN11.name, sigma: float = 1.5) -> None:
        given = arch_info(net).priors or Priors()
        self.num_landmark, self.num_parsing, self.stride = given.landmarks, given.parsing, given.stride
        self.fused = given.fused
        name = known_name(('train', 'prior_targets', 'parsing'), parsing, CHANNEL_SETS)
        self.channels, self.sigma = CHANNEL_SETS[name], sigma
        if self.num_parsing not in (0, len(self.channels)):
            raise OptionError(
                f'num_parsing {self.num_parsing} does not fit the {len(self.channels)} maps of '
                f'train:prior_targets:parsing {name}',
                ('network_g', 'num_parsing'),
            )

    def require_supervised(self, train_opt: dict[str, Any], dataset_opt: dict[str, Any]) -> None:
        """Refuses a prior head that nothing would teach: its maps would reach the decoder all the same.

        Heads whose maps stay out of the decoder may go untaught: the network is then one without priors, of one size
        with those that have them.

        Raises:
            OptionError: naming the head, and the ways out.
        """
        builtin = dataset_opt.get('dataroot_gt') == BUILTIN
        for head, num, reads, loss, source in (
            ('num_landmark', self.num_landmark, 'landmarks', 'landmark_opt', 'landmark_file'),
            ('num_parsing', self.num_parsing, 'parsing', 'parsing_opt', 'dataroot_parsing'),
        ):
            if not num:
                continue
            taught = any(stated.weight for stated in stated_losses(train_opt) if stated.reads == reads)
            if not taught and not self.fused:
                continue
            if not taught:
                raise OptionError(
                    f'{head} is {num}, but train: {loss} is missing or has no weight: an untaught '
                    f'prior would reach the decoder; add the loss or set {head}: 0 (prior: false for none)',
                    ('network_g', head),
                )
            if not builtin and not dataset_opt.get(source):
                raise OptionError(
                    f'{head} is {num}, but datasets: train has no {source} to teach it with; name one '
                    f'(--force_yml datasets:train:{source}=...) or train without: network_g:prior=false '
                    f'train:{loss}=null',
                    ('network_g', head),
                )

    def make(self, data: dict[str, Any], image_size: tuple[int, int], device: torch.device) -> dict[str, torch.Tensor]:
        """The fields of a :class:`~facesr_ext.models.batch.Batch` that the data has labels for."""
        size = (image_size[0] // self.stride, image_size[1] // self.stride)
        out: dict[str, torch.Tensor] = {}
        if self.num_landmark and 'landmarks' in data:
            landmarks = data['landmarks'].to(device)
            if landmarks.shape[1] != self.num_landmark:
                raise OptionError(
                    f'num_landmark is {self.num_landmark}, but the data set gives {landmarks.shape[1]} '
                    'landmarks a face; set num_landmark alike in both',
                    ('network_g', 'num_landmark'),
                )
            out['heatmaps'], out['heatmap_mask'] = landmark_heatmaps(landmarks, image_size, size, self.sigma)
        if self.num_parsing and 'parsing' in data:
            out['planes'], out['plane_mask'] = parsing_planes(data['parsing'].to(device).long(), self.channels, size)
        return out
