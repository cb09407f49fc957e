"""The images of a comparison: GT and the LQ that every method gets, the same bytes for all."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import numpy as np
import torch

from facesr_ext.comparison.results import SetFacts
from facesr_ext.data.face_dataset import FaceDataset
from facesr_ext.data.paired_face_dataset import PairedFaceDataset
from facesr_ext.data.sources import BUILTIN
from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.presets import build_degradation, expanded
from facesr_ext.errors import DatasetError, FaceSRError, OptionError
from facesr_ext.imaging import to_images
from facesr_ext.models.forward import cut_to_multiple
from facesr_ext.models.validation import below
from facesr_ext.places import without_suffix
from facesr_ext.runs.described_options import FACE_SIZE
from facesr_ext.settings.comparison import CompareFile, CompareSet

STORED = '_stored'
"""What the name of a set ends in that has the stored LQ of another."""
_SHARED = ('dataroot_gt', 'meta_info_file', 'image_size', 'io_backend')


@dataclass(frozen=True)
class Pair:
    """An image of a set.

    Attributes:
        name (str): Unique in the set; a path below the set's folder, without suffix.
        lq (ndarray): (h, w, 3) uint8 RGB, as the methods get it.
        gt (ndarray | None): (H, W, 3) uint8 RGB; None where there is none.
    """

    name: str
    lq: np.ndarray
    gt: np.ndarray | None


@dataclass
class OpenSet:
    """A set that is ready to be read, image by image.

    Attributes:
        facts (SetFacts): What there is to say of it; its images are known once they have been read.
        enlarged (bool): The LQ is stored at the GT's size.
        real (OpenSet | None): Real faces that metrics of whole sets compare with.
        has_gt (bool): Its images have a GT.
    """

    facts: SetFacts
    dataset: FaceDataset | PairedFaceDataset | None = None
    degradation: Degradation | None = None
    enlarged: bool = False
    real: OpenSet | None = None
    has_gt: bool = True
    num: int = 0

    def __len__(self) -> int:
        return self.num

    def pairs(self, notes: list[str]) -> Iterator[Pair]:
        """Its images; one that cannot be used is noted, and left out for all methods."""
        seen: dict[str, str] = {}
        for index in range(self.num):
            try:
                yield self._pair(index, seen)
            except FaceSRError as err:
                notes.append(f'{self.facts.name}: left out: {err}')

    def _pair(self, index: int, seen: dict[str, str]) -> Pair:
        assert self.dataset is not None
        sample = self.dataset[index]
        path = sample['gt_path']
        key = without_suffix(below(path, [self.dataset.opt['dataroot_gt']]))
        name = key if seen.setdefault(key, path) == path else PurePath(path).name
        data = {key: value[None] for key, value in sample.items() if key in ('gt', 'lq')}
        if not self.has_gt:
            return Pair(name, to_images(data['gt'])[0], None)
        data = cut_to_multiple(data, self.facts.scale, self.enlarged)
        lq = data['lq'] if 'lq' in data else self._degraded(data['gt'], path)
        return Pair(name, to_images(lq)[0], to_images(data['gt'])[0])

    def _degraded(self, gt: torch.Tensor, path: str) -> torch.Tensor:
        """As a test degrades it: by a seed from the image's name."""
        assert self.degradation is not None
        generator = torch.Generator().manual_seed(zlib.crc32(PurePath(path).stem.encode()))
        return self.degradation(gt, generator)


def open_sets(file: CompareFile) -> list[OpenSet]:
    """Opens the sets of a file; one that cannot be opened says why in its facts."""
    found: list[OpenSet] = []
    for name, section in file.datasets.items():
        try:
            found += _open(name, section, file)
        except FaceSRError as err:
            scale = section.scale or file.scale or 1
            found.append(OpenSet(SetFacts(name, '', scale, problem=str(err), split=section.split or '')))
    return found


