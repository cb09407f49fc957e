"""Aligned faces restored, beside bicubic and Real-ESRGAN x4plus: PSNR, LPIPS, identity, seconds.

    python -m benchmarks.restoration --gt DIR --lq DIR --model MODEL [--num 12] [--peers bicubic realesrgan-x4plus]
    python -m benchmarks.restoration --gt DIR --model MODEL --clean

MODEL makes of each LQ what ``facesr restore --aligned --upscale`` makes of it; a peer is bicubic, realesrgan-x4plus
(`benchmarks.realesrgan`; half a minute an image on one thread) or another model. GT and LQ have the same names. Printed
are means with their intervals over the images (95 %, bootstrap), and the paired differences to each peer with their
p-values. --clean gives the network the GT itself, which should come back as it is: its PSNR, against 38 dB. --sheet
writes a picture of the first faces.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.common import Clock, add_clock, add_device, argument_parser, timed, told
from benchmarks.realesrgan import x4plus
from facesr_ext import register
from facesr_ext.comparison.statistics import Interval, mean_interval, paired
from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import list_images, read_image, write_image
from facesr_ext.errors import DatasetError
from facesr_ext.imaging import imresize, to_images, to_tensor
from facesr_ext.inference.photo import PhotoRestorer
from facesr_ext.inference.restorer import Restorer
from facesr_ext.metrics.metric_info import Metrics

METRICS = ('psnr_rgb', 'psnr_y', 'lpips_alex', 'lpips_vgg', 'identity_distance')
CLEAN = 38.0  # dB: what a face that needs nothing keeps at least
_SECONDS, _ROWS = 's/image', 6

Method = Callable[[np.ndarray, int], np.ndarray]
"""(h, h, 3) uint8 RGB and a size -> the face at that size."""


class Pair(NamedTuple):
    """A face: its name, and (H, H, 3) and (h, h, 3) uint8 RGB."""

    name: str
    gt: np.ndarray
    lq: np.ndarray


def read_pairs(gt: Path, lq: Path, num: int) -> list[Pair]:
    """The first so many faces of two folders.

    Raises:
        DatasetError: for a folder or file that cannot be read, and a face that is no square.
    """
    pairs = [Pair(name, read_image(gt / name), read_image(lq / name)) for name in list_images(gt, ('--gt',))[:num]]
    for pair in pairs:
        for folder, image in ((gt, pair.gt), (lq, pair.lq)):
            if image.shape[0] != image.shape[1]:
                raise DatasetError(f'{folder / pair.name} is no square, as an aligned face is; leave it out')
    return pairs


def resized(image: np.ndarray, size: int) -> np.ndarray:
    """By MATLAB's bicubic."""
    return to_images(imresize(to_tensor(image)[None], (size, size)))[0]


def method(name: str, device: str) -> Method:
    """What restores: 'bicubic', 'realesrgan-x4plus', or a model as `facesr restore` takes it."""
    if name == 'bicubic':
        return resized
    if name == 'realesrgan-x4plus':
        peer = Restorer(None, arch=x4plus(), scale=4, device=device)
        return lambda lq, size: resized(peer.restore(lq), size)
    ours = PhotoRestorer(name, device=device)

    def restore(lq: np.ndarray, size: int) -> np.ndarray:
        ours.upscale = size / lq.shape[0]
        return ours.restore_aligned(lq).image

    return restore


