"""The organisers' score: mean PSNR over the images, as AI6126's scoring script computes it.

It reads ``res/`` (descending into the single sub-folder) and ``ref/``, and for each image takes
``20 log10(255 / sqrt(MSE))`` over all pixels and channels of 8-bit RGB: no border is cut, no luma taken.
"""

from __future__ import annotations

import math
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from facesr_ext.challenge.checks import ANY_PIXELS
from facesr_ext.challenge.packages import Package, open_package
from facesr_ext.data.image_io import decode_stored, list_images, read_image, read_stored
from facesr_ext.errors import DatasetError, SubmissionError
from facesr_ext.metrics.face_metric import psnr_rgb

SUBMITTED, REFERENCE = 'res', 'ref'


class Scores(NamedTuple):
    """PSNR (dB) of each image by its name, and their mean."""

    psnr: dict[str, float]

    @property
    def mean(self) -> float:
        """What the leaderboard shows; infinite where a result equals its GT."""
        return math.fsum(self.psnr.values()) / len(self.psnr)

    def write(self, path: Path) -> None:
        """Writes ``scores.txt`` as CodaLab and Codabench read it: 'name: value'.

        Raises:
            DatasetError: if it cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f'PSNR: {self.mean:.6f}\n', encoding='utf-8')
        except OSError as err:
            raise DatasetError(f'cannot write {path}: {err.strerror or err}') from err


def score(submission: Path, gt_dir: Path) -> Scores:
    """Scores an archive or a folder.

    Args:
        submission (Path): The archive that was handed in, the folder that it was unpacked to, or the scorer's input
            folder with ``res/``.
        gt_dir (Path): GT images, or the scorer's input folder with ``ref/``. What has no GT is passed over.

    Raises:
        DatasetError: if the GT is missing or cannot be read.
        SubmissionError: with every result that is missing, damaged or of another size.
    """
    gt_dir = gt_dir / REFERENCE if (gt_dir / REFERENCE).is_dir() else gt_dir
    names = list_images(gt_dir, ('GT',))
    faults: list[str] = []
    psnr: dict[str, float] = {}
    with open_package(submission) as package:
        given = results_in(package)
        for name in tqdm(names, unit='image', desc='score'):
            gt = read_stored(gt_dir / name).rgb
            try:
                psnr[name] = _score_one(package, given, name, gt)
            except DatasetError as err:
                faults.append(str(err))
    if faults:
        raise SubmissionError(str(submission), faults)
    return Scores(psnr)


def score_bicubic(lq_dir: Path, gt_dir: Path) -> Scores:
    """The score of bicubic enlargement (OpenCV's), which every network should be above.

    Args:
        lq_dir (Path): LQ images of the GT's names.
        gt_dir (Path): As `score` takes it.

    Raises:
        DatasetError: if there is no LQ of a GT's name, or one cannot be read.
    """
    gt_dir = gt_dir / REFERENCE if (gt_dir / REFERENCE).is_dir() else gt_dir
    lqs = {PurePosixPath(name).stem: lq_dir / name for name in list_images(lq_dir, ('--lq',))}
    psnr: dict[str, float] = {}
    for name in list_images(gt_dir, ('GT',)):
        if PurePosixPath(name).stem not in lqs:
            raise DatasetError(f'--lq: {lq_dir} has no image of {name}')
        gt, lq = read_stored(gt_dir / name).rgb, read_image(lqs[PurePosixPath(name).stem])
        psnr[name] = psnr_rgb(cv2.resize(lq, gt.shape[1::-1], interpolation=cv2.INTER_CUBIC), gt)
    return Scores(psnr)


def results_in(package: Package) -> dict[str, str]:
    """The results of a package: bare name -> path, from ``res/`` and below folders that are alone."""
    parts = {name: path for name in package.names if (path := PurePosixPath(name).parts)}  # '.' has none
    if any(path[0] == SUBMITTED and len(path) > 1 for path in parts.values()):
        parts = {name: path[1:] for name, path in parts.items() if path[0] == SUBMITTED}
    while parts and len({path[0] for path in parts.values()}) == 1 and all(len(path) > 1 for path in parts.values()):
        parts = {name: path[1:] for name, path in parts.items()}
    return {path[0]: name for name, path in parts.items() if len(path) == 1}


def _score_one(package: Package, given: dict[str, str], name: str, gt: np.ndarray) -> float:
    result = f'{PurePosixPath(name).stem}.png'
    if result not in given:
        raise DatasetError(f'{result} is missing')
    most = max(ANY_PIXELS, gt.shape[0] * gt.shape[1])
    sr = decode_stored(package.read(given[result]), given[result], most).rgb
    if sr.shape != gt.shape:
        raise DatasetError(f'{result} is {sr.shape[1]}x{sr.shape[0]} px, its GT {gt.shape[1]}x{gt.shape[0]} px')
    return psnr_rgb(sr, gt)  # of RGB as of BGR
