"""Draws docs/sheets/<report>.jpg: what the trained runs of a report's comparison make of faces that may be shown.

    python -m docs.sheets s0 s1 ...    # in a clone, after the commands of RESULTS.md that train the runs

The faces are NASA's portrait of Eileen Collins (public domain, in scikit-image) and drawn ones, which nobody is. Each
comparison that benchmarks/results.yml lists under that name is run on them, and its picture of faces is kept.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from skimage import data

from benchmarks.results import PAGE
from benchmarks.results_page.settings import ROOT, read_page
from facesr_ext.comparison.examine import read_comparison
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.faces.alignment import frame_of
from facesr_ext.faces.detection import build_detector
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.faces.paste import stored_square
from facesr_ext.host.source import OptionFile

SHEETS = Path(__file__).with_name('sheets')
_DRAWN = 3
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 88]


def write_faces(folder: Path, size: int) -> None:
    """The faces as PNG files of so many pixels a side."""
    folder.mkdir(parents=True, exist_ok=True)
    portrait = data.astronaut()
    face = max(build_detector('centerface', 0.5, None)(portrait), key=lambda found: found.size)
    write_image(folder / '0_portrait.png', stored_square(portrait, frame_of('ffhq', face), size))
    for number in range(_DRAWN):
        write_image(folder / f'{number + 1}_drawn.png', render_face(20, number, size).image)


def draw(name: str, folder: Path) -> list[Path]:
    """Runs a comparison on the faces; the sheets, one a set, a face a row."""
    file = ROOT / read_page(PAGE).comparisons[name].file
    sets = read_comparison(OptionFile.read(str(file))).datasets
    forced = [f'name=sheet_{name}', f'pictures:num={_DRAWN + 1}']
    for key, section in sets.items():
        size = section.image_size or 128
        write_faces(folder / str(size), size)
        forced.append(f'datasets:{key}:dataroot_gt={folder / str(size)}')
    subprocess.run(
        [sys.executable, '-m', 'facesr_ext', 'compare', '-opt', str(file), '--force_yml', *forced], check=True
    )
    written = []
    for key in sets:
        if key != 'train':  # the same faces again
            picture = read_image(Path('results') / f'sheet_{name}' / 'pictures' / f'faces_{key}.png')
            written.append(SHEETS / (f'{name}.jpg' if len(sets) == 1 or key == 'test' else f'{name}_{key}.jpg'))
            encoded = cv2.imencode('.jpg', np.ascontiguousarray(picture[..., ::-1]), _QUALITY)[1]
            written[-1].write_bytes(encoded.tobytes())
    return written


def main() -> None:
    """Writes the sheets of the reports that are named."""
    SHEETS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:]:
            draw(name, Path(folder))


if __name__ == '__main__':
    main()
