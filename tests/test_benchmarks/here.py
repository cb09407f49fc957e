"""A worker of the benchmarks that works in this process: real sides, without the start of another Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.train_sides import Side


class Here:
    """What `benchmarks.train_step.Worker` does, done here."""

    def __init__(self) -> None:
        self.side: Side | None = None

    def ask(self, what: str, *given: Any) -> Any:
        if what == 'build':
            self.side = Side(*given)
            return None
        return getattr(self.side, what)(*given)

    def end(self) -> None:
        """Nothing is to be ended."""


@contextmanager
def workers_here(names: Sequence[str]) -> Iterator[dict[str, Here]]:
    """As `benchmarks.train_step.workers`."""
    yield {name: Here() for name in names}
