from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from basicsr.utils.registry import DATASET_REGISTRY

from facesr_ext.data.face_dataset import BUILTIN, FaceDataset, FaceSample
from facesr_ext.data.stores import picture_key
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.imaging import to_tensor
from facesr_ext.settings.datasets import Loader, PairedFaceSet


@DATASET_REGISTRY.register()
class PairedFaceDataset(FaceDataset):
    """Faces with their stored LQ image, paired by file name without suffix.

    Gives what :class:`FaceDataset` gives, and ``lq`` (3, h, w) float32 RGB [0, 1] with ``lq_path``.

    Args:
        opt (dict): Options of :class:`FaceDataset`, but pictures stay as they are stored, and:
            image_size (int | None): The size that every GT must have. Default: any.
            dataroot_lq (str): Folder or LMDB of LQ pictures.
            lq_enlarged (bool): They are stored at the size of the GT, as FSRNet's benchmark is. Default: false.
            filename_tmpl (str): The LQ's name for a GT's name, as '{}x4'. Default: '{}'.

    Raises:
        DatasetError: if a GT has no LQ, or the sizes do not fit ``scale``.
    """

    SETTINGS: type[Loader] = PairedFaceSet
    KEYS = (FaceDataset.KEYS | {'dataroot_lq', 'lq_enlarged', 'filename_tmpl'}) - {
        'crop_scale', 'num_faces', 'seed', 'degrade_in_workers',
    }  # fmt: skip

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        if not opt.get('dataroot_lq'):
            raise OptionError('is missing; name the folder of LQ pictures', (*self.place, 'dataroot_lq'))
        self.lq_images = self._open_images('dataroot_lq')
        self.lq_root = self.lq_images.root
        self.ratio = 1 if opt.get('lq_enlarged') else int(opt.get('scale', 1))
        by_stem = {picture_key(n): n for n in self.lq_images.names((*self.place, 'dataroot_lq'))}
        template = opt.get('filename_tmpl', '{}')
        wanted = [PurePosixPath(n) for n in self.paths]
        stems = [p.with_name(template.format(p.stem)).as_posix() for p in wanted]
        missing = [s for s in stems if s not in by_stem]
        if missing:
            raise DatasetError(
                f'{len(missing)} of {len(stems)} pictures have no LQ in {self.lq_root}; the first is {missing[0]}',
                (*self.place, 'dataroot_lq'),
            )
        self.lq_paths = [by_stem[s] for s in stems]

    def _open_builtin(self) -> None:
        raise OptionError(
            f'{BUILTIN} has no stored LQ; use FaceDataset, whose LQ the model makes', (*self.place, 'dataroot_gt')
        )

    def _read(self, position: int) -> list[FaceSample]:
        (gt,) = super()._read(position)
        if self.image_size and gt.image.shape[:2] != (self.image_size, self.image_size):
            raise DatasetError(
                f'{self.root / self.paths[position]} is {_size(gt.image.shape)}, but image_size is {self.image_size}'
            )
        path = self.lq_root / self.lq_paths[position]
        lq = self.lq_images.image(self.lq_paths[position])
        expected = tuple(v // self.ratio for v in gt.image.shape[:2])
        if lq.shape[:2] != expected:
            raise DatasetError(
                f'{path} is {_size(lq.shape)}, expected {_size(expected)}: its GT is {_size(gt.image.shape)}, '
                f'scale {self.opt.get("scale")}, lq_enlarged {bool(self.opt.get("lq_enlarged"))}'
            )
        return [gt, FaceSample(lq, None, None)]

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = self._rng(index)
        position, pair = self._load(int(index))
        gt, lq = self._augment(pair, [1, self.ratio], rng)
        paths = {
            'gt_path': str(self.root / self.paths[position]),
            'lq_path': str(self.lq_root / self.lq_paths[position]),
        }
        return {**self._tensors(gt), 'lq': to_tensor(lq.image), **paths}


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]}x{shape[0]} px'
