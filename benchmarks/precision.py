"""Half precision against fp32 on a recipe: seconds per training step, and PSNR after the same number of iterations.

    python benchmarks/precision.py --iterations 150
    python benchmarks/precision.py --opt options/fsrnet.yml --iterations 20 --batch 4

Both start from the same weights and see the same batches of drawn faces; their steps take turns, so that what else the
machine does weighs on both alike. PSNR is that of the averaged weights, on drawn faces that neither has seen.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from basicsr.models import build_model
from basicsr.utils.options import parse_options

from facesr_ext.data.face_dataset import FaceDataset
from facesr_ext.data.samplers import EpochIndex
from facesr_ext.metrics.face_metric import psnr_rgb, psnr_y
from facesr_ext.models.validation import to_uint8

OPTIONS = Path(__file__).resolve().parents[1] / 'options'
BASE, FAST = 'fp32', 'bf16 + channels_last'
SETTINGS: dict[str, dict[str, Any]] = {
    BASE: {'precision': 'fp32', 'channels_last': False},
    FAST: {'precision': 'bf16', 'channels_last': True},
}


def main(
    opt: Path = typer.Option(OPTIONS / 'fsrnet_fast.yml', help='Recipe on built-in faces.'),
    iterations: int = typer.Option(150, min=2, help='Training steps of each.'),
    batch: int = typer.Option(8, min=1, help='Samples a step.'),
    faces: int = typer.Option(64, min=1, help='Drawn faces to train on.'),
    test_faces: int = typer.Option(16, min=1, help='Drawn faces to measure PSNR on.'),
) -> None:
    """Prints seconds per step, their ratio, and PSNR after the same iterations."""
    with tempfile.TemporaryDirectory() as folder:
        base = _read_options(opt, Path(folder))
        models = _build_models(base)
        train_set = FaceDataset({**base['datasets']['train'], 'num_faces': faces, 'manual_seed': 0})
        seconds = _train(models, train_set, iterations, batch)
        val_set = FaceDataset({**base['datasets']['val'], 'num_faces': test_faces})
        _report(models, seconds, val_set, f'{opt.name}, {iterations} iterations of {batch}')


def _read_options(file: Path, folder: Path) -> dict[str, Any]:
    """A recipe as BasicSR's runner hands it to a model, whose files go to a folder of their own."""
    sys.argv = [sys.argv[0], '-opt', str(file)]
    opt, _ = parse_options(str(folder), is_train=True)
    for key in ('models', 'training_states', 'visualization'):
        Path(opt['path'][key]).mkdir(parents=True)
    opt['datasets']['train']['dataroot_gt'] = opt['datasets']['val']['dataroot_gt'] = 'builtin'
    return opt


def _build_models(opt: dict[str, Any]) -> dict[str, Any]:
    models = {name: build_model({**opt, **changes}) for name, changes in SETTINGS.items()}
    for net in ('net_g', 'net_g_ema'):
        if hasattr(models[BASE], net):
            getattr(models[FAST], net).load_state_dict(getattr(models[BASE], net).state_dict())
    return models


def _train(models: dict[str, Any], data: FaceDataset, iterations: int, batch: int) -> dict[str, list[float]]:
    """Seconds of each step, the settings in turns; every other iteration the other one goes first."""
    seconds: dict[str, list[float]] = {name: [] for name in models}
    names = list(models)
    for iteration in range(1, iterations + 1):
        draws = range((iteration - 1) * batch, iteration * batch)
        samples = [data[EpochIndex(draw % len(data), draw // len(data), draw % len(data))] for draw in draws]
        collated = torch.utils.data.default_collate(samples)
        for name in names if iteration % 2 else reversed(names):
            _wait(models[name])
            start = time.perf_counter()
            models[name].update_learning_rate(iteration, warmup_iter=min(10, iterations // 10))
            models[name].feed_data(collated)
            models[name].optimize_parameters(iteration)
            _wait(models[name])
            seconds[name].append(time.perf_counter() - start)
    return seconds


def _wait(model: Any) -> None:
    if model.device.type == 'cuda':
        torch.cuda.synchronize()


def _psnr(model: Any, data: FaceDataset) -> tuple[np.ndarray, np.ndarray]:
    """(2,) mean PSNR-RGB and PSNR-Y (dB) of the result, and of bicubic."""
    rows = []
    for i in range(len(data)):
        batch, out = model.predict(torch.utils.data.default_collate([data[i]]), False)
        pictures = [to_uint8(t)[0][..., ::-1] for t in (out.sr, batch.enlarged, batch.gt)]
        rows.append([[metric(img, pictures[2]) for metric in (psnr_rgb, psnr_y)] for img in pictures[:2]])
    means = np.mean(rows, axis=0)
    return means[0], means[1]


def _report(models: dict[str, Any], seconds: dict[str, list[float]], data: FaceDataset, title: str) -> None:
    device = next(iter(models.values())).device
    typer.echo(f'{title}, on {device} ({torch.get_num_threads()} threads), {len(data)} faces for PSNR')
    typer.echo(f'{"":24}{"s/step (quartiles)":>28}{"PSNR-RGB":>10}{"PSNR-Y":>10}')
    bicubic = np.zeros(2)
    for name, values in seconds.items():
        warm = values[min(3, len(values) - 1) :]  # the first steps compile, allocate and choose kernels
        low, middle, high = np.percentile(warm, [25, 50, 75])
        psnr, bicubic = _psnr(models[name], data)
        typer.echo(f'{name:24}{f"{middle:.3f} ({low:.3f}-{high:.3f})":>28}{psnr[0]:10.3f}{psnr[1]:10.3f}')
    typer.echo(f'{"bicubic":24}{"":28}{bicubic[0]:10.3f}{bicubic[1]:10.3f}')
    pairs = list(zip(*(values[min(3, len(values) - 1) :] for values in seconds.values()), strict=True))
    typer.echo(f'ratio {BASE} / {FAST}: {statistics.median(a / b for a, b in pairs):.2f} (median over the pairs)')


if __name__ == '__main__':
    typer.run(main)
