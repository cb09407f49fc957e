"""Pasting: what a network has not changed stays, borders do not show, neighbours keep their faces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from facesr_ext.faces.alignment import FFHQ, Frame, cut, frame_of
from facesr_ext.faces.detection import Face
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.faces.labels import CELEBAMASK19
from facesr_ext.faces.masks import ellipse_mask, landmark_mask, parsing_mask
from facesr_ext.faces.paste import Patch, paste, seam

HEIGHT, WIDTH = 220, 300


def _photo(noise: float = 3.0) -> np.ndarray:
    """Slopes, edges and noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    plane = 90 + 0.2 * x + 0.3 * y + 25 * ((x // 30 + y // 40) % 2)
    noisy = np.stack([plane, plane * 0.8, plane * 0.6], 2) + rng.normal(0, noise, (HEIGHT, WIDTH, 3))
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _frame(centre: tuple[float, float], side: float, angle: float = 0.0) -> Frame:
    turn = np.deg2rad(angle)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = ((FFHQ - 0.5) @ rotation.T * side + centre).astype(np.float32)
    return frame_of('ffhq', Face(np.zeros(4, np.float32), 1.0, points))


def _square(photo: np.ndarray, frame: Frame, size: int) -> np.ndarray:
    return cut(photo, frame, [size])[size]


@pytest.mark.parametrize('size', [64, 512])
@pytest.mark.parametrize('angle', [0, 17, 90, 181])
def test_a_network_that_changes_nothing_changes_nothing(angle: float, size: int) -> None:
    photo, frame = _photo(), _frame((130.3, 99.7), 83.4, angle)
    pasted = paste(photo, [Patch(frame, _square(photo, frame, size), ellipse_mask())])
    assert np.array_equal(pasted, photo)


def test_over_the_edge_and_beside_the_photograph() -> None:
    photo = _photo()
    frames = [_frame((3, 5), 90, 12), _frame((WIDTH, HEIGHT), 60), _frame((-400, 40), 50)]
    pasted = paste(photo, [Patch(frame, 255 - _square(photo, frame, 96), ellipse_mask()) for frame in frames])
    assert not np.array_equal(pasted, photo)
    kept = paste(photo, [Patch(frame, _square(photo, frame, 96), ellipse_mask()) for frame in frames])
    assert np.array_equal(kept, photo)


def test_strength_0_and_what_no_mask_reaches_stay() -> None:
    photo, frame = _photo(), _frame((140, 110), 100)
    patch = Patch(frame, 255 - _square(photo, frame, 256), ellipse_mask())
    assert np.array_equal(paste(photo, [patch], strength=0.0), photo)
    pasted = paste(photo, [patch])
    rows, columns = frame.extent(HEIGHT, WIDTH)
    outside = np.ones((HEIGHT, WIDTH), bool)
    outside[rows, columns] = False
    assert np.array_equal(pasted[outside], photo[outside]) and not np.array_equal(pasted, photo)
    half = paste(photo, [patch], strength=0.5).astype(int)
    assert np.abs(half - (pasted.astype(int) + photo) / 2).max() <= 1


@pytest.mark.parametrize('angle', [0, 30])
def test_nothing_is_shifted(angle: float) -> None:
    """A dot that is drawn into the square comes back where it belongs, to a tenth of a pixel."""
    photo, frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8), _frame((150.4, 110.7), 90, angle)
    square = _square(photo, frame, 360).astype(np.float32)
    y, x = np.mgrid[:360, :360]
    square += 80 * np.exp(-((x - 200.0) ** 2 + (y - 190.0) ** 2) / (2 * 12.0**2))[..., None]
    made = paste(photo, [Patch(frame, np.rint(square).astype(np.uint8), ellipse_mask())]).astype(float) - 100
    weight = np.clip(made[..., 1], 0, None)
    found = [(weight * grid).sum() / weight.sum() for grid in np.mgrid[:HEIGHT, :WIDTH]][::-1]
    assert np.abs(frame.points(np.array([found]), 360) - [200, 190]).max() < 0.4  # 0.1 px of the photograph


def test_a_large_square_does_not_alias_in_a_small_place() -> None:
    photo, frame = np.full((HEIGHT, WIDTH, 3), 128, np.uint8), _frame((150, 110), 60)
    square = np.full((512, 512, 3), 128, np.uint8)
    square[:, ::2], square[:, 1::2] = 90, 166  # stripes that the place cannot hold
    pasted = paste(photo, [Patch(frame, square, ellipse_mask())])
    assert np.abs(pasted.astype(int) - 128).max() <= 1


def test_a_cast_does_not_step_at_the_border() -> None:
    """A network that makes everything 30 levels redder leaves the photograph as it is: its border says so."""
    photo, frame = _photo(0.0), _frame((150, 110), 120)
    square = np.clip(_square(photo, frame, 256) + np.array([30, 0, 0]), 0, 255).astype(np.uint8)
    pasted = paste(photo, [Patch(frame, square, ellipse_mask())])
    assert np.abs(pasted.astype(int) - photo).mean() < 0.5


def test_the_seam_is_weaker_than_that_of_plain_blending() -> None:
    photo, frame = _photo(1.0), _frame((150, 110), 120)
    patch = Patch(frame, np.clip(_square(photo, frame, 256) * 0.8, 0, 255).astype(np.uint8), ellipse_mask())
    matrix, size = frame.to_pixels(256), (WIDTH, HEIGHT)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    weight = cv2.warpAffine(patch.mask, matrix * 1.0, size, flags=flags)[..., None]
    plain = photo * (1 - weight) + cv2.warpAffine(patch.image, matrix, size, flags=flags) * weight
    ours = paste(photo, [patch])
    assert seam(photo, ours, patch) < 0.3 * seam(photo, np.rint(plain).astype(np.uint8), patch)
    assert seam(photo, photo, patch) == 0


def test_grain_comes_back_at_the_border() -> None:
    photo, frame = _photo(6.0), _frame((150, 110), 150)
    smooth = cv2.GaussianBlur(_square(photo, frame, 160), (0, 0), 2)
    pasted = paste(photo, [Patch(frame, smooth, ellipse_mask())])
    assert np.array_equal(pasted, paste(photo, [Patch(frame, smooth, ellipse_mask())]))  # the same each time
    rows, columns = slice(95, 135), slice(130, 170)
    plane = cv2.GaussianBlur(photo, (0, 0), 2).astype(float)
    grain = (pasted.astype(float) - plane)[rows, columns].std() / (photo - plane)[rows, columns].std()
    assert 0.25 < grain < 1


def test_neighbours_keep_their_faces() -> None:
    """Two overlapping squares of which one turns all red and one all blue: each holds its own middle."""
    photo = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    frames, dots = [_frame((120, 110), 120), _frame((175, 110), 120)], []
    y, x = np.mgrid[:240, :240]
    bump = np.exp(-((x - 120.0) ** 2 + (y - 130.0) ** 2) / (2 * 40.0**2))[..., None]
    for colour in ([80, -60, -60], [-60, -60, 80]):
        dots.append(np.rint(128 + bump * colour).astype(np.uint8))
    patches = [Patch(frame, dot, ellipse_mask()) for frame, dot in zip(frames, dots, strict=True)]
    both = paste(photo, patches)
    assert both[115, 110, 0] > 170 > 100 > both[115, 110, 2]
    assert both[115, 185, 2] > 170 > 100 > both[115, 185, 0]
    assert np.array_equal(both, paste(photo, patches[::-1]))


def test_gray_stays_gray_and_16_bits_stay() -> None:
    gray = np.repeat(_photo()[..., :1], 3, axis=2)
    frame = _frame((150, 110), 100)
    square = render_face(0, 1, 256).image
    pasted = paste(gray, [Patch(frame, square, ellipse_mask())], keep_gray=True)
    assert (pasted == pasted[..., :1]).all() and np.abs(pasted.astype(int) - gray).max() > 20
    deep = gray.astype(np.uint16) * 257 + 100
    made = paste(deep, [Patch(frame, square, ellipse_mask())], keep_gray=True)
    assert made.dtype == np.uint16 and np.abs(made / 257 - pasted).max() < 1.5
    assert np.array_equal(paste(deep, [Patch(frame, _square(gray, frame, 100), ellipse_mask())]), deep)


def test_masks_cover_the_face_and_end_before_the_square() -> None:
    face = render_face(0, 0, 256)
    whole_face = np.isin(face.parsing, [CELEBAMASK19.value(cls) for cls in ('l_eye', 'r_eye', 'nose', 'mouth')])
    for mask in (landmark_mask((face.landmarks + 0.5) / 256), parsing_mask(face.parsing)):
        assert mask.shape == (256, 256) and mask.dtype == np.float32 and mask.min() >= 0 and mask.max() == 1
        assert mask[whole_face].min() > 0.99
        assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) == 0
        assert np.abs(np.diff(mask, axis=0)).max() < 0.12
    assert np.array_equal(parsing_mask(np.zeros((64, 64), np.uint8)), ellipse_mask())
