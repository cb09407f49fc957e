"""Small clips of drawn faces that move, for tests that have PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesr_ext.faces.drawn.face import render_face

WIDTH, HEIGHT, SIDE = 192, 144, 112
TICK = Fraction(1, 512 * 25)


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
