from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from basicsr.utils.registry import DATASET_REGISTRY

from facesr_ext.data.base import BaseDataset
from facesr_ext.data.label_checks import tell
from facesr_ext.data.sources import BUILTIN, StoredSource, open_folder, open_images, with_labels
from facesr_ext.data.stores import by_key, picture_key, plain_name
from facesr_ext.data.transforms import FaceSample
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.settings.datasets import PairedFaceSet


@DATASET_REGISTRY.register()
class PairedFaceDataset(BaseDataset[PairedFaceSet]):
    """Faces with their stored LQ image, paired by file name without suffix.

    Gives what :class:`~facesr_ext.data.face_dataset.FaceDataset` gives, and ``lq`` (3, h, w) float32 RGB [0, 1] with
    ``lq_path``. Images stay as they are stored; ``image_size`` is the size that every GT must have.

    Args:
        opt (dict): The section, :class:`~facesr_ext.settings.datasets.PairedFaceSet`, and what the runner adds to it.

    Raises:
        OptionError: for an unknown or unfit option.
        DatasetError: if a GT has no LQ, two have one name without suffix, or the sizes do not fit ``scale``.
    """

    SETTINGS = PairedFaceSet

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__(opt)
        if self.settings.dataroot_gt == BUILTIN:
            raise OptionError(
                f'{BUILTIN} has no stored LQ; use FaceDataset, whose LQ the model makes', (*self.place, 'dataroot_gt')
            )
        self.ratio = 1 if self.settings.lq_enlarged else int(opt.get('scale', 1))
        self.source = with_labels(open_images(self.settings, self.place), self.settings, self.place)
        if not self.settings.image_size:  # else every GT must have that very size
            self.look_at_sizes(self.source)
        self.paths = self.source.names
        self.lq_source = self._open_lq()

    def _open_lq(self) -> StoredSource:
        """The LQ of each GT, in their order."""
        key = (*self.place, 'dataroot_lq')
        images = open_folder(self.settings.dataroot_lq, self.settings.io_backend, key)
        self.require_once(self.paths)
        by_key(self.paths, (*self.place, 'dataroot_gt'))
        there = by_key(images.names(key), key)
        gts = [PurePosixPath(picture_key(name)) for name in self.paths]
        wanted = [gt.with_name(self.settings.filename_tmpl.format(gt.name)).as_posix() for gt in gts]
        plain = {plain_name(name): file for name, file in there.items()}
        files = [there.get(name) or plain.get(plain_name(name)) for name in wanted]
        missing = [name for name, file in zip(wanted, files, strict=True) if file is None]
        if missing:
            raise DatasetError(
                f'{len(missing)} of {len(wanted)} images have no LQ in {images.root}; the first is {missing[0]}', key
            )
        used = [file for file in files if file is not None]
        unused = len(there) - len(set(used))
        more = f'; {unused} LQ images there are of none of them' if unused else ''
        tell(f'{self.settings.name}: {len(wanted)} pairs with {images.root}{more}')
        return StoredSource(images, used)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = self.rng(index)
        position, pair = self.reader.read(self.source, int(index), self._read, self.place)
        path = self.source.path(position)
        gt, lq = self.augmented(pair, path, rng, (1, self.ratio))
        paths = {'gt_path': path, 'lq_path': self.lq_source.path(position)}
        return {**self.tensors(gt), 'lq': self.image_tensor(lq.image), **paths}

    def _read(self, index: int) -> list[FaceSample]:
        """GT and LQ; DatasetError where they do not fit each other."""
        gt, lq, size = self.source.read(index), self.lq_source.read(index), self.settings.image_size
        shape = gt.image.shape[:2]
        if size and shape != (size, size):
            raise DatasetError(f'{self.source.path(index)} is {_size(shape)}, but image_size is {size}')
        self.require_size(gt.image, self.source.path(index))
        expected = tuple(v // self.ratio for v in shape)
        if lq.image.shape[:2] != expected:
            raise DatasetError(
                f'{self.lq_source.path(index)} is {_size(lq.image.shape)}, expected {_size(expected)}: its GT is '
                f'{_size(shape)}, scale {self.opt.get("scale")}, lq_enlarged {self.settings.lq_enlarged}'
            )
        return [gt, lq]


def _size(shape: tuple[int, ...]) -> str:
    return f'{shape[1]}x{shape[0]} px'
