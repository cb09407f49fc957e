"""How long a comparison takes, and how that grows with methods and images.

    python -m benchmarks.comparison [--images 25 50 100] [--methods 1 2 4 8] [--device cpu]

ESPCN networks (random weights) at 4x on drawn faces of 128 px, with PSNR, SSIM and what a comparison does besides:
reading, degrading, writing results and cache. Printed for each size: seconds of a first run, of a second one, which
finds everything in the cache, and of writing tables, pictures and page; of the first run the milliseconds an image and
method. The peer, in the same run: a bare loop over the same images and networks that restores and measures, and keeps
nothing.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.common import argument_parser, timed
from facesr_ext.archs.espcn_arch import ESPCN
from facesr_ext.comparison.examine import read_comparison
from facesr_ext.comparison.report import Shown, write_all
from facesr_ext.comparison.results import Comparison, ResultFolder
from facesr_ext.comparison.run import run_comparison
from facesr_ext.comparison.sets import open_sets
from facesr_ext.host.source import OptionFile
from facesr_ext.inference.restorer import Restorer
from facesr_ext.metrics.metric_info import Metrics
from facesr_ext.runs.checkpoints import META_KEY, save_atomic

METRICS = {'psnr_rgb': {'type': 'psnr_rgb'}, 'ssim_rgb': {'type': 'ssim_rgb'}}


def save_networks(folder: Path, num: int) -> list[Path]:
    """Checkpoints of ESPCN with random weights."""
    paths = []
    for seed in range(num):
        torch.manual_seed(seed)
        path = folder / f'espcn_{seed}.pth'
        save_atomic({'params': ESPCN().state_dict(), META_KEY: {'arch': {'type': 'ESPCN'}, 'scale': 4}}, path)
        paths.append(path)
    return paths


def options(networks: list[Path], images: int, device: str) -> dict[str, Any]:
    """The file of a comparison."""
    return {
        'name': 'benchmark',
        'scale': 4,
        'num_gpu': 0 if device == 'cpu' else 1,
        'degradation': {'preset': 'bicubic_x4'},
        'datasets': {'faces': {'dataroot_gt': 'builtin', 'image_size': 128, 'num_faces': images}},
        'methods': {path.stem: {'checkpoint': str(path)} for path in networks},
        'val': {'metrics': METRICS, 'pbar': False},
    }


def bare_loop(opt: dict[str, Any], networks: list[Path], device: str) -> None:
    """The peer: restores and measures, one image and network after the other."""
    restorers = [Restorer(path, device=device) for path in networks]
    metrics = Metrics(METRICS)
    (one,) = open_sets(read_comparison(OptionFile('benchmark', yaml.safe_dump(opt))))
    for pair in one.pairs([]):
        for restorer in restorers:
            metrics.measure(restorer.restore(pair.lq), pair.gt)  # type: ignore[arg-type]


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--images', type=int, nargs='+', default=[25, 50, 100])
    parser.add_argument('--methods', type=int, nargs='+', default=[1, 2, 4, 8])
    parser.add_argument('--device', default='cpu')
    args = parser.parse_args()
    most_methods, most_images = max(args.methods), max(args.images)
    sizes = [(num, most_images) for num in args.methods]
    sizes += [(most_methods, num) for num in args.images if num != most_images]
    print('methods images   first  per image and method   second   write   bare loop   ratio')
    with tempfile.TemporaryDirectory() as place:
        networks = save_networks(Path(place), most_methods)
        for number, (methods, images) in enumerate(sizes):
            opt = options(networks[:methods], images, args.device)
            file = read_comparison(OptionFile('benchmark', yaml.safe_dump(opt, sort_keys=False)))
            folder = ResultFolder(Path(place, f'run_{number}'))
            found: list[Comparison] = []
            if not number:
                bare_loop(opt, networks[:methods], args.device)  # the faces are drawn here, once for all
            bare = timed(lambda: bare_loop(opt, networks[:methods], args.device), args.device)  # noqa: B023
            first = timed(lambda: found.append(run_comparison(file, folder)[0]), args.device)  # noqa: B023
            second = timed(lambda: run_comparison(file, folder), args.device)  # noqa: B023
            write = timed(lambda: write_all(found[0], folder, Shown()), args.device)  # noqa: B023
            print(
                f'{methods:7d} {images:6d} {first:7.2f} {1000 * first / methods / images:17.1f} ms {second:12.2f} '
                f'{write:7.2f} {bare:11.2f} {first / bare:7.2f}',
                flush=True,
            )


if __name__ == '__main__':
    main()
