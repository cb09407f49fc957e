"""The interface of degradations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch

from facesr_ext.degradations.draws import Draws
from facesr_ext.degradations.ops import on_device_of, usm_sharpen
from facesr_ext.degradations.steps import Group, Step
from facesr_ext.degradations.values import require_whole
from facesr_ext.errors import DatasetError
from facesr_ext.imaging import quantize


class Degradation(ABC):
    """Makes the LQ batch from the GT batch on the batch's own device; all randomness comes from the generator.

    Attributes:
        scale (int): HR-to-LR factor.
        enlarged (bool): The LQ comes back at HR size.
        usm_lq (bool): The LQ is made from the sharpened GT.
        usm_target (bool): A network is trained towards the sharpened GT (second of :meth:`pair`).

    Raises:
        OptionError: for a scale that is no whole number from 1 on.
    """

    def __init__(self, scale: int, enlarged: bool = False, usm_lq: bool = False, usm_target: bool = False) -> None:
        self.scale = require_whole('scale', scale)
        self.enlarged, self.usm_lq, self.usm_target = enlarged, usm_lq, usm_target

    def __call__(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The LQ of :meth:`pair` alone."""
        return self.pair(gt, generator)[0]

    @torch.no_grad()
    def pair(self, gt: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Degrades a batch.

        Args:
            gt (Tensor): (N, 3, H, W), RGB, [0, 1]; H and W are a multiple of ``scale``.
            generator (Generator): On the device of ``gt``.

        Returns:
            tuple[Tensor, Tensor]: the LQ (N, 3, H / scale, W / scale) or, where ``enlarged``, (N, 3, H, W), RGB,
            [0, 1], 8-bit levels; and what a network is trained towards: ``gt``, sharpened where ``usm_target`` is set.

        Raises:
            DatasetError: if the size of ``gt`` is not a multiple of the scale.
        """
        height, width = gt.shape[-2:]
        if height % self.scale or width % self.scale:
            raise DatasetError(
                f'a GT of {width}x{height} px cannot be reduced by {self.scale}: set image_size or gt_size in '
                f'the dataset to a multiple of {self.scale}'
            )
        sharp = usm_sharpen(gt) if self.usm_lq or self.usm_target else gt
        return self.degrade(sharp if self.usm_lq else gt, generator), sharp if self.usm_target else gt

    @abstractmethod
    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """What a kind of degradation does; sizes are checked already."""


class GroupedDegradation(Degradation):
    """A random degradation that cuts the batch into random groups, for what must be the same within a tensor.

    Args:
        scale (int): HR-to-LR factor.
        groups (int): Groups a batch.
        usm_lq, usm_target (bool): As in :class:`Degradation`.
        blur (Step): What comes first, for the whole batch at once.
        drawn (Sequence[Step]): The steps that follow, in the order in which they draw: it decides what a seed gives.

    Raises:
        OptionError: for a scale or a number of groups that is no whole number from 1 on.
    """

    def __init__(
        self, scale: int, groups: int, usm_lq: bool, usm_target: bool, blur: Step, drawn: Sequence[Step]
    ) -> None:
        super().__init__(scale, usm_lq=usm_lq, usm_target=usm_target)
        self.groups, self.blur, self.drawn = require_whole('groups', groups), blur, drawn

    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(N, 3, H, W) RGB [0, 1] -> (N, 3, H / scale, W / scale), 8-bit levels."""
        draws, num = Draws(generator), len(gt)
        size = (gt.shape[-2] // self.scale, gt.shape[-1] // self.scale)
        order = draws.permutation(num)
        counts = [len(group) for group in order.chunk(self.groups)]
        img = self.blur.apply(gt[on_device_of(order, gt)], self.blur.draw(num, draws), draws)
        groups = Group({step: step.draw(num, draws) for step in self.drawn}, draws).split(counts)
        parts = [self.degrade_group(part, size, group) for part, group in zip(img.split(counts), groups, strict=True)]
        return quantize(torch.cat(parts)[on_device_of(order.argsort(), gt)])

    @abstractmethod
    def degrade_group(self, img: torch.Tensor, size: tuple[int, int], group: Group) -> torch.Tensor:
        """Degrades one group.

        Args:
            img (Tensor): (N, 3, H, W), RGB, blurred.
            size (tuple[int, int]): Height and width of the LQ.
            group (Group): What its images have drawn, and where to draw what they share.

        Returns:
            Tensor: (N, 3, *size), RGB.
        """
