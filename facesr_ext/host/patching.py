"""What the repairs share: looking into a stock function, and replacing it wherever BasicSR has imported it."""

from __future__ import annotations

import functools
import importlib
import sys
from typing import Any

from basicsr.utils import get_root_logger


def host_module(name: str) -> Any:
    """A module of BasicSR, None where this release has none of that name.

    Args:
        name (str): Without ``basicsr.``: 'losses.basic_loss'.
    """
    try:
        return importlib.import_module(f'basicsr.{name}')
    except ImportError:
        return None


def names_used(function: Any) -> set[str]:
    """Returns the global and attribute names that a function's code mentions; none where it is no Python function."""
    code = getattr(function, '__code__', None)
    return set(code.co_names) if code is not None else set()


def replace_everywhere(name: str, stock: Any, new: Any) -> None:
    """Replaces a function in each module of BasicSR that has imported it by name."""
    for module_name, module in list(sys.modules.items()):
        if module_name.partition('.')[0] == 'basicsr' and vars(module).get(name) is stock:
            setattr(module, name, new)


@functools.cache
def warn_once(message: str) -> None:
    """Logs a warning, unless the same one has been logged before."""
    get_root_logger().warning(message)
