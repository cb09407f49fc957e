"""Work on a CPU that threads do side by side, each with its share of the threads that torch computes with."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar('T')
R = TypeVar('R')
_AHEAD = 1
"""Items that are begun beyond one for each thread. Results are kept until those before them are taken, and who stops
taking them has no more than these done in vain."""


def side_by_side(work: Callable[[T], R], items: Sequence[T], most: int) -> Iterator[R]:
    """`map` by some of the threads that torch has: each item in its own, or in its share of them.

    That is for small items: what several threads share of one has to be divided, and waited for, at every layer of a
    network, and between the layers all but one of them wait. Where torch has one thread, or there is one item, nothing
    is started.

    Args:
        work (Callable): What is done with an item. It has to allow for threads; ``torch.no_grad`` and ``autocast`` are
            each thread's own.
        items (Sequence): The items.
        most (int): So many at once, for the memory that they take.

    Yields:
        The results, in the order of the items; with them comes what ``work`` has raised.
    """
    total = torch.get_num_threads()
    count = min(total, len(items), most)
    if count < 2:
        yield from map(work, items)
        return
    begun: deque[Future[R]] = deque()
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(total // count,)) as pool:
        try:
            for item in items:
                if len(begun) == count + _AHEAD:
                    yield begun.popleft().result()
                begun.append(pool.submit(work, item))
            while begun:
                yield begun.popleft().result()
        finally:
            for future in begun:
                future.cancel()
            torch.set_num_threads(total)  # threads that begin later take what was set last, by whichever thread
