"""What our data sets have in common: settings, seeds, and what becomes of a file that cannot be read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from basicsr.utils import get_root_logger
from torch.utils.data import Dataset

from facesr_ext.data.label_checks import tell
from facesr_ext.data.sources import Source, StoredSource
from facesr_ext.data.transforms import WHOLE, FaceSample, draw_turns, frame, mirror, random_crop, tensors, turn
from facesr_ext.errors import DatasetError, KeyPath, OptionError
from facesr_ext.host.samplers import EpochIndex
from facesr_ext.host.workers import ADDED
from facesr_ext.imaging import to_planes, to_tensor
from facesr_ext.settings.datasets import FaceSet, PairedFaceSet, UnpairedFaceSet
from facesr_ext.settings.reading import read

SetT = TypeVar('SetT', FaceSet, PairedFaceSet, UnpairedFaceSet)
CroppedT = TypeVar('CroppedT', FaceSet, UnpairedFaceSet)
T = TypeVar('T')
_ROOT_STREAM = 3  # a random stream of its own beside those of the faces


class BaseDataset(Dataset[dict[str, Any]], Generic[SetT]):
    """Settings and draws of a data set of faces; what is random in a sample is a function of its index alone.

    Args:
        opt (dict): The section, and what the runner adds to it (:data:`~facesr_ext.host.workers.ADDED`).

    Attributes:
        place (KeyPath): Where the section stands, for messages.
        settings (SetT): What it says.
        train (bool): The set is that of training.
        as_bytes (bool): Images and masks are given as uint8, which a worker passes on at less cost than float32.
        enlarged (str): What there is to say of images that are smaller than ``image_size``; '' where none is.

    Raises:
        OptionError: naming everything that is wrong with the section.
    """

    SETTINGS: type[SetT]

    def __init__(self, opt: dict[str, Any]) -> None:
        super().__init__()
        self.opt = opt
        self.place: KeyPath = (
            'datasets',
            str(opt.get('section') or opt.get('phase') or opt.get('name') or type(self).__name__),
        )
        self.settings: SetT = read(self.SETTINGS, {k: v for k, v in opt.items() if k not in ADDED}, self.place)
        self.train = opt.get('phase') == 'train'
        self.manual_seed = int(opt.get('manual_seed') or 0)
        self.enlarged = ''
        self.as_bytes = bool(opt.get('as_bytes')) and not getattr(self.settings, 'degrade_in_workers', False)
        self.reader = Reader(self.settings.skip_bad_files, opt.get('skipped_file'))

    def seeds(self, index: int) -> tuple[int, int, int]:
        """What one sample's randomness is a function of: manual_seed, epoch, draw."""
        epoch, draw = (index.epoch, index.draw) if isinstance(index, EpochIndex) else (0, int(index))
        return self.manual_seed, epoch, draw

    def rng(self, index: int) -> np.random.Generator:
        """The generator of one sample's draws."""
        return np.random.default_rng(self.seeds(index))

    @property
    def _least(self) -> tuple[int, str]:
        """The shorter side that an image needs, and the option that says so; 0 where any will do."""
        if self.settings.image_size:
            return self.settings.image_size, 'image_size'
        return (self.settings.gt_size or 0, 'gt_size') if self.train else (0, '')

    def look_at_sizes(self, source: Source) -> None:
        """Looks for stored images that are too small, and warns of those that will be enlarged.

        Raises:
            DatasetError: if there are some that cannot be cropped and are not to be left out.
        """
        least, name = self._least
        small, num = source.smaller(least) if isinstance(source, StoredSource) and least else ([], 0)
        if not small:
            return
        text = f'{len(small)} of {num} images looked at are smaller than {least} px, the first is {small[0]}'
        remedy = f'take a smaller {name}, or leave them out by skip_bad_files: true'
        if self.settings.skip_bad_files:
            tell(f'{self.settings.name}: {text}; they are left out', logging.WARNING)
        elif name == 'gt_size':
            raise DatasetError(f'{text}; {remedy}', (*self.place, name))
        else:
            self.enlarged = f'{text}; they are enlarged, which makes a blurred GT: {remedy}'
            tell(f'{self.settings.name}: {self.enlarged}', logging.WARNING)

    def require_once(self, names: Sequence[str]) -> None:
        """DatasetError where validation or a test has an image twice: its results would have one name."""
        again = [name for name, num in Counter(names).items() if num > 1]
        if again and not self.train:
            raise DatasetError(
                f'names {len(again)} images more than once, the first is {again[0]}; validation and tests take each '
                'once',
                (*self.place, 'meta_info_file'),
            )

    def require_size(self, image: np.ndarray, path: str) -> None:
        """DatasetError for an image without a pixel of LQ, or one that is too small where such are to be left out."""
        least, name = self._least
        scale = int(self.opt.get('scale') or 1)
        if not self.settings.image_size and min(image.shape[:2]) < scale:
            raise DatasetError(f'{path} is {image.shape[1]}x{image.shape[0]} px, too small for scale {scale}')
        if self.settings.skip_bad_files and min(image.shape[:2]) < least:
            raise DatasetError(f'{path} is {image.shape[1]}x{image.shape[0]} px, smaller than {name} {least}')

    def augmented(
        self, samples: Sequence[FaceSample], path: str, rng: np.random.Generator, ratios: Sequence[int] = (1,)
    ) -> list[FaceSample]:
        """In training: a random crop to ``gt_size``, then mirrored and turned, the same for all images of a pair.

        Args:
            samples (Sequence[FaceSample]): The GT first.
            path (str): The GT's, for messages.
            rng (Generator): The sample's.
            ratios (Sequence[int]): How many times smaller than the GT each image is.

        Raises:
            DatasetError: if the GT is smaller than ``gt_size``.
            OptionError: if ``gt_size`` is not a multiple of a ratio.
        """
        if not self.train:
            return list(samples)
        size = self.settings.gt_size
        if size:
            self._check_crop(samples[0].image, path, size, max(ratios))
            samples = random_crop(samples, size, rng, ratios)
        if self.settings.use_hflip and rng.random() < 0.5:
            samples = [mirror(sample) for sample in samples]
        if self.settings.use_rot:
            turns = draw_turns(samples[0].image, rng)
            samples = [turn(sample, turns) for sample in samples]
        return list(samples)

    def tensors(self, sample: FaceSample) -> dict[str, Any]:
        """As :func:`~facesr_ext.data.transforms.tensors`, and with crops in training their ``position``."""
        out = tensors(sample, self.as_bytes)
        if self.train and self.settings.gt_size:
            out['position'] = torch.tensor(sample.position or WHOLE, dtype=torch.float32)
        return out

    def image_tensor(self, image: np.ndarray) -> torch.Tensor:
        """(H, W, 3) uint8 RGB -> (3, H, W), float32 [0, 1]; with ``as_bytes`` uint8."""
        return to_planes(image) if self.as_bytes else to_tensor(image)

    def _check_crop(self, image: np.ndarray, path: str, size: int, ratio: int) -> None:
        height, width = image.shape[:2]
        if min(height, width) < size:
            raise DatasetError(
                f'{size} is larger than a picture of {width}x{height} px, {path}', (*self.place, 'gt_size')
            )
        if size % ratio and (height, width) != (size, size):
            raise OptionError(f'{size} is not a multiple of the scale {ratio}', (*self.place, 'gt_size'))


