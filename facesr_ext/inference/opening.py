"""A model by its place alone: a run, a checkpoint of ours, or a file of another program."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from facesr_ext.errors import OptionError
from facesr_ext.inference.elsewhere import open_foreign, says_nothing
from facesr_ext.inference.restorer import Restorer
from facesr_ext.models.tiles import Tiling


def open_model(
    model: str | os.PathLike[str] | Restorer,
    *,
    device: str | torch.device | None = None,
    precision: str = 'fp32',
    tile: int | None = None,
    key: str = 'model',
) -> Restorer:
    """Opens a run or a checkpoint; one that does not say what it holds is recognised by spandrel.

    Raises:
        OptionError: for a place that is not there; ``key`` is the option that names it.
        CheckpointError, DependencyError: as `Restorer` and `open_foreign`.
    """
    if isinstance(model, Restorer):
        return model
    path = Path(model).expanduser()
    if not path.exists():
        raise OptionError(f'there is no {path}; name a run or a file of weights', (key,))
    if path.is_file() and says_nothing(path):
        net = open_foreign(path)
        return Restorer(None, arch=net, scale=net.info.scale, device=device, precision=precision, tile=tile)
    restorer = Restorer(path, device=device, precision=precision)
    if tile is not None and not restorer.info.sizes.fixed:
        restorer.tiling = Tiling(tile, tile // 8)
    return restorer
