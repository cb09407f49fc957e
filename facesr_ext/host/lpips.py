"""The network of LPIPS (Zhang et al., CVPR 2018), version 0.1, for metric and loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from facesr_ext.errors import CheckpointError
from facesr_ext.host.packaged import in_folder, is_packaged, read_linear_layers
from facesr_ext.host.vgg import build_features, published
from facesr_ext.host.weights import find_weights, why_unreadable
from facesr_ext.places import user_path

Backbone = Literal['alexnet', 'vgg16']

_RELEASE = 'https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights'
_LINEAR = {'alexnet': 'LPIPS_v0.1_alex-df73285e.pth', 'vgg16': 'LPIPS_v0.1_vgg-a78928a0.pth'}
_TAPS = {'alexnet': (1, 4, 7, 9, 11), 'vgg16': (3, 8, 15, 22, 29)}  # the ReLUs whose outputs are compared
_MEAN, _STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of values in [-1, 1]


def lpips_files(name: Backbone) -> tuple[tuple[str, str], ...]:
    """Backbone and linear layers: file name and address of each."""
    return published(name), (_LINEAR[name], f'{_RELEASE}/{_LINEAR[name]}')


class LPIPSNetwork(nn.Module):
    """The distance by the features of one network, whose weights stay as they are.

    Args:
        name (str): 'alexnet' or 'vgg16'.
        folder (str | None): With the weights; else they are found by the rule of `host.weights`.

    Raises:
        CheckpointError, DependencyError, OptionError: As :func:`~facesr_ext.host.vgg.build_features`.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, name: Backbone, folder: str | None = None) -> None:
        super().__init__()
        place = user_path(folder) if folder else None
        self.taps = _TAPS[name]
        self.net = build_features(name, place)[: self.taps[-1] + 1]
        self.linear = nn.ParameterList(
            nn.Parameter(weight.view(1, -1, 1, 1), requires_grad=False) for weight in _linear_layers(name, place)
        )
        for key, values in (('mean', _MEAN), ('std', _STD)):
            self.register_buffer(key, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        """(N, 3, H, W) RGB [0, 1] -> (N, C, h, w) of each of five layers, each pixel's features of length 1."""
        x = (images * 2 - 1 - self.mean) / self.std
        found = []
        for index, layer in enumerate(self.net):
            x = layer(x)
            if index in self.taps:
                length = x.square().sum(1, keepdim=True).clamp(min=1e-20).sqrt()  # of 0 there is no slope
                found.append(x / (length + 1e-10))
        return found

    def distance(self, a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> torch.Tensor:
        """(N,): the distances of images by their features."""
        layers = zip(a, b, self.linear, strict=True)
        return torch.stack([((x - y).square() * weight).sum(1).mean((1, 2)) for x, y, weight in layers]).sum(0)


def _linear_layers(name: Backbone, folder: Path | None) -> list[torch.Tensor]:
    filename, url = lpips_files(name)[1]
    path = find_weights(filename, url, folder and in_folder(filename, folder))
    if is_packaged(path):
        return read_linear_layers(path)
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
        return [state[f'lin{i}.model.1.weight'].float().reshape(-1) for i in range(5)]
    except Exception as err:  # damaged bytes: an unpickler raises nearly anything
        reason = why_unreadable(path, err)
        raise CheckpointError(f'{path} does not hold the linear layers of LPIPS ({reason}); get it again') from err
