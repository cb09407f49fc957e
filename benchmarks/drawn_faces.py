"""Drawn faces against photographs: do they compress, blur and vary alike? And how many are drawn a minute?

    python -m benchmarks.drawn_faces FOLDER [--num 300] [--size 128] [--seed 1]

Images of the folder are reduced to the size by area averaging, which takes most of their own JPEG artefacts away;
non-square ones are cut to their middle. Each statistic is computed for every image. Printed are the medians of both,
drawn / real, and the two-sample Kolmogorov-Smirnov distance (0: alike, 1: apart).

png, jpeg75: bytes of the stored image. bicubic_x8: PSNR-RGB of MATLAB's bicubic / 8 and back, dB. gradient, edges:
mean and 95th percentile of the luma gradient's magnitude, of 255 a pixel. laplacian: variance of the luma's Laplacian.
slope: exponent of the luma's power spectrum over the frequency (photographs: near -2 to -3). luma, contrast: mean and
standard deviation of the luma. chroma: mean distance of a pixel's colour from grey. red, green, blue: channel means.
"""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import ks_2samp
from tqdm import tqdm

from benchmarks.common import argument_parser
from facesr_ext.data.image_io import list_images, read_image
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import to_images, to_tensor
from facesr_ext.metrics.face_metric import psnr_rgb

Image = NDArray[np.uint8]


def image_statistics(image: Image) -> dict[str, float]:
    """The statistics that the head of this file names, of one image (size, size, 3) uint8 RGB."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gradient = np.hypot(luma[1:, 1:] - luma[1:, :-1], luma[1:, 1:] - luma[:-1, 1:])
    colour = image.astype(np.float32)
    red, green, blue = colour.mean((0, 1))
    return {
        'png': float(encoded_bytes(image, '.png')),
        'jpeg75': float(encoded_bytes(image, '.jpg')),
        'bicubic_x8': bicubic_psnr(image),
        'gradient': float(gradient.mean()),
        'edges': float(np.percentile(gradient, 95)),
        'laplacian': float(cv2.Laplacian(luma, cv2.CV_32F).var()),
        'slope': spectrum_slope(luma),
        'luma': float(luma.mean()),
        'contrast': float(luma.std()),
        'chroma': float(np.linalg.norm(colour - colour.mean(2, keepdims=True), axis=2).mean()),
        'red': float(red),
        'green': float(green),
        'blue': float(blue),
    }


def encoded_bytes(image: Image, suffix: str) -> int:
    """Size of the image as a file; JPEG at quality 75."""
    done, data = cv2.imencode(suffix, image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    if not done:
        raise RuntimeError(f'OpenCV cannot encode {suffix}')
    return len(data)


def bicubic_psnr(image: Image) -> float:
    """PSNR-RGB of the image after MATLAB's bicubic / 8, 8 bit, and back, dB."""
    gt = to_tensor(image)[None]
    lq = build_degradation({'preset': 'fsrnet_x8'}, 8)(gt, torch.Generator())
    return psnr_rgb(to_images(lq)[0], image)


def spectrum_slope(luma: NDArray[np.float32]) -> float:
    """Slope of log power over log frequency, from 4 cycles an image to half of Nyquist's frequency.

    Beyond that the reduction of the photographs, not their content, sets the spectrum.
    """
    size = luma.shape[0]
    window = np.hanning(size)[:, None] * np.hanning(size)[None]
    power = np.abs(np.fft.fft2((luma - luma.mean()) * window)) ** 2
    axis = np.fft.fftfreq(size, 1 / size)
    radius = np.rint(np.hypot(axis[None], axis[:, None])).astype(int)
    rings = np.bincount(radius.ravel(), power.ravel()) / np.bincount(radius.ravel())
    at = np.arange(4, size // 4)
    return float(np.polyfit(np.log(at), np.log(rings[at] + 1e-9), 1)[0])


def photograph(path: Path, size: int) -> Image:
    """The middle square of a photograph, ``size`` pixels wide."""
    image = read_image(path)
    side = min(image.shape[:2])
    y, x = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    small = cv2.resize(image[y : y + side, x : x + side], (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def report(drawn: list[dict[str, float]], real: list[dict[str, float]]) -> None:
    """Prints a line a statistic."""
    print(f'{"median":12s} {"drawn":>9s} {"real":>9s} {"ratio":>7s} {"KS":>6s}')
    for name in drawn[0]:
        ours, theirs = ([row[name] for row in rows] for rows in (drawn, real))
        a, b = float(np.median(ours)), float(np.median(theirs))
        print(f'{name:12s} {a:9.2f} {b:9.2f} {a / b:7.2f} {ks_2samp(ours, theirs).statistic:6.2f}')


def faces_a_minute(size: int, seed: int, num: int) -> float:
    """The best of three runs, on one core."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    times = []
    for _ in range(3):
        start = time.process_time()  # what others do on the machine does not count
        for index in range(num):
            render_face(seed, index, size)
        times.append(time.process_time() - start)
    cv2.setNumThreads(threads)
    return 60 * num / min(times)


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--num', type=int, default=300)
    parser.add_argument('--size', type=int, default=128)
    parser.add_argument('--seed', type=int, default=1)
    args = parser.parse_args()
    names = list_images(args.folder, 'FOLDER')
    picks = np.random.default_rng(args.seed).permutation(len(names))[: args.num]
    real = [image_statistics(photograph(args.folder / names[i], args.size)) for i in tqdm(picks, unit='photo')]
    drawn = [image_statistics(render_face(args.seed, i, args.size).image) for i in tqdm(range(args.num), unit='face')]
    report(drawn, real)
    print(f'{faces_a_minute(args.size, args.seed, 60):.0f} faces a minute at {args.size} px on one core')


if __name__ == '__main__':
    main()
