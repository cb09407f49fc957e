"""What a file of weights must not do, whoever has made it: take memory that its bytes do not account for, or more time.

`torch.load(weights_only=True)` and safetensors keep its code from running. Here is what they let through: archives that
unpack to more than they are, tensors that stand for more values than they have, descriptions that grow when they are
copied, and networks that are larger than the weights beside them.
"""

from __future__ import annotations

import contextlib
import re
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from facesr_ext.errors import CheckpointError, FaceSRError
from facesr_ext.host.parts import build_part

_UNPACKED = 4
_ROOM = 1 << 24
"""Bytes or values that are no matter, whatever a file says."""
_MOST_ENTRIES = 10_000
"""Of a description, what stands in it several times counted as often."""
_ANY_ARGUMENT = 1024
"""A number that an argument of a network may be, however few weights there are."""
_MOST_SCALE = 64
_KINDS: dict[str, type[Any]] = {
    'arch': dict, 'arch_from': str, 'challenge': dict, 'degradation': dict, 'input': str, 'iteration': int,
    'licence': str, 'run': str, 'scale': int, 'trained_on': dict, 'version': str,
}  # fmt: skip
"""Of what a file says of itself; an entry of another kind is another program's."""
_RUN = re.compile(r'[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,199}')


def require_packed_plainly(path: Path) -> None:
    """Refuses an archive that unpacks to several times its size; torch packs nothing.

    Raises:
        CheckpointError: for such a file.
        OSError: if it cannot be read.
    """
    with path.open('rb') as stream:
        if stream.read(2) != b'PK':
            return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        return  # torch says what is wrong with it
    packed = path.stat().st_size
    if unpacked > _UNPACKED * packed + _ROOM:
        raise CheckpointError(
            f'{path} has {packed:,} bytes and unpacks to {unpacked:,}: no program writes weights so; take another file'
        )


def require_plain_tensors(state: Mapping[str, torch.Tensor], path: str) -> None:
    """Refuses tensors that are not dense numbers in memory, or stand for many more values than there are.

    Raises:
        CheckpointError: naming the first.
    """
    for name, value in state.items():
        if value.layout != torch.strided or value.is_meta or value.is_quantized or value.is_complex():
            kind = 'without values' if value.is_meta else f'of another kind ({value.layout}, {value.dtype})'
            raise CheckpointError(f'{path} has a weight {kind}, {name}; weights are dense tensors of real numbers')
        if value.numel() > _ROOM and value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(f'{path} has a weight of {value.numel():,} values, {name}, which are not in the file')


def plain_description(metadata: Any, path: str) -> dict[str, Any]:
    """What a file says of itself, without entries that are of another kind than ours; {} for what is none.

    Raises:
        CheckpointError: for one that grows beyond bounds when it is copied.
    """
    if not isinstance(metadata, dict):
        return {}
    _require_small(metadata, path)
    found = {key: value for key, value in metadata.items() if isinstance(key, str) and _is_known(key, value)}
    trained = found.get('trained_on') or {}
    if not isinstance(trained.get('image_size'), (int, type(None))):
        found['trained_on'] = {key: value for key, value in trained.items() if key != 'image_size'}
    return found


def _is_known(key: str, value: Any) -> bool:
    if value is None or key not in _KINDS:
        return True
    kind: Any = _KINDS[key]
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    if key == 'scale':
        return 0 < int(value) <= _MOST_SCALE
    if key == 'run':
        return _RUN.fullmatch(value) is not None
    if key == 'challenge':
        return type(value.get('max_params')) in (int, type(None))
    return key != 'arch' or not value or isinstance(value.get('type'), str)


