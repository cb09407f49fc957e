"""LQ synthesis: ours against BasicSR's ``RealESRNetModel.feed_data``, whole and by steps, interleaved, with the ratio.

    python -m benchmarks.degradation [--size 512] [--batch 8] [--rounds 7] [--device cpu]

BasicSR's data set draws the kernels, which is not counted against it; ours draws them inside the step that is timed.
Both sharpen the GT first, as Real-ESRNet's option file has it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from basicsr.data import degradations as stock
from basicsr.models.realesrnet_model import RealESRNetModel
from basicsr.utils import DiffJPEG, USMSharp
from basicsr.utils.img_process_util import filter2D

from benchmarks.common import timed
from facesr_ext.degradations import jpeg, kernels, noise, ops
from facesr_ext.degradations.draws import Draws
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.degradations.second_order import SecondOrderDegradation
from facesr_ext.faces.drawn.face import DrawnFaces

Pair = tuple[Callable[[], Any], Callable[[], Any]]

STOCK = {
    'resize_prob': [0.2, 0.7, 0.1], 'resize_range': [0.15, 1.5], 'gaussian_noise_prob': 0.5, 'noise_range': [1, 30],
    'poisson_scale_range': [0.05, 3], 'gray_noise_prob': 0.4, 'jpeg_range': [30, 95], 'second_blur_prob': 0.8,
    'resize_prob2': [0.3, 0.4, 0.3], 'resize_range2': [0.3, 1.2], 'gaussian_noise_prob2': 0.5, 'noise_range2': [1, 25],
    'poisson_scale_range2': [0.05, 2.5], 'gray_noise_prob2': 0.4, 'jpeg_range2': [30, 95], 'gt_usm': True,
}  # fmt: skip


def stock_model(args: argparse.Namespace) -> RealESRNetModel:
    """BasicSR's model with a network of no weight, on the device."""
    opt: dict[str, Any] = {
        **STOCK, 'scale': 4, 'is_train': True, 'dist': False, 'num_gpu': int(args.device == 'cuda'), 'rank': 0,
        'queue_size': args.batch, 'gt_size': args.size, 'path': {},
        'network_g': {'type': 'SRVGGNetCompact', 'num_feat': 4, 'num_conv': 1, 'upscale': 4},
        'train': {
            'pixel_opt': {'type': 'L1Loss'}, 'optim_g': {'type': 'Adam', 'lr': 0.0},
            'scheduler': {'type': 'MultiStepLR', 'milestones': [1]},
        },
    }  # fmt: skip
    return RealESRNetModel(opt)


def stock_batch(gt: torch.Tensor) -> dict[str, torch.Tensor]:
    """GT and the kernels that BasicSR's data set would have drawn."""

    def kernel() -> np.ndarray:
        prob = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03]
        sigma, turn = [0.2, 3.0], [-np.pi, np.pi]
        return stock.random_mixed_kernels(list(kernels.KINDS), prob, 21, sigma, sigma, turn, [0.5, 4.0], [1.0, 2.0])

    first, second = (torch.tensor(np.stack([kernel() for _ in gt]), dtype=torch.float32) for _ in range(2))
    sinc = torch.tensor(stock.circular_lowpass_kernel(2.0, 21), dtype=torch.float32).repeat(len(gt), 1, 1)
    return {'gt': gt, 'kernel1': first, 'kernel2': second, 'sinc_kernel': sinc}


def steps(gt: torch.Tensor, generator: torch.Generator) -> dict[str, Pair]:
    """Single steps at full size: BasicSR's and ours, where BasicSR has it."""
    draws, num = Draws(generator), len(gt)
    blur = SecondOrderDegradation(4).blur
    (drawn,), colour, strength = blur.draw(num, draws), torch.zeros(num, dtype=torch.bool), torch.full((num,), 0.1)
    sharpen, codec = USMSharp().to(gt.device), DiffJPEG(differentiable=False).to(gt.device)
    there, grey, quality = drawn.to(gt.device), gt.new_zeros(num), torch.full((num,), 60.0)
    return {
        'USM': (lambda: sharpen(gt), lambda: ops.usm_sharpen(gt)),
        'blur': (lambda: filter2D(gt, there), lambda: ops.blur(gt, drawn)),
        'Gaussian noise': (
            lambda: stock.add_gaussian_noise_pt(gt, gt.new_full((num,), 25.5), gray_noise=grey),
            lambda: noise.add_noise(gt, ~colour, colour, strength, draws),
        ),
        'shot noise': (
            lambda: stock.add_poisson_noise_pt(gt, gt.new_full((num,), 0.1), gray_noise=grey),
            lambda: noise.add_noise(gt, colour, colour, strength, draws),
        ),
        'JPEG': (lambda: codec(gt, quality=quality.to(gt, copy=True)), lambda: jpeg.compress(gt, quality, 'diffjpeg')),
        'draw kernels': (lambda: stock_batch(gt), lambda: [blur.draw(num, draws) for _ in range(3)]),
    }


def medians(pair: Pair, rounds: int, device: str) -> tuple[float, float]:
    """Seconds of BasicSR's and of ours, in turns; the first turn warms up."""
    turns = [[timed(step, device) for step in pair] for _ in range(rounds + 1)][1:]
    theirs, ours = (statistics.median(values) for values in zip(*turns, strict=True))
    return theirs, ours


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (('--size', 512), ('--batch', 8), ('--rounds', 7)):
        parser.add_argument(name, type=int, default=default)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    args = parser.parse_args()
    drawn = DrawnFaces(args.batch, 0, args.size)
    images = np.stack([drawn[i].image for i in range(args.batch)])
    gt = torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous().to(args.device)
    generator = torch.Generator(args.device).manual_seed(0)
    model, ours, batch = stock_model(args), build_degradation({'preset': 'realesrgan'}, 4), stock_batch(gt)
    shape = f'{args.batch} x 3 x {args.size} x {args.size}, {args.device}, {torch.get_num_threads()} threads'
    print(f'LQ synthesis, {shape}, medians of {args.rounds} interleaved rounds')
    pairs = {'whole batch': (lambda: model.feed_data(batch), lambda: ours.pair(gt, generator)), **steps(gt, generator)}
    print(f'  {"":15s} {"BasicSR":>10s} {"facesr_ext":>13s}   ratio')
    for name, pair in pairs.items():
        theirs, mine = medians(pair, args.rounds, args.device)
        print(f'  {name:15s} {theirs * 1000:7.1f} ms {mine * 1000:10.1f} ms {theirs / mine:7.1f}')
        if name == 'whole batch':
            print(f'  {"":15s} {args.batch / theirs:6.1f} images/s {args.batch / mine:4.1f} images/s')


if __name__ == '__main__':
    main()
