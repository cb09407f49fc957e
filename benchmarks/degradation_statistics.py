"""Our random degradations against BasicSR's, or against stored LQ pictures: what the LQ look like, in figures.

    python -m benchmarks.degradation_statistics GT_FOLDER [--num 2000] [--preset realesrgan]
    python -m benchmarks.degradation_statistics GT_FOLDER --preset ai6126_2023 --stored LQ_FOLDER

Four statistics of each LQ: mean level, sharpness (standard deviation of the Laplacian), noise (median absolute
deviation of the finest diagonal differences, of 255) and blockiness (jumps across the 8 x 8 grid over those beside
it). Printed are median, quartiles and the two-sample Kolmogorov-Smirnov test. Each LQ is degraded alone, so that the
sample's draws are independent. BasicSR's are made by its own RealESRGANDataset and RealESRNetModel.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.data.realesrgan_dataset import RealESRGANDataset
from scipy.stats import ks_2samp
from torch.nn import functional as F
from tqdm import tqdm

from benchmarks.degradation import stock_model
from facesr_ext.data.face_dataset import to_tensor
from facesr_ext.data.image_io import list_images, read_image
from facesr_ext.degradations import kernels
from facesr_ext.degradations.presets import PRESETS, build_degradation

KERNELS = {
    'blur_kernel_size': 21, 'kernel_list': list(kernels.KINDS), 'kernel_prob': [0.45, 0.25, 0.12, 0.03, 0.12, 0.03],
    'sinc_prob': 0.1, 'blur_sigma': [0.2, 3], 'betag_range': [0.5, 4], 'betap_range': [1, 2], 'final_sinc_prob': 0.8,
}  # fmt: skip
SECOND = {'blur_sigma2': [0.2, 1.5]}
NAMES = ('mean', 'sharpness', 'noise', 'blockiness')


def statistics(lq: torch.Tensor) -> np.ndarray:
    """The four statistics of one LQ (1, 3, h, w), [0, 1]."""
    luma = (lq * 255).mean(1)[0]
    laplacian = F.conv2d(luma[None, None], torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]]))
    diagonal = luma[1:, 1:] - luma[1:, :-1] - luma[:-1, 1:] + luma[:-1, :-1]
    jumps = (luma[:, 1:] - luma[:, :-1]).abs().mean(0)
    grid = torch.arange(len(jumps)) % 8 == 7
    block = jumps[grid].mean() / jumps[~grid].mean().clamp(min=1e-3)
    values = (luma.mean(), laplacian.std(), diagonal.abs().median() / 0.6745 / 2, block)
    return np.array([float(v) for v in values])


def stock_lqs(folder: Path, num: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """GT (1, 3, 400, 400) and BasicSR's LQ."""
    second = {f'{key}2': value for key, value in KERNELS.items() if not key.startswith('final')}
    opt: dict[str, Any] = {
        **copy.deepcopy(KERNELS), **copy.deepcopy(second), **SECOND, 'dataroot_gt': str(folder),
        'io_backend': {'type': 'disk'}, 'use_hflip': False, 'use_rot': False,
    }  # fmt: skip
    names = list_images(folder, 'GT_FOLDER')
    data = _WithoutFile(opt, names)
    model = stock_model(argparse.Namespace(batch=1, size=400, device='cpu'))
    for i in range(num):
        batch = {key: value[None] if torch.is_tensor(value) else value for key, value in data[i % len(names)].items()}
        if hasattr(model, 'queue_lr'):
            del model.queue_lr  # the pool of pairs would hand out an earlier one
        model.feed_data(batch)
        yield batch['gt'], model.lq


class _WithoutFile(RealESRGANDataset):
    """BasicSR's data set over a list of names instead of a meta_info file."""

    def __init__(self, opt: dict[str, Any], names: list[str]) -> None:
        with tempfile.NamedTemporaryFile('w', suffix='.txt', encoding='utf-8') as listing:
            listing.write('\n'.join(names))
            listing.flush()
            super().__init__({**opt, 'meta_info': listing.name})


def stored_lqs(folder: Path) -> Iterator[torch.Tensor]:
    """Stored LQ pictures."""
    for name in list_images(folder, '--stored'):
        yield to_tensor(read_image(folder / name))[None]


def report(ours: list[np.ndarray], theirs: list[np.ndarray], other: str) -> None:
    """Prints quartiles of both and the test."""
    print(f'{"":11s} {"facesr_ext: quartiles":>30s}   {other + ": quartiles":>30s}   KS    p')
    for i, name in enumerate(NAMES):
        a, b = (np.array([row[i] for row in rows]) for rows in (ours, theirs))
        test = ks_2samp(a, b)
        cells = [' '.join(f'{v:9.3f}' for v in np.percentile(x, (25, 50, 75))) for x in (a, b)]
        print(f'{name:11s} {cells[0]:>30s}   {cells[1]:>30s}   {test.statistic:.3f} {test.pvalue:.3f}')


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--num', type=int, default=2000)
    parser.add_argument('--preset', default='realesrgan', choices=sorted(PRESETS))
    parser.add_argument('--stored', type=Path)
    args = parser.parse_args()
    degradation = build_degradation({'preset': args.preset}, 4)
    ours: list[np.ndarray] = []
    theirs: list[np.ndarray] = []
    generator = torch.Generator().manual_seed(0)
    if args.stored:
        theirs = [statistics(lq) for lq in stored_lqs(args.stored)]
        names = list_images(args.folder, 'GT_FOLDER')
        for i in tqdm(range(args.num)):
            gt = to_tensor(read_image(args.folder / names[i % len(names)]))[None]
            ours.append(statistics(degradation(gt, generator)))
        report(ours, theirs, args.stored.name)
        return
    for gt, lq in tqdm(stock_lqs(args.folder, args.num), total=args.num):
        theirs.append(statistics(lq))
        ours.append(statistics(degradation(gt, generator)))
    report(ours, theirs, 'BasicSR')


if __name__ == '__main__':
    main()
