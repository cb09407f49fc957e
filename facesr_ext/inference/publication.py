"""A checkpoint as others get it: one set of weights, what rebuilds the network, and no path of a machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from facesr_ext.errors import OptionError
from facesr_ext.inference.restorer import Restorer
from facesr_ext.places import user_path
from facesr_ext.runs.atomic import require_free
from facesr_ext.runs.checkpoints import META_KEY, SAFETENSORS, file_sha256, read_weights, save_atomic, save_safetensors


class Published(NamedTuple):
    """What was written: the file, its SHA-256, its bytes, and which weights of the checkpoint it has."""

    path: Path
    sha256: str
    size: int
    weights: str


def publish(
    checkpoint: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    half: bool = False,
    average_last: int | None = None,
    least_face: int | None = None,
    force: bool = False,
) -> Published:
    """Writes the averaged weights of a checkpoint alone, for `Restorer`, ``facesr restore`` and BasicSR.

    Args:
        checkpoint (str | PathLike): A checkpoint, or a run, whose latest is taken.
        output (str | PathLike): ``.pth`` or ``.safetensors``.
        half (bool): Store 16 bits a weight: half the size. They are read as 32 bits again.
        average_last (int | None): The mean of so many numbered checkpoints of the run.
        least_face (int | None): The least size, in pixels, to which `PhotoRestorer` enlarges a face for the network.
            Default: the smallest of the training; a larger one may give more, and takes longer.
        force (bool): Replace a file that is there.

    Raises:
        OptionError: For another suffix, or a file that is there already.
        CheckpointError: If the checkpoint cannot be read, does not say what network it holds, or does not fit it.
    """
    target = user_path(output)
    if target.suffix not in ('.pth', SAFETENSORS):
        raise OptionError(f'{target} must end in .pth or {SAFETENSORS}', ('--output',))
    restorer = Restorer(checkpoint, average_last=average_last, device='cpu')  # it fits what it says of itself
    require_free([target], [Path(file) for file in restorer.files], force)
    weights = read_weights(restorer.files)
    state = {key: value.half() if half and value.is_floating_point() else value for key, value in weights.state.items()}
    metadata = {**without_paths(weights.metadata), **({} if least_face is None else {'least_face': least_face})}
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == SAFETENSORS:
        save_safetensors(state, target, metadata)
    else:
        save_atomic({'params': state, META_KEY: metadata}, target)
    return Published(target, file_sha256(target), target.stat().st_size, weights.used)


def without_paths(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint says of itself, of folders and files the last name alone."""
    return {key: _last_names(value) for key, value in metadata.items()}


def _last_names(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _last_names(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_last_names(inner) for inner in value]
    is_path = isinstance(value, str) and ('/' in value or '\\' in value)
    return PurePath(value.replace('\\', '/')).name if is_path else value
