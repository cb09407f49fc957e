from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from basicsr.utils.registry import DATASET_REGISTRY

from facesr_ext.data.base import CroppedDataset
from facesr_ext.data.sources import open_faces, open_lr_faces
from facesr_ext.data.transforms import draw_turns
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.settings.datasets import UnpairedFaceSet

_LQ_STREAM = 2  # a random stream of its own beside the HR face's


@DATASET_REGISTRY.register()
class UnpairedFaceDataset(CroppedDataset[UnpairedFaceSet]):
    """HR faces and real LR faces of other people, drawn independently of each other.

    Gives ``gt`` (3, H, W) and ``lq`` (3, H / scale, W / scale), float32 RGB [0, 1], with ``gt_path`` and ``lq_path``.
    In training the LR face is drawn at random from (manual_seed, epoch, index); else it is the one of the same number.
    ``image_size`` or ``gt_size`` over ``scale`` is the size of the LR faces; those of another size are cut to the
    square in their middle and resized (area where it shrinks, bicubic where it grows), which weakens the noise and
    blocks that are to be learnt, or refused (``lq_fit: exact``).

    Args:
        opt (dict): The section, :class:`~facesr_ext.settings.datasets.UnpairedFaceSet`, and what the runner adds to it.

    Raises:
        OptionError: for an unknown or unfit option.
        DatasetError: for a missing or empty folder, a file that cannot be read or, with 'exact', of another size.
    """

    SETTINGS = UnpairedFaceSet

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        scale = int(opt.get('scale', 1))
        self.lq_size = self._lq_size(scale)
        self.use(open_faces(self.settings, self.place, self.train))
        self.lq_source = open_lr_faces(self.settings, self.place, self.train, self.lq_size, scale)

    def _lq_size(self, scale: int) -> int:
        size = self.settings.gt_size or self.settings.image_size
        if not size:
            raise OptionError('image_size or gt_size is missing; over scale it is the size of LR faces', self.place)
        if size % scale:
            key = (*self.place, 'gt_size' if self.settings.gt_size else 'image_size')
            raise OptionError(f'a face of {size} px is not a multiple of the scale {scale}', key)
        return size // scale

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample, path = self.draw_face(index)
        lq, lq_path = self._draw_lq(index)
        return {'gt': self.image_tensor(sample.image), 'gt_path': path, 'lq': self.image_tensor(lq), 'lq_path': lq_path}

    def _draw_lq(self, index: int) -> tuple[np.ndarray, str]:
        """An LR face and its path."""
        rng, num = np.random.default_rng([*self.seeds(index), _LQ_STREAM]), len(self.lq_source.names)
        start = int(rng.integers(num)) if self.train else int(index) % num
        position, lq = self.reader.read(self.lq_source, start, self._read_lq, (*self.place, 'dataroot_lq'))
        if self.train and self.settings.use_hflip and rng.random() < 0.5:
            lq = lq[:, ::-1]
        if self.train and self.settings.use_rot:
            lq = np.rot90(lq, draw_turns(lq, rng))
        return lq, self.lq_source.path(position)

    def _read_lq(self, index: int) -> np.ndarray:
        """(h, w, 3) uint8 RGB, of the size of LR faces; DatasetError for one that cannot be read or does not fit."""
        image, size = self.lq_source.read(index).image, self.lq_size
        height, width = image.shape[:2]
        if (height, width) == (size, size):
            return image
        if self.settings.lq_fit == 'exact':
            raise DatasetError(
                f'{self.lq_source.path(index)} is {width}x{height} px, expected {size}x{size} px; set lq_fit: '
                'resize to have such images resized'
            )
        side = min(height, width)
        y, x = (height - side) // 2, (width - side) // 2
        how = cv2.INTER_AREA if side >= size else cv2.INTER_CUBIC
        return cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=how)
