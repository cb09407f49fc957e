"""Masks and landmarks of stored images: found by name, brought to their size, looked through before a run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import cv2
import numpy as np

from facesr_ext.data.label_checks import (
    require_classes,
    require_landmarks,
    require_mask_size,
    require_mask_values,
    spread,
    tell,
    tell_confused_sides,
)
from facesr_ext.data.stores import (
    FolderStore,
    LandmarkFile,
    LandmarkStore,
    Store,
    by_key,
    check_landmarks,
    open_landmarks,
    open_store,
)
from facesr_ext.errors import DatasetError, KeyPath, OptionError
from facesr_ext.faces.labels import CELEBAMASK19, LABEL_SETS, UNKNOWN
from facesr_ext.settings.datasets import FaceSet, PairedFaceSet

HEADS = 30_000
"""Of so many labelled images the sizes are read before the run, from the heads of their files: about 0.2 ms each."""
PROBE = 64
"""So many masks are read before the run."""


class Images(Protocol):
    """What is asked of a store of images here."""

    def size(self, name: str) -> tuple[int, int] | None:
        """Height and width by the head of the file."""

    def image(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""


class Masks:
    """Parsing masks of a store, as celebamask19.

    Args:
        store (Store): Where they lie.
        labels (str): The label set that they are stored in.
        key (KeyPath): The option that names the store.

    Attributes:
        scaled (dict[str, str]): Of those of another size than their image, as `check_size` has found, both sizes.
    """

    def __init__(self, store: Store, labels: str, key: KeyPath) -> None:
        self.store, self.labels, self.key = store, LABEL_SETS[labels], key
        self.table = self.labels.table_to(CELEBAMASK19)
        self.scaled: dict[str, str] = {}

    def read(self, name: str, size: tuple[int, int]) -> np.ndarray:
        """(*size) uint8, 255 unknown, of an image of that size; all unknown where it has no mask.

        Raises:
            DatasetError: if the mask cannot be read, or be one of that image.
        """
        if not self.store.has_mask(name):
            return np.full(size, UNKNOWN, np.uint8)
        mask = self.as_stored(name)
        require_mask_size(mask.shape, size, self._where(name), self.key)
        return mask if mask.shape == size else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)

    def as_stored(self, name: str) -> np.ndarray:
        """(h, w) uint8, 255 unknown, of the mask's own size; DatasetError where it cannot be read or has odd values."""
        try:
            stored = self.store.mask(name)
        except DatasetError as err:
            raise DatasetError(err.message, self.key) from err
        require_mask_values(stored, self.labels, self._where(name), self.key)
        return self.table[stored]

    def check_size(self, name: str, size: tuple[int, int]) -> None:
        """DatasetError where a mask, by the head of its file, is not one of an image of that size."""
        stored = self.store.mask_size(name)
        if stored is None:
            return  # it cannot be read: told with the reason when it is
        require_mask_size(stored, size, self._where(name), self.key)
        if stored != size:
            self.scaled[name] = f'{stored[1]}x{stored[0]} px for {size[1]}x{size[0]} px'

    def _where(self, name: str) -> str:
        return f'the mask {self.store.mask_place(name)}'


class Landmarks:
    """Landmarks of a store.

    Args:
        store (LandmarkStore): Where they lie.
        num (int): Landmarks that each face has.
        key (KeyPath): The option that names the store.
    """

    def __init__(self, store: LandmarkStore, num: int, key: KeyPath) -> None:
        self.store, self.num, self.key = store, num, key

    def read(self, name: str, size: tuple[int, int]) -> np.ndarray:
        """(num, 2) float32 pixels of an image of that size, NaN unknown; all unknown where it has none.

        Raises:
            DatasetError: if it has another number of them, or they cannot be its pixels.
        """
        points = self.store.landmarks(name)
        if points is None:
            return np.full((self.num, 2), np.nan, np.float32)
        self.check(name, points, size)
        return points

    def check_size(self, name: str, size: tuple[int, int]) -> None:
        """DatasetError where the landmarks of an image cannot be its pixels, were it of that size."""
        points = self.store.landmarks(name)
        if points is not None:
            self.check(name, points, size)

    def check(self, name: str, points: np.ndarray, size: tuple[int, int]) -> None:
        """DatasetError where the points are of another number, or cannot be pixels of an image of that size."""
        check_landmarks(points, self.num, name, self.store.root, self.key)
        require_landmarks(points, size, name, self.key)


def open_masks(root: Path, names: Sequence[str], settings: FaceSet | PairedFaceSet, key: KeyPath) -> Masks | None:
    """The masks of ``dataroot_parsing``, None without it.

    Raises:
        DatasetError: if none of the images ``names`` in ``root`` has one there, or two would share one.
    """
    if not settings.dataroot_parsing:
        return None
    store = open_store(settings.dataroot_parsing)
    by_key(names, key)
    used = sum(store.has_mask(name) for name in names)
    if not used:
        raise DatasetError(
            f'no image of {root} has a mask in {store.root}; {names[0]} would have {store.mask_place(names[0])}',
            key,
        )
    more = ''
    if isinstance(store, FolderStore):
        others = set(store.names(key)) - {PurePosixPath(name).with_suffix('.png').as_posix() for name in names}
        more = f'; {len(others)} masks there are of none of them' if others else ''
    tell(f'{settings.name}: masks of {used} of {len(names)} images in {store.root}{more}')
    return Masks(store, settings.parsing_labels, key)