def _open(name: str, section: CompareSet, file: CompareFile) -> list[OpenSet]:
    """The set of a section; two where its LQ are stored, and made besides."""
    place = ('datasets', name)
    scale = section.scale or file.scale
    if scale is None:
        raise OptionError('is missing, here and at the top of the file', (*place, 'scale'))
    asked = section.degradation or file.degradation
    degradation = None if asked is None else build_degradation(asked, scale)
    limit = section.max_images or file.val.max_images
    facts = SetFacts(name, '', scale, split=section.split or '')
    if section.dataroot_gt is None:
        return [_of_inputs(facts, section, file, limit)]
    stored = section.dataroot_lq is not None and section.lq != 'made'
    made = degradation is not None and (section.lq != 'stored' or section.dataroot_lq is None)
    if not stored and not made:
        raise OptionError('nothing makes its LQ: name a degradation, or stored LQ by dataroot_lq', place)
    sets = []
    if made:
        sets.append(_of_made(replace(facts, lq=told(asked)), section, limit, degradation, name))
    if stored:
        own = replace(facts, name=f'{name}{STORED}' if made else name, lq=f'as stored in {section.dataroot_lq}')
        sets.append(_of_stored(own, section, limit, name))
    real = None if section.dataroot_real is None else _real(name, section, scale)
    for one in sets:
        one.real = real
    return sets


def told(section: Any) -> str:
    """A degradation in words: its type, its arguments, 8 bit."""
    values = expanded(dict(section))
    kind = str(values.pop('type')).removesuffix('Degradation')
    if kind == 'Bicubic':
        scale = values.pop('scale', None)
        return f"MATLAB's bicubic{f' / {scale}' if scale else ''}, 8 bit"
    name = section.get('preset') or kind
    changed = {key: value for key, value in section.items() if key not in ('preset', 'type')}
    more = ', '.join(f'{key} {value}' for key, value in changed.items())
    return f'{name}{f" with {more}" if more else ""}, 8 bit, seeded by the name of the image'


def _options(section: CompareSet, name: str, *keys: str) -> dict[str, Any]:
    """What a data set's own section would say."""
    options = {key: value for key in keys if (value := getattr(section, key)) is not None}
    return {'phase': 'test', 'section': name, 'name': name, 'io_backend': {'type': 'disk'}, **options}


def _of_made(
    facts: SetFacts, section: CompareSet, limit: int | None, degradation: Degradation | None, name: str
) -> OpenSet:
    opt = _options(section, name, *_SHARED, 'num_faces', 'seed')
    opt |= {'type': 'FaceDataset', 'scale': facts.scale, 'crop_scale': list(section.crop_scale)}
    dataset = FaceDataset(opt)
    enlarged = degradation is not None and degradation.enlarged
    return OpenSet(facts, dataset, degradation, enlarged, num=min(len(dataset), limit or len(dataset)))


def _of_stored(facts: SetFacts, section: CompareSet, limit: int | None, name: str) -> OpenSet:
    opt = _options(section, name, *_SHARED, 'dataroot_lq', 'lq_enlarged', 'filename_tmpl')
    dataset = PairedFaceDataset({**opt, 'type': 'PairedFaceDataset', 'scale': facts.scale})
    return OpenSet(facts, dataset, None, section.lq_enlarged, num=min(len(dataset), limit or len(dataset)))


def _of_inputs(facts: SetFacts, section: CompareSet, file: CompareFile, limit: int | None) -> OpenSet:
    """LQ images alone, brought to ``image_size``."""
    opt = _options(section, facts.name, 'meta_info_file', 'image_size', 'io_backend', 'num_faces', 'seed')
    opt |= {'type': 'FaceDataset', 'dataroot_gt': section.dataroot_lq, 'crop_scale': list(section.crop_scale)}
    dataset = FaceDataset(opt)
    facts = replace(facts, lq=f'images of {section.dataroot_lq} as they are, without a GT')
    real = None if section.dataroot_real is None else _real(facts.name, section, facts.scale)
    return OpenSet(facts, dataset, None, False, real, False, min(len(dataset), limit or len(dataset)))


def _real(name: str, section: CompareSet, scale: int) -> OpenSet:
    """Real faces as they are stored; drawn ones are as large as the results, and others than the inputs."""
    opt = _options(section, name, 'io_backend') | {'type': 'FaceDataset', 'dataroot_gt': section.dataroot_real}
    if section.dataroot_real == BUILTIN:
        drawn = {'num_faces': section.num_faces or 32, 'seed': 1 + (1 if section.seed is None else section.seed)}
        opt |= {'image_size': (section.image_size or FACE_SIZE) * scale, **drawn}
    try:
        dataset = FaceDataset(opt)
    except DatasetError as err:
        raise DatasetError(err.message, ('datasets', name, 'dataroot_real')) from err
    return OpenSet(SetFacts(f'{name}_real', '', 1), dataset, has_gt=False, num=len(dataset))
