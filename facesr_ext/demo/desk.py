"""The work behind the page: photographs of visitors looked at, restored and written. It knows nothing of the page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from facesr_ext.data.photo_io import PhotoFile, decode_photo_file, encode_photo_file
from facesr_ext.demo.limits import Limits
from facesr_ext.demo.outlines import face_at, outlined
from facesr_ext.demo.store import GONE, Kept, Store
from facesr_ext.errors import FaceSRError
from facesr_ext.faces.detection import build_detector
from facesr_ext.host.memory import give_freed_memory_back
from facesr_ext.inference.face_record import RestoredPhoto
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.photo_checks import to_8_bits
from facesr_ext.inference.photo_files import photo_record, result_name, with_result
from facesr_ext.inference.progress import Progress

_SHOWN, _COMPARED = (1000, 1600), (1, 4096)  # px of the longer side: of what is outlined, and in the slider
_QUALITY = 92  # of JPEG
AS_IT_WAS, FORMATS = 'as it was', {'as it was': None, 'PNG': '.png', 'JPEG': '.jpg'}
"""What a result is written as, and its suffix."""


class Made(NamedTuple):
    """What a visitor takes home: the files of the restored photograph and of its record, and the record."""

    photo: Path
    json: Path
    record: dict[str, Any]


class Desk:
    """Restores photographs that a store keeps.

    Args:
        models (Sequence[str]): By name or place, as `PhotoRestorer` takes them; the first is the usual one.
        store (Store): Where photographs are.
        limits (Limits): What is allowed.
        device (str | None): Where networks run. Default: a GPU where there is one.

    Raises:
        FaceSRError: for a model that cannot be opened.
    """

    def __init__(self, models: Sequence[str], store: Store, limits: Limits, device: str | None = None) -> None:
        detector = build_detector('centerface')
        self.restorers = {model: PhotoRestorer(model, detector=detector, device=device) for model in models}
        for restorer in self.restorers.values():
            restorer.require_for_photos()
        self.store, self.limits = store, limits

    def look(self, session: str, name: str, data: bytes, upload: Path | None = None) -> Kept:
        """Finds the faces of a photograph, which is kept in place of the session's earlier one.

        Args:
            session (str): Whose it is.
            name (str): Of the file.
            data (bytes): What it holds.
            upload (Path | None): Where the upload lies.

        Raises:
            FaceSRError: for what is too large, or no photograph.
        """
        if len(data) > self.limits.megabytes * 1e6:
            raise FaceSRError(f'The file is larger than {self.limits.megabytes} MB; make it smaller.')
        photo = decode_photo_file(data, self.limits.pixels)
        found = next(iter(self.restorers.values())).find(photo.image)
        kept = self.store.put(session, name, data, upload)
        kept.found, kept.longest = found, max(photo.image.shape[:2])
        _write_jpeg(kept.folder / 'shown.jpg', _within(to_8_bits(photo.image), *_SHOWN))
        del photo
        give_freed_memory_back()
        return kept

    def outline(self, kept: Kept, on: Collection[int]) -> Path:
        """Draws the faces into the photograph, as `outlines` does; a new file each time, which no browser has kept."""
        shown = self._shown(kept)
        kept.drawn += 1
        for old in kept.folder.glob('faces_*.jpg'):
            old.unlink(missing_ok=True)
        path = kept.folder / f'faces_{kept.drawn}.jpg'
        _write_jpeg(path, outlined(shown, self._scale(kept, shown), kept.found, on))
        return path

    def face_at(self, kept: Kept, x: float, y: float) -> int | None:
        """The number of the face at a place of the outlined photograph, in its pixels."""
        scale = self._scale(kept, self._shown(kept))
        return face_at(kept.found, x / scale, y / scale)

    def restore(
        self, kept: Kept, model: str, numbers: Sequence[int], strength: float, progress: Progress | None = None
    ) -> tuple[Path, Path]:
        """Restores the faces of these numbers.

        Args:
            kept (Kept): The photograph.
            model (str): One of the desk's.
            numbers (Sequence[int]): Of faces.
            strength (float): In [0, 1].
            progress (Callable | None): Is told (steps done, steps).

        Returns:
            tuple[Path, Path]: Pictures before and after, of one size.

        Raises:
            FaceSRError: for another model, no face, and what takes too long.
        """
        if model not in self.restorers:
            raise FaceSRError(f'There is no model {model!r}; there are {", ".join(self.restorers)}.')
        if not numbers:
            raise FaceSRError('Every face is switched off; switch on those that are to be restored.')
        photo = self._photo(kept)
        tell = _within_time(self.limits.seconds, progress)
        result = self.restorers[model].restore(photo.image, faces=list(numbers), strength=strength, progress=tell)
        np.save(kept.result, result.image)
        kept.restored = [replace(face, before=None, after=None) for face in result.faces]
        pair = (kept.folder / 'before.jpg', kept.folder / f'after_{time.time_ns()}.jpg')
        for old in kept.folder.glob('after_*.jpg'):
            old.unlink(missing_ok=True)
        for path, image in zip(pair, (photo.image, result.image), strict=True):
            _write_jpeg(path, _within(to_8_bits(image), *_COMPARED))
        del photo, result, image
        give_freed_memory_back()
        return pair

    def write(self, kept: Kept, kind: str) -> Made:
        """Writes the last result and its record as `facesr restore` does.

        Args:
            kept (Kept): The photograph.
            kind (str): One of `FORMATS`.

        Raises:
            FaceSRError: for another format, and before anything is restored.
        """
        if kind not in FORMATS:
            raise FaceSRError(f'There is no format {kind!r}; there are {", ".join(FORMATS)}.')
        if not kept.result.is_file():
            raise FaceSRError('Nothing is restored yet.')
        photo, result = self._photo(kept), RestoredPhoto(np.load(kept.result), kept.restored)
        suffix = FORMATS[kind]
        data, lost = encode_photo_file(with_result(photo, result, suffix or photo.suffix))
        record = photo_record(kept.name, photo, result, lost)
        out = kept.folder / 'out'
        out.mkdir(exist_ok=True)
        for old in out.iterdir():
            old.unlink()
        made = Made(out / result_name(kept.name, suffix or photo.suffix), out / 'faces.json', record)
        made = made._replace(json=made.photo.with_name(f'{made.photo.name}.json'))
        made.photo.write_bytes(data)
        made.json.write_text(json.dumps(record, indent=1, ensure_ascii=False), encoding='utf-8')
        return made

    def _photo(self, kept: Kept) -> PhotoFile:
        try:
            return decode_photo_file(kept.original.read_bytes(), self.limits.pixels)
        except OSError as err:
            raise FaceSRError(GONE) from err

    def _shown(self, kept: Kept) -> np.ndarray:
        try:
            return decode_photo_file((kept.folder / 'shown.jpg').read_bytes()).image
        except OSError as err:
            raise FaceSRError(GONE) from err

    def _scale(self, kept: Kept, shown: np.ndarray) -> float:
        """Pixels that are shown for one of the photograph."""
        return max(shown.shape[:2]) / kept.longest


def _within_time(seconds: float, progress: Progress | None) -> Callable[[int, int], None]:
    """Tells of progress, until the time is up.

    Raises:
        FaceSRError: from then on.
    """
    end = time.monotonic() + seconds

    def tell(done: int, of: int) -> None:
        if time.monotonic() > end and done < of:
            raise FaceSRError(f'This takes longer than {seconds:g} s, which is all that is allowed; take fewer faces.')
        if progress is not None:
            progress(done, of)

    return tell


def _within(image: np.ndarray, least: int, most: int) -> np.ndarray:
    """A picture whose longer side has so many pixels at least and at most."""
    longest = max(image.shape[:2])
    share = min(max(longest, least), most) / longest
    if share == 1:
        return image
    size = (max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if share < 1 else cv2.INTER_CUBIC)


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    path.write_bytes(encode_photo_file(PhotoFile(image, suffix='.jpg'), _QUALITY)[0])
