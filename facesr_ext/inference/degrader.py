"""Degrading stored images: folder in, folder out, and a contact sheet."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import encode_image, list_images, read_image, write_image
from facesr_ext.data.stores import by_key
from facesr_ext.data.transforms import FaceSample, frame
from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.learned import LearnedDegradation
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.imaging import to_tensor
from facesr_ext.runs.atomic import require_free

GRID_ROWS, GRID_COLUMNS = 8, 8


def degrade_folder(
    source: Path,
    output: Path,
    degradation: Degradation,
    seed: int,
    grid: Path | None,
    image_size: int | None = None,
    force: bool = False,
) -> int:
    """Writes the LQ of each image as PNG under its own name.

    Args:
        source (Path): An image or a folder (sub-folders too). Images are cut to a multiple of the scale.
        output (Path): Made where it is missing.
        degradation (Degradation): What makes them.
        seed (int): With an image's name it seeds that image's draws.
        grid (Path | None): A contact sheet: for each of the first images the GT and draws of its LQ; those of a
            trained network beside bicubic and second order.
        image_size (int | None): The middle square of each image is resized to so many pixels first. Default: None.
        force (bool): Replace files that are there, and write into the folder that is read.

    Returns:
        int: How many images were written.

    Raises:
        OptionError: for a file that would be replaced.
        DatasetError: for a missing folder, two images whose LQ would have one name, or an image that cannot be read
            or is too small.
    """
    folder, names = (source.parent, [source.name]) if source.is_file() else (source, list_images(source, ('SOURCE',)))
    files = {name: output / f'{key}.png' for key, name in by_key(names, ('SOURCE',)).items()}
    require_free(files.values(), [source], force)
    if grid is not None:
        require_free([grid], [source], force, ('--grid',))
        if grid.resolve() in {file.resolve() for file in files.values()}:
            raise OptionError(f'{grid} is the LQ of an image; name another place', ('--grid',))
        encode_image(np.zeros((1, 1, 3), np.uint8), grid.suffix)  # else it would be refused when all is done
    compared = _compared(degradation)
    rows: list[list[np.ndarray]] = []
    for name in tqdm(names, unit='image'):
        image = _read(folder / name, degradation.scale, image_size)
        gt = to_tensor(image)[None]
        shown = grid is not None and len(rows) < GRID_ROWS
        draws = GRID_COLUMNS - 1 - len(compared) if shown else 1
        lqs = [_to_image(degradation(gt, _generator(name, seed, i))) for i in range(draws)]
        write_image(files[name], lqs[0])
        if shown:
            others = [_to_image(other(gt, _generator(name, seed, 0))) for other in compared.values()]
            rows.append([image, *others, *lqs])
    if grid is not None:
        drawn = 'network' if compared else 'LQ'
        titles = ['GT', *compared, *(f'{drawn} {i}' for i in range(1, GRID_COLUMNS - len(compared)))]
        write_image(grid, contact_sheet(rows, titles, cell=160))
    return len(names)


def _compared(degradation: Degradation) -> dict[str, Degradation]:
    """What the sheet shows a trained network beside, as figure 5 of report S0 does; nothing for other degradations."""
    if not isinstance(degradation, LearnedDegradation):
        return {}
    sections = {'bicubic': {'type': 'BicubicDegradation'}, 'second order': {'preset': 'realesrgan'}}
    return {name: build_degradation(section, degradation.scale) for name, section in sections.items()}


def _read(path: Path, scale: int, image_size: int | None) -> np.ndarray:
    """The image, (H, W, 3) uint8 RGB, framed and cut to a multiple of the scale."""
    image = read_image(path)
    if image_size is not None:
        image = frame(FaceSample(image), image_size, (1.0, 1.0), None).image
    if min(image.shape[:2]) < scale:
        size = f'{image.shape[1]}x{image.shape[0]} px'
        raise DatasetError(f'{path} is {size}, too small for scale {scale}; remove it', ('SOURCE',))
    return image[: image.shape[0] // scale * scale, : image.shape[1] // scale * scale]


def _generator(name: str, seed: int, draw: int) -> torch.Generator:
    """Hashed to 32 bits, all that torch's CPU generator takes of a seed."""
    state = np.random.SeedSequence([seed, zlib.crc32(name.encode()), draw]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


def _to_image(lq: torch.Tensor) -> np.ndarray:
    return lq[0].mul(255).round().to(torch.uint8).permute(1, 2, 0).numpy()
