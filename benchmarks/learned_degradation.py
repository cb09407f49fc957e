"""Learnt degradations: how much they vary, and how near they are to real LR pictures.

    python -m benchmarks.learned_degradation CHECKPOINT [CHECKPOINT ...] --hr FOLDER --lr FOLDER [--num 400]

Each HR face is degraded ten times by each network, by the second-order preset (Real-ESRGAN's) and by bicubic. Printed:

- std_z: standard deviation of a pixel's value over the ten, in 8-bit units, mean of pixels and faces; and its ratio to
  the first checkpoint's;
- the same of three statistics of the picture (`degradation_statistics`): sharpness, noise, blockiness;
- PSNR to the HR face averaged over scale x scale cells, of which content is judged;
- KID to the real LR pictures (unbiased, cubic kernel), one result a face: mean and central 95 % of random halves of the
  pictures. Inception's weights are a download, so the features are those of a fixed random network (two layers of 5 x 5
  convolutions; mean and deviation of each map, at full and at half size), each standardised by the real pictures', so
  that texture counts as much as colour: they order methods here, and are no one else's KID. 'real' is one half of the
  real pictures against the other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from benchmarks.common import argument_parser
from benchmarks.degradation_statistics import NAMES, statistics
from facesr_ext.data.image_io import list_images, read_image
from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import OptionError
from facesr_ext.imaging import to_tensor
from facesr_ext.metrics.kid_metric import unbiased_kid
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint

DRAWS, HALVES = 10, 200


class Row(NamedTuple):
    """What is printed of one method: std over z of pixels and of three statistics, PSNR (dB), KID and its interval."""

    name: str
    std: float
    spreads: tuple[float, ...]
    psnr: float
    kid: tuple[float, float, float]


def read_square(path: Path, size: int) -> torch.Tensor:
    """The square in the middle of a picture, (3, size, size), [0, 1], by area."""
    img = read_image(path)
    side = min(img.shape[:2])
    y, x = (img.shape[0] - side) // 2, (img.shape[1] - side) // 2
    return to_tensor(cv2.resize(img[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA))


def read_folder(folder: Path, size: int, num: int, key: str) -> torch.Tensor:
    """(N, 3, size, size): the first ``num`` pictures of a folder."""
    return torch.stack([read_square(folder / name, size) for name in list_images(folder, key)[:num]])


def make_features(seed: int = 0) -> Callable[[torch.Tensor], torch.Tensor]:
    """(N, 3, h, w) -> (N, D) float64: statistics of the maps of a fixed random network, at two sizes."""
    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(48, 3, 5, 5, generator=generator) / 75**0.5, torch.randn(48, 48, 5, 5, generator=generator)]
    weights[1] /= 1200**0.5

    def features(img: torch.Tensor) -> torch.Tensor:
        parts = []
        for x in (img * 2 - 1, F.avg_pool2d(img, 2) * 2 - 1):
            for weight in weights:
                x = F.leaky_relu(F.conv2d(x, weight, padding=2), 0.2) * 1.4
                parts += [x.mean((2, 3)), x.std((2, 3))]
        return torch.cat(parts, 1).double()

    return features


def kid(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Unbiased squared maximum mean discrepancy under (x.y / d + 1)^3, of features (N, d) and (M, d)."""
    return unbiased_kid(fake.numpy(), real.numpy())


