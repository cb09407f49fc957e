"""Our random degradations against BasicSR's, or against stored LQ pictures: what the LQ look like, in figures.

    python -m benchmarks.degradation_statistics GT_FOLDER [--num 2000] [--preset realesrgan] [--grid sheet.png]
    python -m benchmarks.degradation_statistics GT_FOLDER --preset ai6126_2024 --set resize_by=size
    python -m benchmarks.degradation_statistics GT_FOLDER --preset ai6126_2023 --stored LQ_FOLDER

Six statistics of each LQ: mean level, sharpness (standard deviation of the Laplacian), noise (median absolute
deviation of the finest diagonal differences, of 255), blockiness (jumps across the 8 x 8 grid over those beside it),
and how far its content lies right of and below that of its GT, pixels of the GT; for stored LQ only where the GT of
the same name is in GT_FOLDER. Printed are quartiles, mean and the two-sample Kolmogorov-Smirnov test. Each LQ is
degraded alone, so that the sample's draws are independent. BasicSR's are made with the preset's values: of second
order by its own RealESRGANDataset and RealESRNetModel; of first order, which it has no whole of, by its functions for
images in memory, with OpenCV's filter, resize and JPEG. ``--set`` changes a setting of ours alone. ``--grid`` writes
8 x 8 of ours beside 8 x 8 of the others'.
"""

from __future__ import annotations

import argparse
import copy
import inspect
import math
import random
import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from basicsr.data import degradations as stock
from basicsr.data.realesrgan_dataset import RealESRGANDataset
from scipy.stats import ks_2samp
from torch.nn import functional as F
from tqdm import tqdm

from benchmarks.degradation import STOCK, stock_model
from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import list_images, read_image, write_image
from facesr_ext.data.stores import by_key
from facesr_ext.degradations import kernels
from facesr_ext.degradations.first_order import FirstOrderDegradation
from facesr_ext.degradations.presets import PRESETS
from facesr_ext.imaging import imresize, to_images, to_tensor
from facesr_ext.inference.chosen_degradation import chosen_degradation
from facesr_ext.metrics.diversity import STATISTICS, picture_statistics

KERNELS = {
    'blur_kernel_size': 21, 'kernel_list': list(kernels.KINDS), 'kernel_prob': [0.45, 0.25, 0.12, 0.03, 0.12, 0.03],
    'sinc_prob': 0.1, 'blur_sigma': [0.2, 3], 'betag_range': [0.5, 4], 'betap_range': [1, 2], 'final_sinc_prob': 0.8,
}  # fmt: skip
SECOND = {'blur_sigma2': [0.2, 1.5]}
SHIFTS = ('shift x', 'shift y')
SMOOTHED = 1.0
"""By what standard deviation both sides are smoothed before their shift is measured, pixels of the LQ."""

Pair = tuple[torch.Tensor | None, torch.Tensor]
"""GT, where it is known, and LQ."""


def statistics_of_pair(gt: torch.Tensor | None, lq: torch.Tensor) -> np.ndarray:
    """The six statistics of one LQ (1, 3, h, w), [0, 1]; NaN for the shifts where there is no GT (1, 3, H, W)."""
    return np.array([*picture_statistics(lq), *((math.nan, math.nan) if gt is None else content_shift(gt, lq))])


def content_shift(gt: torch.Tensor, lq: torch.Tensor) -> tuple[float, float]:
    """How far the content of an LQ lies right of and below that of its GT.

    By least squares: the LQ, enlarged by an aligned bicubic, is the GT times a gain, plus a constant, plus what a shift
    (its gradient) and blur (its Laplacian) change. Both are smoothed first, which leaves what the LQ can hold.

    Args:
        gt (Tensor): (1, 3, H, W), [0, 1].
        lq (Tensor): (1, 3, h, w), [0, 1].

    Returns:
        tuple[float, float]: x and y, pixels of the GT.
    """
    size = (gt.shape[-2], gt.shape[-1])
    sigma = SMOOTHED * size[0] / lq.shape[-2]
    still, seen = (_smooth(img.double().mean(1)[0], sigma) for img in (gt, imresize(lq, size)))
    edge = round(2 * sigma)
    inside = (slice(edge, -edge), slice(edge, -edge))
    x = y = 0.0
    for _ in range(3):  # a step is exact for small shifts alone
        more_x, more_y = _small_shift(_moved(still, x, y), seen, inside)
        x, y = x + more_x, y + more_y
    return x, y


