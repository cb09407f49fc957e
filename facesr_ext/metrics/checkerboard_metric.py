"""Whether a result shows the grid that enlarging layers leave."""

from __future__ import annotations

from typing import Any

import numpy as np

from facesr_ext.errors import OptionError
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import NoValue

_REACH = 5  # steps of the spectrum, each way, that are looked at around a frequency of the grid
_WIDTH = 1  # steps, each way, over which a sharp frequency spreads by the window
_SIDE = 16  # periods a side, at least: frequencies of the grid are so many steps apart
_ROUNDING = 1 / 12  # variance of rounding to 8 bit, levels squared


def _refuse_period(period: Any = 4, **_: Any) -> None:
    """Refuses a period that is no whole number of pixels from 2 on."""
    if not isinstance(period, int) or isinstance(period, bool) or period < 2:
        raise OptionError(f'a grid repeats every 2 px or more, whole ones, not every {period!r}', ('period',))


@register_metric(higher_is_better=False, least=64, unit='dB', refuse=_refuse_period)
def checkerboard(img: np.ndarray, period: int = 4, crop_border: int = 0) -> float:
    """How far a grid that repeats every ``period`` pixels stands out of the result's spectrum, dB, without a GT.

    Power at the frequencies that are multiples of 1 / ``period`` in both directions, against that around each of them
    within five steps of the spectrum; the mean of their ratios in dB. A little below 0 for photographs, and far above
    where a pattern has the same phase in the whole image: the checkerboard of Odena et al. (Distill, 2016), which a
    pixel shuffle can leave, too. A network of two enlargements by 2 has a period of 4, one of three of 8. Images need
    16 periods a side, and 64 px.
    """
    inner = img[crop_border : img.shape[0] - crop_border, crop_border : img.shape[1] - crop_border]
    height, width = (side // period * period for side in inner.shape[:2])
    if min(height, width) < _SIDE * period:
        raise NoValue(f'an image of {inner.shape[1]}x{inner.shape[0]} px has not 16 periods of {period} px a side')
    power = _power(inner[:height, :width].astype(np.float64))
    grid = [(row, column) for row in range(period) for column in range(period)][1:]  # without the mean at (0, 0)
    return float(np.mean([_ratio(power, row * height // period, column * width // period) for row, column in grid]))


def _power(image: np.ndarray) -> np.ndarray:
    """Power spectrum (H, W) of an image (H, W, C), the sum of its channels', with what rounding adds to all of it."""
    height, width = image.shape[:2]
    window = np.outer(_hann(height), _hann(width))[..., None]
    spectrum = np.fft.fft2((image - image.mean((0, 1))) * window, axes=(0, 1))
    return (np.abs(spectrum) ** 2).sum(-1) + _ROUNDING * image.shape[-1] * float((window**2).sum())


def _hann(length: int) -> np.ndarray:
    return np.hanning(length + 1)[:-1]  # periodic, so that a frequency of the grid spreads over three steps alone


def _ratio(power: np.ndarray, row: int, column: int) -> float:
    """Mean power at a frequency over that of its surroundings, dB."""
    steps = np.arange(-_REACH, _REACH + 1)
    near = power[np.ix_((row + steps) % power.shape[0], (column + steps) % power.shape[1])]
    away = np.maximum(np.abs(steps)[:, None], np.abs(steps)[None])
    return float(10 * np.log10(near[away <= _WIDTH].mean() / near[away > _WIDTH + 1].mean()))
