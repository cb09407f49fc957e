"""A network as a file for other engines: ONNX, a graph of torch.export, or weights that spandrel recognises."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import nn

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.inference.elsewhere import ForeignNetwork
from facesr_ext.inference.export_graph import (
    HalfInside,
    Size,
    checked_sizes,
    faces,
    largest_difference,
    opset_of,
    to_onnx,
    trace,
)
from facesr_ext.inference.onnx_network import GRAPH, ONNX, OnnxNetwork, network_of
from facesr_ext.inference.opening import open_model
from facesr_ext.inference.publication import without_paths
from facesr_ext.inference.restorer import Restorer
from facesr_ext.inference.shipped import LICENCE, SHIPPED
from facesr_ext.places import user_path
from facesr_ext.runs.atomic import replaced_when_whole, require_free
from facesr_ext.runs.checkpoints import META_KEY, SAFETENSORS, read_weights, safetensors_bytes
from facesr_ext.spandrel import GUESSES, KEY, described_tensor

SUFFIXES = {'onnx': ONNX, 'pt2': '.pt2', 'safetensors': SAFETENSORS}
"""The kinds of files, and how their names end."""
TOLERANCE, HALF_TOLERANCE = 1e-3, 2e-2
"""By how much a value of [0, 1] may differ from PyTorch's fp32: a quarter of an 8-bit level; in fp16 five of them."""
DECIDED = 0.999
"""The share of values that this holds for, where the network decides pixel by pixel."""
_Run = Callable[[torch.Tensor], torch.Tensor]


class Exported(NamedTuple):
    """What was written.

    Attributes:
        path (Path): The file.
        sha256 (str): Of it.
        size (int): Bytes.
        difference (float): The largest one between file and network on drawn faces, in [0, 1].
        share (float): Of the values, that ``difference`` holds for: below 1 for networks that round or compare within.
        takes (str): Which images it takes, in words.
    """

    path: Path
    sha256: str
    size: int
    difference: float
    share: float
    takes: str


class _Made(NamedTuple):
    """A file before it is written: its bytes, what runs it, and which images it takes."""

    data: bytes
    run: _Run
    takes: str