class CroppedDataset(BaseDataset[CroppedT]):
    """A data set whose GT is a face of one source, cropped to ``image_size``.

    Attributes:
        source (Source): The faces.
        paths (list[str]): Their names.
    """

    def use(self, source: Source) -> None:
        """Takes the faces from here.

        Raises:
            OptionError: for ``root_weights`` outside of training.
            DatasetError: where they are too small (:meth:`look_at_sizes`).
        """
        if self.settings.root_weights and not self.train:
            key = (*self.place, 'root_weights')
            raise OptionError('is for training; validation and tests take every image once', key)
        self.source = source
        self.require_once(source.names)
        self.look_at_sizes(source)
        self.paths = source.names

    def __len__(self) -> int:
        return len(self.paths)

    def draw_face(self, index: int) -> tuple[FaceSample, str]:
        """A face, cropped and augmented, and its path."""
        rng = self.rng(index)
        position, sample = self.reader.read(self.source, self._number(index), self._read, self.place)
        path = self.source.path(position)
        if self.settings.image_size is not None:
            sample = frame(sample, self.settings.image_size, self.settings.crop_scale, rng if self.train else None)
        (sample,) = self.augmented([sample], path, rng)
        return sample, path

    def _number(self, index: int) -> int:
        """Which face a sample is of: its index, or with ``root_weights`` one of a folder that is drawn first."""
        weights = np.array(self.settings.root_weights or ())
        if not len(weights) or not isinstance(self.source, StoredSource):
            return int(index)
        rng = np.random.default_rng([*self.seeds(index), _ROOT_STREAM])
        return int(rng.choice(self.source.roots[rng.choice(len(weights), p=weights / weights.sum())]))

    def _read(self, index: int) -> FaceSample:
        """A face as it is stored; DatasetError where it cannot be used."""
        sample = self.source.read(index)
        self.require_size(sample.image, self.source.path(index))
        return sample


class Reader:
    """Reads faces of a source; a bad file ends the run, or the next one is taken.

    Args:
        skip (bool): Take the next one.
        listed (str | None): Text file of the run that lists what has been left out.
    """

    def __init__(self, skip: bool, listed: str | None) -> None:
        self.skip, self.listed = skip, listed
        self._skipped: set[str] = set()

    def read(self, source: Source, start: int, read: Callable[[int], T], key: KeyPath) -> tuple[int, T]:
        """The face of a number, or of the next one that can be read.

        Args:
            source (Source): Where it comes from.
            start (int): Its number.
            read (Callable): Reads face i, and raises DatasetError for a bad file.
            key (KeyPath): The option that is named where none can be read.

        Returns:
            tuple[int, T]: number and face.
        """
        for index in chain(range(start, len(source.names)), range(start)):
            try:
                return index, read(index)
            except DatasetError as err:
                if not self.skip:
                    raise
                self._tell(source.path(index), err)
        raise DatasetError(f'none of the {len(source.names)} images below {source.root} can be used', key)

    def _tell(self, path: str, err: DatasetError) -> None:
        """Says once a run that a file is left out: workers come and go, so the list of the run's folder remembers."""
        if path in self._skipped:
            return
        self._skipped.add(path)
        if self.listed:
            with Path(self.listed).open('a+', encoding='utf-8') as file:
                file.seek(0)
                if f'{path}\n' in file:
                    return
                file.write(f'{path}\n')
        get_root_logger().warning(f'Skipped: {err}')
