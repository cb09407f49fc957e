"""What a file of ONNX must not do: read other files, or take memory that its bytes do not account for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from facesr_ext.errors import CheckpointError

_MOST_VALUES = 1 << 28
"""Of a tensor whose size the file itself fixes: 1 GiB of float32."""
_DEEPEST = 20
"""Graphs inside of graphs."""


def require_harmless(onnx: Any, data: bytes, path: str) -> None:
    """Refuses a file that points to others, or asks for more memory than a network of faces can need.

    Args:
        onnx (module): The package.
        data (bytes): The file.
        path (str): Where it is, for messages.

    Raises:
        CheckpointError: for such a file, and for one that is no ONNX.
    """
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception as err:  # protobuf's, which changes its classes between releases
        raise CheckpointError(f'{path} is no file of ONNX, or is cut off') from err
    if not model.graph.node:
        raise CheckpointError(f'{path} is no file of ONNX, or holds no network')
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            where = next((entry.value for entry in tensor.external_data if entry.key == 'location'), '')
            raise CheckpointError(
                f'{path} keeps weights in another file ({where[:100]}), which is not read; save it as one file: '
                'onnx.save_model(onnx.load(FILE), NEW, save_as_external_data=False)'
            )
        _require_size(tensor.dims, tensor.name, path)
    try:
        inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as err:  # onnx has errors of its own for whatever is wrong with a graph
        reason = (str(err).strip().splitlines() or [type(err).__name__])[0]
        raise CheckpointError(f'{path} is no valid graph: {reason[:300]}') from err
    for value in inferred.graph.value_info:
        shape = value.type.tensor_type.shape.dim
        if all(side.HasField('dim_value') for side in shape):
            _require_size([side.dim_value for side in shape], value.name, path)


def _require_size(sides: Any, name: str, path: str) -> None:
    count = 1
    for side in sides:
        count *= max(1, side)
    if count > _MOST_VALUES:
        raise CheckpointError(
            f'{path} has a tensor of {count:,} values ({name[:100]}); at most {_MOST_VALUES:,} are run'
        )


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor of values in a file."""
    yield from _of_graph(model.graph, 0)
    for function in model.functions:
        yield from _of_nodes(function.node, 0)


def _of_graph(graph: Any, depth: int) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node, depth)


def _of_nodes(nodes: Any, depth: int) -> Iterator[Any]:
    if depth > _DEEPEST:
        raise CheckpointError(f'a graph in which graphs lie {_DEEPEST} deep is not run')
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for graph in (*([attribute.g] if attribute.HasField('g') else []), *attribute.graphs):
                yield from _of_graph(graph, depth + 1)
