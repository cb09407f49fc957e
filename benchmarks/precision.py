"""Half precision against fp32 on a recipe: seconds per training step, and PSNR after the same number of iterations.

    python -m benchmarks.precision --iterations 150 --seeds 3
    python -m benchmarks.precision --opt options/fsrnet.yml --iterations 20 --batch 4

Both start from the same weights and see the same batches of drawn faces; their steps take turns, so that what else the
machine does weighs on both alike. PSNR is that of the averaged weights, on drawn faces that neither has seen. Each seed
is another start and another order of the faces: what two runs differ by for no reason is seen beside what the
precision does.
"""

from __future__ import annotations

import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.models import build_model

from benchmarks.common import OPTIONS, argument_parser, timed
from facesr_ext.data.face_dataset import FaceDataset
from facesr_ext.host.entry import read_options
from facesr_ext.host.samplers import EpochIndex
from facesr_ext.imaging import to_images
from facesr_ext.metrics.face_metric import psnr_rgb, psnr_y

BASE, FAST = 'fp32', 'bf16 + channels_last'
SETTINGS: dict[str, dict[str, Any]] = {
    BASE: {'precision': 'fp32', 'channels_last': False},
    FAST: {'precision': 'bf16', 'channels_last': True},
}


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--opt', type=Path, default=OPTIONS / 'fsrnet_fast.yml', help='recipe')
    parser.add_argument('--iterations', type=int, default=150, help='training steps of each')
    parser.add_argument('--batch', type=int, default=8, help='samples a step')
    parser.add_argument('--faces', type=int, default=64, help='drawn faces to train on')
    parser.add_argument('--test-faces', type=int, default=16, help='drawn faces to measure PSNR on')
    parser.add_argument('--seeds', type=int, default=1, help='trainings of each')
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
    psnrs: list[dict[str, np.ndarray]] = []
    for seed in range(args.seeds):
        with tempfile.TemporaryDirectory() as folder:
            base = {**_recipe(args.opt, folder), 'manual_seed': seed}
            torch.manual_seed(seed)
            models = _build_models(base)
            train_set = FaceDataset({**base['datasets']['train'], 'num_faces': args.faces, 'manual_seed': seed})
            for name, values in _train(models, train_set, args.iterations, args.batch).items():
                seconds[name] += values[min(3, len(values) - 1) :]  # the first compile, allocate, choose kernels
            psnrs.append(_psnrs(models, FaceDataset({**base['datasets']['val'], 'num_faces': args.test_faces})))
    where = f'{models[BASE].device} ({torch.get_num_threads()} threads)'
    print(
        f'{args.opt.name}, {args.iterations} iterations of {args.batch}, on {where}, {args.test_faces} faces for PSNR'
    )
    _report(seconds, psnrs)


def _recipe(file: Path, folder: str) -> dict[str, Any]:
    """A recipe as BasicSR's runner hands it to a model, on drawn faces; its files go to a folder of their own."""
    opt = read_options(str(file), (), folder)
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
            model = models[name]
            step = partial(_step, model, collated, iteration, warmup=min(10, iterations // 10))
            seconds[name].append(timed(step, model.device))
    return seconds


def _step(model: Any, data: Any, iteration: int, warmup: int) -> None:
    model.update_learning_rate(iteration, warmup_iter=warmup)
    model.feed_data(data)
    model.optimize_parameters(iteration)


def _psnr(model: Any, data: FaceDataset) -> tuple[np.ndarray, np.ndarray]:
    """(2,) mean PSNR-RGB and PSNR-Y (dB) of the result, and of bicubic."""
    rows = []
    for i in range(len(data)):
        batch, out = model.predict(torch.utils.data.default_collate([data[i]]), False)
        images = [to_images(t)[0][..., ::-1] for t in (out.sr, batch.enlarged, batch.gt)]
        rows.append([[metric(img, images[2]) for metric in (psnr_rgb, psnr_y)] for img in images[:2]])
    means = np.mean(rows, axis=0)
    return means[0], means[1]


def _psnrs(models: dict[str, Any], data: FaceDataset) -> dict[str, np.ndarray]:
    """(2,) mean PSNR-RGB and PSNR-Y of each, and of bicubic."""
    pairs = {name: _psnr(model, data) for name, model in models.items()}
    return {**{name: pair[0] for name, pair in pairs.items()}, 'bicubic': pairs[BASE][1]}


def _report(seconds: dict[str, list[float]], psnrs: list[dict[str, np.ndarray]]) -> None:
    print(f'{"":24}{"s/step (quartiles)":>28}{"PSNR-RGB":>10}{"PSNR-Y":>10}   PSNR-RGB by seed')
    for name in (*seconds, 'bicubic'):
        low, middle, high = np.percentile(seconds.get(name, [0]), [25, 50, 75])
        values = np.array([by_name[name] for by_name in psnrs])
        speed = f'{middle:.3f} ({low:.3f}-{high:.3f})' if name in seconds else ''
        by_seed = ' '.join(f'{v:.3f}' for v in values[:, 0])
        print(f'{name:24}{speed:>28}{values[:, 0].mean():10.3f}{values[:, 1].mean():10.3f}   {by_seed}')
    pairs = list(zip(*seconds.values(), strict=True))
    print(f'ratio {BASE} / {FAST}: {statistics.median(a / b for a, b in pairs):.2f} (median over the pairs)')


if __name__ == '__main__':
    main()
