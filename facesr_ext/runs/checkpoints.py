"""Reading and writing of checkpoint files: atomic to write, ``weights_only`` to read, loadable by stock BasicSR.

What other trainers write is read too: their keys around the weights, the prefixes of wrappers, and ``.safetensors``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import safetensors
import safetensors.torch
import torch
import yaml
from basicsr.utils import get_root_logger
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.errors import CheckpointError
from facesr_ext.host.names import name_here
from facesr_ext.host.weights import where_to_get, why_unreadable
from facesr_ext.host.workers import is_lost_worker
from facesr_ext.runs.atomic import replaced_when_whole
from facesr_ext.runs.foreign import adapted, find_key
from facesr_ext.runs.untrusted import plain_description, require_packed_plainly, require_plain_tensors

META_KEY = 'facesr_ext'
"""Where a checkpoint holds what rebuilds its network, beside BasicSR's ``params`` and ``params_ema``."""

WRAPPERS = ('module', '_orig_mod')
"""What DataParallel / DistributedDataParallel / AveragedModel and ``torch.compile(net)`` add to the names."""

SAFETENSORS = '.safetensors'
_DEEPEST = 8


def save_atomic(content: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Writes a checkpoint so that the file is there whole, or as it was before.

    Raises:
        CheckpointError: if it cannot be written (disk full, no permission).
    """
    _write_atomic(lambda file: torch.save(content, file), path)


def save_safetensors(
    state: Mapping[str, torch.Tensor], path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None
) -> None:
    """Writes the weights of one network as ``.safetensors``, atomically.

    Args:
        state (Mapping): A state dict. Tensors that share memory are written once each.
        path (str | PathLike): Where to.
        metadata (Mapping | None): What rebuilds the network, as JSON in the file's header under :data:`META_KEY`.

    Raises:
        CheckpointError: if it cannot be written (disk full, no permission).
    """
    data = safetensors_bytes(state, metadata)
    _write_atomic(lambda file: file.write(data), path)


def safetensors_bytes(state: Mapping[str, torch.Tensor], metadata: Mapping[str, Any] | None = None) -> bytes:
    """What `save_safetensors` writes."""
    header = {'format': 'pt', META_KEY: json.dumps(metadata or {})}
    tensors = {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}
    return bytes(safetensors.torch.save(tensors, header))


def _write_atomic(write: Callable[[BinaryIO], Any], path: str | os.PathLike[str]) -> None:
    try:
        with replaced_when_whole(Path(path), synced=True) as temporary, temporary.open('wb') as file:
            write(file)
    except (OSError, RuntimeError) as err:  # torch turns some write errors into RuntimeError
        if is_lost_worker(err):  # it is told wherever a training is
            raise
        raise CheckpointError(f'cannot write {path}: {err}; is the disk full, the folder writable?') from err


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Reads a checkpoint on the CPU without running any code of it.

    Returns:
        dict: What the file holds; of a ``.safetensors`` file its weights under ``params`` and its metadata under
            :data:`META_KEY`, as in a ``.pth`` of ours. A network of ours has the name there by which it is built
            here, also where another package has a network of its name.

    Raises:
        CheckpointError: if the file is missing, cut off, or holds more than weights.
    """
    read = _read_safetensors if Path(path).suffix == SAFETENSORS else _read_torch
    try:
        content = read(path)
    except FileNotFoundError as err:
        remedy = where_to_get(path) or 'look whether the name is right'
        raise CheckpointError(f'there is no checkpoint {path}; {remedy}') from err
    except CheckpointError:
        raise
    except Exception as err:  # on damaged bytes an unpickler raises nearly anything
        reason = why_unreadable(path, err)
        raise CheckpointError(f'cannot read {path} (cut off, or holds more than weights): {reason}') from err
    if not isinstance(content, dict):
        raise CheckpointError(f'{path} holds a {type(content).__name__}, not a dict of weights')
    if META_KEY not in content:
        return content
    return {**content, META_KEY: _here(plain_description(content[META_KEY], str(path)))}


def _read_torch(path: str | os.PathLike[str]) -> Any:
    require_packed_plainly(Path(path))
    return torch.load(path, map_location='cpu', weights_only=True)


def _read_safetensors(path: str | os.PathLike[str]) -> dict[str, Any]:
    with safetensors.safe_open(path, framework='pt', device='cpu') as file:  # type: ignore[no-untyped-call]
        state = {key: file.get_tensor(key) for key in file.keys() if key != META_KEY}  # noqa: SIM118
        header = file.metadata() or {}
    try:
        metadata = json.loads(header.get(META_KEY, '{}'))
    except (ValueError, RecursionError):
        metadata = {}  # another program's entry of the same name: the weights are as good without it
    return {'params': state, META_KEY: metadata}


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    found = hashlib.sha256()
    with open(path, 'rb') as file:
        for part in iter(lambda: file.read(1 << 20), b''):
            found.update(part)
    return found.hexdigest()


def _here(metadata: dict[str, Any]) -> dict[str, Any]:
    arch = metadata.get('arch') or {}
    if not isinstance(arch.get('type'), str):
        return metadata
    kind = name_here(ARCH_REGISTRY, arch['type'], metadata.get('arch_from', 'facesr_ext'))
    return {**metadata, 'arch': {**arch, 'type': kind}}


def select_params(
    content: dict[str, Any], param_key: str | None, path: str, depth: int = 0
) -> tuple[dict[str, torch.Tensor], str]:
    """The weights of a checkpoint: those asked for, else those that `find_key` finds, else the file itself.

    Returns:
        tuple[dict, str]: the state dict under the network's own names, and the key that it was found under.

    Raises:
        CheckpointError: if the key asked for is not in the file, or none is known and there are no weights.
    """
    keys = ', '.join(map(str, list(content)[:8]))
    if param_key is None:
        param_key = find_key(content)
    elif param_key not in content and 'params' in content:
        param_key = 'params'
    if param_key is not None and param_key not in content:
        raise CheckpointError(
            f'{path} has no {param_key!r}; it has {keys}. Set path: param_key_g accordingly, or leave it empty'
        )
    state = content if param_key is None else content[param_key]
    if not isinstance(state, Mapping):
        raise CheckpointError(f'{path} has no weights under {param_key!r}, but {type(state).__name__}; it has {keys}')
    nested = find_key(state) if param_key is not None else None
    if nested is not None:  # {'model': {'state_dict': ...}}
        if depth == _DEEPEST:
            raise CheckpointError(f'{path} has no weights {_DEEPEST} keys deep; name theirs (param_key)')
        return select_params(dict(state), nested, path, depth + 1)
    found = canonical_names(state)
    require_plain_tensors(found, path)
    if param_key is None and content and not found:
        raise CheckpointError(f'{path} has no weights under a key that is known, but {keys}; name theirs (param_key)')
    return found, param_key or '(the file itself)'


class Weights(NamedTuple):
    """Weights of a network, as read.

    Attributes:
        state (dict): Tensors under the names of the bare network.
        used (str): Where in the file they were, for the log.
        metadata (dict): What the file says of itself; of several, the last one. Empty for stock BasicSR's.
    """

    state: dict[str, torch.Tensor]
    used: str
    metadata: dict[str, Any]


def read_weights(paths: Sequence[str], param_key: str | None = None) -> Weights:
    """The weights of a checkpoint, or the mean of those of several of one network.

    Args:
        paths (Sequence[str]): The files; of what is no floating-point number the last one's values are taken.
        param_key (str | None): As in `select_params`, which see for the result.

    Raises:
        CheckpointError: if a file cannot be read, or holds other weights than the first one.
    """
    if len(paths) == 1:
        content = load_checkpoint(paths[0])
        return Weights(*select_params(content, param_key, paths[0]), content.get(META_KEY) or {})
    total: dict[str, torch.Tensor] = {}
    for path in paths:
        content = load_checkpoint(path)
        state, used = select_params(content, param_key, path)
        if total and {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in total.items()}:
            raise CheckpointError(
                f'{path} holds another network than {paths[0]}; only checkpoints of one can be averaged'
            )
        total = {k: _sum(total.get(k), v) for k, v in state.items()}
    means = {k: total[k] / len(paths) if v.is_floating_point() else v for k, v in state.items()}
    mean = {k: v.to(state[k].dtype) for k, v in means.items()}
    return Weights(mean, f'{used}, mean of {len(paths)}', content.get(META_KEY) or {})


def _sum(total: torch.Tensor | None, value: torch.Tensor) -> torch.Tensor:
    """In double precision, so that the mean of equal weights is these weights."""
    value = value.double() if value.is_floating_point() else value
    return value if total is None or not value.is_floating_point() else total + value


def canonical_names(state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """A state dict under the names of the bare network: tensors only, without what wrappers add to the names.

    ``_orig_mod`` goes wherever it stands (parts of a network can be compiled), ``module`` only at the front, and only
    where all names have it: a network may have a part of that name.
    """
    tensors = {str(key): value for key, value in state.items() if isinstance(value, torch.Tensor)}
    if any(key.startswith('module.') for key in tensors):
        tensors.pop('n_averaged', None)  # AveragedModel's counter, beside module.*
    names = {key: [part for part in key.split('.') if part != WRAPPERS[1]] for key in tensors}
    while names and all(len(parts) > 1 and parts[0] == WRAPPERS[0] for parts in names.values()):
        names = {key: parts[1:] for key, parts in names.items()}
    return {'.'.join(names[key]): value for key, value in tensors.items()}


def described_network(metadata: Mapping[str, Any]) -> str | None:
    """The network that a checkpoint says it is of, as an option section in one line; None where it does not say."""
    arch = metadata.get('arch')
    return yaml.safe_dump(arch, default_flow_style=True, sort_keys=False, width=10**6).strip() if arch else None


def load_weights(
    net: nn.Module, state: dict[str, torch.Tensor], path: str, strict: bool, described: str | None = None
) -> None:
    """Loads a state dict; with ``strict`` off what of it fits, and the log says how much and what not.

    Args:
        net (Module): The bare network.
        state (dict): Weights under its names.
        path (str): The file that they are from, for messages.
        strict (bool): Every name and shape must fit.
        described (str | None): What `described_network` gives for the file, to say what would fit.

    Raises:
        CheckpointError: if names or shapes differ, with the first differences; with ``strict`` off, only if none fits.
            If weights are NaN or infinite.
    """
    own = net.state_dict()
    state = adapted(state, own)
    fit = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    broken = [key for key, value in fit.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise CheckpointError(
            f'{path} has {len(broken)} weights that are not finite, the first is {broken[0]}; take an earlier '
            'checkpoint'
        )
    missing = [key for key in own if key not in fit]
    extra = [key for key in state if key not in own]
    if missing or extra:
        total, loaded = (sum(own[key].numel() for key in keys) for keys in (own, fit))
        lines = [f'  {key}: net {_shape(own.get(key))}, file {_shape(state.get(key))}' for key in (*missing, *extra)]
        differences = (
            f'{len(missing)} of {len(own)} entries missing or of another shape, {len(extra)} too many. The first:\n'
            + '\n'.join(lines[:10])
        )
        if strict or not fit:
            hint = f'\nThe file is of this network: {described}' if described else ''
            if not fit and state:
                hint += f'\nThe file has {len(state)} entries: {", ".join([*state][:5])}, ...'
            hint += '\nTo load what fits: path: strict_load_g: false' if fit else ''
            raise CheckpointError(f'{path} does not fit {type(net).__name__}: {differences}{hint}')
        get_root_logger().warning(
            f'Loaded in part (strict_load: false): {100 * loaded / max(total, 1):.1f} % of the values of '
            f'{type(net).__name__} come from {path}; {differences}'
        )
    net.load_state_dict(fit, strict=strict)


def load_network(net: nn.Module, paths: Sequence[str], strict: bool = True, param_key: str | None = None) -> None:
    """Loads the weights of a checkpoint, or the mean of several; the log says which were taken.

    Args:
        net (Module): The bare network.
        paths (Sequence[str]): The files.
        strict (bool): Every name and shape must fit. Default: True.
        param_key (str | None): Where in the files the weights are. Default: as `select_params` finds them.

    Raises:
        CheckpointError: if a file is missing, damaged or does not fit.
    """
    weights, source = read_weights(paths, param_key), ', '.join(paths)
    load_weights(net, weights.state, source, strict, described_network(weights.metadata))
    get_root_logger().info(f'Loaded {type(net).__name__} from {source} [{weights.used}]')


def _shape(value: torch.Tensor | None) -> str:
    return 'none' if value is None else str(tuple(value.shape))
