"""How far the work on a photograph is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Is told how many of how many steps are done; what it raises ends the work."""


class Steps:
    """Counts steps, and tells of them from the first, which is none, on.

    Args:
        total (int): How many there are.
        progress (Callable | None): Whom to tell.
    """

    def __init__(self, total: int, progress: Progress | None) -> None:
        self.done, self.total, self.progress = 0, total, progress
        self.more(0)

    def more(self, steps: int) -> None:
        """So many more are done."""
        self.done += steps
        if self.progress is not None:
            self.progress(self.done, self.total)
