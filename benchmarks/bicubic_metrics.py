"""What metrics say of bicubic at several scales: the calibration of docs/metrics.md.

    python -m benchmarks.bicubic_metrics FOLDER [--metrics NAME ...] [--scales 2 4 8] [--num 60] [--size PIXELS]
    python -m benchmarks.bicubic_metrics FOLDER --results FOLDER [--metrics NAME ...] [--num 60]

Each image of the folder is reduced and enlarged by MATLAB's bicubic, 8 bit in between, and measured against itself as
it was; with --results, the image of that name there is. A metric is its name, with arguments if it has some:
psnr_region:region=eyes. A row is a metric, with the images that have a value; figures are means over them, or the value
of the whole set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import argument_parser
from facesr_ext import register
from facesr_ext.data.image_io import list_images, read_image
from facesr_ext.data.transforms import FaceSample, frame
from facesr_ext.host.source import override_value
from facesr_ext.imaging import imresize, quantize, to_images, to_tensor
from facesr_ext.metrics.metric_info import Metrics

FACES = ('psnr_y', 'ssim_y', 'landmark_rmse_px', 'landmark_nrmse', 'landmark5_nrmse', 'identity_distance')


def section(text: str) -> dict[str, Any]:
    """'psnr_region:region=eyes,crop_border=4' -> a section of ``val: metrics``."""
    name, _, rest = text.partition(':')
    pairs = (entry.partition('=') for entry in rest.split(',') if entry)
    return {'type': name, **{key: override_value(value) for key, _, value in pairs}}


def bicubic(image: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, 3) uint8 -> the same, small and large again."""
    height, width = image.shape[:2]
    small = quantize(imresize(to_tensor(image)[None], (height // scale, width // scale)))
    return to_images(imresize(small, (height, width)))[0]


def measure(
    gts: Sequence[np.ndarray], results: Sequence[np.ndarray], sections: Mapping[str, Any]
) -> dict[str, tuple[float, int]]:
    """Metric -> its value, and the number of images that have one."""
    metrics = Metrics(sections)
    rows = [metrics.measure(result, gt) for result, gt in zip(results, gts, strict=True)]
    found: dict[str, tuple[float, int]] = {}
    for name in sections:
        if name in metrics.set_metrics:
            features = [np.stack([metrics.features(name, one) for one in kind]) for kind in (results, gts)]
            found[name] = metrics.set_value(name, features[0], features[1]), len(gts)
        else:
            known = [row[name] for row in rows if not math.isnan(row[name])]
            found[name] = (math.fsum(known) / len(known) if known else math.nan), len(known)
    return found


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('folder', type=Path, help='faces')
    parser.add_argument('--metrics', nargs='+', default=list(FACES), metavar='NAME')
    parser.add_argument('--scales', nargs='+', type=int, default=[2, 4, 8])
    parser.add_argument('--num', type=int, default=60, help='the first so many images')
    parser.add_argument('--size', type=int, help='height and width to which they are brought; default: as they are')
    parser.add_argument('--results', type=Path, help='what is measured, in place of bicubic at each scale')
    args = parser.parse_args()
    register()
    names = list_images(args.folder, 'FOLDER')[: args.num]
    gts = [read_image(args.folder / name) for name in names]
    if args.size:
        gts = [frame(FaceSample(gt), args.size, (1.0, 1.0), None).image for gt in gts]
    columns = {f'x{scale}': [bicubic(gt, scale) for gt in gts] for scale in args.scales}
    if args.results:
        columns = {args.results.name: [read_image(args.results / name) for name in names]}
    sections = {text: section(text) for text in args.metrics}
    found = {column: measure(gts, results, sections) for column, results in columns.items()}
    print(f'{len(gts)} images\n')
    print(' '.join([f'{"":44s}', *(f'{column:>16s}' for column in found)]))
    for text in args.metrics:
        cells = (f'{found[column][text][0]:10.4f} ({found[column][text][1]:3d})' for column in found)
        print(' '.join([f'{text:44s}', *cells]))


if __name__ == '__main__':
    main()
