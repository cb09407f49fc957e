from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from basicsr.utils import get_root_logger
from basicsr.utils.registry import DATASET_REGISTRY
from torch.utils.data import Dataset

from facesr_ext.data.image_io import read_lines
from facesr_ext.data.stores import LmdbStore, Store, open_store
from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import DatasetError, KeyPath, OptionError
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.faces.labels import CELEBAMASK19, LABEL_SETS, UNKNOWN, five_landmarks, landmark_flip
from facesr_ext.host.samplers import EpochIndex
from facesr_ext.imaging import to_tensor

BUILTIN = 'builtin'
WHOLE = (0.0, 0.0, 1.0, 1.0)
RUNNER_KEYS = frozenset((
    'name', 'type', 'phase', 'scale', 'io_backend', 'batch_size_per_gpu', 'num_worker_per_gpu', 'dataset_enlarge_ratio',
    'prefetch_mode', 'num_prefetch_queue', 'pin_memory', 'persistent_workers', 'use_shuffle', 'timeout', 'manual_seed',
    'skipped_file', 'degradation',
))  # fmt: skip
"""Dataset keys that BasicSR's runner and loader read by themselves, and those that the runner adds."""


class FaceSample(NamedTuple):
    """One face before it becomes tensors.

    Attributes:
        image (ndarray): (H, W, 3) uint8 RGB.
        parsing (ndarray | None): (H, W) uint8.
        landmarks (ndarray | None): (L, 2) float32, pixels.
        position (tuple | None): Of a crop: left, top, right and bottom as shares of the face's width and height.
    """

    image: np.ndarray
    parsing: np.ndarray | None
    landmarks: np.ndarray | None
    position: tuple[float, float, float, float] | None = None


