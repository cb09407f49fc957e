"""The examples: photographs whose faces are found."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from facesr_ext.data.photo_io import decode_photo_file
from facesr_ext.demo.examples import write_examples
from facesr_ext.faces.detection import build_detector
from facesr_ext.inference.which_faces import find_faces


def test_examples_are_small_jpegs_with_faces(tmp_path: Path) -> None:
    files, detector = write_examples(tmp_path / 'examples'), build_detector('centerface')
    faces = {path.name: len(find_faces(decode_photo_file(path.read_bytes()).image, detector)) for path in files}
    wanted = {'drawn_faces.jpg': 6, 'drawn_face.jpg': 1, 'astronaut.jpg': 1}
    if importlib.util.find_spec('skimage') is None:
        del wanted['astronaut.jpg']
    assert faces == wanted
    assert all(path.stat().st_size < 60_000 for path in files)
