"""What is found on an image is found once, though the image is measured against several others."""

from __future__ import annotations

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

Found = TypeVar('Found')


def kept_by_image(most: int = 16) -> Callable[[Callable[..., Found]], Callable[..., Found]]:
    """Keeps what a function has returned for the last so many images.

    Args:
        most (int): How many results are kept. Default: 16.

    Returns:
        Callable: A decorator of functions of images (ndarray) and hashable arguments, all by position. Results are
        shared: do not write into them.
    """

    def decorate(function: Callable[..., Found]) -> Callable[..., Found]:
        kept: OrderedDict[Hashable, Found] = OrderedDict()

        @functools.wraps(function)
        def called(*args: Any) -> Found:
            key = tuple(_key(arg) for arg in args)
            if key not in kept:
                found = function(*args)
                kept[key] = found
                while len(kept) > most:
                    kept.popitem(last=False)
            kept.move_to_end(key)
            return kept[key]

        called.forget = kept.clear  # type: ignore[attr-defined]
        return called

    return decorate


def _key(arg: Any) -> Hashable:
    """An image by its size and bytes."""
    if not isinstance(arg, np.ndarray):
        return arg  # type: ignore[no-any-return]
    return arg.shape, arg.dtype.str, hashlib.blake2b(np.ascontiguousarray(arg).data, digest_size=16).digest()
