"""Reading clips: frames one by one with their times, and all that a file says of how they are to be shown.

PyAV (extra ``video``) is imported here and in ``clip_writer.py`` alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from facesr_ext.errors import DatasetError, DependencyError

CLIP_SUFFIXES = (
    '.mp4', '.m4v', '.mov', '.mkv', '.webm', '.avi', '.mpg', '.mpeg', '.ts', '.mts', '.m2ts', '.wmv', '.flv', '.3gp',
    '.ogv', '.vob',
)  # fmt: skip
"""Of the files that are taken as clips."""
_MATRIX = 'DISPLAYMATRIX'
_LOST = {
    'MASTERING_DISPLAY_METADATA': 'HDR10 mastering data',
    'DYNAMIC_HDR_PLUS': 'HDR10+ data',
    'DOVI_METADATA': 'Dolby Vision data',
}
"""Side data of frames that is not carried over, and what it is called."""
_MOST_BROKEN = 100  # places one after the other at which a file cannot be read, before it is given up
_CURVES = {16: 'PQ', 18: 'HLG'}


def is_clip_name(name: str) -> bool:
    """Whether a file of this name is taken as a clip."""
    return os.path.splitext(name)[1].lower() in CLIP_SUFFIXES


def pyav() -> Any:
    """The package ``av``.

    Raises:
        DependencyError: if it cannot be imported; the message names the command that installs it.
    """
    try:
        import av
    except ImportError as err:
        raise DependencyError(f"clips need PyAV ({err}); run: pip install 'facesr_ext[video]'") from err
    return av


class Turn(NamedTuple):
    """How the stored picture is turned to be seen upright: quarters against the clock, then a mirror from side to side.

    Attributes:
        quarters (int): From 0 to 3.
        mirrored (bool): Whether it is mirrored after that.
    """

    quarters: int = 0
    mirrored: bool = False

    def upright(self, stored: np.ndarray) -> np.ndarray:
        """(H, W, 3) as stored -> as it is seen."""
        turned = np.rot90(stored, self.quarters)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)

    def stored(self, upright: np.ndarray) -> np.ndarray:
        """The other way."""
        back = upright[:, ::-1] if self.mirrored else upright
        return np.ascontiguousarray(np.rot90(back, -self.quarters))


@dataclass
class ClipInfo:
    """What a clip says of itself.

    Attributes:
        width, height (int): As it is seen, pixels.
        rate (Fraction): Mean frames a second.
        time_base (Fraction): Seconds of a tick of its times.
        frames (int): How many there are, by its head; 0 where it does not say.
        format (str): FFmpeg's name of the layout of pixels, as 'yuv420p10le'.
        bits (int): Of a sample.
        colours (dict[str, int]): FFmpeg's numbers: colorspace, color_range, color_primaries, color_trc.
        aspect (Fraction | None): Of a pixel, where it is not square.
        matrix (tuple[int, ...] | None): The display matrix, nine numbers.
        notes (list[str]): What is not carried over, or deserves a look.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    frames: int
    format: str
    bits: int
    colours: dict[str, int]
    aspect: Fraction | None = None
    matrix: tuple[int, ...] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def turn(self) -> Turn:
        """By the display matrix; one that is no quarter turn is not followed."""
        return _turn(self.matrix)


class ClipFrame(NamedTuple):
    """A frame.

    Attributes:
        number (int): From 0.
        time (int): When it is shown, ticks of the clip's `ClipInfo.time_base`; rising.
        duration (int): For how long, ticks; 0 where it is not known.
        stored (av.VideoFrame): As the decoder gives it.
    """

    number: int
    time: int
    duration: int
    stored: Any


