"""The interface of degradations."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from facesr_ext.errors import DatasetError


class Degradation(ABC):
    """Makes the LQ batch from the GT batch on the batch's own device; all randomness comes from the generator.

    Attributes:
        scale (int): HR-to-LR factor.
        enlarged (bool): The LQ comes back at HR size.
    """

    def __init__(self, scale: int, enlarged: bool = False) -> None:
        self.scale, self.enlarged = scale, enlarged

    @torch.no_grad()
    def __call__(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Degrades a batch.

        Args:
            gt (Tensor): (N, 3, H, W), RGB, [0, 1]; H and W are a multiple of ``scale``.
            generator (Generator): On the device of ``gt``.

        Returns:
            Tensor: (N, 3, H / scale, W / scale) or, where ``enlarged``, (N, 3, H, W); RGB, [0, 1], 8-bit levels.

        Raises:
            DatasetError: if the size of ``gt`` is not a multiple of the scale.
        """
        height, width = gt.shape[-2:]
        if height % self.scale or width % self.scale:
            raise DatasetError(
                f'a GT of {width}x{height} px cannot be reduced by {self.scale}: set image_size or gt_size in '
                f'the dataset to a multiple of {self.scale}'
            )
        return self.degrade(gt, generator)

    @abstractmethod
    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """What a kind of degradation does; sizes are checked already."""