class Table:
    """What each method reaches on each face: method -> figure -> values, and its first pictures."""

    def __init__(self, methods: dict[str, Method], metrics: Sequence[str]) -> None:
        self.methods, self.metrics = methods, Metrics({name: {'type': name} for name in metrics})
        self.values: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in methods}
        self.pictures: list[list[np.ndarray]] = []

    @torch.inference_mode()
    def fill(self, pairs: Sequence[Pair], device: str, clock: Clock) -> None:
        """Restores and measures."""
        with tqdm(total=len(pairs) * len(self.methods), unit='face') as progress:
            for pair in pairs:
                row: list[np.ndarray] = []
                for name, restore in self.methods.items():
                    progress.set_postfix_str(f'{_short(name)} {pair.name}')
                    self.values[name][_SECONDS].append(timed(partial(_restore, restore, pair, row), device, clock))
                    for figure, value in self.metrics.measure(row[-1], pair.gt).items():
                        self.values[name][figure].append(value)
                    progress.update()
                if len(self.pictures) < _ROWS:
                    self.pictures.append([pair.lq, *row, pair.gt])

    def print_means(self) -> None:
        """A column a method: mean and interval of each figure."""
        self._head(self.methods)
        for figure in (*self.metrics, _SECONDS):
            self._row(figure, [_text(mean_interval(values[figure])) for values in self.values.values()])

    def print_differences(self, first: str) -> None:
        """A column a peer: the first method's mean less the peer's, its interval and p."""
        peers = [name for name in self.methods if name != first]
        self._head([f'less {_short(name)}' for name in peers])
        for figure in self.metrics:
            cells = [paired(self.values[first][figure], self.values[name][figure]) for name in peers]
            self._row(figure, [f'{_text(cell.difference)} p {cell.p:.4f}' for cell in cells])

    def _head(self, titles: Iterable[str]) -> None:
        self._row('', [_short(title) for title in titles])

    def _row(self, first: str, cells: Sequence[str]) -> None:
        print(f'{first:18}' + ''.join(f'{cell:>37}' for cell in cells))

    def sheet(self) -> np.ndarray:
        """LQ, what each method makes of it, and GT."""
        return contact_sheet(self.pictures, ['LQ', *map(_short, self.methods), 'GT'])


def _restore(method: Method, pair: Pair, row: list[np.ndarray]) -> None:
    row.append(method(pair.lq, pair.gt.shape[0]))


def _short(name: str) -> str:
    return Path(name).name


def _text(interval: Interval) -> str:
    if math.isnan(interval.low):
        return f'{interval.mean:.3f}'
    return f'{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]'


def print_clean(pairs: Sequence[Pair], name: str, device: str, clock: Clock) -> None:
    """How well faces come back that need nothing."""
    table = Table({name: method(name, device)}, ['psnr_rgb', 'psnr_y'])
    table.fill([pair._replace(lq=pair.gt) for pair in pairs], device, clock)
    print('\nclean faces, given as they are')
    table.print_means()
    values = table.values[name]['psnr_rgb']
    print(f'the least {min(values):.2f} dB; {sum(value >= CLEAN for value in values)} of {len(values)} at {CLEAN} dB')


def _arguments() -> tuple[argparse.ArgumentParser, argparse.Namespace]:
    parser = argument_parser(__doc__)
    parser.add_argument('--gt', type=Path, required=True)
    parser.add_argument('--lq', type=Path, help='without it, --clean alone')
    parser.add_argument('--model', required=True, help='a run, or a file of weights')
    parser.add_argument('--num', type=int, default=12, help='the first so many faces')
    parser.add_argument('--peers', nargs='*', default=['bicubic', 'realesrgan-x4plus'], metavar='PEER')
    parser.add_argument('--clean', action='store_true')
    parser.add_argument('--sheet', type=Path, help=f'a picture of the first {_ROWS} faces: LQ, results, GT')
    add_device(parser)
    add_clock(parser)
    args = parser.parse_args()
    if args.lq is None and not args.clean:
        parser.error('give --lq, --clean or both')
    return parser, args


def main() -> None:
    """Measures and prints."""
    parser, args = _arguments()
    register()
    with told(parser):
        pairs = read_pairs(args.gt, args.lq or args.gt, args.num)
        print(f'{len(pairs)} faces, {args.device}, {torch.get_num_threads()} threads')
        if args.lq:
            methods = {name: method(name, args.device) for name in dict.fromkeys([args.model, *args.peers])}
            table = Table(methods, METRICS)
            table.fill(pairs, args.device, args.clock)
            table.print_means()
            if args.peers:
                print()
                table.print_differences(args.model)
            if args.sheet:
                write_image(args.sheet, table.sheet())
        if args.clean:
            print_clean(pairs, args.model, args.device, args.clock)


if __name__ == '__main__':
    main()