def kid_interval(real: torch.Tensor, fake: torch.Tensor) -> tuple[float, float, float]:
    """Mean and central 95 % of KID over random halves of both."""
    rng, mean, std = np.random.default_rng(0), real.mean(0), real.std(0)
    real, fake = (real - mean) / std, (fake - mean) / std

    def half(a: torch.Tensor) -> torch.Tensor:
        return a[rng.choice(len(a), len(a) // 2, replace=False)]

    values = [kid(half(real), half(fake)) for _ in range(HALVES)]
    low, high = np.percentile(values, (2.5, 97.5))
    return float(np.mean(values)), float(low), float(high)


def degrade(degradation: Degradation, hr: torch.Tensor, name: str) -> torch.Tensor:
    """(N, DRAWS, 3, h, w): each face degraded ten times; a batch has few faces, as draws may be shared in it."""
    generator = torch.Generator().manual_seed(0)
    batches = [gt.repeat_interleave(DRAWS, 0) for gt in tqdm(hr.split(8), desc=name)]
    return torch.cat([degradation(gt, generator).view(-1, DRAWS, 3, *_lq_size(gt, degradation)) for gt in batches])


def _lq_size(gt: torch.Tensor, degradation: Degradation) -> tuple[int, int]:
    return gt.shape[-2] // degradation.scale, gt.shape[-1] // degradation.scale


def measure_row(name: str, lqs: torch.Tensor, hr: torch.Tensor, real: torch.Tensor) -> Row:
    """One method's row; ``lqs`` (N, K, 3, h, w), ``hr`` (N, 3, H, W), ``real`` (M, D) features."""
    values = np.stack([[statistics(lq[None]) for lq in draws] for draws in lqs])
    spreads = values.std(1, ddof=1).mean(0)[[NAMES.index(key) for key in NAMES[1:]]]
    averaged = F.avg_pool2d(hr, hr.shape[-1] // lqs.shape[-1])
    mse = (lqs - averaged[:, None]).square().mean((2, 3, 4))
    features = make_features()(lqs[:, 0])
    return Row(
        name,
        float((lqs * 255).std(1).mean()),
        tuple(float(v) for v in spreads),
        float((-10 * mse.clamp(min=1e-10).log10()).mean()),
        kid_interval(real, features),
    )


def scale_of(paths: list[Path]) -> int:
    """The scale that all checkpoints have."""
    scales = {int(load_checkpoint(path)[META_KEY]['arch']['scale']) for path in paths}
    if len(scales) != 1:
        raise OptionError(f'the checkpoints have scales {sorted(scales)}; compare those of one scale')
    return scales.pop()


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('checkpoints', type=Path, nargs='+')
    parser.add_argument('--hr', type=Path, required=True, help='HR faces')
    parser.add_argument('--lr', type=Path, required=True, help='real LR faces')
    parser.add_argument('--num', type=int, default=400, help='HR faces, and twice as many LR faces')
    parser.add_argument('--size', type=int, default=16, help='height and width of the LR faces')
    args = parser.parse_args()
    scale = scale_of(args.checkpoints)
    hr = read_folder(args.hr, args.size * scale, args.num, '--hr')
    lr = make_features()(read_folder(args.lr, args.size, 2 * args.num, '--lr'))
    sections = {
        f'{p.parents[1].name}/{p.stem}': {'type': 'LearnedDegradation', 'checkpoint': str(p)} for p in args.checkpoints
    }
    sections |= {'second order': {'preset': 'realesrgan'}, 'bicubic': {'type': 'BicubicDegradation'}}
    rows = []
    for name, section in sections.items():
        degradation = build_degradation(section, scale)
        if name == 'second order':
            degradation = build_degradation({**section, 'groups': 80}, scale)  # each picture drawn for itself
        rows.append(measure_row(name, degrade(degradation, hr, name), hr, lr))
    report(rows, kid_interval(lr[::2], lr[1::2]))


def report(rows: list[Row], real: tuple[float, float, float]) -> None:
    """Prints the table."""
    print(f'{"":32s} std_z  ratio   std over z of: {"  ".join(NAMES[1:])}    PSNR   KID x 1000 [95 %]')
    for row in rows:
        spreads = '  '.join(f'{v:>{len(key)}.3f}' for v, key in zip(row.spreads, NAMES[1:], strict=True))
        ratio = row.std / rows[0].std if rows[0].std else float('nan')
        interval = '{:.2f} [{:.2f}, {:.2f}]'.format(*(1000 * v for v in row.kid))
        print(f'{row.name:32s} {row.std:5.2f} {ratio:6.1f}                  {spreads}   {row.psnr:5.2f}   {interval}')
    print(f'{"real":32s} {"":54s}{"{:.2f} [{:.2f}, {:.2f}]".format(*(1000 * v for v in real)):>24s}')


if __name__ == '__main__':
    main()
