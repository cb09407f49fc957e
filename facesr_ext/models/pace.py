"""How long a training takes, said while there is time to choose another one."""

from __future__ import annotations

import time
from collections.abc import Callable

LONG = 2 * 86400.0
"""Seconds from which on a training is called long."""
SHORTER = (
    'a GPU is many times faster; on a CPU take a smaller file (fsrnet_fast.yml, nafsr.yml), precision=auto, or '
    'fewer iterations (train:total_iter, and train:scheduler with it)'
)
"""What to do about a long one."""
_MEASURED = 5.0  # seconds after the first iteration, which pays for what later ones find ready


def duration_text(seconds: float) -> str:
    """A duration as people say it: '45 s', '12 min', '5 h 20 min', '37 days'."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    if minutes < 90:
        return f'{minutes} min'
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes} min' if hours < 48 else f'{seconds / 86400:.0f} days'


class Pace:
    """Says once, a few seconds after the start, how long the rest of a training will take.

    Args:
        total_iter (int): Iterations of the whole training.
        clock (Callable): Seconds. Default: the system's.
    """

    def __init__(self, total_iter: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.total_iter, self._clock = total_iter, clock
        self._first: int | None = None
        self._base: tuple[int, float] | None = None
        self.left: float | None = None

    def estimate(self, iteration: int) -> str | None:
        """What to log where an iteration begins: the estimate once it is known, else None.

        ``left`` then holds it, in seconds, validations and loading of the first batch left out.
        """
        if self.left is not None:
            return None
        if self._first is None:
            self._first = iteration
        elif self._base is None:
            self._base = iteration, self._clock()
        elif (elapsed := self._clock() - self._base[1]) >= _MEASURED:
            each = elapsed / (iteration - self._base[0])
            rest = self.total_iter - iteration + 1
            self.left = each * rest
            return f'About {duration_text(self.left)} to go: {rest:,d} iterations of {each:.2f} s, validation left out'
        return None
