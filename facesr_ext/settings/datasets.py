"""``datasets:``: what the runner's loaders read of each set, and our three data sets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationInfo, field_validator

from facesr_ext.settings.kinds import (
    Count,
    File,
    Folder,
    Folders,
    Natural,
    Shares,
    Weights,
    Whole,
    Workers,
    option,
    stock,
)
from facesr_ext.settings.reading import Section


class Loader(Section):
    """What BasicSR's runner reads of any data set."""

    name: str = stock('names the set in logs and files', ...)
    type: str = stock('the class', ...)
    io_backend: dict[str, Any] | None = stock('{type: disk}, or {type: lmdb} for images and labels from an LMDB')
    num_worker_per_gpu: Workers | None = stock(
        'processes that load, for each GPU; 0: none but the training itself; auto: by cores and device'
    )
    batch_size_per_gpu: Count | None = stock('samples of a step, for each process')
    dataset_enlarge_ratio: float = stock('epochs are so many times as long', 1, gt=0)
    prefetch_mode: Literal['cpu', 'cuda'] | None = stock('load ahead; default: as the workers do')
    num_prefetch_queue: Count = stock('batches ahead with prefetch_mode: cpu', 1)
    pin_memory: bool = stock('load into memory that a GPU copies from fast', False)
    persistent_workers: bool = stock('keep the workers from one epoch to the next', False)
    use_shuffle: bool = stock('draw in random order', True)
    timeout: float = option('seconds that a batch may take to load before the run ends; 0: any', 0.0, ge=0)


class _Faces(Loader):
    dataroot_gt: Folders = stock(
        'folder of images (sub-folders too) or a list of folders, an LMDB, or builtin: drawn faces with labels', ...
    )
    meta_info_file: File | None = stock('text file of the images to use, a path below dataroot_gt a line')
    image_size: Whole | None = option('height and width that the face is brought to, pixels; default: as stored')
    gt_size: Whole | None = stock('training: random crop of this size, pixels')
    use_hflip: bool = stock('training: mirror half of the faces, labels too', False)
    use_rot: bool = stock('training: turn by 0, 90, 180 or 270 degrees, labels too (0 or 180 if not square)', False)
    skip_bad_files: bool = option(
        "leave out files that cannot be read or are too small, listed in the run's skipped.txt", False
    )


class _Labels(Section):
    dataroot_parsing: File | None = option('folder or LMDB of parsing masks, <name>.png for an image')
    parsing_labels: Literal['celebamask19', 'parsenet19', 'bisenet19', 'helen11'] = option(
        'label set of the masks', 'celebamask19'
    )
    landmark_file: File | None = option(
        'JSON: image path -> list of [x, y] in its pixels, null for unknown; or an LMDB'
    )
    num_landmark: Whole | None = option('landmarks a face, needed with landmark_file; drawn faces have 68, or 5')


class _Drawn(Section):
    num_faces: Whole | None = option('builtin: how many faces; default: 2000 in training, else 32')
    seed: Natural | None = option('builtin: which faces; default: 0 in training, else 1')


class _Cropped(Section):
    crop_scale: Shares = option(
        'side of the square crop as a share of the shorter side, at least image_size px where the image has so many; '
        '[low, high]: training draws size and place',
        (1.0, 1.0),
    )
    root_weights: Weights | None = option(
        'training on a list of folders: relative share of the draws that each gets; default: by their images'
    )

    @field_validator('root_weights')
    @classmethod
    def _one_a_root(cls, value: list[float] | None, info: ValidationInfo) -> list[float] | None:
        roots = info.data.get('dataroot_gt')  # missing where it is wrong itself
        if value is not None and isinstance(roots, str):
            raise ValueError('needs a list of folders in dataroot_gt; of one folder every image is drawn alike')
        if value is not None and roots and len(value) != len(roots):
            raise ValueError(f'must be {len(roots)} numbers, one for each folder of dataroot_gt, not {value!r}')
        return value


class FaceSet(_Cropped, _Drawn, _Labels, _Faces):
    """Of ``FaceDataset``: faces, which the model degrades."""

    degrade_in_workers: bool = option("training: the loader's workers make the LQ, not the model's device", False)


class PairedFaceSet(_Labels, _Faces):
    """Of ``PairedFaceDataset``: faces with their stored LQ."""

    dataroot_gt: Folder = stock('folder of the GT images (sub-folders too), or an LMDB', ...)
    dataroot_lq: Folder = stock('folder or LMDB of the LQ images', ...)
    lq_enlarged: bool = option("the LQ is stored at the GT's size", False)
    filename_tmpl: str = stock("the LQ's name for a GT's name, as '{}x4'", '{}')

    @field_validator('filename_tmpl')
    @classmethod
    def _holds_the_name(cls, value: str) -> str:
        try:
            differ = value.format('a') != value.format('b')
        except (IndexError, KeyError, ValueError, AttributeError):
            differ = False
        if not differ:
            raise ValueError(f"must have {{}}, where the GT's name goes, as '{{}}x4', not {value!r}")
        return value


class UnpairedFaceSet(_Cropped, _Drawn, _Faces):
    """Of ``UnpairedFaceDataset``: HR faces and LR faces of other people."""

    dataroot_lq: Folder = stock('folder or LMDB of real LR faces, or builtin: drawn ones under random degradation', ...)
    lq_fit: Literal['resize', 'exact'] = option('LR faces of another size: resized, or refused', 'resize')