def _small_shift(still: torch.Tensor, seen: torch.Tensor, inside: tuple[slice, slice]) -> tuple[float, float]:
    """How far the second (H, W) lies right of and below the first, pixels."""
    down, right = torch.gradient(still)
    laplacian = torch.gradient(down)[0] + torch.gradient(right)[1]
    terms = [plane[inside].flatten() for plane in (still, right, down, laplacian, torch.ones_like(still))]
    found = torch.linalg.lstsq(torch.stack(terms, 1), seen[inside].flatten()[:, None]).solution[:, 0]
    x, y = (-found[1:3] / found[0]).tolist()
    return x, y


def _moved(plane: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """(H, W) moved right and down by pixels."""
    height, width = plane.shape
    turn = torch.tensor([[[1, 0, -2 * x / width], [0, 1, -2 * y / height]]], dtype=plane.dtype)
    grid = F.affine_grid(turn, [1, 1, height, width], align_corners=False)
    return F.grid_sample(plane[None, None], grid, 'bicubic', 'border', align_corners=False)[0, 0]


def _smooth(plane: torch.Tensor, sigma: float) -> torch.Tensor:
    """By a Gaussian, pixels."""
    half = round(3 * sigma)
    taps = torch.exp(-((torch.arange(-half, half + 1, dtype=plane.dtype) / sigma) ** 2) / 2)
    taps = taps / taps.sum()
    padded = F.pad(plane[None, None], (half,) * 4, mode='replicate')
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))[0, 0]


