"""A network as a graph: traced by torch.export, translated to ONNX, and fed with faces."""

from __future__ import annotations

import copy
import importlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

import facesr_ext
from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.errors import CheckpointError, DependencyError, OptionError
from facesr_ext.faces.drawn.face import MIN_SIZE, render_face
from facesr_ext.imaging import imresize, quantize, to_tensor

Size = tuple[int, int]
_LEAST = {'small': 32, 'enlarged': 96}
"""px of the faces that a network is traced and checked on, at least."""
_SEED = 20_240_000


class HalfInside(nn.Module):
    """A network that computes in fp16, and is given and gives fp32.

    Args:
        net (Module): It stays as it is; a copy of it is used.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).half()

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.net(lq.half())
        return made.float()


def faces(num: int, size: Size) -> torch.Tensor:
    """(num, 3, *size): drawn faces, RGB in 8-bit levels of [0, 1]; the same ones each time."""
    side = max(MIN_SIZE, *size)
    drawn = torch.stack([to_tensor(render_face(_SEED, index, side).image) for index in range(num)])
    return quantize(imresize(drawn, size))


def checked_sizes(info: ArchInfo, size: Size | None) -> list[tuple[int, Size]]:
    """How many faces of which size a graph is checked on; it is traced on the first."""
    if size is not None:
        return [(2, size), (1, size)]
    multiple = info.sizes.multiple_of
    steps = max(4, -(-_LEAST[info.input] // multiple))
    return [(2, (steps * multiple, (steps + 1) * multiple)), (1, ((steps + 2) * multiple, (steps - 1) * multiple))]


def trace(net: nn.Module, info: ArchInfo, size: Size | None) -> tuple[Any, bool]:
    """Traces a network.

    Args:
        net (Module): In evaluation mode, on the CPU.
        info (ArchInfo): Of it.
        size (tuple[int, int] | None): Height and width that the graph is to take; None for any that the network takes.

    Returns:
        tuple[ExportedProgram, bool]: the graph, and whether it takes any number of images; else it takes one.

    Raises:
        OptionError: where the size cannot stay open.
        CheckpointError: where the network cannot be traced at all.
    """
    count, traced = checked_sizes(info, size)[0]
    shape = _open_sides(info.sizes.multiple_of) if size is None else {}
    try:
        return _traced(net, faces(count, traced), {0: torch.export.Dim('batch'), **shape}), True
    except Exception as err:  # torch.export has errors of its own for whatever it cannot trace
        logging.getLogger('facesr_ext').debug('%s is not traced', type(net).__name__, exc_info=True)
        if size is None:
            raise OptionError(
                f'{type(net).__name__} cannot be traced for images of any size and number ({_first_line(err)}); give '
                'one size, as 64x64',
                ('--size',),
            ) from err
    try:
        return _traced(net, faces(1, traced), {}), False
    except Exception as err:  # as above
        raise CheckpointError(f'{type(net).__name__} cannot be exported: {_first_line(err)}') from err


def _open_sides(multiple: int) -> dict[int, Any]:
    """Heights and widths that stay open: multiples, from two on, since one alone is taken for a size that is fixed."""
    sides = {axis: torch.export.Dim(name, min=2 if multiple > 1 else 4) for axis, name in ((2, 'height'), (3, 'width'))}
    return {axis: multiple * side if multiple > 1 else side for axis, side in sides.items()}


def _traced(net: nn.Module, lq: torch.Tensor, dynamic: dict[int, Any]) -> Any:
    with torch.no_grad():
        return torch.export.export(net, (lq,), dynamic_shapes=(dynamic,), strict=False)


def to_onnx(program: Any, opset: int | None, properties: Mapping[str, Any]) -> bytes:
    """A graph of torch.export as the bytes of a file of ONNX, without a trace of this machine.

    Args:
        program (ExportedProgram): The graph.
        opset (int | None): Version of ONNX's operators. Default: that of the exporter.
        properties (Mapping): What the file says of itself; what `Restorer` reads among it.

    Raises:
        DependencyError: if onnx or onnxscript is missing.
        CheckpointError: for an operator that the version does not have.
    """
    try:
        for name in ('onnx', 'onnxscript'):
            importlib.import_module(name)
    except ImportError as err:
        raise DependencyError(f"ONNX needs more packages: pip install 'facesr_ext[export]' ({err})") from err
    try:
        with _quiet():
            made = torch.onnx.export(
                program, (), dynamo=True, opset_version=opset, input_names=['lq'], output_names=['sr'], verbose=False
            )
        model = made.model_proto  # type: ignore[union-attr]
    except Exception as err:  # the exporter has errors of its own
        raise CheckpointError(f'the graph has no form in ONNX: {_first_line(err)}') from err
    _forget_where_it_was_made(model)
    model.producer_name, model.producer_version = 'facesr_ext', facesr_ext.__version__
    for key, value in properties.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    data: bytes = model.SerializeToString()
    return data


class _quiet:
    """Keeps the exporter's log of its optimiser to errors."""

    def __enter__(self) -> None:
        self.loggers = [logging.getLogger(name) for name in ('onnxscript', 'onnx_ir', 'torch.onnx')]
        self.levels = [logger.level for logger in self.loggers]
        for logger in self.loggers:
            logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        for logger, level in zip(self.loggers, self.levels, strict=True):
            logger.setLevel(level)


def _forget_where_it_was_made(model: Any) -> None:
    """Drops the source lines and paths that the exporter notes at every node."""
    del model.metadata_props[:]
    for graph in (model.graph, *model.functions):
        del graph.metadata_props[:]
        for part in (*graph.node, *graph.value_info):
            del part.metadata_props[:]
            part.doc_string = ''
    for part in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
        part.doc_string = ''


def opset_of(program_bytes: bytes) -> int:
    """The version of ONNX's operators that a file asks for."""
    model = importlib.import_module('onnx').ModelProto.FromString(program_bytes)
    return next(int(entry.version) for entry in model.opset_import if entry.domain in ('', 'ai.onnx'))


def largest_difference(run: Any, net: nn.Module, batches: Sequence[torch.Tensor], share: float = 1) -> float:
    """The largest difference between what a graph and the network make, in [0, 1], of this share of the values."""
    found = 0.0
    with torch.no_grad():
        for lq in batches:
            made, expected = run(lq), net(lq)
            if made.shape != expected.shape:
                raise CheckpointError(
                    f'the graph makes {tuple(made.shape)} of {tuple(lq.shape)}, the network another size'
                )
            apart = (made - expected).abs().flatten()
            difference = float(apart.kthvalue(math.ceil(share * len(apart))).values)
            found = max(found, float('inf') if apart.isnan().any() else difference)  # NaN is unlike everything
    return found


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return (lines or [type(err).__name__])[0][:300]