def open_landmarks_of(
    root: Path, names: Sequence[str], settings: FaceSet | PairedFaceSet, key: KeyPath
) -> Landmarks | None:
    """The landmarks of ``landmark_file``, None without it.

    Raises:
        OptionError: if ``num_landmark`` is missing.
        DatasetError: if none of the images ``names`` in ``root`` has an entry there, or two would share one.
    """
    if not settings.landmark_file:
        return None
    if not settings.num_landmark:
        raise OptionError('needs num_landmark, the number of landmarks a face', key)
    store = open_landmarks(settings.landmark_file, settings.num_landmark, key)
    if store.kind != 'file':  # which has full names
        by_key(names, key)
    others = store.unused(names) if isinstance(store, LandmarkFile) else []
    found = [points for points in map(store.landmarks, names) if points is not None]
    used = sum(bool(np.isfinite(points).all(-1).any()) for points in found if points.ndim == 2)
    if not used:
        example = f'; its first entry is {others[0]}, the first image {names[0]}' if others else ''
        raise DatasetError(f'no image of {root} has landmarks in {store.root}{example}', key)
    more = f'; {len(others)} entries there are of none of them, the first of {others[0]}' if others else ''
    tell(f'{settings.name}: landmarks of {used} of {len(names)} images in {store.root}{more}')
    return Landmarks(store, settings.num_landmark, key)


def look_through(
    images: Images,
    names: Sequence[str],
    masks: Masks | None,
    landmarks: Landmarks | None,
    settings: FaceSet | PairedFaceSet,
) -> None:
    """Compares labels with their images, as far as that needs no pixels of these, and reads some of the masks.

    Args:
        images (Images): Where the images lie.
        names (Sequence[str]): The images of the set.
        masks (Masks | None): Their masks.
        landmarks (Landmarks | None): Their landmarks.
        settings (FaceSet | PairedFaceSet): The section.

    Raises:
        DatasetError: for labels that cannot be those of their image, unless these are to be left out; for masks of
            which none holds a class.
    """
    looked, skip = [], settings.skip_bad_files
    if landmarks is not None:
        marked = [name for name in names if landmarks.store.landmarks(name) is not None]
        looked.append(f'landmarks of {_compare(images, marked, landmarks.check_size, skip)} of {len(marked)} images')
    if masks is not None:
        masked = [name for name in names if masks.store.has_mask(name)]
        num = _compare(images, masked, masks.check_size, skip)
        looked.append(f'{num} of {len(masked)} masks by their size, {_read_some(masked, masks, skip)} by their values')
        if masks.scaled:
            tell(
                f'{settings.name}: {len(masks.scaled)} of {num} masks are of another size than their image, the first '
                f'{next(iter(masks.scaled.values()))}; they are scaled by nearest neighbour'
            )
            masks.scaled.clear()
    tell(f'{settings.name}: looked at before the run: {"; ".join(looked)}')


def _compare(images: Images, names: Sequence[str], check: Callable[[str, tuple[int, int]], None], skip: bool) -> int:
    """Checks labels against the sizes of their images, and says how many.

    A size is that of the file's head, which EXIF may turn: what does not fit it is compared with the image itself.
    """
    numbers, turned, bad = spread(len(names), HEADS), 0, []
    for name in (names[i] for i in numbers):
        size = images.size(name)
        if size is None or _fits(check, name, size):
            continue
        turned += (fits_turned := _fits(check, name, size[::-1]))
        if fits_turned and turned > PROBE:
            continue  # a set of turned images: so many have been read
        try:
            check(name, images.image(name).shape[:2])
        except DatasetError as err:
            if not skip:
                raise
            bad.append(err)
    if bad:
        tell(f'{len(bad)} of {len(numbers)} images are left out for their labels, the first: {bad[0]}', logging.WARNING)
    return len(numbers)


def _fits(check: Callable[[str, tuple[int, int]], None], name: str, size: tuple[int, int]) -> bool:
    try:
        check(name, size)
    except DatasetError:
        return False
    return True


def _read_some(names: Sequence[str], masks: Masks, skip: bool) -> int:
    """Reads some masks, and says how many; DatasetError where they cannot be right, or none of them holds a class."""
    read = []
    numbers = spread(len(names), PROBE)
    for i in numbers:
        try:
            read.append(masks.as_stored(names[i]))
        except DatasetError:
            if not skip:
                raise
    where = str(masks.store.root)
    require_classes(read, masks.labels.name, where, masks.key)
    tell_confused_sides(read, where)
    return len(numbers)
