"""Where restored frames go: segments that are joined into a clip, or a folder of pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from facesr_ext.data.clip_io import Clip, ClipInfo, from_rgb, with_change
from facesr_ext.data.clip_writer import Coding, Times, join, write_segment
from facesr_ext.data.photo_io import PhotoFile, encode_photo_file, written_suffix
from facesr_ext.errors import DatasetError
from facesr_ext.inference.video.sources import Given
from facesr_ext.runs.atomic import replaced_when_whole

Result = tuple[Given, np.ndarray]
"""A frame, and its restored picture."""


class Sink(Protocol):
    """What takes restored frames, segment by segment."""

    def has(self, number: int, first: int, stop: int) -> bool:
        """Whether a segment is there already."""
        ...

    def write(self, number: int, results: Iterable[Result]) -> None:
        """Takes a segment; it is there whole or not at all."""
        ...

    def finish(self, times: Times) -> None:
        """All segments are there."""
        ...


class ClipSink:
    """A clip.

    Args:
        target (Path): Its file.
        parts (Path): Where its segments are kept until it is whole.
        info (ClipInfo): Of the source.
        coding (Coding): How it is encoded.
        clip (Clip | None): The source, where that is a clip: its sound is copied.
    """

    def __init__(self, target: Path, parts: Path, info: ClipInfo, coding: Coding, clip: Clip | None) -> None:
        self.target, self.parts, self.info, self.coding, self.clip = target, parts, info, coding, clip
        self.segments: list[Path] = []

    def has(self, number: int, first: int, stop: int) -> bool:
        """By its file, which is there when it is whole."""
        self.segments.append(self.parts / f'{number:06d}.mkv')
        return self.segments[-1].is_file()

    def write(self, number: int, results: Iterable[Result]) -> None:
        """Encodes it."""
        with replaced_when_whole(self.parts / f'{number:06d}.mkv') as temporary:
            write_segment(temporary, self._frames(results), self.info, self.coding)

    def _frames(self, results: Iterable[Result]) -> Iterator[Any]:
        for given, image in results:
            yield self._frame(given, image)

    def _frame(self, given: Given, image: np.ndarray) -> Any:
        """A restored picture as the encoder takes it; where nothing was changed it is the given frame's own samples."""
        even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
        if isinstance(given.stored, PhotoFile):
            return from_rgb(np.ascontiguousarray(even), self.coding.layout, self.info.colours)
        turn, same = self.info.turn, image.shape == given.image.shape
        if not same or even.shape != image.shape:
            stored = turn.stored(np.ascontiguousarray(even))
            return from_rgb(stored, self.coding.layout, self.info.colours)
        before, after = turn.stored(given.image), turn.stored(image)
        return with_change(given.stored, before, after, self.coding.layout, self.info.colours)

    def finish(self, times: Times) -> None:
        """Joins the segments, and copies the sound."""
        with replaced_when_whole(self.target) as temporary:
            join(temporary, self.target.suffix.lower(), self.segments, times, self.info, self.clip)


class FolderSink:
    """A folder of pictures of the given ones' names and kinds.

    Args:
        folder (Path): The folder.
        names (Sequence[str]): Of all frames.
        quality (int): Of JPEG and WebP.
    """

    def __init__(self, folder: Path, names: Sequence[str], quality: int) -> None:
        self.folder, self.names, self.quality = folder, list(names), quality

    def has(self, number: int, first: int, stop: int) -> bool:
        """By its pictures."""
        return all((self.folder / name).is_file() for name in self.names[first:stop])

    def write(self, number: int, results: Iterable[Result]) -> None:
        """Writes its pictures, each whole or not at all.

        Raises:
            DatasetError: naming the picture, if it cannot be encoded.
        """
        for given, image in results:
            target = self.folder / self.names[given.number]
            photo: PhotoFile = given.stored
            alpha = photo.alpha if photo.alpha is None or photo.alpha.shape == image.shape[:2] else None
            suffix = written_suffix(target.suffix) or photo.suffix
            try:
                data, _ = encode_photo_file(photo._replace(image=image, alpha=alpha, suffix=suffix), self.quality)
            except DatasetError as err:
                raise DatasetError(f'{target.name}: {err}') from err
            target.parent.mkdir(parents=True, exist_ok=True)
            with replaced_when_whole(target) as temporary:
                temporary.write_bytes(data)

    def finish(self, times: Times) -> None:
        """There is no more to do."""
