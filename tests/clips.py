"""Small clips of drawn faces that move, for tests that have PyAV."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesr_ext.faces.drawn.face import render_face

WIDTH, HEIGHT, SIDE = 192, 144, 112
TICK = Fraction(1, 12800)


def scene(frames: int, cut: int | None = None) -> list[np.ndarray]:
    """Frames (HEIGHT, WIDTH, 3) uint8: a face that moves to the right, from ``cut`` on another one that moves back."""
    found, rng = [], np.random.default_rng(0)
    for index in range(frames):
        second = cut is not None and index >= cut
        image = np.full((HEIGHT, WIDTH, 3), (60, 90, 140) if second else (150, 110, 60), np.float32)
        left = 70 - 2 * index if second else 10 + 2 * index
        image[16 : 16 + SIDE, left : left + SIDE] = render_face(3, 1 if second else 0, SIDE).image
        found.append(np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8))
    return found


def write_clip(
    path: Path,
    images: Sequence[np.ndarray],
    times: Sequence[int] | None = None,
    turn: int = 0,
    layout: str = 'yuv420p',
    sound: bool = True,
) -> None:
    """Writes a clip as cameras do.

    Args:
        path (Path): Its file.
        images (Sequence[ndarray]): Upright frames.
        times (Sequence[int] | None): Of `TICK`. Default: 25 frames a second.
        turn (int): By how many degrees against the clock the stored pictures have to be turned: 0, 90, 180, -90.
        layout (str): Of the pixels.
        sound (bool): With a tone.
    """
    av: Any = pytest.importorskip('av')
    with av.open(str(path), 'w') as out:
        out.metadata['title'] = 'A clip'  # before the first packet, with which the head is written
        stream = out.add_stream('libx264', rate=25, options={'crf': '12'})
        stored = [np.ascontiguousarray(np.rot90(image, -turn // 90)) for image in images]
        stream.height, stream.width, stream.pix_fmt = *stored[0].shape[:2], layout
        context = stream.codec_context
        context.time_base = TICK
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        if turn:
            stream.set_display_rotation(turn)
        voice = out.add_stream('aac', rate=44100) if sound else None
        for index, image in enumerate(stored):
            frame = av.VideoFrame.from_ndarray(image).reformat(format=layout, dst_colorspace=1, dst_color_range=1)
            frame.pts, frame.time_base = times[index] if times else 512 * index, TICK
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        if voice is not None:
            tone = np.sin(np.arange(44100 * len(images) // 25) * 0.06).astype(np.float32)[None]
            for start in range(0, tone.shape[1], 1024):
                part = av.AudioFrame.from_ndarray(tone[:, start : start + 1024], format='fltp', layout='mono')
                part.sample_rate, part.pts = 44100, start
                out.mux(voice.encode(part))
            out.mux(voice.encode())


def read_clip(path: Path) -> tuple[list[int], list[np.ndarray], dict[str, Any]]:
    """Times in ticks of `TICK`, frames as they are stored, and what the file says of them."""
    av: Any = pytest.importorskip('av')
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        frames = list(source.decode(stream))
        first, base = frames[0], stream.time_base
        said = {
            'turn': first.rotation,
            'layout': first.format.name,
            'colours': [first.colorspace, first.color_range, first.color_primaries, first.color_trc],
            'codec': stream.codec_context.name,
            'title': source.metadata.get('title', source.metadata.get('TITLE')),
        }
        times = [round(frame.pts * base / TICK) for frame in frames]
        return times, [frame.to_ndarray(format='rgb24') for frame in frames], said


def sound_of(path: Path) -> list[tuple[float, bytes]]:
    """The packets of the sound: seconds and bytes."""
    av: Any = pytest.importorskip('av')
    with av.open(str(path)) as source:
        packets = source.demux(source.streams.audio)
        return [(round(float(p.pts * p.time_base), 4), bytes(p)) for p in packets if p.size]
