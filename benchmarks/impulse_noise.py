"""PSNR and SSIM under impulse noise: report S1's table, and what bicubic and a trained network make of noisy LR.

    python -m benchmarks.impulse_noise [FOLDER] [--run experiments/srnet_x4] [--num 16] [--size 128] [--scale 4]

Each value becomes 0 with the probability Pa and 1 with Pb = Pa. 'image' is S1's table, the noisy image against the
clean one, for faces of a folder or drawn ones; its PSNR follows 10 log10(255^2 / MSE) with MSE = Pa (E[x^2] +
E[(255 - x)^2]), column 'law'. For the other columns the image is reduced by bicubic first, and the LR spoilt (preset
report_s1). Figures are means over the images, in RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import argument_parser
from facesr_ext.data.image_io import list_images, read_image
from facesr_ext.data.transforms import FaceSample, frame
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.imaging import imresize, to_images, to_tensor
from facesr_ext.inference.restorer import Restorer
from facesr_ext.metrics.face_metric import psnr_rgb, ssim_rgb

TABLE = {0.005: 25.2171, 0.025: 18.1606, 0.05: 15.1875, 0.1: 12.1646, 0.25: 8.19091, 0.5: 5.18667}
"""Report S1: Pa = Pb -> PSNR, dB."""

Restoring = Callable[[np.ndarray], np.ndarray]


def images(folder: Path | None, num: int, size: int) -> list[np.ndarray]:
    """The first faces of a folder, or drawn ones: (size, size, 3) uint8 RGB each."""
    if folder is None:
        drawn = DrawnFaces(num, 0, size)
        return [drawn[i].image for i in range(num)]
    names = list_images(folder, 'FOLDER')[:num]
    return [frame(FaceSample(read_image(folder / name)), size, (1.0, 1.0), None).image for name in names]


def law(faces: Sequence[np.ndarray], either: float) -> float:
    """The PSNR that is to be expected of the noisy images, dB; the mean over them."""
    values = [face.astype(np.float64) for face in faces]
    errors = [either * (value**2 + (255 - value) ** 2).mean() for value in values]
    return float(np.mean([10 * np.log10(255**2 / error) for error in errors]))


def measure(faces: Sequence[np.ndarray], either: float, scale: int, restored: Restoring) -> tuple[float, float]:
    """Mean PSNR and SSIM of what is made of the noisy LR.

    Args:
        faces (Sequence[ndarray]): (H, W, 3) uint8 RGB.
        either (float): Pa and Pb, 0 to 0.5.
        scale (int): HR-to-LR factor.
        restored (Callable): LR -> an image of the face's size, both (h, w, 3) uint8 RGB.
    """
    section = {'preset': 'report_s1', 'impulse_range': [2 * either, 2 * either]}
    degradation, generator = build_degradation(section, scale), torch.Generator().manual_seed(0)
    lqs = [to_images(degradation(to_tensor(face)[None], generator))[0] for face in faces]
    pairs = [(restored(lq), face) for lq, face in zip(lqs, faces, strict=True)]
    psnr, ssim = (float(np.mean([metric(*pair) for pair in pairs])) for metric in (psnr_rgb, ssim_rgb))
    return psnr, ssim


def enlarged(lq: np.ndarray, scale: int) -> np.ndarray:
    """By MATLAB's bicubic, (h, w, 3) uint8 -> (h * scale, w * scale, 3) uint8."""
    size = (lq.shape[0] * scale, lq.shape[1] * scale)
    return to_images(imresize(to_tensor(lq)[None], size))[0]


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('folder', type=Path, nargs='?', help='photographs of faces; drawn ones without')
    parser.add_argument('--run', type=Path, help='a trained network: its run, or a checkpoint')
    parser.add_argument('--num', type=int, default=16, help='images')
    parser.add_argument('--size', type=int, default=128, help='height and width of the images')
    parser.add_argument('--scale', type=int, default=4)
    args = parser.parse_args()
    faces = images(args.folder, args.num, args.size)
    columns: dict[str, tuple[int, Restoring]] = {
        'image': (1, lambda lq: lq),
        f'bicubic {args.scale}x': (args.scale, lambda lq: enlarged(lq, args.scale)),
    }
    if args.run:
        restorer = Restorer(args.run, scale=args.scale)
        columns['network'] = (args.scale, restorer.restore)
    print(f'{len(faces)} images of {args.size} px\n')
    print(' '.join([f'{"Pa = Pb":>7s} {"S1":>7s} {"law":>7s}', *(f'{name + ": PSNR, SSIM":>24s}' for name in columns)]))
    for either, reported in TABLE.items():
        found = [measure(faces, either, *column) for column in columns.values()]
        cells = [f'{psnr:16.3f} {ssim:7.4f}' for psnr, ssim in found]
        print(' '.join([f'{either:7.3f} {reported:7.3f} {law(faces, either):7.3f}', *cells]))


if __name__ == '__main__':
    main()
