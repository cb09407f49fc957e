"""What goes through a model: one batch, ready for the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from facesr_ext.errors import DatasetError
from facesr_ext.imaging import imresize, to_unit


@dataclass(frozen=True)
class Batch:
    """One batch, on the model's device, ready for the network.

    Attributes:
        lq (Tensor): (N, 3, h, w), RGB, [0, 1], as the network takes it; (N, 5, h, w) where it takes coordinates.
        enlarged (Tensor): (N, 3, H, W): the LQ at HR size: what a discriminator is conditioned on, and bicubic's
            result.
        gt (Tensor | None): (N, 3, H, W), RGB, [0, 1].
        gan_gt (Tensor | None): (N, 3, H, W), RGB, [0, 1]: what a discriminator takes for real where that is not ``gt``.
        heatmaps, heatmap_mask (Tensor | None): Landmark targets (N, L, h', w') and what of them is known.
        planes, plane_mask (Tensor | None): Parsing targets (N, C, h', w') and the share of known pixels.
        parsing (Tensor | None): (N, H, W), int64: the classes of ``gt`` from the data set, where a loss reads them.
        landmarks (Tensor | None): (N, L, 2), in pixels of ``gt``, NaN where unknown; likewise.
        unpaired (Tensor | None): (N, 3, h, w), RGB, [0, 1]: pictures that have nothing to do with the others.
        z, other_z (Tensor | None): (N, K), standard normal: the random inputs of the result, and of a second one.
        fake (Tensor | None): (N, 3, H, W), RGB: what the generator has made of it, for the discriminator's step.
    """

    lq: torch.Tensor
    enlarged: torch.Tensor
    gt: torch.Tensor | None = None
    gan_gt: torch.Tensor | None = None
    heatmaps: torch.Tensor | None = None
    heatmap_mask: torch.Tensor | None = None
    planes: torch.Tensor | None = None
    plane_mask: torch.Tensor | None = None
    parsing: torch.Tensor | None = None
    landmarks: torch.Tensor | None = None
    unpaired: torch.Tensor | None = None
    z: torch.Tensor | None = None
    other_z: torch.Tensor | None = None
    fake: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.lq)

    @property
    def real(self) -> torch.Tensor | None:
        """What a discriminator is to take for real."""
        paired = self.gt if self.gan_gt is None else self.gan_gt
        return paired if self.unpaired is None else self.unpaired

    def small(self, scale: int) -> torch.Tensor:
        """(N, 3, H / scale, W / scale): the LQ at its own size, brought back to it where it is stored enlarged."""
        size = (self.enlarged.shape[-2] // scale, self.enlarged.shape[-1] // scale)
        return self.lq[:, :3] if self.lq.shape[-2:] == size else imresize(self.enlarged, size)

    def part(self, start: int, stop: int) -> Batch:
        """Samples start to stop."""
        return replace(self, **{name: t[start:stop] for name, t in self._tensors().items()})

    def fits(self, other: Batch) -> bool:
        """Whether `join` can join them: the same fields, of the same sizes."""
        mine, theirs = ({name: t.shape[1:] for name, t in batch._tensors().items()} for batch in (self, other))
        return mine == theirs

    @staticmethod
    def join(batches: Sequence[Batch]) -> Batch:
        """The samples of several batches that fit each other."""
        return Batch(**{name: torch.cat([getattr(b, name) for b in batches]) for name in batches[0]._tensors()})

    def _tensors(self) -> dict[str, torch.Tensor]:
        tensors = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: t for name, t in tensors.items() if t is not None}


class Output(NamedTuple):
    """What a network makes of a batch.

    Attributes:
        sr (Tensor): (N, 3, H, W), RGB, not clamped.
        coarse (Tensor | None): (N, 3, H, W), the coarse image of a network that has one.
        landmarks, parsing (tuple[Tensor, ...]): Heatmaps (N, L, h', w') and parsing maps (N, C, h', w') of each prior
            stage; empty where it predicts none.
        reduced (tuple | None): Result and GT, degraded by the same draws, where a loss reads them.
        again (Tensor | None): (N, 3, H, W), what the network makes of the degraded result, where a loss reads it.
    """

    sr: torch.Tensor
    coarse: torch.Tensor | None = None
    landmarks: tuple[torch.Tensor, ...] = ()
    parsing: tuple[torch.Tensor, ...] = ()
    reduced: tuple[torch.Tensor, torch.Tensor] | None = None
    again: torch.Tensor | None = None

    @property
    def whole(self) -> bool:
        """It has what a network gives beside the image."""
        return self.coarse is not None or bool(self.landmarks or self.parsing)

    def float(self) -> Output:
        """The images in fp32, as losses take them."""
        return self._replace(sr=self.sr.float(), coarse=None if self.coarse is None else self.coarse.float())

    def sample(self, index: int) -> Output:
        """The results of one sample, as a batch of one."""
        one = slice(index, index + 1)
        coarse = None if self.coarse is None else self.coarse[one]
        landmarks, parsing = (tuple(t[one] for t in maps) for maps in (self.landmarks, self.parsing))
        return Output(self.sr[one], coarse, landmarks, parsing)


def on_device(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Images of a batch where the model is, float32 [0, 1]; bytes travel as such."""
    return to_unit(images.to(device))


def images_given(data: Any) -> dict[str, Any]:
    """What a program feeds a model, its images as the data sets give them.

    Args:
        data (Any): A dict with ``gt`` or ``lq``, each (N, 3, h, w) RGB: a tensor or array, floating point in [0, 1], or
            uint8.

    Returns:
        dict: As given, ``gt`` and ``lq`` tensors, float32 or uint8; without those that are None.

    Raises:
        DatasetError: for anything else.
    """
    if not isinstance(data, Mapping) or all(data.get(name) is None for name in ('gt', 'lq')):
        names = ', '.join(map(str, data)) or 'nothing' if isinstance(data, Mapping) else ''
        given = f'a dict of {names}' if names else type(data).__name__
        raise DatasetError(f'a batch is a dict with lq or gt, (N, 3, h, w) each, and this is {given}')
    images = {name: _image(name, data[name]) for name in ('gt', 'lq') if data.get(name) is not None}
    if len({len(image) for image in images.values()}) > 1:
        raise DatasetError(f'a batch of {len(images["gt"])} gt and {len(images["lq"])} lq: they must be pairs')
    return {**{name: value for name, value in data.items() if name not in ('gt', 'lq')}, **images}


def _image(name: str, value: Any) -> torch.Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
    fits = isinstance(tensor, torch.Tensor) and tensor.ndim == 4 and tensor.shape[1] == 3
    if not fits or not (tensor.is_floating_point() or tensor.dtype == torch.uint8):
        is_array = isinstance(value, (np.ndarray, torch.Tensor))
        kind = f'{value.dtype} {tuple(value.shape)}' if is_array else type(value).__name__
        raise DatasetError(f'{name} is {kind}; give (N, 3, h, w) RGB, floating point in [0, 1] or uint8')
    if not tensor.numel():
        raise DatasetError(f'{name} is {tuple(tensor.shape)}: it has no pixels')
    return tensor if tensor.dtype == torch.uint8 else tensor.float()
