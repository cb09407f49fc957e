"""Where the faces of a data set come from: stored images with their labels, or drawn faces.

A source has ``names``, ``path(i)``, which is what samples and messages call face i, and ``read(i)``, the face itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from basicsr.utils import get_root_logger

from facesr_ext.data.image_io import read_lines
from facesr_ext.data.label_checks import spread, tell
from facesr_ext.data.labels import Landmarks, Masks, look_through, open_landmarks_of, open_masks
from facesr_ext.data.stores import JoinedStore, Store, open_store, picture_key
from facesr_ext.data.transforms import FaceSample
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import DatasetError, KeyPath, OptionError
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.faces.labels import five_landmarks
from facesr_ext.imaging import to_images, to_tensor
from facesr_ext.settings.datasets import FaceSet, PairedFaceSet, UnpairedFaceSet

BUILTIN = 'builtin'
"""In place of a folder: drawn faces."""
SIZES = 2000
"""The sizes of so many images of a set are looked at before the run."""
_LR_SEED = 1_000_003  # drawn LR faces are of other sets than the HR ones


class StoredSource:
    """Images of a store, with labels where there are any.

    Args:
        images (Store | JoinedStore): Where they lie.
        names (Sequence[str]): Those to use.
        masks (Masks | None): Their parsing masks.
        landmarks (Landmarks | None): Their landmarks.

    Attributes:
        roots (list[ndarray]): Of several folders, the numbers of the images of each, (n,) int64.
    """

    def __init__(
        self,
        images: Store | JoinedStore,
        names: Sequence[str],
        masks: Masks | None = None,
        landmarks: Landmarks | None = None,
    ) -> None:
        self.images, self.names, self.masks, self.landmarks = images, list(names), masks, landmarks
        self.root = images.root
        self.roots = images.groups() if isinstance(images, JoinedStore) else []

    def path(self, index: int) -> str:
        """Where an image lies."""
        return str(self.root / self.names[index])

    def smaller(self, side: int) -> tuple[list[str], int]:
        """The images of a shorter side below ``side`` px among up to :data:`SIZES` of them, and how many those are."""
        names = [self.names[i] for i in spread(len(self.names), SIZES)]
        sizes = [self.images.size(name) for name in names]
        small = [n for n, size in zip(names, sizes, strict=True) if size is not None and min(size) < side]
        return small, len(names)

    def read(self, index: int) -> FaceSample:
        """A face as it is stored; DatasetError where it, or its labels, cannot be read."""
        name = self.names[index]
        image = self.images.image(name)
        return FaceSample(
            image,
            None if self.masks is None else self.masks.read(name, image.shape[:2]),
            None if self.landmarks is None else self.landmarks.read(name, image.shape[:2]),
        )


class DrawnSource:
    """Drawn faces with their masks and landmarks.

    Args:
        num, seed (int): How many, and which.
        size (int): Their height and width, pixels.
        num_landmark (int): 68, or 5.
    """

    def __init__(self, num: int, seed: int, size: int, num_landmark: int) -> None:
        self.faces, self.num_landmark = DrawnFaces(num, seed, size), num_landmark
        self.root, self.names = Path(BUILTIN), [f'{BUILTIN}_{seed}_{i:05d}' for i in range(num)]

    def path(self, index: int) -> str:
        """What a face is called, as 'builtin/builtin_0_00012'."""
        return str(self.root / self.names[index])

    def read(self, index: int) -> FaceSample:
        """A face; its arrays are shared with a cache: do not write into them."""
        face = self.faces[index]
        landmarks = five_landmarks(face.landmarks) if self.num_landmark == 5 else face.landmarks
        return FaceSample(face.image, face.parsing, landmarks)


class DegradedSource:
    """Drawn faces under Real-ESRGAN's random degradation; number i is a function of (seed, i) alone.

    Args:
        num, seed (int): How many faces, and which.
        size (int): Height and width of the LR faces, pixels.
        scale (int): HR-to-LR factor.
    """

    def __init__(self, num: int, seed: int, size: int, scale: int) -> None:
        self.faces, self.seed = DrawnFaces(num, seed, size * scale), seed
        self.root, self.names = Path(BUILTIN), [f'{BUILTIN}_lq_{seed}_{i:05d}' for i in range(num)]
        self.degradation = build_degradation({'preset': 'realesrgan'}, scale)
        self._cache: dict[int, np.ndarray] = {}

    def path(self, index: int) -> str:
        """What a face is called, as 'builtin/builtin_lq_1000003_00012'."""
        return str(self.root / self.names[index])

    def read(self, index: int) -> FaceSample:
        """A face (h, w, 3) without labels; its array is shared with a cache: do not write into it."""
        if index not in self._cache:
            state = np.random.SeedSequence([self.seed, index]).generate_state(1)
            generator = torch.Generator().manual_seed(int(state[0]))
            lq = self.degradation(to_tensor(self.faces[index].image)[None], generator)
            self._cache[index] = to_images(lq)[0]
        return FaceSample(self._cache[index])


Source = StoredSource | DrawnSource | DegradedSource


def drawn_set(settings: FaceSet | UnpairedFaceSet, train: bool) -> tuple[int, int]:
    """How many drawn faces a set has, and the seed that says which: validation sees other ones than training."""
    num, seed = (2000, 0) if train else (32, 1)
    return settings.num_faces or num, seed if settings.seed is None else settings.seed


def open_faces(settings: FaceSet | UnpairedFaceSet, place: KeyPath, train: bool, num_landmark: int = 68) -> Source:
    """The faces of ``dataroot_gt``, without labels where they are stored.

    Args:
        settings (FaceSet | UnpairedFaceSet): The section.
        place (KeyPath): Where it stands.
        train (bool): The set is that of training.
        num_landmark (int): Of drawn faces: 68, or 5.

    Raises:
        OptionError: if drawn faces have no size.
        DatasetError: as `open_images`.
    """
    if settings.dataroot_gt != BUILTIN:
        return open_images(settings, place)
    if settings.image_size is None:
        raise OptionError('builtin needs image_size, the size that faces are drawn for', (*place, 'dataroot_gt'))
    num, seed = drawn_set(settings, train)
    get_root_logger().info(
        f'Drawn faces are in use for {settings.name}: {num} of seed {seed}, no photographs. '
        f'Your own: --force_yml datasets:{place[-1]}:dataroot_gt=DIR'
    )
    return DrawnSource(num, seed, round(settings.image_size / settings.crop_scale[0]), num_landmark)


def open_lr_faces(settings: UnpairedFaceSet, place: KeyPath, train: bool, size: int, scale: int) -> Source:
    """The faces of ``dataroot_lq``; drawn ones have ``size`` pixels. Raises as `open_folder`."""
    if settings.dataroot_lq == BUILTIN:
        num, seed = drawn_set(settings, train)
        return DegradedSource(num, seed + _LR_SEED, size, scale)
    key = (*place, 'dataroot_lq')
    images = open_folder(settings.dataroot_lq, settings.io_backend, key)
    return StoredSource(images, images.names(key))


def open_images(settings: FaceSet | PairedFaceSet | UnpairedFaceSet, place: KeyPath) -> StoredSource:
    """The stored images of ``dataroot_gt``: all, or those of ``meta_info_file``; of a list of folders, all of each.

    Raises:
        OptionError: as `open_folder`, and for labels or a list of images beside several folders.
        DatasetError: if the folder is missing or empty, or the list names images that are not there.
    """
    key = (*place, 'dataroot_gt')
    if isinstance(settings.dataroot_gt, list):
        return _open_several(settings, settings.dataroot_gt, key)
    images = open_folder(settings.dataroot_gt, settings.io_backend, key)
    there = images.names(key)
    if not settings.meta_info_file:
        tell(f'{settings.name}: {len(there)} images in {images.root}')
        return StoredSource(images, there)
    list_key = (*place, 'meta_info_file')
    names = read_lines(settings.meta_info_file, list_key)
    own = images.own(names, key)
    lacking = [name for name, there_as in zip(names, own, strict=True) if there_as is None]
    if lacking:
        raise DatasetError(
            f'{len(lacking)} of its {len(names)} images are not in {images.root}; the first is {lacking[0]!r}. It must '
            'name one image a line, by its path below dataroot_gt',
            list_key,
        )
    listed = [name for name in own if name is not None]
    unused = len({picture_key(name) for name in there} - {picture_key(name) for name in listed})
    again = len(listed) - len(set(listed))
    more = f', {again} lines name one again' if again else ''
    tell(f'{settings.name}: {len(listed)} images in {images.root}, as listed; {unused} there are not in the list{more}')
    return StoredSource(images, listed)


def _open_several(
    settings: FaceSet | PairedFaceSet | UnpairedFaceSet, roots: Sequence[str], key: KeyPath
) -> StoredSource:
    """The images of several folders, which have neither labels nor a list."""
    given = [n for n in ('meta_info_file', 'dataroot_parsing', 'landmark_file') if getattr(settings, n, None)]
    if given:
        raise OptionError(
            f'names below {len(roots)} folders may be alike, which {given[0]} cannot tell apart; put links to them '
            'into one folder and name that',
            key,
        )
    images = JoinedStore([open_folder(root, settings.io_backend, key) for root in roots])
    places = [os.path.realpath(store.root) for store in images.stores]
    if len(set(places)) < len(places):
        raise OptionError('has one folder twice; name it once, with a larger share in root_weights', key)
    names = images.names(key)
    source, weights = StoredSource(images, names), getattr(settings, 'root_weights', None)
    for i, (store, numbers) in enumerate(zip(images.stores, source.roots, strict=True)):
        share = f', {weights[i] / sum(weights):.1%} of the draws' if weights else ''
        tell(f'{settings.name}: {len(numbers)} images in {store.root}{share}')
    return source


def open_folder(root: str, io_backend: dict[str, object] | None, key: KeyPath) -> Store:
    """The folder or LMDB of an option, of the kind that ``io_backend`` says.

    Raises:
        OptionError: if it is of another kind.
    """
    kind = (io_backend or {}).get('type', 'disk')
    if kind not in ('disk', 'lmdb'):
        raise OptionError(f'type is disk or lmdb, not {kind!r}', (*key[:-1], 'io_backend'))
    store = open_store(root)
    if store.kind != kind:
        raise OptionError(
            f'{store.root} does not fit io_backend: {{type: {kind}}}; an LMDB ends in .lmdb and needs {{type: lmdb}}',
            key,
        )
    return store


def with_labels(source: StoredSource, settings: FaceSet | PairedFaceSet, place: KeyPath) -> StoredSource:
    """The source with the masks of ``dataroot_parsing`` and the landmarks of ``landmark_file``.

    Raises:
        OptionError: if ``num_landmark`` is missing.
        DatasetError: if no image has a mask or landmarks there, two images would share them, or some cannot be those of
            their image (:func:`~facesr_ext.data.labels.look_through`).
    """
    masks = open_masks(source.root, source.names, settings, (*place, 'dataroot_parsing'))
    landmarks = open_landmarks_of(source.root, source.names, settings, (*place, 'landmark_file'))
    labelled = StoredSource(source.images, source.names, masks, landmarks)
    if masks is not None or landmarks is not None:
        look_through(labelled.images, labelled.names, masks, landmarks, settings)
    return labelled
