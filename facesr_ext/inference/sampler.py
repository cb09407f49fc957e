"""Writing drawn faces to disk in the layout that ``FaceDataset`` reads."""

from __future__ import annotations

import json
from pathlib import Path

from tqdm import tqdm

from facesr_ext.data.image_io import write_image, write_mask
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.runs.atomic import require_free


def write_sample(folder: Path, num: int, seed: int, size: int, force: bool = False) -> None:
    """Writes ``images/NAME.png``, ``masks/NAME.png`` (celebamask19) and ``landmarks.json`` (68 points a face).

    Args:
        folder (Path): Made where it is missing.
        num, seed, size (int): How many faces, which, and their height and width in pixels.
        force (bool): Replace files that are there.

    Raises:
        OptionError: if a file would be replaced.
        DatasetError: if a file cannot be written.
    """
    names, points = [f'{seed:03d}_{index:05d}.png' for index in range(num)], folder / 'landmarks.json'
    files = [folder / kind / name for name in names for kind in ('images', 'masks')]
    require_free([points, *files], force=force, key=('FOLDER',))
    landmarks = {}
    for index, name in enumerate(tqdm(names, unit='face')):
        face = render_face(seed, index, size)
        write_image(folder / 'images' / name, face.image)
        write_mask(folder / 'masks' / name, face.parsing)
        landmarks[name] = [[round(float(v), 2) for v in point] for point in face.landmarks]
    points.write_text(json.dumps(landmarks), encoding='utf-8')
