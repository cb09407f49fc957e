"""Weights of other trainers: where in a file they are, and what their names are called here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch

WEIGHT_KEYS = (
    'params_ema',
    'params-ema',
    'ema',
    'g_ema',
    'params',
    'state_dict',
    'model_state_dict',
    'model',
    'net',
    'net_g',
    'netG',
    'generator',
)
"""Where trainers put the weights inside a checkpoint, first choice first: the averaged ones before the others."""

RENAMED: tuple[tuple[tuple[str, str], ...], ...] = (
    (  # ESRGAN's first files -> RRDBNet
        (r'model\.0\.', 'conv_first.'),
        (r'model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\.', r'body.\1.rdb\2.conv\3.'),
        (r'model\.1\.sub\.\d+\.', 'conv_body.'),
        (r'model\.3\.', 'conv_up1.'),
        (r'model\.6\.', 'conv_up2.'),
        (r'model\.8\.', 'conv_hr.'),
        (r'model\.10\.', 'conv_last.'),
    ),
    (  # ESRGAN's later ones -> RRDBNet
        (r'RRDB_trunk\.(\d+)\.RDB(\d)\.', r'body.\1.rdb\2.'),
        (r'trunk_conv\.', 'conv_body.'),
        (r'upconv(\d)\.', r'conv_up\1.'),
        (r'HRconv\.', 'conv_hr.'),
    ),
    (  # BasicSR before 1.0 -> MSRResNet
        (r'recon_trunk\.', 'body.'),
        (r'HRconv\.', 'conv_hr.'),
    ),
)
"""Names that networks had in older files: for each kind of file pattern and replacement, at the name's beginning."""


def find_key(content: Mapping[Any, Any]) -> str | None:
    """The key that a checkpoint has its weights under: one of WEIGHT_KEYS, or the only one that holds tensors.

    None where the file itself holds them.
    """
    key = next((key for key in WEIGHT_KEYS if isinstance(content.get(key), Mapping)), None)
    if key is not None or any(isinstance(value, torch.Tensor) for value in content.values()):
        return key
    holding = [str(key) for key, value in content.items() if isinstance(value, Mapping) and _has_tensors(value)]
    return holding[0] if len(holding) == 1 else None


def _has_tensors(value: Mapping[Any, Any]) -> bool:
    return any(isinstance(inner, torch.Tensor) for inner in value.values())


def adapted(state: dict[str, torch.Tensor], names: Collection[str]) -> dict[str, torch.Tensor]:
    """A state dict under a network's own names, where a prefix or an older naming keeps it from them.

    Args:
        state (dict): Tensors as the file names them.
        names (Collection[str]): The network's names.

    Returns:
        dict: One that has all of these names and no others, else the state as it is.
    """
    wanted = set(names)
    if state.keys() == wanted:
        return state
    for found in _readings(state):
        if found.keys() == wanted:
            return found
    return state


def _readings(state: Mapping[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """What the names may mean: the part below each prefix, and each under older names."""
    prefixes = dict.fromkeys(key.partition('.')[0] for key in state)
    known = [prefix for prefix in WEIGHT_KEYS if prefix in prefixes]
    for prefix in ('', *known, *(prefix for prefix in prefixes if prefix not in known)):
        start = f'{prefix}.' if prefix else ''
        part = {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
        yield part
        for table in RENAMED:
            yield {_renamed(key, table): value for key, value in part.items()}


def _renamed(name: str, table: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in table:
        found, count = re.subn(f'^{pattern}', replacement, name)
        if count:
            return found
    return name
