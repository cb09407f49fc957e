"""What has been measured already, by the content of what it was measured on: a comparison goes on where it was stopped.

A file a method, a line an image. Its key is the hash of the images' pixels, the file's name that of the weights and
settings: whatever changes, is measured again, and nothing else is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass
class Entry:
    """What is known of a method's result for an image.

    Attributes:
        result (str): Hash of the result's pixels; '' where it has not been made.
        seconds (dict): Machine -> seconds that it took.
        figures (dict): Key of a metric -> its value.
        features (dict): Key of a metric of whole sets -> (D,) float32.
    """

    result: str = ''
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    features: dict[str, np.ndarray] = field(default_factory=dict)


class Cache:
    """The entries of one method; each change is appended to its file at once.

    Args:
        folder (Path): Of the comparison's cache; made where it is missing.
        key (str): Hash of what the method's results are a function of.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.path = folder / f'{key[:32]}.jsonl'
        self._entries: dict[str, Entry] = {}
        if self.path.is_file():
            self._read()

    def __getitem__(self, image: str) -> Entry:
        return self._entries.setdefault(image, Entry())

    def write(self, image: str) -> None:
        """Notes what is known of an image; of lines of one image the last counts."""
        entry = self._entries[image]
        line = {
            'image': image,
            'result': entry.result,
            'seconds': entry.seconds,
            'figures': {key: _coded(value) for key, value in entry.figures.items()},
            'features': {key: _encoded(value) for key, value in entry.features.items()},
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open('a+b') as file:
            if file.tell():
                file.seek(-1, 2)
                broken = file.read(1) != b'\n'  # a line that was cut off ends here
                file.write(b'\n' if broken else b'')
            file.write(json.dumps(line).encode() + b'\n')

    def _read(self) -> None:
        for line in self.path.read_bytes().splitlines():
            try:
                found = json.loads(line)
                self._entries[found['image']] = Entry(
                    found['result'],
                    found['seconds'],
                    {key: float(value) for key, value in found['figures'].items()},
                    {key: _decoded(value) for key, value in found['features'].items()},
                )
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue  # cut off by the end of an earlier run: it is measured again


def pixels_key(*images: np.ndarray | None) -> str:
    """The hash of images' pixels and sizes."""
    found = hashlib.sha256()
    for image in images:
        found.update(repr(None if image is None else image.shape).encode())
        found.update(b'' if image is None else np.ascontiguousarray(image).tobytes())
    return found.hexdigest()[:32]


def metric_key(section: Mapping[str, Any]) -> str:
    """The hash of a metric's section."""
    return hashlib.sha256(json.dumps(section, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _coded(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _encoded(features: np.ndarray) -> str:
    return base64.b64encode(features.astype('<f4').tobytes()).decode()


def _decoded(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), '<f4')
