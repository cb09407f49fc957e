"""Reading and writing of checkpoint files: atomic to write, ``weights_only`` to read, loadable by stock BasicSR."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from facesr_ext.errors import CheckpointError

META_KEY = 'facesr_ext'
"""Where a checkpoint holds what rebuilds its network, beside BasicSR's ``params`` and ``params_ema``."""


def save_atomic(content: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes a checkpoint so that the file is there whole, or as it was before.

    Raises:
        CheckpointError: if it cannot be written (disk full, no permission).
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        with temporary.open('wb') as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, RuntimeError) as err:  # torch turns some write errors into RuntimeError
        temporary.unlink(missing_ok=True)
        raise CheckpointError(f'cannot write {path}: {err}; is the disk full, the folder writable?') from err


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a checkpoint on the CPU without running any code of it.

    Raises:
        CheckpointError: if the file is missing, cut off, or holds more than weights.
    """
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except FileNotFoundError as err:
        raise CheckpointError(
            f'there is no checkpoint {path}; check path: pretrain_network_* in the option file'
        ) from err
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as err:
        raise CheckpointError(f'cannot read {path} (cut off, or holds more than weights): {err}') from err
    if not isinstance(content, dict):
        raise CheckpointError(f'{path} holds a {type(content).__name__}, not a dict of weights')
    return content


def select_params(content: dict[str, Any], param_key: str | None, path: str) -> tuple[dict[str, torch.Tensor], str]:
    """The weights of a checkpoint: those asked for, else ``params_ema``, else ``params``, else the file itself.

    Returns:
        tuple[dict, str]: the state dict without 'module.' prefixes, and the key that it was found under.

    Raises:
        CheckpointError: if the key asked for is not in the file.
    """
    if param_key is None:
        param_key = next((key for key in ('params_ema', 'params') if key in content), None)
    elif param_key not in content and 'params' in content:
        param_key = 'params'
    if param_key is not None and param_key not in content:
        raise CheckpointError(
            f'{path} has no {param_key!r}; it has {", ".join(list(content)[:5])}. Set path: param_key_g accordingly'
        )
    state = content if param_key is None else content[param_key]
    return {key.removeprefix('module.'): value for key, value in state.items()}, param_key or '(the file itself)'


def load_weights(net: nn.Module, state: dict[str, torch.Tensor], path: str, strict: bool) -> None:
    """Loads a state dict.

    Raises:
        CheckpointError: if names or shapes differ, with the first differences; with ``strict`` off, only if none fits.
    """
    own = net.state_dict()
    fit = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    missing = [key for key in own if key not in fit]
    extra = [key for key in state if key not in fit]
    if (strict and (missing or extra)) or not fit:
        lines = [f'  {key}: net {_shape(own.get(key))}, file {_shape(state.get(key))}' for key in (*missing, *extra)][
            :10
        ]
        raise CheckpointError(
            f'{path} does not fit {type(net).__name__}: {len(missing)} of {len(own)} entries missing or of another '
            f'shape, {len(extra)} too many. The first:\n' + '\n'.join(lines)
        )
    net.load_state_dict(fit, strict=strict)


def _shape(value: torch.Tensor | None) -> str:
    return 'none' if value is None else str(tuple(value.shape))
