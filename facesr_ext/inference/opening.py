"""A model by its name or place: one of the package, a run, a checkpoint of ours, or a file of another program."""

from __future__ import annotations

import os

import torch

from facesr_ext.errors import OptionError
from facesr_ext.inference.elsewhere import open_foreign, says_nothing
from facesr_ext.inference.onnx_network import is_onnx
from facesr_ext.inference.restorer import Restorer
from facesr_ext.inference.shipped import SHIPPED, shipped_file
from facesr_ext.models.device import default_device
from facesr_ext.models.precision import AUTO, cpu_computes_in_bf16
from facesr_ext.models.tiles import Tiling
from facesr_ext.places import user_path


def open_model(
    model: str | os.PathLike[str] | Restorer,
    *,
    device: str | torch.device | None = None,
    precision: str = AUTO,
    tile: int | None = None,
    key: str = 'model',
) -> Restorer:
    """Opens a model of the package, a run, a checkpoint or a file of ONNX.

    A checkpoint that does not say what it holds is spandrel's to know. ``precision: auto`` is bf16 for the models of
    the package on a CPU that has instructions for it, else fp32.

    Raises:
        OptionError: for a place that is not there; ``key`` is the option that names it.
        CheckpointError, DependencyError: as `shipped_model`, `Restorer` and `open_foreign`.
    """
    if isinstance(model, Restorer):
        return model
    shipped = shipped_file(model)
    path = shipped or user_path(model)
    if not path.exists():
        raise OptionError(f'there is no {path}; say {", ".join(SHIPPED)}, or name a run or a file of weights', (key,))
    if precision == AUTO:  # other networks may end in a layer whose bf16 would be seen
        on_cpu = str(device or default_device()) == 'cpu'
        precision = 'bf16' if shipped and on_cpu and cpu_computes_in_bf16() else 'fp32'
    if path.is_file() and not is_onnx(path) and says_nothing(path):
        net = open_foreign(path)
        return Restorer(None, arch=net, scale=net.info.scale, device=device, precision=precision, tile=tile)
    restorer = Restorer(path, device=device, precision=precision)
    if tile is not None and not restorer.info.sizes.fixed:
        restorer.tiling = Tiling(tile, tile // 8)
    return restorer
