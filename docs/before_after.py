"""Draws docs/before_after.jpg: a portrait that may be shown, damaged, restored by the default model, and as it was.

    python docs/before_after.py

The portrait is NASA's of Eileen Collins (public domain, in scikit-image): half the size, noise of 8 levels, JPEG at 50;
then what ``facesr restore portrait.jpg --upscale 2`` makes of it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from skimage import data

from facesr_ext import PhotoRestorer

_PART = np.s_[10:250, 100:340]  # head and shoulders
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 50]


def damaged(portrait: np.ndarray) -> np.ndarray:
    """(512, 512, 3) uint8 RGB -> (256, 256, 3)."""
    small = cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)
    noisy = np.clip(small + np.random.default_rng(0).normal(0, 8, small.shape), 0, 255).astype(np.uint8)
    encoded = cv2.imencode('.jpg', noisy[..., ::-1], _QUALITY)[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR))[..., ::-1]


def main() -> None:
    """Writes the picture."""
    portrait = data.astronaut()
    given = np.ascontiguousarray(damaged(portrait))
    restored = PhotoRestorer(upscale=2).restore(given).image
    before = cv2.resize(given, (512, 512), interpolation=cv2.INTER_LANCZOS4)
    row = np.concatenate([image[_PART] for image in (before, restored, portrait)], axis=1)
    row = cv2.resize(row, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    encoded = cv2.imencode('.jpg', row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1]
    Path(__file__).with_name('before_after.jpg').write_bytes(encoded.tobytes())


if __name__ == '__main__':
    main()
