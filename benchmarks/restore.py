"""``facesr restore`` against a GFPGAN-style loop: many faces in one photograph, and many photographs.

    python -m benchmarks.restore PHOTO... [--quick] [--model default] [--faces 30] [--photos 100] [--device cpu]

The peer (`benchmarks.gfpgan_style`) takes one face at a time through the same network, in fp32, found by the same
detector, and pastes by facexlib. With the extra `export` the same network runs in ONNX Runtime, too. The photograph of
many faces is laid out of those given, side by side; the many photographs are those given, again and again. The ways
take turns; opening the network is not counted.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.common import Spent, Table, add_device, add_output, argument_parser, in_turns, ratio, spent, told
from benchmarks.gfpgan_style import GfpganStyle, faces_restored
from facesr_ext.data.image_io import read_image
from facesr_ext.errors import DatasetError
from facesr_ext.inference.photo import PhotoRestorer

OURS, PEER, ONNX = 'facesr restore', 'GFPGAN-style', 'facesr restore, ONNX Runtime'
COLUMNS = {
    'what': '', 'faces': 'd', 'way': '', 's': '.2f', 'CPU s': '.2f', 'CPU ms a face': '.0f',
    f'times {OURS}': '', 'times its CPU s': '',
}  # fmt: skip
_TILE = 256


def group_photo(photos: Sequence[np.ndarray], faces: int, count: Callable[[np.ndarray], int]) -> np.ndarray:
    """The photographs side by side, as squares of 256 px, until they show so many faces.

    Args:
        photos (Sequence[ndarray]): (H, W, 3) uint8 RGB.
        faces (int): How many at least.
        count (Callable): How many faces a square shows.

    Raises:
        DatasetError: if none of them shows a face.
    """
    squares = [_square(photo) for photo in photos]
    shown = {number: count(square) for number, square in enumerate(squares)}
    if not any(shown.values()):
        raise DatasetError('no face is found in any of the photographs: give others')
    chosen: list[np.ndarray] = []
    left = faces
    for number in itertools.cycle(number for number, found in shown.items() if found):
        chosen.append(squares[number])
        left -= shown[number]
        if left <= 0:
            break
    columns = math.ceil(math.sqrt(len(chosen)))
    chosen += [np.zeros_like(chosen[0])] * (-len(chosen) % columns)
    rows = [np.concatenate(chosen[at : at + columns], axis=1) for at in range(0, len(chosen), columns)]
    return np.concatenate(rows)


def _square(photo: np.ndarray) -> np.ndarray:
    height, width = photo.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = photo[top : top + side, left : left + side]
    return cv2.resize(cut, (_TILE, _TILE), interpolation=cv2.INTER_AREA)


def ways(model: str, folder: Path, device: str) -> dict[str, Callable[[Sequence[np.ndarray]], Any]]:
    """What restores photographs on a device, by what it is called; ONNX Runtime has the CPU alone."""
    ours = PhotoRestorer(model, device=device, identity=False)
    peer = GfpganStyle(PhotoRestorer(model, device=device, precision='fp32', identity=False))
    found: dict[str, Callable[[Sequence[np.ndarray]], Any]] = {
        OURS: lambda photos: list(ours.restore_many(photos)),
        PEER: lambda photos: [peer.restore(photo) for photo in photos],
    }
    if device == 'cpu' and importlib.util.find_spec('onnxruntime') and importlib.util.find_spec('onnxscript'):
        from facesr_ext.inference.export import export

        export(ours.restorer, folder / 'net.onnx', force=True)
        exported = PhotoRestorer(folder / 'net.onnx', device='cpu', identity=False)
        found[ONNX] = lambda photos: list(exported.restore_many(photos))
    return found


def compare(
    what: str, photos: Sequence[np.ndarray], faces: int, runs: dict[str, Any], rounds: int, device: str
) -> list[dict[str, Any]]:
    """A row for each way."""
    calls: dict[str, Callable[[], Spent]] = {
        name: partial(spent, partial(run, photos), device) for name, run in runs.items()
    }
    values = in_turns(calls, rounds)
    rows = []
    for name, found in values.items():
        wall, cpu = ([getattr(value, kind) for value in found] for kind in ('wall', 'cpu'))
        first = values[OURS]
        rows.append({
            'what': what, 'faces': faces, 'way': name, 's': statistics.median(wall), 'CPU s': statistics.median(cpu),
            'CPU ms a face': 1000 * statistics.median(cpu) / faces,
            f'times {OURS}': ratio(wall, [value.wall for value in first]),
            'times its CPU s': ratio(cpu, [value.cpu for value in first]),
        })  # fmt: skip
    return rows


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('photo', type=Path, nargs='+', metavar='PHOTO')
    parser.add_argument('--model', default='default', help='default, sharp, a run, or a file of weights')
    parser.add_argument('--faces', type=int, help='of the one photograph; 30')
    parser.add_argument('--photos', type=int, help='100')
    parser.add_argument('--rounds', type=int, help='3')
    add_device(parser)
    add_output(parser)
    args = parser.parse_args()
    faces, photos = args.faces or (8 if args.quick else 30), args.photos or (8 if args.quick else 100)
    rounds = args.rounds or (1 if args.quick else 3)
    with told(parser), tempfile.TemporaryDirectory() as folder:
        images = [read_image(path) for path in args.photo]
        finder = PhotoRestorer(args.model, device=args.device, identity=False)

        def count(image: np.ndarray) -> int:
            return len(faces_restored(finder, image))

        group = group_photo(images, faces, count)
        many = list(itertools.islice(itertools.cycle(images), photos))
        runs = ways(args.model, Path(folder), args.device)
        title = f'{Path(args.model).name}, {args.device}, {torch.get_num_threads()} threads'
        table = Table(title, COLUMNS, args.device)
        for what, given in (('one photograph', [group]), (f'{photos} photographs', many)):
            shown = sum(map(count, given)) if what == 'one photograph' else _shown(images, count, photos)
            for row in compare(what, given, shown, runs, rounds, args.device):
                table.add(row)
    table.write(args.out)


def _shown(images: Sequence[np.ndarray], count: Callable[[np.ndarray], int], photos: int) -> int:
    """Faces of the photographs, taken again and again."""
    each = [count(image) for image in images]
    return sum(itertools.islice(itertools.cycle(each), photos))


if __name__ == '__main__':
    main()
