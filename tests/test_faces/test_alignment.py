"""Frames: where the points go, that nothing moves by parts of a pixel, and that each size is the photograph's own."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from basicsr.utils.matlab_functions import imresize

from facesr_ext.errors import OptionError
from facesr_ext.faces.alignment import CELEBA, FFHQ, Frame, cut, cut_mask, five_of_68, frame_of, whole
from facesr_ext.faces.detection import Face

RNG = np.random.default_rng(0)


def face_at(turn: float = 0.0, size: float = 100.0, centre: tuple[float, float] = (200, 180)) -> Face:
    """A face whose points are FFHQ's, turned by degrees."""
    angle = np.radians(turn)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (FFHQ - 0.5) * size @ rotation.T + centre
    box = np.concatenate([points.min(0) - 10, points.max(0) + 10])
    return Face(box.astype(np.float32), 0.9, points.astype(np.float32))


def smooth(height: int, width: int) -> np.ndarray:
    """A photograph of broad shades."""
    noise = RNG.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize('turn', [0, 20, -75, 180])
@pytest.mark.parametrize(('crop', 'template'), [('ffhq', FFHQ), ('celeba', CELEBA)])
def test_points_lie_on_the_template(crop: str, template: np.ndarray, turn: float) -> None:
    face = face_at(turn)
    frame = frame_of(crop, face)
    apart = frame.points(face.points, 128) - (template * 128 - 0.5)
    assert np.abs(apart).max() < (0.01 if crop == 'ffhq' else 6)
    assert np.abs(apart.mean(0)).max() < 0.01
    if crop == 'ffhq':
        assert frame.side == pytest.approx(100, rel=1e-4)


def test_template_of_celeba_is_its_own() -> None:
    """Eyes 38 px apart in 178, in the upper half; the nose and the mouth below."""
    pixels = CELEBA * 178
    assert np.ptp(pixels[:2, 0]) == pytest.approx(38.4, abs=0.5)
    assert (pixels[2:, 1] > pixels[:2, 1].max() + 20).all()


def test_upright_square_of_whole_pixels_is_not_resampled() -> None:
    image = RNG.integers(0, 256, (300, 400, 3)).astype(np.uint8)
    face = Face(np.float32([100, 80, 160, 140]), 0.9, np.zeros((5, 2), np.float32))
    frame = frame_of('box', face, margin=0.0)
    side = round(frame.side)
    assert side == 60
    assert np.array_equal(cut(image, frame, [side])[side], image[80:140, 100:160])
    assert np.array_equal(cut(image, whole(300, 400), [300])[300], image[:, 50:350])


def test_each_size_is_of_the_photograph() -> None:
    image = smooth(256, 256)
    out = cut(image, whole(256, 256), [128, 32])
    for size in (128, 32):
        wanted = imresize(torch.from_numpy(image / 255.0).permute(2, 0, 1).float(), size / 256)
        assert np.abs(out[size] / 255.0 - wanted.permute(1, 2, 0).clamp(0, 1).numpy()).max() < 0.003
    area = cut(image, whole(256, 256), [64], 'area')[64]
    assert np.array_equal(area, cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize('turn', [0.0, 33.0])
def test_cut_out_shows_each_place_where_the_frame_says(turn: float) -> None:
    """A ramp: the level at a pixel is its place, so that a shift of a tenth of a pixel shows."""
    height, width = 360, 400
    ramp = np.stack([np.tile(np.linspace(0, 255, width), (height, 1))] * 3, -1)
    image = ramp.round().astype(np.uint8)
    frame = frame_of('ffhq', face_at(turn, size=120))
    size = 64
    out = cut(image, frame, [size])[size].astype(np.float64)
    linear = np.linalg.inv(frame.matrix[:, :2])
    xs, ys = np.meshgrid(np.arange(size), np.arange(size))
    shares = (np.stack([xs, ys], -1).reshape(-1, 2) + 0.5) / size
    places = (shares - frame.matrix[:, 2]) @ linear.T
    wanted = (places[:, 0] * 255 / (width - 1)).reshape(size, size)
    assert abs((out[4:-4, 4:-4, 0] - wanted[4:-4, 4:-4]).mean()) < 0.05
    assert np.abs(out[4:-4, 4:-4, 0] - wanted[4:-4, 4:-4]).max() < 1.2


def test_masks_and_points_go_with_the_image() -> None:
    face = face_at(25, size=160)
    frame = frame_of('ffhq', face)
    mask = np.zeros((720, 800), np.uint8)  # twice as large as its photograph of 360 x 400
    spot = face.points[0] * 2 + 0.5
    cv2.circle(mask, np.round(spot).astype(int).tolist(), 9, 4, -1)
    out = cut_mask(mask, frame, 128, (360, 400))
    found = np.argwhere(out == 4).mean(0)[::-1]
    assert np.abs(found - frame.points(face.points, 128)[0]).max() < 0.5
    assert set(np.unique(out)) <= {0, 4, 255}
    unknown = np.array([[np.nan, np.nan]])
    assert np.isnan(frame.points(unknown, 128)).all()


def test_how_much_lies_beyond_the_edge() -> None:
    frame = Frame(np.array([[0.01, 0, 0.005], [0, 0.01, 0.005]]), 100)
    assert frame.outside(100, 100) == pytest.approx(0, abs=1e-5)
    assert frame.outside(50, 100) == pytest.approx(0.5, abs=1e-3)
    assert frame.outside(25, 40) == pytest.approx(0.9, abs=1e-3)
    far = Frame(np.array([[0.01, 0, 5.0], [0, 0.01, 0]]), 100)
    assert far.outside(100, 100) == 1


def test_crops_by_68_landmarks() -> None:
    points = RNG.uniform(100, 200, (68, 2)).astype(np.float32)
    five = five_of_68(points)
    assert np.allclose(five[0], points[36:42].mean(0)) and np.allclose(five[3:], points[[48, 54]])
    face = face_at()
    frame = frame_of('fsrnet', face, points)
    middle, extent = (points.min(0) + points.max(0)) / 2, np.ptp(points, axis=0).max()
    assert frame.side == pytest.approx(2 * extent, abs=1)
    assert np.abs(frame.points(middle[None], 100) - 49.5).max() < 1
    with pytest.raises(OptionError, match="--crop: .*'tight'"):
        frame_of('tight', face)


def test_large_photographs_are_reduced_before_they_are_cut() -> None:
    image = smooth(1200, 1200)
    out = cut(image, whole(1200, 1200), [32])[32]
    wanted = imresize(torch.from_numpy(image / 255.0).permute(2, 0, 1).float(), 32 / 1200).permute(1, 2, 0).numpy()
    assert np.abs(out / 255 - wanted).mean() < 0.005
