"""Near-duplicates: what must be found, what must not, and that nothing is missed by the quick way."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from facesr_ext.data.image_io import list_images, read_image
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.preparation import fingerprints
from facesr_ext.preparation.fingerprints import (
    BITS,
    LENGTH,
    MOST,
    candidates,
    fingerprint,
    groups,
    looks,
    same_image,
    thumbnail,
)

FACES = Path(os.environ.get('FACESR_TEST_DATA', 'nowhere')) / 'faces256'


def grey(index: int) -> np.ndarray:
    return cv2.cvtColor(render_face(3, index, 128).image, cv2.COLOR_RGB2GRAY)


def cropped(image: np.ndarray, share: float) -> np.ndarray:
    cut = round(image.shape[0] * share)
    return image[cut:, : image.shape[1] - cut]


def compressed(image: np.ndarray) -> np.ndarray:
    return np.array(cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE))


COPIES = {
    'mirrored': lambda image: image[:, ::-1].copy(),
    'recompressed': compressed,
    'cropped': lambda image: cropped(image, 0.03),
    'mirrored and cropped': lambda image: cropped(image[:, ::-1], 0.03),
    'brightened': lambda image: np.clip(image.astype(np.float32) * 1.1 + 8, 0, 255).astype(np.uint8),
    'reduced': lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
}


def test_fingerprint_is_169_bits_of_rising_grey() -> None:
    rising = np.tile(np.arange(140, dtype=np.uint8), (130, 1))
    assert fingerprint(rising).shape == (LENGTH,)
    assert np.unpackbits(fingerprint(rising)).sum() == BITS
    assert np.unpackbits(fingerprint(rising[:, ::-1])).sum() == 0
    assert np.array_equal(looks(rising)[0], fingerprint(rising)) and looks(rising).shape == (22, LENGTH)


def by_hand(known: np.ndarray, looked_for: np.ndarray) -> set[tuple[int, int]]:
    bits = np.unpackbits(looked_for, axis=-1)
    own = np.unpackbits(known, axis=-1)
    near: set[tuple[int, int]] = set()
    for index in range(len(known)):
        apart = (bits != own[index]).sum(-1).min(1)
        others = np.flatnonzero(apart <= MOST).tolist()
        near |= {(min(index, other), max(index, other)) for other in others if other != index}
    return near


def test_quick_way_misses_no_pair() -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (120, BITS)).astype(np.uint8)
    for distance in range(24):  # pairs that differ by so many bits
        flipped = rng.choice(BITS, distance, replace=False)
        bits[60 + distance] = bits[distance]
        bits[60 + distance, flipped] ^= 1
    known = np.packbits(bits, axis=1)
    looked_for = np.stack([known, known[:, ::-1]], 1)
    found = {tuple(pair) for pair in candidates(known, looked_for).tolist()}
    assert found == by_hand(known, looked_for)
    assert all((distance, 60 + distance) in found for distance in range(MOST + 1))
    assert candidates(known[:0], looked_for[:0]).shape == (0, 2)


@pytest.mark.parametrize('kind', COPIES)
def test_copies_are_found_and_no_other_face(kind: str) -> None:
    images = [grey(index) for index in range(12)]
    images += [COPIES[kind](image) for image in images[:6]]
    prints = np.stack([looks(image) for image in images])
    thumbs = [thumbnail(image) for image in images]
    pairs = [pair for pair in candidates(prints[:, 0], prints).tolist() if same_image(*(thumbs[i] for i in pair))]
    assert pairs == [[index, 12 + index] for index in range(6)]


@pytest.mark.skipif(not FACES.is_dir(), reason='FACESR_TEST_DATA names no folder with faces256')
def test_copies_among_real_faces() -> None:
    names = list_images(FACES)[::12]
    images = [cv2.cvtColor(read_image(FACES / name), cv2.COLOR_RGB2GRAY) for name in names]
    num, kinds = len(images), list(COPIES)
    images += [COPIES[kinds[index % len(kinds)]](images[index]) for index in range(60)]
    prints, thumbs = np.stack([looks(image) for image in images]), [thumbnail(image) for image in images]
    pairs = candidates(prints[:, 0], prints)
    same = {tuple(pair) for pair in pairs.tolist() if same_image(*(thumbs[i] for i in pair))}
    planted = {(index, num + index) for index in range(60)}
    assert len(planted & same) >= 59 and same <= planted


def test_groups_hang_together_over_others() -> None:
    pairs = np.array([[1, 4], [4, 6], [0, 5]])
    assert groups(8, pairs) == [[0, 5], [1, 4, 6]]
    assert groups(3, np.empty((0, 2), np.int64)) == []


def test_bits_are_counted_without_numpy_2(monkeypatch: pytest.MonkeyPatch) -> None:
    words = np.array([0, 1, 2**63 + 5, 2**64 - 1], np.uint64)
    counts = fingerprints._bits(words)
    monkeypatch.delattr(np, 'bitwise_count', raising=False)
    assert counts.tolist() == fingerprints._bits(words).tolist() == [0, 1, 3, 64]
