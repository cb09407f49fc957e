"""Network interpolation: the weights on the straight line between two trained networks.

Between a network trained for PSNR and its GAN-trained descendant it trades fidelity for texture without artefacts.
Paper: ESRGAN (Wang et al., ECCVW 2018), section 3.4.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from basicsr.utils.registry import ARCH_REGISTRY

from facesr_ext import __version__
from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.host.parts import registry_names
from facesr_ext.runs.atomic import require_free
from facesr_ext.runs.checkpoints import (
    META_KEY,
    SAFETENSORS,
    load_checkpoint,
    save_atomic,
    save_safetensors,
    select_params,
)
from facesr_ext.runs.foreign import WEIGHT_KEYS

MUST_AGREE = ('arch_from', 'scale', 'input', 'value_range')
"""What two networks must have in common beside their arguments: whose they are, what images they take and give."""
SHOWN = 5
"""How many differences an error lists."""


def interpolate_files(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    alpha: float,
    output: str | os.PathLike[str],
    force: bool = False,
) -> str:
    """Writes (1 - alpha) * first + alpha * second, loadable by BasicSR.

    The averaged weights of both are taken where both have them. The file keeps the architecture and says which two it
    is made of.

    Args:
        first (str | PathLike): Checkpoint of alpha 0, as a rule the network trained for PSNR.
        second (str | PathLike): Checkpoint of alpha 1, as a rule the GAN-trained one.
        alpha (float): In [0, 1].
        output (str | PathLike): ``.pth``, or ``.safetensors``.
        force (bool): Replace a file that is there.

    Returns:
        str: Which weights were taken ('params_ema', 'params', ...).

    Raises:
        OptionError: for another alpha, or an output that is there already.
        CheckpointError: if a file cannot be read or written, or the two are not of one network.
    """
    if not 0 <= alpha <= 1:
        raise OptionError(f'must be from 0 (the first network) to 1 (the second), not {alpha}', ('--alpha',))
    paths, target = [Path(first), Path(second)], Path(output)
    require_free([target], paths, force)
    contents = [load_checkpoint(path) for path in paths]
    metadata = [_metadata(content) for content in contents]
    _refuse_other_networks(paths, metadata)
    key = next((k for k in WEIGHT_KEYS if all(isinstance(c.get(k), Mapping) for c in contents)), None)
    (a, used), (b, _) = (select_params(c, key, str(p)) for c, p in zip(contents, paths, strict=True))
    _refuse_other_weights(paths, a, b)
    state = interpolate(a, b, alpha)
    description = {**_common(*metadata), **_origin(alpha, used, paths, metadata)}
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == SAFETENSORS:
        save_safetensors(state, target, description)
    else:
        save_atomic({'params': state, META_KEY: description}, target)
    return used


def interpolate(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor], alpha: float) -> dict[str, torch.Tensor]:
    """The state dict (1 - alpha) * a + alpha * b; what is not floating point (counters, tables) is a's.

    Args:
        a, b (Mapping): State dicts of the same names and shapes.
        alpha (float): In [0, 1].

    Returns:
        dict: In a's types.
    """
    return {
        key: torch.lerp(value.float(), b[key].float(), alpha).to(value.dtype) if value.is_floating_point() else value
        for key, value in a.items()
    }


def _metadata(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of ours says of itself; nothing for others'."""
    metadata = content.get(META_KEY)
    return dict(metadata) if isinstance(metadata, Mapping) else {}


def _refuse_other_networks(paths: list[Path], metadata: list[dict[str, Any]]) -> None:
    """Compares what both say of themselves; where one says nothing, its weights alone can speak.

    Raises:
        CheckpointError: naming the first arguments that differ.
    """
    arch_a, arch_b = (_with_defaults(data['arch']) if data.get('arch') else {} for data in metadata)
    names = [*({**arch_a, **arch_b} if arch_a.get('type') == arch_b.get('type') else ['type'])]
    differing = [k for k in names if arch_a and arch_b and arch_a.get(k) != arch_b.get(k)]
    differences = [f'{k}: {arch_a.get(k)!r} and {arch_b.get(k)!r}' for k in differing]
    a, b = metadata
    differences += [f'{k}: {a[k]!r} and {b[k]!r}' for k in MUST_AGREE if k in a and k in b and a[k] != b[k]]
    if differences:
        raise CheckpointError(_refusal(paths, differences))


def _with_defaults(arch: Mapping[str, Any]) -> dict[str, Any]:
    """A network's section with the arguments that it leaves out."""
    kind = str(arch.get('type'))
    if kind not in registry_names(ARCH_REGISTRY):
        return dict(arch)
    parameters = inspect.signature(ARCH_REGISTRY.get(kind)).parameters.values()
    return {**{p.name: p.default for p in parameters if p.default is not p.empty}, **arch}


def _refuse_other_weights(paths: list[Path], a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> None:
    """Compares names and shapes.

    Raises:
        CheckpointError: naming the first that differ.
    """
    differences = [
        f'{key}: {tuple(a[key].shape) if key in a else "missing"} and {tuple(b[key].shape) if key in b else "missing"}'
        for key in {**a, **b}
        if key not in a or key not in b or a[key].shape != b[key].shape
    ]
    if differences:
        raise CheckpointError(_refusal(paths, differences))


def _refusal(paths: list[Path], differences: list[str]) -> str:
    more = f'\n  and {len(differences) - SHOWN} more' if len(differences) > SHOWN else ''
    listing = '\n'.join(f'  {line}' for line in differences[:SHOWN])
    return (
        f'{paths[0]} and {paths[1]} are not of one network. The first differences:\n{listing}{more}\n'
        'Interpolate a network and one that was trained on from it (path: pretrain_network_g).'
    )


def _common(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """What holds for the result too; what describes the network also where one of the two does not state it."""
    network: dict[str, Any] = {key: a.get(key, b.get(key)) for key in ('arch', *MUST_AGREE) if key in a or key in b}
    shared = _agreed(a, b, ('degradation',))
    first, second = (data.get('trained_on') or {} for data in (a, b))
    if trained := _agreed(first, second, first):
        shared['trained_on'] = trained  # with it the size of faces, which says what the network can be given
    return {**network, **shared, 'version': __version__}


def _agreed(a: Mapping[str, Any], b: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """What two say alike, of these keys."""
    return {key: a[key] for key in keys if key in a and a[key] == b.get(key)}


def _origin(alpha: float, used: str, paths: list[Path], metadata: list[dict[str, Any]]) -> dict[str, Any]:
    parents = [
        {'file': path.as_posix(), **{k: data[k] for k in ('iteration', 'trained_on', 'degradation') if k in data}}
        for path, data in zip(paths, metadata, strict=True)
    ]
    return {'interpolation': {'alpha': alpha, 'weights': used, 'parents': parents}}