class Clip:
    """A file of a clip.

    Args:
        path (Path): The file.

    Raises:
        DatasetError: without a place: if it cannot be opened, or shows nothing.
        DependencyError: without PyAV.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0
        first = next(self._decoded(), None)
        if first is None:
            raise DatasetError('no frame of it can be decoded; is it damaged, or of a codec that FFmpeg has not?')
        with self.opened() as container:
            self.info = _info(container, first)

    def opened(self) -> Any:
        """The container, to be closed.

        Raises:
            DatasetError: if it is none.
        """
        av = pyav()
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError, ValueError) as err:  # ValueError: texts in it that are none in UTF-8
            raise DatasetError(f'cannot be opened as a clip: {getattr(err, "strerror", None) or err}') from err
        if not container.streams.video:
            container.close()
            raise DatasetError('it has no picture, only sound; name a clip')
        return container

    def frames(self, start: int = 0) -> Iterator[ClipFrame]:
        """Decodes frame by frame; those before ``start`` are decoded and passed over, which is exact in every format.

        Raises:
            DatasetError: naming the frame: if its size is another than that of those before.
        """
        last, index = None, -1
        for frame in self._decoded():
            index += 1
            given = frame.pts if frame.pts is not None else frame.dts
            step = max(1, round(1 / (self.info.rate * self.info.time_base)))
            time = given if given is not None else (last + step if last is not None else 0)
            last = time if last is None else max(time, last + 1)
            if index < start:
                continue
            size = self.info.turn.quarters % 2
            shown = (frame.height, frame.width) if size else (frame.width, frame.height)
            if shown != (self.info.width, self.info.height):
                is_now, was = f'{shown[0]}x{shown[1]}', f'{self.info.width}x{self.info.height}'
                raise DatasetError(f'frame {index + 1} is {is_now} px, and those before {was} px; cut the clip there')
            yield ClipFrame(index, last, int(frame.duration or 0), frame)

    def _decoded(self) -> Iterator[Any]:
        """Every frame of the first picture stream that is no cover; packets that cannot be decoded are counted."""
        av = pyav()
        self.damaged = 0
        with self.opened() as container:
            stream = picture_stream(container)
            stream.thread_type = 'AUTO'
            packets, broken = container.demux(stream), 0
            while broken < _MOST_BROKEN:
                try:
                    packet, broken = next(packets, None), 0
                except av.FFmpegError:  # read on behind what is damaged
                    self.damaged, broken = self.damaged + 1, broken + 1
                    packets = container.demux(stream)
                    continue
                if packet is None:
                    break
                try:
                    yield from packet.decode()
                except av.FFmpegError:
                    self.damaged += 1


def picture_stream(container: Any) -> Any:
    """The stream whose frames count: the first that is no cover picture."""
    av = pyav()
    covers = av.stream.Disposition.attached_pic
    return next((s for s in container.streams.video if not s.disposition & covers), container.streams.video[0])


def as_rgb(frame: Any, deep: bool) -> np.ndarray:
    """A decoded frame as (H, W, 3) RGB as it is stored, by its own colour space and range.

    Args:
        frame (av.VideoFrame): The frame.
        deep (bool): uint16, over the whole range; else uint8.
    """
    return frame.reformat(format='rgb48le' if deep else 'rgb24').to_ndarray()


def from_rgb(image: np.ndarray, layout: str, colours: dict[str, int]) -> Any:
    """(H, W, 3) RGB, uint8 or uint16, as a frame of a layout of pixels, in the colours of `ClipInfo`."""
    frame = pyav().VideoFrame.from_ndarray(image, format='rgb24' if image.dtype == np.uint8 else 'rgb48le')
    made = frame.reformat(format=layout, dst_colorspace=colours['colorspace'], dst_color_range=colours['color_range'])
    for name, value in colours.items():
        setattr(made, name, value)
    return made


def in_layout(frame: Any, layout: str) -> Any:
    """A decoded frame in a layout of pixels, itself where it has that; an encoder may make of it what it likes."""
    made = frame if frame.format.name == layout else frame.reformat(format=layout)
    made.pict_type = 0
    return made


def with_change(frame: Any, before: np.ndarray, after: np.ndarray, layout: str, colours: dict[str, int]) -> Any:
    """A frame with a change of its RGB made in its own samples, so that where nothing changes it stays bit for bit.

    Args:
        frame (av.VideoFrame): The frame, of any layout.
        before, after (ndarray): (H, W, 3) RGB of one kind: `as_rgb` of the frame, and what it is to be.
        layout (str): That of the result, where ``frame`` has another.
        colours (dict[str, int]): Of `ClipInfo`.

    Returns:
        av.VideoFrame: A new one; ``frame`` itself where there is no change and it has the layout.
    """
    base = in_layout(frame, layout)
    if np.array_equal(before, after):
        return base
    old, new = from_rgb(before, layout, colours), from_rgb(after, layout, colours)
    peak = 2 ** base.format.components[0].bits - 1
    out = from_rgb(after, layout, colours)
    for planes in zip(out.planes, base.planes, new.planes, old.planes, strict=True):
        mine, *given = (_samples(plane, np.uint8 if peak < 256 else np.uint16) for plane in planes)
        wide = min(samples.shape[1] for samples in (mine, *given))
        same, now, was = (samples[:, :wide].astype(np.int32) for samples in given)
        made = mine.copy()
        made[:, :wide] = np.clip(same + now - was, 0, peak)
        planes[0].update(made.tobytes())
    return out


def _samples(plane: Any, kind: type) -> np.ndarray:
    """(h, n): the samples of a plane, with what fills up its lines."""
    return np.frombuffer(plane, kind).reshape(plane.height, -1)


def _info(container: Any, first: Any) -> ClipInfo:
    stream = picture_stream(container)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    names = ('colorspace', 'color_range', 'color_primaries', 'color_trc')
    colours = {name: int(getattr(first, name)) for name in names}
    matrix = None
    if _MATRIX in first.side_data:
        matrix = tuple(int(value) for value in np.frombuffer(bytes(first.side_data[_MATRIX]), '<i4'))
    turned = _turn(matrix).quarters % 2
    width, height = (first.height, first.width) if turned else (first.width, first.height)
    notes = [f'{name} is not carried over' for key, name in _LOST.items() if key in first.side_data]
    if curve := _CURVES.get(colours['color_trc']):
        notes.append(f'HDR ({curve}): faces are restored by models of ordinary pictures; look at them')
    if first.interlaced_frame:
        notes.append('interlaced: its lines are taken as whole frames; deinterlace it first')
    videos = len(container.streams.video)
    others = videos - 1 + len(container.streams.data) + len(container.streams.attachments)
    if others:
        notes.append(f'{others} streams are left out that are neither its picture, sound nor subtitles')
    aspect = stream.sample_aspect_ratio
    return ClipInfo(
        width, height, Fraction(rate), Fraction(stream.time_base), stream.frames, first.format.name,
        max(component.bits for component in first.format.components), colours,
        aspect if aspect not in (None, 0, 1) else None, matrix, notes,
    )  # fmt: skip


def _turn(matrix: tuple[int, ...] | None) -> Turn:
    """The turn that a display matrix asks for: it maps (x, y) as stored to (a x + c y, b x + d y) as seen."""
    if matrix is None:
        return Turn()
    wanted = np.sign([[matrix[0], matrix[3]], [matrix[1], matrix[4]]])
    if abs(int(round(float(np.linalg.det(wanted))))) != 1 or np.abs(wanted).sum() != 2:
        return Turn()
    quarter, mirror = np.array([[0, 1], [-1, 0]]), np.array([[-1, 0], [0, 1]])  # against the clock; y points down
    for mirrored in (False, True):
        made = mirror if mirrored else np.eye(2, dtype=int)
        for quarters in range(4):
            if np.array_equal(made @ np.linalg.matrix_power(quarter, quarters), wanted):
                return Turn(quarters, mirrored)
    return Turn()
