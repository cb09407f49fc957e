"""Results that a broken-off packing has left, so that the same command goes on there."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np

from facesr_ext.data.image_io import encode_image
from facesr_ext.inference.restorer import Restorer
from facesr_ext.runs.atomic import replaced_when_whole

_SECONDS = 'seconds.txt'


class KeptResults:
    """Results of one network in a hidden folder beside the archive, found again by the content of their LQ.

    Args:
        restorer (Restorer): Whose weights and settings name the folder: what another one has left is not taken.
        target (Path): The archive.

    Attributes:
        taken (int): Results that were there.
    """

    def __init__(self, restorer: Restorer, target: Path) -> None:
        self.folder = target.with_name(f'.{target.name}.{_fingerprint(restorer)}')
        self.taken = 0

    def find(self, lq: np.ndarray) -> bytes | None:
        """The PNG of the result for an LQ (h, w, 3), None where there is none yet."""
        path = self._path(lq)
        if not path.is_file():
            return None
        self.taken += 1
        return path.read_bytes()

    def add(self, lq: np.ndarray, result: np.ndarray, seconds: float) -> bytes:
        """Keeps the result (H, W, 3) for an LQ and the seconds that it took; returns its PNG.

        Raises:
            OSError: if it cannot be written.
        """
        data = encode_image(result)
        self.folder.mkdir(parents=True, exist_ok=True)
        with replaced_when_whole(self._path(lq)) as temporary:
            temporary.write_bytes(data)
        with (self.folder / _SECONDS).open('a', encoding='utf-8') as file:
            file.write(f'{seconds!r}\n')
        return data

    def seconds(self) -> list[float]:
        """The seconds of every result."""
        return [float(line) for line in (self.folder / _SECONDS).read_text(encoding='utf-8').split()]

    def remove(self) -> None:
        """Removes the folder, which is of no use once the archive is there or refused."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, lq: np.ndarray) -> Path:
        return self.folder / f'{hashlib.sha256(repr(lq.shape).encode() + lq.tobytes()).hexdigest()[:32]}.png'


def _fingerprint(restorer: Restorer) -> str:
    settings = restorer.scale, restorer.self_ensemble, restorer.tiling, restorer.precision.dtype, restorer.device.type
    digest = hashlib.sha256(repr((type(restorer.net).__name__, *settings)).encode())
    for name, tensor in restorer.net.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()[:16]