@DATASET_REGISTRY.register()
class FaceDataset(Dataset[dict[str, Any]]):
    """Ground-truth faces, with parsing masks and landmarks where there are any; the model degrades them.

    Gives ``gt`` (3, H, W) float32 RGB [0, 1] and ``gt_path``; where masks are configured ``parsing`` (H, W) int64 in
    ``celebamask19``, 255 unknown; where landmarks are, ``landmarks`` (L, 2) float32 pixels of ``gt``, NaN unknown;
    with ``gt_size`` ``position`` (4,) float32, which part of the face it is: left, top, right, bottom, [0, 1].
    What is random in a training sample is a function of (manual_seed, epoch, index) alone.

    Args:
        opt (dict): Dataset options:
            dataroot_gt (str): Folder of pictures (sub-folders too); with ``io_backend: {type: lmdb}`` an LMDB of them;
                or ``builtin``: drawn faces, with exact labels.
            meta_info_file (str | None): Text file whose lines begin with the paths, below ``dataroot_gt``, to use.
            dataroot_parsing (str | None): Folder of masks, ``<path of the picture without suffix>.png``; a picture that
                has no mask there is all unknown. Or an LMDB that holds them.
            parsing_labels (str): Label set of the masks: celebamask19, parsenet19, bisenet19, helen11.
            landmark_file (str | None): JSON: picture path -> list of [x, y] in its pixels (null: unknown). Or an LMDB.
            num_landmark (int): Landmarks a face, needed with ``landmark_file``; drawn faces have 68, or 5.
            image_size (int | None): The face, cropped square, is resized to this (area); None keeps the stored size.
            crop_scale (float | list[float]): Side of the square crop as a share of the shorter side; of a range,
                training draws size and place, validation takes the middle. Default: 1.
            gt_size (int | None): Random crop of this size in training. Default: none.
            use_hflip (bool): Mirror half of the training faces; left and right labels change places. Default: false.
            skip_bad_files (bool): A file that cannot be read is logged once, listed in ``skipped.txt`` of the run, and
                the next one taken. Default: false, an error.
            degrade_in_workers (bool): In training, make the LQ here by the option file's ``degradation`` instead of on
                the model's device: for many cores beside a small GPU. Default: false.
            num_faces, seed (int): How many drawn faces, and which. Default: 2000 of seed 0 in training, else 32 of
                seed 1.

    Raises:
        OptionError: for an unknown or unfit option.
        DatasetError: for a missing or empty folder, or a file that cannot be read.
    """

    KEYS = frozenset((
        'dataroot_gt', 'meta_info_file', 'dataroot_parsing', 'parsing_labels', 'landmark_file', 'num_landmark',
        'image_size', 'crop_scale', 'gt_size', 'use_hflip', 'skip_bad_files', 'num_faces', 'seed',
        'degrade_in_workers',
    ))  # fmt: skip

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__()
        self.opt = opt
        self.place = ('datasets', str(opt.get('phase') or opt.get('name') or type(self).__name__))
        self._check_keys()
        self.train = opt.get('phase') == 'train'
        self.manual_seed = int(opt.get('manual_seed') or 0)
        self.image_size: int | None = opt.get('image_size')
        low, high = np.broadcast_to(np.asarray(opt.get('crop_scale', 1.0), dtype=float), 2)
        if not 0 < low <= high <= 1:
            raise OptionError(
                f'is a number or [low, high] in (0, 1], not {opt["crop_scale"]}', (*self.place, 'crop_scale')
            )
        self.crop_scale = (float(low), float(high))
        self.builtin: DrawnFaces | None = None
        self.landmarks: dict[str, np.ndarray] | None = None
        self.landmark_store: LmdbStore | None = None
        self.parsing_table: np.ndarray | None = None
        if opt.get('dataroot_gt') == BUILTIN:
            self._open_builtin()
        else:
            self._open_folder()
        self._flip_parsing = CELEBAMASK19.flip_table()
        self.degradation = self._build_degradation()
        self._skipped: set[str] = set()

    def _check_keys(self) -> None:
        unknown = sorted(set(self.opt) - RUNNER_KEYS - self.KEYS)
        if unknown:
            raise OptionError(
                f'{type(self).__name__} has no option {", ".join(unknown)}; it has {", ".join(sorted(self.KEYS))}',
                self.place,
            )
        if not self.opt.get('dataroot_gt'):
            raise OptionError('is missing; name a folder of faces, or builtin', (*self.place, 'dataroot_gt'))

    def _build_degradation(self) -> Degradation | None:
        if not self.opt.get('degrade_in_workers'):
            return None
        if not self.train:
            raise OptionError(
                'is for training; the model degrades validation sets, by the names of their pictures',
                (*self.place, 'degrade_in_workers'),
            )
        if not self.opt.get('degradation'):
            raise OptionError('needs the degradation section of the option file', (*self.place, 'degrade_in_workers'))
        return build_degradation(self.opt['degradation'], self.opt['scale'])

    def _open_builtin(self) -> None:
        if self.image_size is None:
            raise OptionError(
                'builtin needs image_size, the size that faces are drawn for', (*self.place, 'dataroot_gt')
            )
        if self.opt.get('num_landmark', 68) not in (5, 68):
            raise OptionError(
                f'drawn faces have 68 or 5 landmarks, not num_landmark: {self.opt["num_landmark"]}', self.place
            )
        num = int(self.opt.get('num_faces') or (2000 if self.train else 32))
        seed = int(self.opt.get('seed', 0 if self.train else 1))  # validation sees other faces than training
        self.builtin = DrawnFaces(num, seed, round(self.image_size / self.crop_scale[0]))
        self.root, self.paths = Path(BUILTIN), [f'{BUILTIN}_{seed}_{i:05d}' for i in range(num)]
        phase = self.opt.get('phase', 'train')
        get_root_logger().info(
            f'Drawn faces are in use for {self.opt.get("name", phase)}: {num} faces '
            f'(seed {seed}), no photographs. Your own: --force_yml datasets:{phase}:dataroot_gt=DIR'
        )

    def _open_folder(self) -> None:
        key = (*self.place, 'dataroot_gt')
        self.images = self._open_images('dataroot_gt')
        self.root = self.images.root
        meta = self.opt.get('meta_info_file')
        self.paths = read_lines(meta, (*self.place, 'meta_info_file')) if meta else self.images.names(key)
        if self.opt.get('dataroot_parsing'):
            self._open_masks(open_store(self.opt['dataroot_parsing']))
        if self.opt.get('landmark_file'):
            self._open_landmarks(open_store(self.opt['landmark_file']))

    def _open_images(self, key: str) -> Store:
        """The folder or LMDB of an option, of the kind that ``io_backend`` says."""
        kind = (self.opt.get('io_backend') or {}).get('type', 'disk')
        if kind not in ('disk', 'lmdb'):
            raise OptionError(f'type is disk or lmdb, not {kind!r}', (*self.place, 'io_backend'))
        store = open_store(self.opt[key])
        if isinstance(store, LmdbStore) != (kind == 'lmdb'):
            raise OptionError(
                f'{store.root} does not fit io_backend: {{type: {kind}}}; an LMDB ends in .lmdb '
                'and needs {type: lmdb}',
                (*self.place, key),
            )
        return store

    def _open_masks(self, store: Store) -> None:
        self.masks = store
        name = self.opt.get('parsing_labels', CELEBAMASK19.name)
        if name not in LABEL_SETS:
            raise OptionError(f'is one of {", ".join(LABEL_SETS)}, not {name!r}', (*self.place, 'parsing_labels'))
        self.parsing_table = LABEL_SETS[name].table_to(CELEBAMASK19)
        if not any(store.has_mask(p) for p in self.paths):
            raise DatasetError(
                f'no picture of {self.root} has a mask in {store.root}; '
                f'{self.paths[0]} would have {store.mask_place(self.paths[0])}',
                (*self.place, 'dataroot_parsing'),
            )

    def _open_landmarks(self, store: Store) -> None:
        num = self._num_landmark()
        if not isinstance(store, LmdbStore):
            self.landmarks = _read_landmarks(self.opt['landmark_file'], num, self.place)
            return
        self.landmark_store = store
        if all(store.landmarks(p) is None for p in self.paths):
            raise DatasetError(
                f'no picture of {self.root} has landmarks in {store.root}', (*self.place, 'landmark_file')
            )

    def _num_landmark(self) -> int:
        num = self.opt.get('num_landmark')
        if not num:
            raise OptionError('needs num_landmark, the number of landmarks a face', (*self.place, 'landmark_file'))
        return int(num)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        rng = self._rng(index)
        position, (sample,) = self._load(int(index))
        (sample,) = self._augment([self._frame(sample, rng)], [1], rng)
        out: dict[str, Any] = {**self._tensors(sample), 'gt_path': str(self.root / self.paths[position])}
        if self.degradation is not None:
            seed = np.random.SeedSequence([*self._seeds(index), 1]).generate_state(1)  # 1: another stream than _rng's
            pair = self.degradation.pair(out['gt'][None], torch.Generator().manual_seed(int(seed[0])))
            out['lq'], out['gt'] = (t[0] for t in pair)
        return out

    def _seeds(self, index: int) -> tuple[int, int, int]:
        """What one sample's randomness is a function of: manual_seed, epoch, draw."""
        epoch, draw = (index.epoch, index.draw) if isinstance(index, EpochIndex) else (0, int(index))
        return self.manual_seed, epoch, draw

    def _rng(self, index: int) -> np.random.Generator:
        return np.random.default_rng(self._seeds(index))

    def _load(self, index: int) -> tuple[int, list[FaceSample]]:
        """Position and pictures of a sample, or with ``skip_bad_files`` those of the next one that can be read."""
        for position in (*range(index, len(self)), *range(index)):
            try:
                return position, self._read(position)
            except DatasetError as err:
                if not self.opt.get('skip_bad_files'):
                    raise
                self._list_skipped(self.paths[position], err)
        raise DatasetError(f'none of the {len(self)} pictures below {self.root} can be read', self.place)

    def _list_skipped(self, name: str, err: DatasetError) -> None:
        """Says once a run that a file is left out: workers come and go, so the list of the run's folder remembers."""
        if name in self._skipped:
            return
        self._skipped.add(name)
        if self.opt.get('skipped_file'):
            with Path(self.opt['skipped_file']).open('a+', encoding='utf-8') as file:
                file.seek(0)
                if f'{self.root / name}\n' in file:
                    return
                file.write(f'{self.root / name}\n')
        get_root_logger().warning(f'Skipped: {err}')

    def _read(self, position: int) -> list[FaceSample]:
        """The stored pictures of one sample, the GT first."""
        if self.builtin is not None:
            face = self.builtin[position]
            landmarks = five_landmarks(face.landmarks) if self.opt.get('num_landmark') == 5 else face.landmarks
            return [FaceSample(face.image, face.parsing, landmarks)]
        name = self.paths[position]
        image = self.images.image(name)
        return [FaceSample(image, self._read_parsing(name, image), self._read_landmark(name))]

    def _read_parsing(self, name: str, image: np.ndarray) -> np.ndarray | None:
        if self.parsing_table is None:
            return None
        size = image.shape[:2]
        if not self.masks.has_mask(name):
            return np.full(size, UNKNOWN, np.uint8)
        mask = self.parsing_table[self.masks.mask(name)]
        return mask if mask.shape == size else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)

    def _read_landmark(self, name: str) -> np.ndarray | None:
        num = int(self.opt.get('num_landmark') or 0)
        if self.landmark_store is not None:
            points = self.landmark_store.landmarks(name)
            if points is not None:
                return _landmark_array(name, points, num, self.place, str(self.landmark_store.root))
        elif self.landmarks is None:
            return None
        elif name in self.landmarks:
            return self.landmarks[name]
        return np.full((num, 2), np.nan, np.float32)

    def _frame(self, sample: FaceSample, rng: np.random.Generator) -> FaceSample:
        """Square crop by ``crop_scale`` and area resize to ``image_size``."""
        if self.image_size is None:
            return sample
        height, width = sample.image.shape[:2]
        low, high = self.crop_scale
        share = rng.uniform(low, high) if self.train else (low + high) / 2
        side = max(1, round(share * min(height, width)))
        room = np.array([height - side, width - side])
        y, x = (int(v) for v in (rng.integers(0, room + 1) if self.train else room // 2))
        size = (self.image_size, self.image_size)
        how = cv2.INTER_AREA if side >= self.image_size else cv2.INTER_CUBIC
        image = _crop(sample.image, y, x, side)
        parsing = None if sample.parsing is None else _crop(sample.parsing, y, x, side)
        landmarks = sample.landmarks
        if side != self.image_size:
            image = cv2.resize(image, size, interpolation=how)
            parsing = None if parsing is None else cv2.resize(parsing, size, interpolation=cv2.INTER_NEAREST_EXACT)
        if landmarks is not None:
            landmarks = (landmarks + 0.5 - np.array([x, y], np.float32)) * np.float32(self.image_size / side) - 0.5
        return FaceSample(image, parsing, landmarks)

    def _augment(self, samples: list[FaceSample], ratios: list[int], rng: np.random.Generator) -> list[FaceSample]:
        """Random crop to ``gt_size`` and mirroring, the same for all of a pair (``ratios``: how many times smaller
        each is).
        """
        if not self.train:
            return samples
        size = self.opt.get('gt_size')
        height, width = samples[0].image.shape[:2]
        if size and (height, width) != (size, size):
            if min(height, width) < size:
                raise DatasetError(
                    f'gt_size {size} is larger than a picture of {width}x{height} px below {self.root}',
                    (*self.place, 'gt_size'),
                )
            step = max(ratios)
            if size % step:
                raise OptionError(f'gt_size {size} is not a multiple of the scale {step}', (*self.place, 'gt_size'))
            y, x = (
                int(v) * step for v in rng.integers((0, 0), ((height - size) // step + 1, (width - size) // step + 1))
            )
            samples = [_crop_sample(s, y // r, x // r, size // r) for s, r in zip(samples, ratios, strict=True)]
        if self.opt.get('use_hflip') and rng.random() < 0.5:
            samples = [self._mirror(s) for s in samples]
        return samples

    def _mirror(self, sample: FaceSample) -> FaceSample:
        parsing = None if sample.parsing is None else self._flip_parsing[sample.parsing[:, ::-1]]
        landmarks = sample.landmarks
        if landmarks is not None:
            landmarks = landmarks[landmark_flip(len(landmarks))].copy()
            landmarks[:, 0] = sample.image.shape[1] - 1 - landmarks[:, 0]
        position = sample.position
        if position is not None:
            position = (1 - position[2], position[1], 1 - position[0], position[3])
        return FaceSample(sample.image[:, ::-1], parsing, landmarks, position)

    def _tensors(self, sample: FaceSample) -> dict[str, torch.Tensor]:
        out = {'gt': to_tensor(sample.image)}
        if sample.parsing is not None:
            out['parsing'] = torch.from_numpy(sample.parsing.astype(np.int64))
        if sample.landmarks is not None:
            out['landmarks'] = torch.from_numpy(np.ascontiguousarray(sample.landmarks, np.float32))
        if self.train and self.opt.get('gt_size'):
            out['position'] = torch.tensor(sample.position or WHOLE, dtype=torch.float32)
        return out


def _crop(array: np.ndarray, y: int, x: int, side: int) -> np.ndarray:
    return array[y : y + side, x : x + side]


def _crop_sample(sample: FaceSample, y: int, x: int, side: int) -> FaceSample:
    height, width = sample.image.shape[:2]
    return FaceSample(
        _crop(sample.image, y, x, side),
        None if sample.parsing is None else _crop(sample.parsing, y, x, side),
        None if sample.landmarks is None else sample.landmarks - np.array([x, y], np.float32),
        (x / width, y / height, (x + side) / width, (y + side) / height),
    )


def _read_landmarks(path: str, num: int, place: KeyPath) -> dict[str, np.ndarray]:
    """Landmark file -> (num, 2) float32 for each picture."""
    try:
        raw = json.loads(Path(path).expanduser().read_text(encoding='utf-8'))
    except (OSError, json.JSONDecodeError) as err:
        raise DatasetError(f'cannot read {path}: {err}', (*place, 'landmark_file')) from err
    return {name: _landmark_array(name, points, num, place, path) for name, points in raw.items()}


def _landmark_array(name: str, points: list[Any], num: int, place: KeyPath, source: str) -> np.ndarray:
    """[x, y] or None for each landmark -> (num, 2) float32, NaN unknown."""
    array = np.array([(np.nan, np.nan) if p is None else p for p in points], dtype=np.float32)
    if array.shape != (num, 2):
        raise DatasetError(
            f'{name} has shape {array.shape}, not ({num}, 2); mend num_landmark or {source}', (*place, 'landmark_file')
        )
    return array
