"""Writing drawn faces to disk in the layout that ``FaceDataset`` reads."""

from __future__ import annotations

import json
from pathlib import Path

from tqdm import tqdm

from facesr_ext.data.image_io import write_image, write_mask
from facesr_ext.faces.drawn.face import render_face


def write_sample(folder: Path, num: int, seed: int, size: int) -> None:
    """Writes ``images/NAME.png``, ``masks/NAME.png`` (celebamask19) and ``landmarks.json`` (68 points a face).

    Args:
        folder (Path): Made where it is missing; files of the same name are replaced.
        num, seed, size (int): How many faces, which, and their height and width in pixels.

    Raises:
        DatasetError: if a file cannot be written.
    """
    landmarks = {}
    for index in tqdm(range(num), unit='face'):
        face, name = render_face(seed, index, size), f'{seed:03d}_{index:05d}.png'
        write_image(folder / 'images' / name, face.image)
        write_mask(folder / 'masks' / name, face.parsing)
        landmarks[name] = [[round(float(v), 2) for v in point] for point in face.landmarks]
    (folder / 'landmarks.json').write_text(json.dumps(landmarks), encoding='utf-8')