def export(
    model: str | os.PathLike[str] | Restorer,
    output: str | os.PathLike[str] | None = None,
    *,
    to: str = 'onnx',
    half: bool = False,
    size: Size | None = None,
    opset: int | None = None,
    licence: str | None = None,
    force: bool = False,
) -> Exported:
    """Writes a network as a file for other engines, once it has made of drawn faces what the network makes.

    Args:
        model (str | PathLike | Restorer): As ``facesr restore --model`` takes it: of the package, a run, a checkpoint.
        output (str | PathLike | None): The file. Default: the model's name, here.
        to (str): 'onnx', 'pt2' (``torch.export``), or 'safetensors' (weights, which programs on spandrel open).
        half (bool): A graph computes in fp16, and still takes and gives fp32; weights have 16 bits.
        size (tuple[int, int] | None): The one height and width of its input that a graph takes. Default: any that the
            network takes.
        opset (int | None): Version of ONNX's operators, 18 or later. Default: that of the exporter.
        licence (str | None): Of the weights, noted in the file. Default: what the model says.
        force (bool): Replace a file that is there.

    Raises:
        OptionError: for an argument that does not fit, and a network that makes no larger or equally large image.
        CheckpointError: where the network has no such form, or the file would differ by more than is allowed (1e-3, in
            fp16 2e-2; of a network that rounds or compares within, one value in a thousand may): nothing is written
            then.
        DependencyError: if a package is missing.
    """
    target = _target(model, output, to)
    _require_options(to, size, opset)
    restorer = open_model(model, device='cpu', precision='fp32')
    require_free([target], [Path(file) for file in restorer.files], force)
    size = _exportable(restorer, half, size)
    made = _MAKERS[to](restorer, _described(restorer, model, licence, half), half, size, opset)
    batches = [faces(num, sides) for num, sides in checked_sizes(restorer.info, size)]
    share = DECIDED if restorer.info.decides else 1.0
    difference = largest_difference(made.run, restorer.net, batches, share)
    allowed = HALF_TOLERANCE if half else TOLERANCE
    if not difference <= allowed:
        raise CheckpointError(
            f'{target} would differ from the network by {difference:.2g} of [0, 1] on drawn faces, more than '
            f'{allowed:g}; nothing was written' + ('; leave --fp16 out' if half else '')
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replaced_when_whole(target) as temporary:
            temporary.write_bytes(made.data)
    except OSError as err:
        raise CheckpointError(f'cannot write {target}: {err.strerror or err}') from err
    return Exported(target, hashlib.sha256(made.data).hexdigest(), len(made.data), difference, share, made.takes)


def _target(model: str | os.PathLike[str] | Restorer, output: str | os.PathLike[str] | None, to: str) -> Path:
    if to not in SUFFIXES:
        raise OptionError(f'{to!r} is unknown; there are {", ".join(SUFFIXES)}', ('--to',))
    if output is None:
        if isinstance(model, Restorer):
            raise OptionError('is needed for a network that is opened already', ('--output',))
        return Path(user_path(model).resolve().stem + SUFFIXES[to])
    target = user_path(output)
    if target.suffix != SUFFIXES[to]:
        raise OptionError(f'{target} must end in {SUFFIXES[to]}; --to says what is written', ('--output',))
    return target


def _require_options(to: str, size: Size | None, opset: int | None) -> None:
    if opset is not None and to != 'onnx':
        raise OptionError('is a matter of onnx alone; leave it out', ('--opset',))
    if opset is not None and opset < 18:
        raise OptionError(f'{opset}: the exporter writes 18 and later', ('--opset',))
    if size is not None and to == 'safetensors':
        raise OptionError('is a matter of graphs; weights take every size', ('--size',))


def _exportable(restorer: Restorer, half: bool, size: Size | None) -> Size | None:
    """The size that the graph is bound to, None for none.

    Raises:
        OptionError: for a network that cannot be exported, saying why.
    """
    net, info = restorer.net, restorer.info
    name = type(net).__name__
    if isinstance(net, OnnxNetwork):
        raise OptionError(f'{net.path} is exported already', ('model',))
    if isinstance(net, ForeignNetwork):
        raise OptionError(f'holds {net.name}, a network of another program; export it there', ('model',))
    if info.input == 'hr':
        raise OptionError(f'{name} makes small images of large ones; facesr degrade runs it', ('model',))
    if half and not info.halves:
        raise OptionError(f'{name} needs fp32', ('--fp16',))
    if size is not None and (fault := info.sizes.fault(size)):
        raise OptionError(f'height and width must be {fault} for {name}, not {size[0]}x{size[1]}', ('--size',))
    size = (info.sizes.fixed, info.sizes.fixed) if info.sizes.fixed else size
    lq = faces(1, checked_sizes(info, size)[0][1])
    factor = 1 if info.input == 'enlarged' else info.scale
    try:
        with torch.no_grad():
            made = net(lq)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as err:  # one that takes more than an image
        raise OptionError(f'{name} makes no image of one alone ({err})', ('model',)) from err
    if not isinstance(made, torch.Tensor) or made.shape != (1, 3, lq.shape[-2] * factor, lq.shape[-1] * factor):
        raise OptionError(f'{name} makes no image of one: it judges them, or makes something else', ('model',))
    return size


def _described(
    restorer: Restorer, model: str | os.PathLike[str] | Restorer, licence: str | None, half: bool
) -> dict[str, Any]:
    """What the file says of itself: what a checkpoint does, without paths, and how it is to be fed."""
    info = restorer.info
    own = LICENCE if isinstance(model, str) and model in SHIPPED else None
    terms = licence or restorer.metadata.get('licence') or own
    graph = {'input': info.input, 'scale': info.scale, 'multiple_of': info.sizes.multiple_of, 'half': half}
    return {
        **without_paths(restorer.metadata),
        'scale': restorer.scale,
        'value_range': [0.0, 1.0],
        **({'licence': terms} if terms else {}),
        GRAPH: graph,
    }


def _traced(restorer: Restorer, half: bool, size: Size | None) -> tuple[Any, bool, str]:
    """The graph, whether it takes any number of images, and which it takes, in words."""
    net = HalfInside(restorer.net) if half else restorer.net
    program, any_number = trace(net, restorer.info, size)
    multiple = restorer.info.sizes.multiple_of
    sides = (
        f'{size[1]}x{size[0]} px' if size else f'sides of a multiple of {multiple} px' if multiple > 1 else 'any size'
    )
    return program, any_number, f'{"any number of images" if any_number else "one image"}, {sides}'


def _onnx(restorer: Restorer, described: dict[str, Any], half: bool, size: Size | None, opset: int | None) -> _Made:
    program, _, takes = _traced(restorer, half, size)
    properties = {
        'architecture': type(restorer.net).__name__,
        'scale': str(restorer.scale),
        'input': 'RGB (N, 3, H, W) from 0 to 1'
        + (', enlarged to the size of the result' if restorer.info.input == 'enlarged' else ''),
        'licence': str(described.get('licence', 'not stated')),
        META_KEY: json.dumps(described),
    }
    data = to_onnx(program, opset, properties)
    return _Made(data, network_of(data, 'the exported graph'), f'opset {opset_of(data)}, {takes}')


def _pt2(restorer: Restorer, described: dict[str, Any], half: bool, size: Size | None, _: object) -> _Made:
    program, any_number, takes = _traced(restorer, half, size)
    stream = io.BytesIO()
    torch.export.save(program, stream, extra_files={META_KEY: json.dumps(described)})
    graph: Any = torch.export.load(io.BytesIO(stream.getvalue())).module()

    def run(lq: torch.Tensor) -> torch.Tensor:
        return torch.cat([graph(part) for part in lq.split(len(lq) if any_number else 1)])

    return _Made(stream.getvalue(), run, takes)


def _safetensors(restorer: Restorer, described: dict[str, Any], half: bool, *_: object) -> _Made:
    described.pop(GRAPH)
    if not restorer.files:
        raise OptionError('has no weights; name a checkpoint', ('model',))
    state = read_weights(restorer.files).state
    state = {key: value.half() if half and value.is_floating_point() else value for key, value in state.items()}
    known = (described.get('arch') or {}).get('type') in GUESSES  # others would refuse an entry that is not theirs
    data = safetensors_bytes({**state, **({KEY: described_tensor(described)} if known else {})}, described)
    net: nn.Module = copy.deepcopy(restorer.net)
    stored = safetensors.torch.load(data)
    stored.pop(KEY, None)
    net.load_state_dict(stored)  # 16 bits become 32
    return _Made(data, net, 'weights')


_MAKERS: dict[str, Callable[..., _Made]] = {'onnx': _onnx, 'pt2': _pt2, 'safetensors': _safetensors}
