"""Canvas of the built-in procedural faces: picture and label map that are painted together, back to front."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facesr_ext.faces.drawn.geometry import Points, apply_affine, head_affine
from facesr_ext.faces.drawn.params import Colour, FaceParams
from facesr_ext.faces.drawn.shading import Image

SKIN, NOSE, EYE_G, L_EYE, R_EYE, L_BROW, R_BROW, L_EAR, R_EAR = range(1, 10)
MOUTH, U_LIP, L_LIP, HAIR, HAT, EAR_R, NECK_L, NECK, CLOTH = range(10, 19)

SHIFT = 4  # fractional bits of the polygon corners


def scaled(colour: Colour, factor: float) -> Colour:
    """``colour`` times ``factor``, within 0..255."""
    red, green, blue = (min(255.0, max(0.0, c * factor)) for c in colour)
    return red, green, blue


class Painter:
    """Supersampled picture and label map that are painted together, back to front."""

    def __init__(self, params: FaceParams, size: int) -> None:
        self.params = params
        # Pixel i of the result is centred on canvas pixel factor * i + factor // 2, where its label is read.
        self.factor = 2 if size >= 192 else 3 if size >= 80 else 5
        self.size, self.side = size, size * self.factor
        offset = 0.0 if self.factor == 2 else 0.5
        self.head = head_affine(params.pose, self.side, offset)
        self.body = head_affine(params.pose, self.side, offset, 0.3)
        self.image: Image = np.zeros((self.side, self.side, 3), np.uint8)
        self.labels: Image = np.zeros((self.side, self.side), np.uint8)
        self.ink: Image = np.full((self.side, self.side), 255, np.uint8)
        self.unit = self.side * params.pose.scale

    def fixed(self, points: Points, body: bool = False) -> NDArray[np.int32]:
        placed = apply_affine(self.body if body else self.head, points)
        return np.rint(placed * (1 << SHIFT)).astype(np.int32)

    def mask(self, *polygons: Points, body: bool = False) -> Image:
        """Union of polygons as a 0/255 mask (side, side)."""
        plane: Image = np.zeros((self.side, self.side), np.uint8)
        for polygon in polygons:
            cv2.fillPoly(plane, [self.fixed(polygon, body)], 255, shift=SHIFT)
        return plane

    def fill(self, polygon: Points, colour: Colour | None, label: int | None = None, body: bool = False) -> None:
        """Paint one polygon; None leaves the picture or the label as it is."""
        corners = [self.fixed(polygon, body)]
        if colour is not None:
            cv2.fillPoly(self.image, corners, colour, shift=SHIFT)
        if label is not None:
            cv2.fillPoly(self.labels, corners, label, shift=SHIFT)

    def stamp(self, layer: Image, mask: Image, label: int | None) -> None:
        """Copy ``layer`` where ``mask`` is set."""
        cv2.copyTo(layer, mask, self.image)
        if label is not None:
            self.labels[mask > 0] = label

    def blend(self, layer: Image, mask: Image, label: int, softness: float) -> None:
        """Lay ``layer`` over the picture with a border blurred by ``softness`` head-frame units."""
        soft = cv2.GaussianBlur(mask, (0, 0), softness * self.unit)
        share = soft * np.float32(1 / 255)
        self.image = np.asarray(cv2.blendLinear(layer, self.image, share, 1 - share), dtype=np.uint8)
        self.labels[soft > 127] = label

    def lines(
        self,
        curves: list[Points] | Points,
        colour: Colour,
        width: float,
        label: int | None = None,
        closed: bool = False,
    ) -> None:
        """Paint open curves of a ``width`` in head-frame units."""
        thickness = max(1, round(width * self.unit))
        fixed = self.place(curves)
        cv2.polylines(self.image, fixed, closed, colour, thickness, cv2.LINE_AA if label is None else cv2.LINE_8, SHIFT)
        if label is not None:
            cv2.polylines(self.labels, fixed, closed, label, thickness, cv2.LINE_8, SHIFT)

    def place(self, curves: list[Points] | Points) -> list[NDArray[np.int32]]:
        """Curves in fixed-point canvas pixels."""
        if isinstance(curves, np.ndarray):  # many short strokes (n, points, 2): one transform for all of them
            return list(self.fixed(curves.reshape(-1, 2)).reshape(curves.shape))
        return [self.fixed(curve) for curve in curves]

    def ink_lines(self, curves: list[Points] | Points, width: float, strength: float) -> None:
        """Collect soft dark lines for :meth:`apply_ink`; ``strength`` 1 is black."""
        thickness = max(1, round(width * self.unit))
        cv2.polylines(self.ink, self.place(curves), False, 255 * (1 - strength), thickness, cv2.LINE_8, SHIFT)

    def apply_ink(self) -> None:
        """Multiply the picture by the collected lines, slightly blurred: they follow the light under them."""
        soft = cv2.GaussianBlur(self.ink, (0, 0), 0.0022 * self.unit)
        self.image = np.asarray(cv2.multiply(self.image, cv2.merge([soft, soft, soft]), scale=1 / 255), dtype=np.uint8)

    def shade(self, mask: Image, where: Image, sigma: float, strength: float, dx: float, dy: float) -> None:
        """Darken ``where`` by the shadow of ``mask`` moved by (dx, dy) and blurred, in head-frame units."""
        small = cv2.resize(mask, (96, 96), interpolation=cv2.INTER_AREA)
        move = np.array([[1, 0, dx * 96], [0, 1, dy * 96]], dtype=np.float64)
        small = cv2.warpAffine(small, move, (96, 96))
        small = cv2.GaussianBlur(small, (0, 0), sigma * 96)
        full = cv2.resize(small, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        keep = cv2.bitwise_not(cv2.convertScaleAbs(cv2.bitwise_and(full, where), alpha=strength))
        self.image = np.asarray(cv2.multiply(self.image, cv2.merge([keep, keep, keep]), scale=1 / 255), dtype=np.uint8)

    def finish(self) -> tuple[Image, Image]:
        """Antialiased picture and labels at the final size."""
        half = self.factor // 2
        labels = np.ascontiguousarray(self.labels[half :: self.factor, half :: self.factor])
        if self.factor == 2:
            # A 1-2-1 filter is centred on a canvas pixel, which a 2x2 box is not.
            smooth = cv2.GaussianBlur(self.image, (3, 3), 0)
            return np.ascontiguousarray(smooth[1::2, 1::2]), labels
        small = cv2.resize(self.image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.uint8), labels
