"""Files of ONNX as networks: what runs one where a `Restorer` would run a network of PyTorch."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, Sizes
from facesr_ext.errors import CheckpointError, DatasetError, DependencyError
from facesr_ext.inference.onnx_checks import require_harmless
from facesr_ext.places import user_path
from facesr_ext.runs.checkpoints import META_KEY
from facesr_ext.runs.untrusted import plain_description

ONNX = '.onnx'
GRAPH = 'graph'
"""Where the metadata says how the graph is to be fed."""
_MOST_BYTES = 1 << 30
_TRIED = 64  # px at which a graph that says nothing of itself is tried
_KINDS = {'tensor(float)': np.float32, 'tensor(float16)': np.float16}


def is_onnx(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of ONNX, by its name."""
    return Path(path).suffix.lower() == ONNX


class OnnxNetwork(nn.Module):
    """A graph of ONNX, called as a network: (N, 3, h, w) RGB [0, 1] -> (N, 3, H, W).

    Sizes that the graph has fixed are asked for; a fixed number of images is seen to here.

    Args:
        session (onnxruntime.InferenceSession): Of the file.
        path (str): The file, for messages.

    Attributes:
        info (ArchInfo): How it is to be fed: what the file says, or what a trial has found.
        metadata (dict): What the file says of itself, as a checkpoint; {} where it was not written by facesr_ext.

    Raises:
        CheckpointError: for a graph that makes no RGB image of one.
    """

    def __init__(self, session: Any, path: str) -> None:
        super().__init__()
        self.session, self.path = session, path
        given, made = session.get_inputs(), session.get_outputs()
        if len(given) != 1 or len(made) != 1:
            raise CheckpointError(
                f'{path} takes {len(given)} and gives {len(made)} tensors; one image each is known here'
            )
        self.shape = _require_images(given[0], made[0], path)
        self.dtype, self.names = _KINDS[given[0].type], (given[0].name, made[0].name)
        self.metadata = _description(session.get_modelmeta().custom_metadata_map, path)
        graph = self.metadata.pop(GRAPH, None)
        self.info = _stated_info(graph, self.shape) if graph else self._tried()

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Runs it.

        Args:
            lq (Tensor): (N, 3, h, w), RGB, [0, 1], on any device.

        Returns:
            Tensor: (N, 3, H, W), float32, RGB, not clamped, on the same device.

        Raises:
            DatasetError: for a size that the graph does not take.
            OutOfMemoryError: as a network of PyTorch.
        """
        num, _, height, width = self.shape
        size = tuple(lq.shape[-2:])
        if size != (height or size[0], width or size[1]):
            wanted = f'{width or "any"}x{height or "any"}'
            raise DatasetError(f'{self.path} takes {wanted} px alone, not {size[1]}x{size[0]} px')
        images = np.ascontiguousarray(lq.detach().float().cpu().numpy(), dtype=self.dtype)
        step = num or len(images)
        parts = [self._run(images[start : start + step], step) for start in range(0, len(images), step)]
        return torch.from_numpy(np.concatenate(parts)).float().to(lq.device)

    def _run(self, images: np.ndarray, num: int) -> np.ndarray:
        """So many images together; fewer are filled up by the last one."""
        missing = num - len(images)
        filled = np.concatenate([images, *[images[-1:]] * missing]) if missing else images
        try:
            made: np.ndarray = self.session.run([self.names[1]], {self.names[0]: filled})[0]
        except Exception as err:  # ONNX Runtime has errors of its own for whatever fails in a graph
            reason = _first_line(err)
            if 'allocate' in reason or isinstance(err, MemoryError):
                raise torch.OutOfMemoryError(f'{self.path}: {reason}') from err
            size = 'x'.join(map(str, images.shape[:-3:-1]))
            raise DatasetError(f'{self.path} fails on {size} px: {reason}') from err
        if made.ndim != 4 or made.shape[:2] != (num, 3) or not np.issubdtype(made.dtype, np.floating):
            raise DatasetError(f'{self.path} makes {made.dtype} {made.shape} of {filled.shape}, no RGB images')
        return made[: len(images)]

    def _tried(self) -> ArchInfo:
        """What a graph that says nothing takes, by one run."""
        _, _, height, width = self.shape
        size = (height or _TRIED, width or _TRIED)
        try:
            with torch.no_grad():
                made = self.forward(torch.full((1, 3, *size), 0.5)).shape[-2:]
        except DatasetError as err:
            raise CheckpointError(f'{self.path} cannot be used: {err.message}') from err
        scale = made[0] // size[0]
        if scale < 1 or tuple(made) != (size[0] * scale, size[1] * scale):
            raise CheckpointError(f'{self.path} makes {made[1]}x{made[0]} px of {size[1]}x{size[0]}, no whole multiple')
        return _info(scale, 'enlarged' if scale == 1 else 'small', 1, self.shape)


def open_onnx(path: str | os.PathLike[str], device: str = 'cpu', asked: bool = False) -> OnnxNetwork:
    """Opens a file of ONNX, also one that is not to be trusted: it is one file, of bounded size, and runs no code.

    Args:
        path (str | PathLike): One file; weights outside of it are refused.
        device (str): 'cpu', or 'cuda' where ONNX Runtime has it.
        asked (bool): The device was asked for: without it that is an error, and not the CPU's turn.

    Raises:
        CheckpointError: for a file that is missing, damaged, too large, or makes no RGB image of one.
        DependencyError: if onnx or onnxruntime, or its CUDA, is missing.
    """
    return network_of(_read(user_path(path)), str(path), device, asked)


def network_of(data: bytes, path: str, device: str = 'cpu', asked: bool = False) -> OnnxNetwork:
    """As `open_onnx`, of the bytes of a file; ``path`` is what messages call it."""
    onnx, ort = _packages(path)
    providers = _providers(ort.get_available_providers(), device, asked)
    require_harmless(onnx, data, path)
    options = ort.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what fails is raised
    try:
        session = ort.InferenceSession(data, options, providers=providers, enable_fallback=0)
    except Exception as err:  # ONNX Runtime has errors of its own for whatever is wrong with a file
        raise CheckpointError(f'{path} cannot be run by ONNX Runtime {ort.__version__}: {_first_line(err)}') from err
    try:
        return OnnxNetwork(session, path)
    except UnicodeDecodeError as err:
        raise CheckpointError(f'{path} has names or notes that are no text in UTF-8: {err}') from err


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise CheckpointError(f'{path} has {size:,} bytes; more than {_MOST_BYTES:,} are not read')
        return path.read_bytes()
    except OSError as err:
        raise CheckpointError(f'cannot read {path}: {err.strerror or err}') from err


def _packages(path: str) -> tuple[Any, Any]:
    try:
        return importlib.import_module('onnx'), importlib.import_module('onnxruntime')
    except ImportError as err:
        raise DependencyError(f"{path} needs ONNX Runtime: pip install 'facesr_ext[export]' ({err})") from err


def _providers(known: Sequence[str], device: str, asked: bool) -> list[str]:
    if device != 'cuda':
        return ['CPUExecutionProvider']
    if 'CUDAExecutionProvider' not in known and asked:
        raise DependencyError(
            'the ONNX Runtime that is installed has no CUDA; say cpu, or: pip uninstall onnxruntime; pip install '
            'onnxruntime-gpu'
        )
    return [name for name in ('CUDAExecutionProvider', 'CPUExecutionProvider') if name in known]


def _require_images(given: Any, made: Any, path: str) -> tuple[int | None, ...]:
    """N, C, H, W of the input, None where any will do."""
    for what, tensor in (('takes', given), ('gives', made)):
        channels = tensor.shape[1] if tensor.shape is not None and len(tensor.shape) == 4 else 0
        if tensor.type not in _KINDS or channels == 0 or (isinstance(channels, int) and channels != 3):
            raise CheckpointError(f'{path} {what} {tensor.type} {tensor.shape}; RGB images (N, 3, H, W) are known here')
    return tuple(side if isinstance(side, int) and side > 0 else None for side in given.shape)


def _description(properties: Mapping[str, str], path: str) -> dict[str, Any]:
    """What the file says of itself; nothing where another program has written something else under our name."""
    try:
        found = json.loads(properties.get(META_KEY, '{}'))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or not isinstance(found.get(GRAPH), dict):
        return {}
    scale = found.get('scale')
    return plain_description(found, path) if scale is None or (type(scale) is int and scale > 0) else {}


def _stated_info(graph: Mapping[str, Any], shape: Sequence[int | None]) -> ArchInfo:
    scale, multiple, fed = graph.get('scale', 1), graph.get('multiple_of', 1), graph.get('input')
    numbers = [number if type(number) is int and number > 0 else 1 for number in (scale, multiple)]
    return _info(numbers[0], 'enlarged' if fed == 'enlarged' else 'small', numbers[1], shape)


def _info(scale: int, fed: Any, multiple: int, shape: Sequence[int | None]) -> ArchInfo:
    height, width = shape[2:]
    fixed = height if height == width else None
    return ArchInfo(scale, fed, Sizes(1 if fixed else multiple, fixed), halves=False)


def _first_line(err: Exception) -> str:
    return (str(err).strip().splitlines() or [type(err).__name__])[0][:300]
