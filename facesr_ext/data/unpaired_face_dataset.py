from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from basicsr.utils.registry import DATASET_REGISTRY

from facesr_ext.data.face_dataset import BUILTIN, FaceDataset
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.imaging import to_tensor

FITS = ('resize', 'exact')
_LQ_SEED = 1_000_003  # drawn LR faces are of other sets than the HR ones
_LQ_STREAM = 2  # a random stream of its own beside the HR face's


@DATASET_REGISTRY.register()
class UnpairedFaceDataset(FaceDataset):
    """HR faces and real LR faces of other people, drawn independently of each other.

    Gives ``gt`` (3, H, W) and ``lq`` (3, H / scale, W / scale), float32 RGB [0, 1], with ``gt_path`` and ``lq_path``.
    In training the LR face is drawn at random from (manual_seed, epoch, index); else it is the one of the same number.

    Args:
        opt (dict): Options of :class:`FaceDataset` but those of priors, and:
            dataroot_lq (str): Folder or LMDB of real LR faces, or ``builtin``: drawn faces under Real-ESRGAN's random
                degradation, as many as ``num_faces``.
            image_size, gt_size (int | None): One of them is needed: over ``scale`` it is the size of the LR faces.
            lq_fit (str): LR faces of another size: 'resize' takes the square in their middle and brings it to the size
                (area where it shrinks, bicubic where it grows), which weakens the noise and blocks that are to be
                learnt; 'exact' refuses them. Default: 'resize'.

    Raises:
        OptionError: for an unknown or unfit option.
        DatasetError: for a missing or empty folder, a file that cannot be read or, with 'exact', of another size.
    """

    KEYS = (FaceDataset.KEYS | {'dataroot_lq', 'lq_fit'}) - {
        'dataroot_parsing', 'parsing_labels', 'landmark_file', 'num_landmark', 'degrade_in_workers',
    }  # fmt: skip

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        self.lq_fit = opt.get('lq_fit', 'resize')
        if self.lq_fit not in FITS:
            raise OptionError(f'is one of {", ".join(FITS)}, not {self.lq_fit!r}', (*self.place, 'lq_fit'))
        self.lq_size = self._lq_size()
        self.lq_faces: _DegradedFaces | None = None
        if not opt.get('dataroot_lq'):
            raise OptionError('is missing; name a folder of real LR faces, or builtin', (*self.place, 'dataroot_lq'))
        if opt['dataroot_lq'] == BUILTIN:
            self.lq_faces = self._draw_lq_faces()
            self.lq_root, self.lq_paths = Path(BUILTIN), self.lq_faces.names
        else:
            self.lq_images = self._open_images('dataroot_lq')
            self.lq_root, self.lq_paths = self.lq_images.root, self.lq_images.names((*self.place, 'dataroot_lq'))

    def _lq_size(self) -> int:
        size, scale = self.opt.get('gt_size') or self.image_size, int(self.opt.get('scale', 1))
        if not size:
            raise OptionError('image_size or gt_size is missing; over scale it is the size of LR faces', self.place)
        if size % scale:
            raise OptionError(f'a face of {size} px is not a multiple of the scale {scale}', self.place)
        return size // scale

    def _draw_lq_faces(self) -> _DegradedFaces:
        num = int(self.opt.get('num_faces') or (2000 if self.train else 32))
        seed = int(self.opt.get('seed', 0 if self.train else 1)) + _LQ_SEED
        return _DegradedFaces(num, seed, self.lq_size, int(self.opt.get('scale', 1)))

    def __getitem__(self, index: int) -> dict[str, Any]:
        face = super().__getitem__(index)
        rng = np.random.default_rng([*self._seeds(index), _LQ_STREAM])
        position = int(rng.integers(len(self.lq_paths))) if self.train else int(index) % len(self.lq_paths)
        lq = self._read_lq(position)
        if self.train and self.opt.get('use_hflip') and rng.random() < 0.5:
            lq = lq[:, ::-1]
        lq_path = str(self.lq_root / self.lq_paths[position])
        return {'gt': face['gt'], 'gt_path': face['gt_path'], 'lq': to_tensor(lq), 'lq_path': lq_path}

    def _read_lq(self, start: int) -> np.ndarray:
        """An LR face, or with ``skip_bad_files`` the next one that can be read."""
        if self.lq_faces is not None:
            return self.lq_faces[start]
        for position in (*range(start, len(self.lq_paths)), *range(start)):
            try:
                return self._fit_lq(self.lq_images.image(self.lq_paths[position]), self.lq_paths[position])
            except DatasetError as err:
                if not self.opt.get('skip_bad_files'):
                    raise
                self._list_skipped(self.lq_paths[position], err)
        raise DatasetError(f'no picture below {self.lq_root} can be used', (*self.place, 'dataroot_lq'))

    def _fit_lq(self, image: np.ndarray, name: str) -> np.ndarray:
        """The LR face at its size."""
        height, width = image.shape[:2]
        if (height, width) == (self.lq_size, self.lq_size):
            return image
        if self.lq_fit == 'exact':
            raise DatasetError(
                f'{self.lq_root / name} is {width}x{height} px, expected {self.lq_size}x{self.lq_size} px; set lq_fit: '
                'resize to have such pictures resized'
            )
        side = min(height, width)
        y, x = (height - side) // 2, (width - side) // 2
        how = cv2.INTER_AREA if side >= self.lq_size else cv2.INTER_CUBIC
        return cv2.resize(image[y : y + side, x : x + side], (self.lq_size, self.lq_size), interpolation=how)


class _DegradedFaces:
    """Drawn faces under Real-ESRGAN's random degradation; number i is a function of (seed, i) alone.

    Args:
        num, seed (int): How many faces, and which.
        size (int): Height and width of the LR faces.
        scale (int): HR-to-LR factor.
    """

    def __init__(self, num: int, seed: int, size: int, scale: int) -> None:
        self.faces = DrawnFaces(num, seed, size * scale)
        self.seed = seed
        self.names = [f'{BUILTIN}_lq_{seed}_{i:05d}' for i in range(num)]
        self.degradation = build_degradation({'preset': 'realesrgan'}, scale)
        self._cache: dict[int, np.ndarray] = {}

    def __getitem__(self, index: int) -> np.ndarray:
        """(h, w, 3) uint8 RGB, shared with the cache: do not write into it."""
        if index not in self._cache:
            state = np.random.SeedSequence([self.seed, index]).generate_state(1)
            generator = torch.Generator().manual_seed(int(state[0]))
            lq = self.degradation(to_tensor(self.faces[index].image)[None], generator)[0]
            self._cache[index] = lq.mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        return self._cache[index]
