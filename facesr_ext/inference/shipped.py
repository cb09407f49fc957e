"""The models that come with the package, by their names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.runs.checkpoints import file_sha256


class Shipped(NamedTuple):
    """A file in ``pretrained/``: its name, its SHA-256, what the model is for, and whether for aligned faces alone."""

    file: str
    sha256: str
    summary: str
    aligned: bool = False


SHIPPED = {
    'default': Shipped(
        'restore.safetensors',
        'e744c47aaa42e06f85f050008da9bb6482dd34f5a73d2f26644a6dd58d9e535d',
        'faithful: nothing that the photograph does not show',
    ),
    'sharp': Shipped(
        'restore_sharp.safetensors',
        '91e29eefb3416a4ace01265a515f2086cf98c10a57e81a0a1c870d455a86ec10',
        'finer skin and hair, partly made up',
    ),
    'x4': Shipped(
        'x4.safetensors',
        '847cbade770a887d22dc452862907371bb456e84cabc477693da194b54263d5c',
        'aligned faces of 128 px, blurred, noisy and compressed, to 512 px',
        aligned=True,
    ),
    'x8': Shipped(
        'x8.safetensors',
        '11c9a6860f730c8a16b955c23126bd22396e6d603ee432e8fe662d5e47bb356d',
        'aligned faces of 16 px, made small by bicubic, to 128 px',
        aligned=True,
    ),
}
DEFAULT = 'default'
LICENCE = 'CC-BY-NC-SA-4.0'
"""Of the weights of all of them."""
FOR_PHOTOS = [name for name, model in SHIPPED.items() if not model.aligned]
_FOLDER = Path(__file__).with_name('pretrained')


def shipped_file(model: str | os.PathLike[str]) -> Path | None:
    """The file of a model of the package, where its name is given; None for any other place.

    Raises:
        CheckpointError: as `shipped_model`.
    """
    name = os.fspath(model)
    return shipped_model(name) if name in SHIPPED else None


def require_for_photos(model: object) -> None:
    """Refuses a model of the package that aligned faces alone suit.

    Raises:
        OptionError: for one; other networks are their user's choice.
    """
    if isinstance(model, str) and model in SHIPPED and SHIPPED[model].aligned:
        raise OptionError(
            f'{model} is for pictures that are one aligned face (--aligned); for photographs say '
            f'{" or ".join(FOR_PHOTOS)}',
            ('model',),
        )


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
