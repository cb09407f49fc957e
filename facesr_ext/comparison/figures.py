"""Figures as text: rounded to what their interval supports, with one sign for all that is missing."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

import numpy as np

from facesr_ext.comparison.statistics import Interval

NONE = '–'
"""Stands where there is no figure."""
_MOST = {'dB': 2, 'px': 3, '%': 2}
_ALWAYS = 6  # decimals, whatever the unit
_SMALLEST_P = 0.001


def decimals(figures: Iterable[Interval], unit: str = '') -> int:
    """How many decimals figures of one column get: the first two digits of their intervals' half width count.

    Where there is no interval, four digits of the largest figure are shown.

    Args:
        figures (Iterable[Interval]): Of the column.
        unit (str): Decibels never have more than two decimals.
    """
    shown = [figure for figure in figures if math.isfinite(figure.mean)]
    halves = [(f.high - f.low) / 2 for f in shown if f.high - f.low > 0]
    if halves:
        count = 1 - math.floor(math.log10(float(np.median(halves))))
    else:
        largest = max((abs(figure.mean) for figure in shown), default=0.0)
        count = 3 - math.floor(math.log10(largest)) if largest else 2
    return min(max(count, 0), _MOST.get(unit, _ALWAYS))


def number(value: float, places: int, signed: bool = False) -> str:
    """A figure with so many decimals; the sign for infinity, and `NONE` for NaN."""
    if math.isnan(value):
        return NONE
    sign = '−' if value < 0 else '+' if signed and value > 0 else ''
    text = '∞' if math.isinf(value) else f'{abs(value):.{places}f}'
    return text if sign == '−' and not text.strip('0.') else sign + text  # no minus before 0.00


def interval(figure: Interval, places: int, signed: bool = False) -> str:
    """The ends of an interval, ``[24.71, 25.52]``; '' where there is none."""
    if math.isnan(figure.low) or math.isnan(figure.high):
        return ''
    return f'[{number(figure.low, places, signed)}, {number(figure.high, places, signed)}]'


def p_value(p: float) -> str:
    """A p-value: two digits, and '<0.001' below that."""
    if math.isnan(p):
        return NONE
    return f'<{_SMALLEST_P}' if p < _SMALLEST_P else f'{p:.3f}' if p < 0.1 else f'{p:.2f}'


def large(value: float | None, unit: str = '') -> str:
    """A count of parameters, operations or bytes to three digits, as ``3.07 M``."""
    if value is None:
        return NONE
    for factor, prefix in ((1e12, 'T'), (1e9, 'G'), (1e6, 'M'), (1e3, 'k')):
        if value >= factor * 0.9995:
            return f'{_three(value / factor)} {prefix}{unit}'
    return f'{value:.0f}{" " + unit if unit else ""}'


def seconds(value: float) -> str:
    """A time to three digits, as ``12.3 ms``."""
    if math.isnan(value):
        return NONE
    for factor, unit in ((1.0, 's'), (1e-3, 'ms')):
        if value >= factor * 0.9995:
            return f'{_three(value / factor)} {unit}'
    return f'{_three(value * 1e6)} µs'


def _three(value: float) -> str:
    return f'{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}'


def shortened(text: str, letters: int) -> str:
    """A text on one line, and no longer than so many letters."""
    text = one_line(text)
    return text if len(text) <= letters else f'{text[: letters - 2]}..'


def one_line(text: str) -> str:
    """A text of others on one line: line breaks and control characters are spaces, as are marks that turn the text."""
    return ''.join(' ' if unicodedata.category(c) in ('Cc', 'Cf', 'Zl', 'Zp', 'Cs') else c for c in text).strip()
