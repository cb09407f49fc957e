"""The models that come with the package, by their names."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from facesr_ext.errors import CheckpointError
from facesr_ext.runs.checkpoints import file_sha256


class Shipped(NamedTuple):
    """A file in ``pretrained/``: its name, its SHA-256, and what the model is for."""

    file: str
    sha256: str
    summary: str


SHIPPED = {
    'default': Shipped(
        'restore.safetensors',
        'd09c0487f325c7ec1daaaa0895b05b779cf2adc7663dfe9fe85cb94d8b5e1455',
        'faithful: nothing that the photograph does not show',
    ),
    'sharp': Shipped(
        'restore_sharp.safetensors',
        '91e29eefb3416a4ace01265a515f2086cf98c10a57e81a0a1c870d455a86ec10',
        'finer skin and hair, partly made up',
    ),
}
DEFAULT = 'default'
LICENCE = 'CC-BY-NC-SA-4.0'
"""Of the weights of all of them."""
_FOLDER = Path(__file__).with_name('pretrained')


def shipped_model(name: str) -> Path:
    """The file of a model of the package.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    model = SHIPPED[name]
    path = _FOLDER / model.file
    if not path.is_file() or file_sha256(path) != model.sha256:
        what = 'is damaged' if path.is_file() else 'is missing'
        raise CheckpointError(f'the model {name!r} of the package ({path}) {what}; install facesr_ext anew')
    return path
