"""Networks of users as files that hold the network itself: TorchScript and programs of torch.export.

Such a file is a program, and is trusted as one: its operators are run, which may compute for ever or read a file. No
Python of it is run: what torch.export pickles is read as weights are, and compiled libraries are refused.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.host.weights import why_unreadable
from facesr_ext.places import user_path

_FORCED = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
_CODE = ('aotinductor', '.so', '.dll', '.dylib', 'custom_obj', 'opaque_obj')
"""In names of what such a file may hold beside a graph: compiled libraries, and pickles of objects."""


def load_program(path: str, example: torch.Tensor) -> nn.Module:
    """Loads a network and tries it.

    Args:
        path (str): A file of ``torch.jit.save`` or ``torch.export.save``.
        example (Tensor): (N, C, h, w), what it is to take.

    Returns:
        nn.Module: On the CPU, as it was saved; its parameters need no gradient.

    Raises:
        CheckpointError: for a file of another form, weights alone among them, or a network that does not make (N, D) of
            the example.
        OptionError: if there is no such file.
    """
    file = user_path(path)
    if not file.is_file():
        raise OptionError(f'there is no file {file} (looked for from {Path.cwd()}); correct the path', ('path',))
    try:
        net = _read(file)
    except Exception as err:  # damaged bytes, or other people's code: nearly anything
        raise CheckpointError(
            f'{file} holds no network ({why_unreadable(file, err)}); write it by torch.export.save or torch.jit.save, '
            'in the code that it comes from'
        ) from err
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    try:
        with torch.no_grad():
            out = net(example)
    except Exception as err:
        reason = (str(err).strip().splitlines() or [type(err).__name__])[-1]
        raise CheckpointError(f'{file} does not take a batch of {tuple(example.shape)}: {reason}') from err
    if not isinstance(out, torch.Tensor) or out.flatten(1).shape[0] != len(example):
        raise CheckpointError(f'{file} gives no vector for each of {len(example)} faces')
    return net


def _read(file: Path) -> nn.Module:
    with zipfile.ZipFile(file) as archive:
        paths = archive.namelist()
    names = {*paths, *(Path(name).name for name in paths)}
    if 'data.pkl' in names and 'constants.pkl' not in names and not any(n.startswith('archive_format') for n in names):
        raise ValueError('it holds weights without their network')
    if 'constants.pkl' in names:
        scripted: Any = torch.jit.load(str(file), map_location='cpu')
        return scripted.eval()
    odd = [name for name in sorted(names) if any(part in name for part in _CODE)]
    if odd:
        raise ValueError(f'it holds code beside the network, {odd[0]}')
    with _no_objects():
        module: nn.Module = torch.export.load(file).module()
    return module


@contextlib.contextmanager
def _no_objects() -> Iterator[None]:
    """`torch.load` reads weights alone in the block, also where torch.export asks it for any object."""
    before = os.environ.get(_FORCED)
    os.environ[_FORCED] = '1'
    try:
        yield
    finally:
        if before is None:
            del os.environ[_FORCED]
        else:
            os.environ[_FORCED] = before