def _require_small(value: Any, path: str) -> None:
    sizes: dict[int, int | None] = {}

    def size(inner: Any) -> int:
        known = sizes.get(id(inner), 0)
        if known is None:
            raise CheckpointError(f'{path} has a description that contains itself; take another file')
        if known or not isinstance(inner, (dict, list, tuple)):
            return known or 1
        sizes[id(inner)] = None
        parts = [each for pair in inner.items() for each in pair] if isinstance(inner, dict) else inner
        total = 1
        for part in parts:
            total += size(part)
            if total > _MOST_ENTRIES:
                raise CheckpointError(
                    f'{path} has a description of more than {_MOST_ENTRIES:,} entries; take another file'
                )
        sizes[id(inner)] = total
        return total

    try:
        size(value)
    except RecursionError as err:
        raise CheckpointError(f'{path} has a description with lists in lists too deep; take another file') from err


def build_described(key: Sequence[str], section: dict[str, Any], state: Mapping[str, torch.Tensor], path: str) -> Any:
    """Builds the network that a file says its weights are of; no more of it than these can be.

    Args:
        key (Sequence[str]): What names the network, for messages.
        section (dict): What the file says: ``type`` and arguments.
        state (Mapping): Its weights.
        path (str): The file, for messages.

    Raises:
        OptionError: as `build_part`.
        CheckpointError: for arguments that name files or are out of all proportion to the weights, and for a network
            that cannot be built or has many more parameters than there are weights.
    """
    try:
        with in_proportion(section, state, path):
            return build_part(key, ARCH_REGISTRY, section)
    except FaceSRError:
        raise
    except Exception as err:  # whatever other people's constructors make of arguments that are none of theirs
        reason = (str(err).strip().splitlines() or [type(err).__name__])[0]
        raise CheckpointError(
            f'{path} says that it holds {section.get("type")}, which cannot be built so: {reason[:200]}'
        ) from err


@contextlib.contextmanager
def in_proportion(section: Mapping[str, Any], state: Mapping[str, torch.Tensor], path: str) -> Iterator[None]:
    """Lets the block build a network, as far as it can be that of these weights; raises as `build_described`."""
    require_proportion(section, state, path)
    with _at_most(2 * sum(value.numel() for value in state.values()) + _ROOM, path):
        yield


def require_proportion(section: Mapping[str, Any], state: Mapping[str, torch.Tensor], path: str) -> None:
    """Refuses arguments of a network that name files, or are out of all proportion to its weights.

    Raises:
        CheckpointError: naming the argument.
    """
    largest = max([_ANY_ARGUMENT, len(state), *(side for value in state.values() for side in value.shape)])
    for name, argument in section.items():
        if name != 'type':
            _require_proportionate(str(name), argument, largest, path)


def _require_proportionate(name: str, argument: Any, largest: int, path: str) -> None:
    if isinstance(argument, str) and ('path' in name or '/' in argument or '\\' in argument):
        raise CheckpointError(
            f'{path} wants its network to read the file {argument[:100]!r} ({name}), which nothing in it may; name the '
            'network yourself (arch)'
        )
    if isinstance(argument, (int, float)) and abs(argument) > largest:
        raise CheckpointError(
            f'{path} says {name}: {str(argument)[:20]} of its network, and none of its weights is so large; it is '
            'damaged, or not what it says'
        )
    inner = argument.values() if isinstance(argument, dict) else argument if isinstance(argument, (list, tuple)) else ()
    for part in inner:
        _require_proportionate(name, part, largest, path)


@contextlib.contextmanager
def _at_most(values: int, path: str) -> Iterator[None]:
    """Ends the building of a network, in this thread, at the first parameter beyond so many values."""
    thread, count = threading.get_ident(), 0

    def counted(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        nonlocal count
        if threading.get_ident() != thread or parameter is None:
            return
        count += parameter.numel()
        if count > values:
            raise CheckpointError(
                f'{path} says that it holds {type(module).__name__} and more, {count:,} parameters and counting, and '
                'has not half as many weights; it is damaged, or not what it says'
            )

    handle = register_module_parameter_registration_hook(counted)
    try:
        yield
    finally:
        handle.remove()
