from __future__ import annotations

from typing import Any

import numpy as np
import torch
from basicsr.utils.registry import DATASET_REGISTRY

from facesr_ext.data.base import CroppedDataset
from facesr_ext.data.sources import BUILTIN, Source, open_faces, open_images, with_labels
from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import OptionError
from facesr_ext.settings.datasets import FaceSet

_LQ_STREAM = 1  # a random stream of its own beside the face's


@DATASET_REGISTRY.register()
class FaceDataset(CroppedDataset[FaceSet]):
    """Ground-truth faces, with parsing masks and landmarks where there are any; the model degrades them.

    Gives ``gt`` (3, H, W) float32 RGB [0, 1] and ``gt_path``; where masks are configured ``parsing`` (H, W) int64 in
    ``celebamask19``, 255 unknown; where landmarks are, ``landmarks`` (L, 2) float32 pixels of ``gt``, NaN unknown;
    with ``gt_size`` ``position`` (4,) float32, which part of the face it is: left, top, right, bottom, [0, 1].
    With ``degrade_in_workers`` it gives ``lq`` (3, h, w) float32 RGB [0, 1] too. Our models get the images and masks
    of a training as uint8 (``as_bytes``).
    What is random in a training sample is a function of (manual_seed, epoch, index) alone.

    Args:
        opt (dict): The section, :class:`~facesr_ext.settings.datasets.FaceSet`, and what the runner adds to it.

    Raises:
        OptionError: for an unknown or unfit option.
        DatasetError: for a missing or empty folder, or a file that cannot be read.
    """

    SETTINGS = FaceSet

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.use(self._open())
        self.degradation = self._build_degradation()

    def _open(self) -> Source:
        if self.settings.dataroot_gt != BUILTIN:
            return with_labels(open_images(self.settings, self.place), self.settings, self.place)
        num_landmark = self.settings.num_landmark or 68
        if num_landmark not in (5, 68):
            raise OptionError(f'drawn faces have 68 or 5 landmarks, not {num_landmark}', (*self.place, 'num_landmark'))
        return open_faces(self.settings, self.place, self.train, num_landmark)

    def _build_degradation(self) -> Degradation | None:
        if not self.settings.degrade_in_workers:
            return None
        key = (*self.place, 'degrade_in_workers')
        if not self.train:
            raise OptionError('is for training; the model degrades validation sets, by the names of their images', key)
        if not self.opt.get('degradation'):
            raise OptionError('needs the degradation section of the option file', key)
        return build_degradation(self.opt['degradation'], self.opt['scale'])

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample, path = self.draw_face(index)
        out = {**self.tensors(sample), 'gt_path': path}
        if self.degradation is not None:
            seed = np.random.SeedSequence([*self.seeds(index), _LQ_STREAM]).generate_state(1)
            pair = self.degradation.pair(out['gt'][None], torch.Generator().manual_seed(int(seed[0])))
            out['lq'], out['gt'] = (t[0] for t in pair)
        return out
