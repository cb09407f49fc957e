"""The degradations of a comparison, the HR faces that they get, and the real LR faces that they are compared with."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import torch

from facesr_ext import __version__
from facesr_ext.comparison.methods import Training, read_options, trained_run, training_of
from facesr_ext.comparison.results import MethodFacts, SetFacts
from facesr_ext.comparison.sets import told
from facesr_ext.data.face_dataset import FaceDataset
from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.learned import LearnedDegradation
from facesr_ext.degradations.presets import build_degradation, expanded
from facesr_ext.errors import DatasetError, FaceSRError
from facesr_ext.models.forward import cut_to_multiple
from facesr_ext.models.validation import below
from facesr_ext.places import user_path, without_suffix
from facesr_ext.runs.checkpoints import file_sha256
from facesr_ext.runs.folder import latest_checkpoint
from facesr_ext.settings.degradations import ComparedDegradation, DegradationsFile, HRSet, RealPool

STANDARD: dict[str, tuple[str, dict[str, Any]]] = {
    'bicubic': ('Bicubic', {'type': 'BicubicDegradation'}),
    'first_order': ('First order', {'type': 'FirstOrderDegradation'}),
    'second_order': ('Second order (Real-ESRGAN)', {'preset': 'realesrgan'}),
}
"""What ``beside`` names: label and section."""
_POOL_SEED = 2  # of drawn real faces, where a file names none: not those of the HR set


@dataclass
class OpenDegradation:
    """A degradation that is ready, or why it is not.

    Attributes:
        facts (MethodFacts): What there is to say of it.
        degradation (Degradation | None): None where it could not be opened.
        key (str): Hash of all that its LR faces are a function of, the HR face aside.
    """

    facts: MethodFacts
    degradation: Degradation | None = None
    key: str = ''

    def draws(self, hr: torch.Tensor, name: str, count: int) -> torch.Tensor:
        """LR faces of one HR face, each degraded alone by a seed of its own; the first is that of tests.

        Args:
            hr (Tensor): (1, 3, H, W), RGB, [0, 1].
            name (str): The face's, which seeds.
            count (int): How many.

        Returns:
            Tensor: (count, 3, H / scale, W / scale), on the CPU.

        Raises:
            DatasetError: for a size that it does not take.
        """
        assert self.degradation is not None
        seeds = [zlib.crc32(f'{name} {number}'.encode() if number else name.encode()) for number in range(count)]
        return torch.cat([self.degradation(hr, torch.Generator().manual_seed(seed)).cpu() for seed in seeds])


@dataclass
class Faces:
    """Faces that are read one by one.

    Attributes:
        facts (SetFacts): What there is to say of them.
        dataset (FaceDataset | None): None where it could not be opened.
        num (int): How many.
        degradation (Degradation | None): What makes LR faces of them.
    """

    facts: SetFacts
    dataset: FaceDataset | None = None
    num: int = 0
    degradation: Degradation | None = None

    def __len__(self) -> int:
        return self.num

    def read(self, notes: list[str]) -> Iterator[tuple[str, str, torch.Tensor]]:
        """Name, name of the file without folder, and face (1, 3, H, W); one that cannot be used is noted, left out."""
        for index in range(self.num):
            try:
                yield self._face(index)
            except FaceSRError as err:
                notes.append(f'{self.facts.name}: left out: {err}')

    def _face(self, index: int) -> tuple[str, str, torch.Tensor]:
        assert self.dataset is not None
        sample = self.dataset[index]
        path = sample['gt_path']
        face = cut_to_multiple({'gt': sample['gt'][None]}, self.facts.scale, False)['gt']
        stem = PurePath(path).stem
        if self.degradation is not None:
            face = self.degradation(face, torch.Generator().manual_seed(zlib.crc32(stem.encode())))
        return without_suffix(below(path, [self.dataset.opt['dataroot_gt']])), stem, face


def open_degradations(file: DegradationsFile) -> list[OpenDegradation]:
    """Those of a file, then the known ones beside; one that cannot be opened says why in its facts."""
    found = [_open(name, one, file) for name, one in file.degradations.items()]
    for name in file.beside:
        label, section = STANDARD[name]
        found.append(_open(name, ComparedDegradation(degradation=section, label=label), file))
    return found


def network_trainings(file: DegradationsFile) -> list[Training]:
    """What trains the networks that name an option file, in order.

    Raises:
        OptionError: for an option file that cannot be read.
    """
    found = []
    for name, one in file.degradations.items():
        if one.opt is not None:
            found += training_of(one.opt, [*file.force_yml, *one.force_yml], ('degradations', name, 'opt'))
    return list(dict.fromkeys(found))


def _open(name: str, one: ComparedDegradation, file: DegradationsFile) -> OpenDegradation:
    facts = MethodFacts(name, one.label or name)
    try:
        section = _section(name, one, file)
        degradation = build_degradation(section, file.scale)
        whole = expanded(section)
        path = whole.get('checkpoint')
        sha = file_sha256(str(path)) if isinstance(degradation, LearnedDegradation) else ''
    except FaceSRError as err:
        return OpenDegradation(replace(facts, problem=str(err)))
    if isinstance(degradation, LearnedDegradation):
        count = sum(p.numel() for p in degradation.net.parameters())
        facts = replace(facts, network=type(degradation.net).__name__, files=(str(path),), sha256=sha, parameters=count)
    else:
        facts = replace(facts, network=str(whole['type']).removesuffix('Degradation'))
    what = {**{key: value for key, value in whole.items() if key != 'checkpoint'}, 'sha256': sha, 'scale': file.scale}
    text = json.dumps({**what, 'version': __version__}, sort_keys=True, default=str)
    return OpenDegradation(facts, degradation, hashlib.sha256(text.encode()).hexdigest())


def _section(name: str, one: ComparedDegradation, file: DegradationsFile) -> dict[str, Any]:
    """The ``degradation:`` section of an entry."""
    if one.degradation is not None:
        return dict(one.degradation)
    key = ('degradations', name, 'checkpoint' if one.opt is None else 'opt')
    path = user_path(str(one.checkpoint))
    if one.opt is not None:
        path = trained_run(one.opt, read_options(one.opt, [*file.force_yml, *one.force_yml], key), key)
    if path.is_dir():
        path = latest_checkpoint(path, key)
    return {'type': LearnedDegradation.__name__, 'checkpoint': str(path)}


def open_hr_sets(file: DegradationsFile) -> list[Faces]:
    """The HR faces of a file; a set that cannot be opened says why in its facts."""
    pools = ', '.join(file.real) or 'none'
    lq = f'{file.draws} of each face by each degradation; real LR: {pools}'
    found = []
    for name, section in file.datasets.items():
        facts = SetFacts(name, lq, file.scale)
        try:
            dataset = _dataset(('datasets', name), section, section.dataroot_gt, section.image_size, section.seed)
        except FaceSRError as err:
            found.append(Faces(replace(facts, problem=str(err))))
            continue
        num = min(len(dataset), section.max_images or len(dataset))
        found.append(Faces(facts, dataset, num))
    return found


def open_pool(name: str, section: RealPool, scale: int, size: int) -> Faces:
    """Real LR faces of one size.

    Args:
        name (str): Of the pool.
        section (RealPool): What it says.
        scale (int): HR-to-LR factor.
        size (int): Height and width of the LR faces, pixels; others are cut to the square in their middle and resized.

    Raises:
        OptionError, DatasetError: for what cannot be opened.
    """
    place = ('real', name)
    seed = _POOL_SEED if section.seed is None else section.seed
    if section.dataroot_lq is not None:
        dataset = _dataset(place, section, section.dataroot_lq, size, seed)
        facts, degradation = SetFacts(name, f'faces of {section.dataroot_lq} at {size} px', 1), None
    else:
        assert section.dataroot_gt is not None and section.degradation is not None
        dataset = _dataset(place, section, section.dataroot_gt, size * scale, seed)
        degradation = build_degradation(section.degradation, scale)
        facts = SetFacts(name, f'faces of {section.dataroot_gt} by {told(section.degradation)}', scale)
    num = min(len(dataset), section.max_images or len(dataset))
    return Faces(facts, dataset, num, degradation)


def _dataset(
    place: tuple[str, str], section: HRSet | RealPool, root: str | list[str], size: int | None, seed: int | None
) -> FaceDataset:
    """Faces of a folder, or drawn ones."""
    given = {'image_size': size, 'seed': seed, 'num_faces': section.num_faces, 'io_backend': section.io_backend}
    given['meta_info_file'] = getattr(section, 'meta_info_file', None)
    options = {key: value for key, value in given.items() if value is not None}
    if root != 'builtin':
        options = {key: value for key, value in options.items() if key not in ('seed', 'num_faces')}
    opt: dict[str, Any] = {
        'phase': 'test',
        'section': place[1],
        'name': place[1],
        'io_backend': {'type': 'disk'},
        **options,
    }
    opt |= {'type': 'FaceDataset', 'dataroot_gt': root, 'crop_scale': list(section.crop_scale)}
    try:
        return FaceDataset(opt)
    except DatasetError as err:
        raise DatasetError(err.message, place) from err
