"""Drawn faces with exact parsing masks and landmarks.

Every face is a function of ``(seed, index)`` alone, so that recipes, tests and examples run offline. Masks and
landmarks come from the very outlines that were painted. The labels follow CelebAMask-HQ, with two conventions worth
knowing: clear glasses are labelled on their frame only (what is seen through them keeps its own class), and facial
hair counts as skin.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from facesr_ext.faces.drawn.canvas import Painter
from facesr_ext.faces.drawn.geometry import FaceGeometry, apply_affine, head_affine
from facesr_ext.faces.drawn.hair import paint_back_hair, paint_front_hair, paint_hat
from facesr_ext.faces.drawn.params import draw_params
from facesr_ext.faces.drawn.parts import paint_body, paint_ears, paint_features, warp_skin
from facesr_ext.faces.drawn.shading import background_layer, camera, hair_layers, skin_layer

MIN_SIZE = 32


class DrawnFace(NamedTuple):
    """One face with its labels.

    Attributes:
        image (ndarray): (size, size, 3) uint8 RGB.
        parsing (ndarray): (size, size) uint8, values of :data:`~facesr_ext.faces.labels.CELEBAMASK19`.
        landmarks (ndarray): (68, 2) float32, x and y in iBUG's order, pixels; pixel centres are integers.
    """

    image: NDArray[np.uint8]
    parsing: NDArray[np.uint8]
    landmarks: NDArray[np.float32]


def render_face(seed: int, index: int, size: int = 256) -> DrawnFace:
    """Renders face ``index`` of the endless set ``seed``.

    Args:
        seed (int): Number of the set, from 0.
        index (int): Number of the face in the set, from 0.
        size (int): Side of the image, pixels, from 32. The face is the same at every size up to sampling.

    Returns:
        DrawnFace: image, parsing mask and landmarks.

    Raises:
        ValueError: if ``seed`` or ``index`` is negative or ``size`` is too small.
    """
    if seed < 0 or index < 0:
        raise ValueError(f'seed and index must not be negative, got seed={seed} and index={index}.')
    if size < MIN_SIZE:
        raise ValueError(f'size must be at least {MIN_SIZE} pixels, got {size}.')
    rng = np.random.default_rng([seed, index])
    params = draw_params(rng)
    geometry = FaceGeometry(params)
    painter = Painter(params, size)
    painter.image = background_layer(params, painter.side, rng)
    skin = warp_skin(painter, skin_layer(geometry, rng))
    front, back = hair_layers(params, painter.side, rng)
    paint_back_hair(painter, geometry, back, rng)
    neck = paint_body(painter, geometry, skin, rng)
    face = painter.mask(geometry.face)
    painter.shade(face, neck, 0.05, 0.48, 0.0, 0.05)
    paint_ears(painter, geometry, skin)
    painter.stamp(skin, face, 'skin')
    painter.ink[face > 0] = 255
    paint_features(painter, geometry, rng)
    paint_front_hair(painter, geometry, front, face, rng)
    paint_hat(painter, geometry, rng)
    image, parsing = painter.finish()
    landmarks = apply_affine(head_affine(params.pose, size, 0.5), geometry.landmarks)
    return DrawnFace(camera(image, params, rng), parsing, landmarks.astype(np.float32))


class DrawnFaces:
    """The first ``num`` faces of one set, drawn on first use and kept in memory.

    Args:
        num (int): Number of faces, from 1.
        seed (int): Number of the set, from 0.
        size (int): Side of the images, pixels, from 32.

    Raises:
        ValueError: if an argument is out of range.
    """

    def __init__(self, num: int, seed: int, size: int) -> None:
        if num < 1:
            raise ValueError(f'num must be at least 1, got {num}.')
        if seed < 0:
            raise ValueError(f'seed must not be negative, got {seed}.')
        if size < MIN_SIZE:
            raise ValueError(f'size must be at least {MIN_SIZE} pixels, got {size}.')
        self.num, self.seed, self.size = num, seed, size
        self._cache: dict[int, DrawnFace] = {}

    def __len__(self) -> int:
        return self.num

    def __getitem__(self, i: int) -> DrawnFace:
        """Face ``i`` (negative counts from the end). The arrays are shared with the cache: copy before writing."""
        if not -self.num <= i < self.num:
            raise IndexError(f'face {i} is out of range for {self.num} faces.')
        i %= self.num
        if i not in self._cache:
            self._cache[i] = render_face(self.seed, i, self.size)
        return self._cache[i]

    def __getstate__(self) -> dict[str, int]:
        # Workers draw their own faces: sending images to each of them would cost more than drawing.
        return {'num': self.num, 'seed': self.seed, 'size': self.size}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.num, self.seed, self.size = state['num'], state['seed'], state['size']
        self._cache = {}
