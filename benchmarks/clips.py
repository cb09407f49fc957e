"""Clips to measure on: drawn faces that move, a window that moves over a photograph.

PyAV (extra `video`) writes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from facesr_ext.data.clip_io import pyav
from facesr_ext.faces.drawn.face import render_face

SHOT = 6
"""Seconds of a shot of drawn faces; then there is a cut."""
_NOISE = 6.0  # standard deviation, levels of 255
_FACE = 256  # px at which faces are drawn
_SOUND = 44100


class _Place(NamedTuple):
    """Where a face is in a frame whose height is 1: its middle, its side, degrees by which it is turned."""

    face: int
    x: float
    y: float
    side: float
    angle: float


def write_clip(
    path: Path,
    images: Iterable[np.ndarray],
    times: Sequence[int] | None = None,
    rate: int = 25,
    turn: int = 0,
    layout: str = 'yuv420p',
    sound: bool = True,
    crf: int = 12,
) -> None:
    """Writes a clip as cameras do.

    Args:
        path (Path): Its file.
        images (Iterable[ndarray]): Upright frames (H, W, 3) uint8 RGB, at least one.
        times (Sequence[int] | None): Of the frames, in ticks of which a frame at ``rate`` has 512.
        rate (int): Frames a second.
        turn (int): By how many degrees against the clock the stored pictures have to be turned: 0, 90, 180, -90.
        layout (str): Of the pixels.
        sound (bool): With a tone.
        crf (int): Of the encoder.

    Raises:
        DependencyError: without PyAV.
    """
    av, given = pyav(), iter(images)
    first = next(given)
    height, width = np.rot90(first, -turn // 90).shape[:2]
    with av.open(str(path), 'w') as out:
        out.metadata['title'] = 'A clip'  # before the first packet, with which the head is written
        stream = out.add_stream('libx264', rate=rate, options={'crf': str(crf)})
        stream.height, stream.width, stream.pix_fmt = height, width, layout
        context = stream.codec_context
        context.time_base = Fraction(1, 512 * rate)
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        if turn:
            stream.set_display_rotation(turn)
        voice = out.add_stream('aac', rate=_SOUND) if sound else None
        frames = 0
        for image in itertools.chain([first], given):
            stored = np.ascontiguousarray(np.rot90(image, -turn // 90))
            frame = av.VideoFrame.from_ndarray(stored).reformat(format=layout, dst_colorspace=1, dst_color_range=1)
            frame.pts, frame.time_base = times[frames] if times else 512 * frames, context.time_base
            out.mux(stream.encode(frame))
            frames += 1
        out.mux(stream.encode())
        if voice is not None:
            tone = np.sin(np.arange(_SOUND * frames // rate) * 0.06).astype(np.float32)[None]
            for start in range(0, tone.shape[1], 1024):
                part = av.AudioFrame.from_ndarray(tone[:, start : start + 1024], format='fltp', layout='mono')
                part.sample_rate, part.pts = _SOUND, start
                out.mux(voice.encode(part))
            out.mux(voice.encode())


def drawn_frames(frames: int, rate: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Drawn faces that move and turn before a still ground, with noise: by turns a shot of two and a shot of one.

    Args:
        frames (int): How many.
        rate (int): Frames a second.
        size (tuple[int, int]): Width and height.

    Yields:
        ndarray: (H, W, 3) uint8 RGB.
    """
    rng = np.random.default_rng(0)
    for index in range(frames):
        second = index / rate
        shot = int(second // SHOT) % 2
        image = _ground(shot, size).copy()
        for place in _places(second, shot, size[0] / size[1]):
            _draw(image, place)
        yield np.clip(image + rng.normal(0, _NOISE, image.shape), 0, 255).astype(np.uint8)


def _places(t: float, shot: int, aspect: float) -> list[_Place]:
    if shot:
        x, y = aspect * (0.5 + 0.12 * np.sin(t)), 0.5 + 0.04 * np.cos(2 * t)
        return [_Place(2, x, y, 0.47, 5 * np.cos(1.5 * t))]
    left = _Place(
        0, aspect * (0.25 + 0.09 * np.sin(1.2 * t)), 0.5 + 0.05 * np.sin(2 * t), 0.42 + 0.04 * np.sin(t),
        8 * np.sin(1.7 * t),
    )  # fmt: skip
    return [left, _Place(1, aspect * (0.75 + 0.06 * np.cos(t)), 0.53, 0.3, 5 * np.sin(t) - 5)]


def _draw(image: np.ndarray, place: _Place) -> None:
    """Draws a face into a float32 picture."""
    height, width = image.shape[:2]
    scale, middle = place.side * height / _FACE, (_FACE - 1) / 2
    matrix = cv2.getRotationMatrix2D((middle, middle), place.angle, scale)
    matrix[:, 2] += np.array([place.x, place.y]) * height - middle
    face = cv2.GaussianBlur(_face(place.face), (0, 0), 0.6 / scale)
    drawn = cv2.warpAffine(face, matrix, (width, height))
    share = cv2.warpAffine(np.ones((_FACE, _FACE), np.float32), matrix, (width, height))[..., None]
    image += share * (drawn - image)


@lru_cache(maxsize=8)
def _face(index: int) -> np.ndarray:
    return render_face(3, index, _FACE).image.astype(np.float32)


@lru_cache(maxsize=4)
def _ground(shot: int, size: tuple[int, int]) -> np.ndarray:
    """A shade, or blotches."""
    width, height = size
    if shot:
        shade = np.linspace(0, 60, width, dtype=np.float32)[None, :, None]
        return np.broadcast_to(np.array([70, 110, 60], np.float32) + shade, (height, width, 3))
    blotches = np.random.default_rng(1).integers(0, 255, (height // 4, width // 4, 3)).astype(np.float32)
    return cv2.resize(cv2.GaussianBlur(blotches, (0, 0), 3), size)


def panned_frames(photo: np.ndarray, frames: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """A window that moves over a photograph and comes slowly nearer, with noise, as a camera in a hand has it.

    Args:
        photo (ndarray): (H, W, 3) uint8 RGB.
        frames (int): How many.
        size (tuple[int, int]): Width and height of a frame.

    Yields:
        ndarray: (H, W, 3) uint8 RGB.
    """
    rng = np.random.default_rng(0)
    (high, wide), (width, height) = photo.shape[:2], size
    for index in range(frames):
        zoom = min(wide / width, high / height) * (0.9 - 0.1 * index / frames)  # pixels of the photograph for one
        x, y = wide * (0.5 + 0.05 * np.sin(index / 6)), high * (0.5 + 0.02 * np.cos(index / 5))
        matrix = np.array([[1 / zoom, 0, width / 2 - x / zoom], [0, 1 / zoom, height / 2 - y / zoom]])
        soft = cv2.GaussianBlur(photo, (0, 0), 0.5 * zoom).astype(np.float32)
        made = cv2.warpAffine(soft, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        yield np.clip(made + rng.normal(0, _NOISE, made.shape), 0, 255).astype(np.uint8)
