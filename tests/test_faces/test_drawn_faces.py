"""Drawn faces: determinism, exact labels, conventions, variety and detail."""

from __future__ import annotations

import pickle
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facesr_ext.faces.drawn.face import DrawnFace, DrawnFaces, render_face
from facesr_ext.faces.drawn.params import draw_params
from facesr_ext.faces.labels import CELEBAMASK19

L_EYE, R_EYE, L_BROW, R_BROW, L_EAR, R_EAR = (
    CELEBAMASK19.value(side + part) for part in ('eye', 'brow', 'ear') for side in ('l_', 'r_')
)


@pytest.fixture(scope='module')
def faces() -> list[DrawnFace]:
    """Forty faces at 256 pixels."""
    return [render_face(3, index, 256) for index in range(40)]


@pytest.fixture(scope='module')
def small() -> list[DrawnFace]:
    """Sixty faces at 128 pixels."""
    return [render_face(3, index, 128) for index in range(60)]


def psnr(first: NDArray[Any], second: NDArray[Any]) -> float:
    """PSNR of two uint8 pictures in dB."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(float(error), 1e-9)))


def centroid(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean (x, y) of a mask."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def share_with(faces: list[DrawnFace], label: int) -> float:
    """Share of the faces that show a class."""
    return float(np.mean([(face.parsing == label).any() for face in faces]))


def inside_share(face: DrawnFace, points: slice, labels: tuple[int, ...], border: int) -> float:
    """Share of some landmarks that lie in a union of classes grown by ``border`` pixels."""
    mask = np.isin(face.parsing, labels).astype(np.uint8)
    grown = cv2.dilate(mask, np.ones((2 * border + 1, 2 * border + 1), np.uint8))
    at = np.rint(face.landmarks[points]).astype(int).clip(0, mask.shape[0] - 1)
    return float(np.mean(grown[at[:, 1], at[:, 0]]))


@pytest.mark.parametrize('size', [32, 64, 128, 200, 256])
def test_shapes_and_ranges(size: int) -> None:
    face = render_face(0, 0, size)
    assert face.image.shape == (size, size, 3) and face.image.dtype == np.uint8
    assert face.parsing.shape == (size, size) and face.parsing.dtype == np.uint8
    assert face.landmarks.shape == (68, 2) and face.landmarks.dtype == np.float32
    assert face.parsing.max() <= 18
    assert np.isfinite(face.landmarks).all()
    assert face.image.flags.c_contiguous and face.parsing.flags.c_contiguous


@pytest.mark.parametrize('size', [64, 128, 256])
def test_same_arguments_give_the_same_bytes(size: int) -> None:
    for index in (0, 7):
        first, second = render_face(5, index, size), render_face(5, index, size)
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.parsing, second.parsing)
        assert np.array_equal(first.landmarks, second.landmarks)


def test_other_index_or_seed_gives_another_face(small: list[DrawnFace]) -> None:
    images = [face.image for face in small[:12]]
    between = [psnr(a, b) for i, a in enumerate(images) for b in images[:i]]
    assert max(between) < 20
    assert all(psnr(render_face(4, i, 128).image, images[i]) < 20 for i in range(6))


def test_global_random_state_plays_no_part() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()  # type: ignore[index]
    first = render_face(1, 1, 64)
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]
    np.random.seed(2)
    assert np.array_equal(first.image, render_face(1, 1, 64).image)


def test_main_classes_are_present(faces: list[DrawnFace]) -> None:
    for label in (0, 1, 2, 11, 12, 17, 18):
        assert share_with(faces, label) >= 0.97, label
    for label in (L_EYE, R_EYE, L_BROW, R_BROW, 13):
        assert share_with(faces, label) >= 0.8, label
    for label in (3, L_EAR, R_EAR, 10):
        assert share_with(faces, label) >= 0.1, label


def test_rare_classes_occur() -> None:
    seen = {int(v) for index in range(150) for v in np.unique(render_face(9, index, 64).parsing)}
    assert seen == set(range(19))


def test_face_fills_the_frame(faces: list[DrawnFace]) -> None:
    heights = [np.ptp(np.nonzero(np.isin(face.parsing, range(1, 14)).any(axis=1))[0]) / 256 for face in faces]
    assert 0.55 < float(np.mean(heights)) <= 1.0
    skin = [np.isin(face.parsing, (1, 2, *range(4, 8), 10, 11, 12)).mean() for face in faces]
    assert 0.2 < float(np.mean(skin)) < 0.6


def test_landmarks_lie_in_the_image(faces: list[DrawnFace]) -> None:
    points = np.stack([face.landmarks for face in faces])
    assert np.mean((points >= 0) & (points <= 255)) > 0.97
    inner = points[:, 17:]
    assert np.mean((inner >= 0) & (inner <= 255)) == 1.0


def test_eye_landmarks_agree_with_the_eye_masks(faces: list[DrawnFace]) -> None:
    checked = 0
    for face in faces:
        for label, points in ((R_EYE, slice(36, 42)), (L_EYE, slice(42, 48))):
            mask = face.parsing == label
            if mask.sum() < 60 or (face.parsing == 3).any() or (face.parsing == 14).any():
                continue  # glasses and hats may hide a part of an eye
            checked += 1
            assert np.abs(face.landmarks[points].mean(axis=0) - centroid(mask)).max() < 0.02 * 256
            assert inside_share(face, points, (label,), 2) == 1.0
    assert checked > 20


def test_mouth_and_nose_landmarks_agree_with_the_masks(faces: list[DrawnFace]) -> None:
    for face in faces:
        assert inside_share(face, slice(48, 68), (10, 11, 12), 2) == 1.0
        assert inside_share(face, slice(60, 68), (10, 11, 12), 1) == 1.0
        assert inside_share(face, slice(27, 36), (2, 3), 2) >= 0.85
        lips = centroid(np.isin(face.parsing, (10, 11, 12)))
        assert np.abs(face.landmarks[48:60].mean(axis=0) - lips).max() < 0.02 * 256


def test_open_mouth_lies_between_the_inner_lip_landmarks(faces: list[DrawnFace]) -> None:
    opened = [face for face in faces if (face.parsing == 10).sum() > 80]
    assert opened
    for face in opened:
        contour = np.rint(face.landmarks[60:]).astype(np.int32)
        area = cv2.fillPoly(np.zeros((256, 256), np.uint8), [contour], 1)
        mouth = face.parsing == 10
        assert (area[mouth] > 0).mean() > 0.75


def test_jaw_follows_the_border_of_the_face(faces: list[DrawnFace]) -> None:
    for face in faces:
        chin = face.landmarks[8]
        column = int(np.rint(chin[0]))
        rows = np.nonzero(np.isin(face.parsing[:, column], (1, 2, 10, 11, 12)))[0]
        assert abs(float(rows.max()) - float(chin[1])) <= 2.5


def test_left_of_the_person_is_right_in_the_image(faces: list[DrawnFace]) -> None:
    for face in faces:
        for left, right in ((L_EYE, R_EYE), (L_BROW, R_BROW), (L_EAR, R_EAR)):
            if (face.parsing == left).sum() > 5 and (face.parsing == right).sum() > 5:
                assert centroid(face.parsing == left)[0] > centroid(face.parsing == right)[0]


def test_landmarks_are_in_ibug_order(faces: list[DrawnFace]) -> None:
    for face in faces:
        x, y = face.landmarks[:, 0], face.landmarks[:, 1]
        assert x[0] < x[8] < x[16] and y[8] > y[0] and y[8] > y[16]
        assert np.all(np.diff(x[17:22]) > 0) and np.all(np.diff(x[22:27]) > 0) and x[21] < x[22]
        assert np.all(np.diff(y[27:31]) > 0) and np.all(np.diff(x[31:36]) > 0)
        assert x[36] < x[39] < x[42] < x[45]
        assert y[37] < y[41] and y[38] < y[40] and y[43] < y[47] and y[44] < y[46]
        assert x[48] < x[51] < x[54] and y[51] < y[57] and x[60] < x[62] < x[64] and y[62] <= y[66]


@pytest.mark.parametrize('index', range(6))
def test_size_changes_only_the_sampling(index: int) -> None:
    large, normal = render_face(3, index, 256), render_face(3, index, 128)
    assert psnr(cv2.resize(large.image, (128, 128), interpolation=cv2.INTER_AREA), normal.image) > 26
    assert np.abs((large.landmarks + 0.5) / 2 - (normal.landmarks + 0.5)).max() < 1e-3
    assert np.mean(large.parsing[::2, ::2] == normal.parsing) > 0.94


def test_faces_vary(small: list[DrawnFace]) -> None:
    stack = np.stack([face.image for face in small]).astype(np.float32)
    assert stack.std(axis=0).mean() > 35
    landmarks = np.stack([face.landmarks for face in small])
    assert landmarks.std(axis=0).mean() > 1.5


def test_detail_is_like_that_of_photographs(small: list[DrawnFace]) -> None:
    values = []
    for face in small:
        low = cv2.resize(face.image, (16, 16), interpolation=cv2.INTER_AREA)
        values.append(psnr(cv2.resize(low, (128, 128), interpolation=cv2.INTER_CUBIC), face.image))
    assert 20.8 < float(np.median(values)) < 23.1  # the quartiles of photographs
    assert min(values) > 14 and max(values) < 32


def encoded_bytes(image: NDArray[np.uint8], suffix: str) -> int:
    """Size of a picture as a file, JPEG at quality 75."""
    done, data = cv2.imencode(suffix, image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    assert done
    return len(data)


def pixel_statistics(image: NDArray[np.uint8]) -> dict[str, float]:
    """A few of the statistics of benchmarks/drawn_faces.py."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    gradient = np.hypot(luma[1:, 1:] - luma[1:, :-1], luma[1:, 1:] - luma[:-1, 1:])
    return {
        'png': float(encoded_bytes(image, '.png')),
        'jpeg75': float(encoded_bytes(image, '.jpg')),
        'edges': float(np.percentile(gradient, 95)),
        'laplacian': float(cv2.Laplacian(luma, cv2.CV_32F).var()),
        'luma': float(luma.mean()),
        'contrast': float(luma.std()),
    }