def stock_lqs(folder: Path, num: int, preset: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """GT (1, 3, H, W) and BasicSR's LQ, by the preset's values."""
    return ORDERS[PRESETS[preset]['type']](folder, num, preset)


def first_order_lqs(folder: Path, num: int, preset: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """By BasicSR's functions for one image, and OpenCV."""
    defaults = {key: value.default for key, value in inspect.signature(FirstOrderDegradation).parameters.items()}
    opt, rng, names = {**defaults, **PRESETS[preset]}, np.random.default_rng(0), list_images(folder, 'GT_FOLDER')
    for i in range(num):
        gt = read_image(folder / names[i % len(names)])
        yield to_tensor(gt)[None], to_tensor(first_order_lq(gt, opt, rng))[None]


def first_order_lq(gt: np.ndarray, opt: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) RGB uint8 -> (H / scale, W / scale, 3)."""
    height, width = gt.shape[:2]
    sizes, sigma, turn = opt['kernel_sizes'], list(opt['blur_sigma']), [-np.pi, np.pi]
    kernel = stock.random_mixed_kernels(
        list(opt['kernel_list']), list(opt['kernel_prob']), int(rng.choice(sizes)), sigma, sigma, turn, [0.5, 4], [1, 2]
    )
    blurred = cv2.filter2D(gt.astype(np.float32) / 255, -1, kernel)
    factor = rng.uniform(*opt['downscale_range'])
    down, up = rng.choice([cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC], 2).tolist()
    small = cv2.resize(blurred, (round(width * factor), round(height * factor)), interpolation=down)
    noisy = stock.random_add_gaussian_noise(small, list(opt['noise_range']), opt['gray_noise_prob'])
    lq = stock.add_jpg_compression(noisy, round(rng.uniform(*opt['jpeg_range'])))
    size = (width // opt['scale'], height // opt['scale'])
    if lq.shape[1::-1] != size:
        lq = cv2.resize(cv2.resize(lq, (width, height), interpolation=up), size, interpolation=cv2.INTER_AREA)
    return (lq * 255).round().clip(0, 255).astype(np.uint8)


def second_order_lqs(folder: Path, num: int, preset: str) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """By BasicSR's data set, which crops the GT to 400 px, and its model."""
    second = {f'{key}2': value for key, value in KERNELS.items() if not key.startswith('final')}
    opt: dict[str, Any] = {
        **copy.deepcopy(KERNELS), **copy.deepcopy(second), **SECOND, 'dataroot_gt': str(folder),
        'io_backend': {'type': 'disk'}, 'use_hflip': False, 'use_rot': False,
    }  # fmt: skip
    names = list_images(folder, 'GT_FOLDER')
    data = _WithoutFile(opt, names)
    model = stock_model(argparse.Namespace(batch=1, size=400, device='cpu'))
    model.opt.update({key: value for key, value in PRESETS[preset].items() if key in STOCK})
    for i in range(num):
        batch = {key: value[None] if torch.is_tensor(value) else value for key, value in data[i % len(names)].items()}
        if hasattr(model, 'queue_lr'):
            del model.queue_lr  # the pool of pairs would hand out an earlier one
        model.feed_data(batch)
        yield batch['gt'], model.lq


ORDERS = {'SecondOrderDegradation': second_order_lqs, 'FirstOrderDegradation': first_order_lqs}
"""What BasicSR has to compare with, by the kind of the preset."""


class _WithoutFile(RealESRGANDataset):
    """BasicSR's data set over a list of names instead of a meta_info file."""

    def __init__(self, opt: dict[str, Any], names: list[str]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            listing = Path(scratch) / 'names.txt'
            listing.write_text('\n'.join(names), encoding='utf-8')
            super().__init__({**opt, 'meta_info': str(listing)})


def stored_lqs(folder: Path, gt_folder: Path) -> Iterator[Pair]:
    """Stored LQ pictures, each with the GT of the same name where there is one."""
    gts = by_key(list_images(gt_folder, 'GT_FOLDER'), ('GT_FOLDER',))
    for key, name in by_key(list_images(folder, '--stored'), ('--stored',)).items():
        gt = to_tensor(read_image(gt_folder / gts[key]))[None] if key in gts else None
        yield gt, to_tensor(read_image(folder / name))[None]


def report(ours: list[np.ndarray], theirs: list[np.ndarray], other: str) -> None:
    """Prints quartiles and mean of both, and the test."""
    head = 'quartiles, mean'
    print(f'{"":11s} {"facesr_ext: " + head:>40s}   {other + ": " + head:>40s}   KS    p')
    for i, name in enumerate((*STATISTICS, *SHIFTS)):
        a, b = (np.array([row[i] for row in rows if not np.isnan(row[i])]) for rows in (ours, theirs))
        if not len(a) or not len(b):
            print(f'{name:11s} no GT of the stored LQ')
            continue
        test = ks_2samp(a, b)
        cells = [' '.join(f'{v:9.3f}' for v in (*np.percentile(x, (25, 50, 75)), x.mean())) for x in (a, b)]
        print(f'{name:11s} {cells[0]:>40s}   {cells[1]:>40s}   {test.statistic:.3f} {test.pvalue:.3f}')


def pairs_of_lqs(args: argparse.Namespace) -> Iterator[tuple[Pair | None, Pair | None]]:
    """Our LQ and the other side's, which are BasicSR's of the same GT, or the stored ones; each with its GT."""
    degradation, generator = (
        chosen_degradation(args.preset, scale=4, changes=args.set),
        torch.Generator().manual_seed(0),
    )
    if not args.stored:
        for gt, lq in stock_lqs(args.folder, args.num, args.preset):
            yield (gt, degradation(gt, generator)), (gt, lq)
        return
    names = list_images(args.folder, 'GT_FOLDER')
    gts = (to_tensor(read_image(args.folder / names[i % len(names)]))[None] for i in range(args.num))
    yield from zip_longest(((gt, degradation(gt, generator)) for gt in gts), stored_lqs(args.stored, args.folder))


def write_grid(path: Path, ours: list[torch.Tensor], theirs: list[torch.Tensor], other: str) -> None:
    """8 x 8 of ours, left, beside 8 x 8 of the others'."""
    images = [to_images(torch.cat(side)) for side in (ours, theirs)]
    rows = [[image for side in images for image in side[8 * i : 8 * i + 8]] for i in range(8)]  # 64 at most a side
    write_image(path, contact_sheet(rows, ['facesr_ext'] * 8 + [other] * 8))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--num', type=int, default=2000)
    parser.add_argument('--preset', default='realesrgan', choices=sorted(PRESETS))
    parser.add_argument('--set', action='append', default=[], metavar='KEY=VALUE')
    parser.add_argument('--stored', type=Path)
    parser.add_argument('--grid', type=Path)
    args = parser.parse_args()
    if not args.stored and PRESETS[args.preset]['type'] not in ORDERS:
        parser.error(f'BasicSR has nothing like {args.preset}; compare it with pictures: --stored LQ_FOLDER')
    other = args.stored.name if args.stored else 'BasicSR'
    for seed in (random.seed, np.random.seed, torch.manual_seed):  # BasicSR draws from all three
        seed(0)
    figures: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    shown: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
    for pair in tqdm(pairs_of_lqs(args), total=args.num):
        for side, numbers, kept in zip(pair, figures, shown, strict=True):
            if side is not None:
                numbers.append(statistics_of_pair(*side))
                kept.extend([side[1]] if len(kept) < 64 else [])
    report(*figures, other)
    if args.grid:
        write_grid(args.grid, *shown, other)


if __name__ == '__main__':
    main()
