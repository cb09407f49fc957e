"""Where frames come from: the file of a clip, or a folder whose pictures are its frames in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from facesr_ext.data.clip_io import Clip, ClipInfo, as_rgb
from facesr_ext.data.photo_io import PhotoFile, decode_photo_file
from facesr_ext.errors import DatasetError

RATE = Fraction(25)
"""Frames a second of a folder that is written as a clip."""
_LAYOUTS = {8: 'yuv420p', 16: 'yuv420p10le'}
_BT709 = {'colorspace': 1, 'color_range': 1, 'color_primaries': 1, 'color_trc': 1}


class Given(NamedTuple):
    """A frame as it is given.

    Attributes:
        number (int): From 0.
        time (int): When it is shown, ticks of the source's time base.
        duration (int): Ticks; 0 where it is not known.
        image (ndarray): (H, W, 3), uint8 or uint16, RGB, upright.
        stored (Any): What else its place has to say: a frame of PyAV, or a `PhotoFile`.
    """

    number: int
    time: int
    duration: int
    image: np.ndarray
    stored: Any


class Source(Protocol):
    """What frames come from."""

    info: ClipInfo

    def frames(self, start: int = 0) -> Iterator[Given]:
        """The frames from ``start`` on."""
        ...

    def stamp(self) -> list[str]:
        """What tells it from another of its name."""
        ...

    def damaged(self) -> int:
        """How many pieces of it could not be decoded the last time."""
        ...


class ClipSource:
    """The file of a clip.

    Raises:
        DatasetError, DependencyError: as `Clip`.
    """

    def __init__(self, path: Path) -> None:
        self.clip = Clip(path)
        self.info = self.clip.info

    def frames(self, start: int = 0) -> Iterator[Given]:
        """Decodes from the beginning on; frames before ``start`` are not converted."""
        deep, turn = self.info.bits > 8, self.info.turn
        for frame in self.clip.frames(start):
            image = turn.upright(as_rgb(frame.stored, deep))
            yield Given(frame.number, frame.time, frame.duration, image, frame.stored)

    def stamp(self) -> list[str]:
        """Name, size and time of the file."""
        return [stamp_of(self.clip.path)]

    def damaged(self) -> int:
        """Packets."""
        return self.clip.damaged


class FolderSource:
    """Pictures of one size.

    Args:
        paths (Sequence[Path]): In order.
        rate (Fraction): Frames a second.

    Raises:
        DatasetError: for a first picture that cannot be read.
    """

    def __init__(self, paths: Sequence[Path], rate: Fraction = RATE) -> None:
        self.paths = list(paths)
        height, width = _read(self.paths[0]).image.shape[:2]
        bits = 16 if _read(self.paths[0]).image.dtype == np.uint16 else 8
        tick = 1 / (rate.limit_denominator(60000) * 512)
        self.info = ClipInfo(width, height, rate, tick, len(self.paths), _LAYOUTS[bits], bits, dict(_BT709))

    def frames(self, start: int = 0) -> Iterator[Given]:
        """Reads picture by picture.

        Raises:
            DatasetError: naming the picture: if it cannot be read, or is of another size than the first.
        """
        for index in range(start, len(self.paths)):
            photo = _read(self.paths[index])
            size = photo.image.shape[1::-1]
            if size != (self.info.width, self.info.height):
                was = f'{self.info.width}x{self.info.height}'
                raise DatasetError(f'{self.paths[index]} is {size[0]}x{size[1]} px, and the first frame {was} px')
            yield Given(index, index * 512, 512, photo.image, photo)

    def stamp(self) -> list[str]:
        """Of all pictures."""
        return [stamp_of(path) for path in self.paths]

    def damaged(self) -> int:
        """None: a picture that cannot be read is an error."""
        return 0


def stamp_of(path: Path) -> str:
    """Name, size and time of a file."""
    stat = path.stat()
    return f'{path.name}|{stat.st_size}|{stat.st_mtime_ns}'


def _read(path: Path) -> PhotoFile:
    try:
        return decode_photo_file(path.read_bytes())
    except OSError as err:
        raise DatasetError(f'{path}: cannot be read: {err.strerror or err}') from err
    except DatasetError as err:
        raise DatasetError(f'{path}: {err}') from err
