"""Whether a result, made small again, is the LQ that it came from."""

from __future__ import annotations

import functools
import json
import math
from typing import Any

import numpy as np
import torch
from basicsr.metrics.psnr_ssim import calculate_psnr

from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import OptionError
from facesr_ext.imaging import to_images, to_tensor
from facesr_ext.metrics.kept import kept_by_image
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import NoValue

_BICUBIC = {'type': 'BicubicDegradation'}
_TRIAL = 64  # px a side of the image that is degraded to see whether something is drawn, at least


def _refuse_random(scale: int, degradation: dict[str, Any] | None = None, seed: int | None = None, **_: Any) -> None:
    """Refuses what gives another LQ each time; OptionError also for what cannot be built."""
    text = _text(degradation)
    if seed is None and _draws(text, scale):
        raise OptionError(
            f'{type(_built(text, scale)).__name__} draws at random, so the LQ of a run is not known; state a seed, by '
            'which result and GT are degraded alike, or take BicubicDegradation',
            ('degradation',),
        )


@register_metric(higher_is_better=True, unit='dB', refuse=_refuse_random)
def lr_consistency(
    img: np.ndarray,
    img2: np.ndarray,
    scale: int,
    degradation: dict[str, Any] | None = None,
    seed: int | None = None,
    crop_border: int = 0,
) -> float:
    """PSNR (dB) over all RGB values, 8 bit, of the degraded result against the degraded GT, which is the LQ.

    ``degradation`` is a section as that of option files, MATLAB's bicubic without one; it must be a function of the
    image, or get a ``seed``, so that both are degraded by the same draws. ``crop_border`` is in pixels of the LQ. Equal
    LQ count as an error of one level in one value, so that a mean stays finite. Of SRFlow (Lugmayr et al., ECCV 2020),
    which asks for 45 dB and more.
    """
    text = _text(degradation)
    if img2.shape[0] % scale or img2.shape[1] % scale:
        raise NoValue(f'images of {img2.shape[1]}x{img2.shape[0]} px cannot be reduced by {scale}')
    small = [_degraded(img, text, scale, seed), _lq(img2, text, scale, seed)]
    height, width = (side - 2 * crop_border for side in small[0].shape[:2])
    if min(height, width) < 1:
        raise NoValue(f'a crop_border of {crop_border} px leaves nothing of a LQ')
    most = 10 * math.log10(255**2 * height * width * 3)
    return min(most, float(calculate_psnr(*small, crop_border=crop_border)))


def _text(section: dict[str, Any] | None) -> str:
    return json.dumps(_BICUBIC if section is None else section, sort_keys=True)


@functools.lru_cache(maxsize=8)
def _built(text: str, scale: int) -> Degradation:
    return build_degradation(json.loads(text), scale)


@functools.lru_cache(maxsize=8)
def _draws(text: str, scale: int) -> bool:
    """Whether a degradation draws anything from its generator."""
    generator, side = torch.Generator().manual_seed(0), scale * -(-_TRIAL // scale)
    before = generator.get_state()
    _built(text, scale)(torch.full((1, 3, side, side), 0.5), generator)
    return not torch.equal(before, generator.get_state())


def _degraded(image: np.ndarray, text: str, scale: int, seed: int | None) -> np.ndarray:
    """(H, W, 3) uint8 -> its LQ, uint8; the channels in their order."""
    generator = torch.Generator().manual_seed(0 if seed is None else seed)
    rgb = to_tensor(image[..., ::-1])[None]
    return to_images(_built(text, scale)(rgb, generator))[0][..., ::-1]


_lq = kept_by_image()(_degraded)
