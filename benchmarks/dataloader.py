"""Images loaded in a second: BasicSR's data sets against ours, from PNG, JPEG and LMDB, by the number of workers.

    python -m benchmarks.dataloader [--quick] [--px 256] [--workers 0 1 2] [--images FOLDER] [--out FILE]

The same files go through the same loader of torch, mirrored at random: GT alone (BasicSR's FFHQDataset, our
FaceDataset) and pairs at 4x (PairedImageDataset, PairedFaceDataset). A round is an epoch, the start of its workers
included. They take turns. Faces are drawn, unless a folder of images is given.
"""

from __future__ import annotations

import gc
import logging
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from basicsr.data import build_dataset
from basicsr.utils import get_root_logger
from torch.utils.data import DataLoader, Dataset

from benchmarks.common import Spent, Table, add_output, argument_parser, in_turns, ratio, spent, told
from facesr_ext.data.image_io import list_images, read_image, write_image
from facesr_ext.errors import DependencyError
from facesr_ext.faces.drawn.face import DrawnFaces

SCALE, BATCH = 4, 16
STORES = {'PNG': '.png', 'JPEG': '.jpg', 'LMDB of PNG': '.lmdb'}
KINDS = {'GT': ('FFHQDataset', 'FaceDataset'), 'pairs': ('PairedImageDataset', 'PairedFaceDataset')}
COLUMNS = {
    'what': '', 'stored as': '', 'px': 'd', 'workers': 'd', 'BasicSR, images/s': '.0f', 'ours, images/s': '.0f',
    'ratio': '', 'BasicSR, CPU ms an image': '.2f', 'ours, CPU ms an image': '.2f', 'ratio of CPU ms': '',
}  # fmt: skip


def write_stores(folder: Path, images: Iterator[np.ndarray], px: int) -> dict[str, tuple[Path, Path]]:
    """Every way of storing -> where GT and LQ are."""
    places = {name: (folder / f'gt{ending}', folder / f'lq{ending}') for name, ending in STORES.items()}
    for number, image in enumerate(images):
        gt = cv2.resize(image, (px, px), interpolation=cv2.INTER_AREA)
        pair = (gt, cv2.resize(gt, (px // SCALE, px // SCALE), interpolation=cv2.INTER_AREA))
        for name in ('PNG', 'JPEG'):
            for place, stored in zip(places[name], pair, strict=True):
                place.mkdir(parents=True, exist_ok=True)
                write_image(place / f'{number:08d}{STORES[name]}', stored)
    try:
        from facesr_ext.data.lmdb_io import write_lmdb
    except ImportError as err:
        raise DependencyError(f'LMDB needs lmdb ({err}): pip install lmdb') from err
    for source, target in zip(places['PNG'], places['LMDB of PNG'], strict=True):
        write_lmdb(source, target)
        shutil.copytree(target, _ours(target))  # a process opens an LMDB once
    return places


def open_set(name: str, places: tuple[Path, Path], stored_as: str, px: int) -> Dataset[Any]:
    """One of the four data sets, as BasicSR's runner builds it."""
    lmdb = stored_as.startswith('LMDB')
    gt, lq = map(_ours, places) if lmdb and name.startswith(('Face', 'PairedFace')) else places
    section: dict[str, Any] = {
        'name': name, 'type': name, 'phase': 'train', 'scale': SCALE, 'dataroot_gt': str(gt), 'use_hflip': True,
        'io_backend': {'type': 'lmdb' if lmdb else 'disk'}, 'manual_seed': 0,
    }  # fmt: skip
    if name in KINDS['pairs']:
        section |= {'dataroot_lq': str(lq), 'gt_size': px, 'use_rot': False}
    if name == 'FFHQDataset':
        section |= {'mean': [0.5] * 3, 'std': [0.5] * 3}
    if name in ('FaceDataset', 'PairedFaceDataset'):
        section['as_bytes'] = True  # as in a training of our models
    data = build_dataset(section)
    if name == 'FFHQDataset' and not lmdb:  # it knows 70,000 names by heart
        data.paths = [str(path) for path in sorted(gt.iterdir())]
    return data


def _ours(place: Path) -> Path:
    return place.with_name(f'ours_{place.name}')


def epoch(data: Dataset[Any], workers: int) -> Spent:
    """What loading all of it once costs; its workers have ended by then."""
    loader = DataLoader(data, BATCH, shuffle=True, num_workers=workers)

    def load() -> None:
        for _ in loader:
            pass

    return spent(load)


def compare(kind: str, stored_as: str, places: tuple[Path, Path], px: int, workers: int, rounds: int) -> dict[str, Any]:
    """A row."""
    gc.collect()  # what an earlier row has opened is closed
    sets = {name: open_set(name, places, stored_as, px) for name in KINDS[kind]}
    count = len(sets[KINDS[kind][1]])  # type: ignore[arg-type]
    runs: dict[str, Callable[[], Spent]] = {name: partial(epoch, data, workers) for name, data in sets.items()}
    theirs, ours = in_turns(runs, rounds).values()
    row: dict[str, Any] = {'what': kind, 'stored as': stored_as, 'px': px, 'workers': workers, 'images': count}
    for side, values in (('BasicSR', theirs), ('ours', ours)):
        row[f'{side}, images/s'] = count / statistics.median(value.wall for value in values)
        row[f'{side}, CPU ms an image'] = 1000 / count * statistics.median(value.cpu for value in values)
    row['ratio'] = ratio([value.wall for value in theirs], [value.wall for value in ours])
    row['ratio of CPU ms'] = ratio([value.cpu for value in theirs], [value.cpu for value in ours])
    return row


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--images', type=Path, help='folder of images, brought to the size')
    parser.add_argument('--count', type=int, help='how many; 256')
    parser.add_argument('--px', type=int, default=256, help='side of the GT')
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--rounds', type=int, help='epochs; 5')
    add_output(parser)
    args = parser.parse_args()
    count, rounds = args.count or (64 if args.quick else 256), args.rounds or (2 if args.quick else 5)
    torch.set_num_threads(1)
    get_root_logger().setLevel(logging.ERROR)
    with told(parser), tempfile.TemporaryDirectory() as folder:
        places = write_stores(Path(folder), _images(args.images, count, args.px), args.px)
        table = Table(f'Loading {count} images, medians of {rounds} epochs', COLUMNS)
        for kind in KINDS:
            for stored_as, pair in places.items():
                for workers in args.workers:
                    table.add(compare(kind, stored_as, pair, args.px, workers, rounds))
    table.write(args.out)


def _images(folder: Path | None, count: int, px: int) -> Iterator[np.ndarray]:
    if folder is None:
        drawn = DrawnFaces(count, 0, px)
        yield from (drawn[i].image for i in range(count))
    else:
        yield from (read_image(folder / name) for name in list_images(folder)[:count])


if __name__ == '__main__':
    main()
