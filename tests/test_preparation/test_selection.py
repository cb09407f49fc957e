"""Sharpness, information, tiles."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from facesr_ext.errors import OptionError
from facesr_ext.preparation.selection import lacks_information, sharpness, tiles


def test_sharpness_falls_with_what_is_lost() -> None:
    face = data.astronaut()[30:200, 130:300]
    figures = [sharpness(face)]
    for factor in (2, 4, 8):
        small = cv2.resize(face, (128 // factor, 128 // factor), interpolation=cv2.INTER_AREA)
        figures.append(sharpness(cv2.resize(small, (128, 128), interpolation=cv2.INTER_CUBIC)))
    assert figures == sorted(figures, reverse=True) and figures[0] > 10 and figures[2] < 7
    large = cv2.resize(face, (1024, 1024), interpolation=cv2.INTER_CUBIC)
    assert sharpness(large) == pytest.approx(figures[0], rel=0.25)  # the size it is stored at hardly counts


def test_images_of_few_colours_lack_information() -> None:
    flat = np.full((128, 128, 3), 90, np.uint8)
    assert 'spread by 0.0 of 255' in lacks_information(flat)
    dot = flat.copy()
    dot[50:70, 50:70] = 250
    assert 'one colour' in lacks_information(dot)
    halves = flat.copy()
    halves[:, 64:] = (250, 20, 20)
    assert lacks_information(halves) is not None
    assert lacks_information(data.astronaut()) is None
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert lacks_information(noise) is None
    assert lacks_information(dot) == lacks_information(dot)


def test_tiles_are_whole_and_from_the_middle() -> None:
    assert tiles(300, 270, 128) == [(22, 7), (22, 135), (150, 7), (150, 135)]
    assert tiles(128, 128, 128) == [(0, 0)] and tiles(127, 500, 128) == []
    with pytest.raises(OptionError, match='--tile'):
        tiles(10, 10, 0)
