"""Canvas of the drawn faces: image and label map that are painted together, back to front."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facesr_ext.faces.drawn.geometry import Points, apply_affine, head_affine
from facesr_ext.faces.drawn.params import Colour, FaceParams
from facesr_ext.faces.drawn.shading import Image
from facesr_ext.faces.labels import CELEBAMASK19

SHIFT = 4  # fractional bits of the polygon corners


def scaled(colour: Colour, factor: float) -> Colour:
    """``colour`` (RGB) times ``factor``, within 0 to 255."""
    red, green, blue = (min(255.0, max(0.0, c * factor)) for c in colour)
    return red, green, blue


class Painter:
    """Supersampled image and label map that are painted together, back to front.

    Labels are names of classes of :data:`~facesr_ext.faces.labels.CELEBAMASK19`. Outlines are in the head frame, of the
    body's where ``body`` is set: it follows the roll of the head only a little.

    Args:
        params (FaceParams): What the face looks like.
        size (int): Side of the finished image, pixels.

    Attributes:
        factor (int): Canvas pixels a pixel of the finished image.
        side (int): Side of the canvas, pixels.
        unit (float): One unit of the head frame, canvas pixels.
        image (ndarray): (side, side, 3) uint8 RGB.
        labels (ndarray): (side, side) uint8, values of celebamask19.
        ink (ndarray): (side, side) uint8, what :meth:`apply_ink` will multiply by; 255 leaves the image as it is.
    """

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
        """(n, 2) of the head frame -> (n, 2) canvas pixels times 2 ** SHIFT."""
        placed = apply_affine(self.body if body else self.head, points)
        return np.rint(placed * (1 << SHIFT)).astype(np.int32)

    def mask(self, *polygons: Points, body: bool = False) -> Image:
        """Union of polygons (n, 2) as a (side, side) uint8 mask of 0 and 255."""
        plane: Image = np.zeros((self.side, self.side), np.uint8)
        for polygon in polygons:
            cv2.fillPoly(plane, [self.fixed(polygon, body)], 255, shift=SHIFT)
        return plane

    def fill(self, polygon: Points, colour: Colour | None, label: str | None = None, body: bool = False) -> None:
        """Paints one polygon.

        Args:
            polygon (ndarray): (n, 2), head frame.
            colour (Colour | None): RGB, 0 to 255; None leaves the image as it is.
            label (str | None): Class; None leaves the labels as they are.
            body (bool): In the frame of the body.
        """
        corners = [self.fixed(polygon, body)]
        if colour is not None:
            cv2.fillPoly(self.image, corners, colour, shift=SHIFT)
        if label is not None:
            cv2.fillPoly(self.labels, corners, CELEBAMASK19.value(label), shift=SHIFT)

    def stamp(self, layer: Image, mask: Image, label: str | None) -> None:
        """Copies ``layer`` (side, side, 3) where ``mask`` (side, side) is not 0; None leaves the labels as they are."""
        cv2.copyTo(layer, mask, self.image)
        if label is not None:
            self.mark(mask > 0, label)

    def blend(self, layer: Image, mask: Image, label: str, softness: float) -> None:
        """Lays a layer over the image with a blurred border.

        Args:
            layer (ndarray): (side, side, 3) uint8 RGB.
            mask (ndarray): (side, side) uint8, 0 or 255.
            label (str): Class of what is covered by more than half.
            softness (float): Standard deviation of the blur, head-frame units.
        """
        soft = cv2.GaussianBlur(mask, (0, 0), softness * self.unit)
        share = soft * np.float32(1 / 255)
        self.image = np.asarray(cv2.blendLinear(layer, self.image, share, 1 - share), dtype=np.uint8)
        self.mark(soft > 127, label)

    def mark(self, where: NDArray[np.bool_], label: str) -> None:
        """Labels the pixels of a (side, side) mask as a class."""
        self.labels[where] = CELEBAMASK19.value(label)

    def lines(
        self,
        curves: list[Points] | Points,
        colour: Colour,
        width: float,
        label: str | None = None,
        closed: bool = False,
    ) -> None:
        """Paints curves.

        Args:
            curves (list[ndarray] | ndarray): Each (n, 2), head frame; or many short ones as (k, n, 2).
            colour (Colour): RGB, 0 to 255.
            width (float): Head-frame units.
            label (str | None): Class; None leaves the labels as they are.
            closed (bool): The last point joins the first one.
        """
        thickness = max(1, round(width * self.unit))
        fixed = self.place(curves)
        cv2.polylines(self.image, fixed, closed, colour, thickness, cv2.LINE_AA if label is None else cv2.LINE_8, SHIFT)
        if label is not None:
            cv2.polylines(self.labels, fixed, closed, CELEBAMASK19.value(label), thickness, cv2.LINE_8, SHIFT)

    def place(self, curves: list[Points] | Points) -> list[NDArray[np.int32]]:
        """Curves as `fixed` has them, from a list of (n, 2) or from (k, n, 2)."""
        if isinstance(curves, np.ndarray):  # many short strokes (n, points, 2): one transform for all of them
            return list(self.fixed(curves.reshape(-1, 2)).reshape(curves.shape))
        return [self.fixed(curve) for curve in curves]

    def ink_lines(self, curves: list[Points] | Points, width: float, strength: float) -> None:
        """Collects soft dark lines for :meth:`apply_ink`.

        Args:
            curves (list[ndarray] | ndarray): As in :meth:`lines`.
            width (float): Head-frame units.
            strength (float): From 0, nothing, to 1, black.
        """
        thickness = max(1, round(width * self.unit))
        cv2.polylines(self.ink, self.place(curves), False, 255 * (1 - strength), thickness, cv2.LINE_8, SHIFT)

    def apply_ink(self) -> None:
        """Multiplies the image by the collected lines, slightly blurred: they follow the light under them."""
        soft = cv2.GaussianBlur(self.ink, (0, 0), 0.0022 * self.unit)
        self.image = np.asarray(cv2.multiply(self.image, cv2.merge([soft, soft, soft]), scale=1 / 255), dtype=np.uint8)

    def shade(self, mask: Image, where: Image, sigma: float, strength: float, dx: float, dy: float) -> None:
        """Darkens the image by a soft shadow.

        Args:
            mask (ndarray): (side, side) uint8, 0 or 255: what throws the shadow.
            where (ndarray): (side, side) uint8, 0 or 255: what it may fall on.
            sigma (float): Standard deviation of its blur, shares of the side.
            strength (float): From 0, nothing, to 1, black.
            dx, dy (float): How far it is moved to the right and down, shares of the side.
        """
        small = cv2.resize(mask, (96, 96), interpolation=cv2.INTER_AREA)
        move = np.array([[1, 0, dx * 96], [0, 1, dy * 96]], dtype=np.float64)
        small = cv2.warpAffine(small, move, (96, 96))
        small = cv2.GaussianBlur(small, (0, 0), sigma * 96)
        full = cv2.resize(small, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        keep = cv2.bitwise_not(cv2.convertScaleAbs(cv2.bitwise_and(full, where), alpha=strength))
        self.image = np.asarray(cv2.multiply(self.image, cv2.merge([keep, keep, keep]), scale=1 / 255), dtype=np.uint8)

    def finish(self) -> tuple[Image, Image]:
        """Antialiased image (size, size, 3) and labels (size, size), both uint8."""
        half = self.factor // 2
        labels = np.ascontiguousarray(self.labels[half :: self.factor, half :: self.factor])
        if self.factor == 2:
            # A 1-2-1 filter is centred on a canvas pixel, which a 2x2 box is not.
            smooth = cv2.GaussianBlur(self.image, (3, 3), 0)
            return np.ascontiguousarray(smooth[1::2, 1::2]), labels
        small = cv2.resize(self.image, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.uint8), labels
