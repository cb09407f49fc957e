"""Values of a degradation's options, held to what they may be; errors carry the key ('degradation', '<option>')."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from facesr_ext.errors import OptionError


def require_range(name: str, value: Any, least: float = 0.0, most: float = math.inf) -> tuple[float, float]:
    """Two numbers, low and high.

    Args:
        name (str): The option.
        value (Any): What it says.
        least, most (float): Bounds of both.

    Raises:
        OptionError: for anything but two finite numbers, the first not above the second, within the bounds.
    """
    if not _are_numbers(value) or len(value) != 2 or not least <= value[0] <= value[1] <= most:
        bounds = f'{least:g} <= low <= high' + (f' <= {most:g}' if most < math.inf else '')
        raise OptionError(f'must be two numbers [low, high], {bounds}, not {_shown(value)}', ('degradation', name))
    return value[0], value[1]


def require_factors(name: str, value: Any, around: bool = True) -> tuple[float, float]:
    """Two factors, low and high.

    Args:
        name (str): The option.
        value (Any): What it says.
        around (bool): They lie on both sides of 1, up to 16: one draw goes from low to 1 and another from 1 to high.
            Else they are shares of a size, up to 1. Default: True.

    Raises:
        OptionError: for other values.
    """
    low, high = require_range(name, value)
    if around and not 0 < low <= 1 <= high <= 16:
        raise OptionError(
            f'must be [low, high], 0 < low <= 1 <= high <= 16, not {_shown(value)}', ('degradation', name)
        )
    if not around and not 0 < low <= high <= 1:
        raise OptionError(
            f'must be shares of the size, 0 < low <= high <= 1, not {_shown(value)}; a divisor of 1 to 8 is [0.125, 1]',
            ('degradation', name),
        )
    return low, high


def require_probability(name: str, value: Any) -> float:
    """A number from 0 to 1.

    Raises:
        OptionError: for anything else.
    """
    if not is_number(value) or not 0 <= value <= 1:
        raise OptionError(f'must be a number from 0 to 1, not {_shown(value)}', ('degradation', name))
    return float(value)


def require_weights(name: str, value: Any, each: Sequence[str]) -> list[float]:
    """Weights by which one of several is drawn; they need not sum to 1.

    Args:
        name (str): The option.
        value (Any): What it says.
        each (Sequence[str]): What there is to draw from, one weight for each.

    Raises:
        OptionError: for another number of weights, one below 0, or none above 0.
    """
    if not _are_numbers(value) or len(value) != len(each) or min(value) < 0 or max(value) <= 0:
        wanted = f'must be {len(each)} weight(s), one for each of {", ".join(each)}, none below 0 and not all of them 0'
        raise OptionError(f'{wanted}, not {_shown(value)}', ('degradation', name))
    return [float(weight) for weight in value]


def require_sizes(name: str, value: Any) -> list[int]:
    """Kernel sizes in pixels, at least one, each an odd whole number from 1 on.

    Raises:
        OptionError: for anything else.
    """
    if not _are_numbers(value) or not value or any(size < 1 or size % 2 != 1 for size in value):
        raise OptionError(
            f'must be a list of odd whole numbers, as [7, 9, 11], not {_shown(value)}', ('degradation', name)
        )
    return [int(size) for size in value]


def require_whole(name: str, value: Any, most: float = math.inf) -> int:
    """A whole number from 1 on.

    Raises:
        OptionError: for anything else, or one above ``most``.
    """
    if not is_number(value) or value != int(value) or not 1 <= value <= most:
        bounds = f'from 1 to {most:g}' if most < math.inf else 'from 1 on'
        raise OptionError(f'must be a whole number {bounds}, not {_shown(value)}', ('degradation', name))
    return int(value)


def is_number(value: Any) -> bool:
    """Whether something is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_list(value: Any) -> bool:
    """Whether something is a list, or a tuple as in the defaults."""
    return isinstance(value, (list, tuple))


def _are_numbers(value: Any) -> bool:
    return is_list(value) and all(is_number(entry) for entry in value)


def _shown(value: Any) -> str:
    """As the option file has it, where a tuple would be a list."""
    return 'empty' if value is None else repr(list(value) if isinstance(value, tuple) else value)