def test_pixels_are_like_those_of_photographs(small: list[DrawnFace]) -> None:
    # From the 5th to the 95th percentile of 300 face photographs (CelebA, FFHQ, StyleGAN faces) reduced to 128 pixels,
    # as benchmarks/drawn_faces.py measures them; for the luma, whose spread is wide, the quartiles.
    photographs = {
        'png': (27886, 37049),
        'jpeg75': (3107, 4735),
        'edges': (29.8, 63.1),
        'laplacian': (386, 1904),
        'luma': (101.4, 137.2),
        'contrast': (49.4, 66.9),
    }
    rows = [pixel_statistics(face.image) for face in small]
    medians = {name: float(np.median([row[name] for row in rows])) for name in photographs}
    assert all(low < medians[name] < high for name, (low, high) in photographs.items()), medians


def test_expressions_tilt_and_turn_vary() -> None:
    params = [draw_params(np.random.default_rng([7, index])) for index in range(200)]
    shown = np.mean([p.shape.mouth_open > 0 and p.look.teeth for p in params])
    assert 0.3 < float(shown) < 0.8
    assert np.degrees(np.std([p.pose.yaw for p in params])) > 9
    assert np.degrees(np.std([p.pose.roll for p in params])) > 3.5


def test_set_of_faces() -> None:
    faces = DrawnFaces(3, seed=2, size=64)
    assert len(faces) == 3
    assert np.array_equal(faces[1].image, render_face(2, 1, 64).image)
    assert faces[1] is faces[1]
    assert faces[-1] is faces[2]
    assert len(list(faces)) == 3  # type: ignore[call-overload]
    for wrong in (3, -4):
        with pytest.raises(IndexError, match='out of range'):
            faces[wrong]


def test_set_travels_without_its_pictures() -> None:
    faces = DrawnFaces(4, seed=2, size=64)
    image = faces[0].image
    sent = pickle.dumps(faces)
    assert len(sent) < 1000
    back = pickle.loads(sent)
    assert len(back) == 4 and np.array_equal(back[0].image, image)


@pytest.mark.parametrize(
    ('num', 'seed', 'size', 'text'), [(0, 0, 64, 'num'), (1, -1, 64, 'seed'), (1, 0, 31, 'size'), (-2, 0, 64, 'num')]
)
def test_bad_arguments_of_the_set(num: int, seed: int, size: int, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        DrawnFaces(num, seed, size)


@pytest.mark.parametrize(('seed', 'index', 'size'), [(-1, 0, 64), (0, -1, 64), (0, 0, 16)])
def test_bad_arguments_of_one_face(seed: int, index: int, size: int) -> None:
    with pytest.raises(ValueError, match='must'):
        render_face(seed, index, size)
