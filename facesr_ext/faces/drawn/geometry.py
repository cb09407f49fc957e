"""Pose and outlines of the drawn faces.

Everything here is resolution free. The *head frame* has its origin in the middle of the head, x to the image's right,
y down, and one unit equal to the image side at scale 1; yaw and pitch are applied inside it, while roll, scale and
offset are one affine map to the image (:func:`head_affine`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from facesr_ext.faces.drawn.params import DEPTH, FaceParams, Pose

Points = NDArray[np.float64]

SKULL_TOP = -0.375

# Half of the jaw from the ear to the chin: x as a share of the half width, y in the head frame.
_JAW = np.array(
    [
        [1, -0.03],
        [1, 0.05],
        [0.955, 0.12],
        [0.872, 0.19],
        [0.750, 0.25],
        [0.590, 0.305],
        [0.405, 0.347],
        [0.20, 0.373],
        [0, 0.38],
    ]
)


def head_affine(pose: Pose, pixels: int, offset: float, roll_share: float = 1.0) -> Points:
    """Affine map (2, 3) from the head frame to pixel coordinates.

    Args:
        pose (Pose): Holds roll, scale and offset.
        pixels (int): Side of the target, pixels.
        offset (float): What to subtract so that pixel centres come to lie on integers (0.5 for a plain image), pixels.
        roll_share (float): Part of the roll to apply, [0, 1] (the body follows the head only a little).

    Returns:
        ndarray: (2, 3) float64.
    """
    cos, sin = math.cos(pose.roll * roll_share), math.sin(pose.roll * roll_share)
    size = pose.scale * pixels
    centre_x, centre_y = (0.5 + pose.shift_x) * pixels - offset, (0.5 + pose.shift_y) * pixels - offset
    return np.array([[size * cos, -size * sin, centre_x], [size * sin, size * cos, centre_y]])


def apply_affine(matrix: Points, points: Points) -> Points:
    """``points`` (n, 2) mapped by ``matrix`` (2, 3)."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


_SPLINE_BASIS: dict[int, Points] = {}


def spline(points: Points, closed: bool = False, steps: int = 5) -> Points:
    """Catmull-Rom curve that passes through every point.

    Args:
        points (ndarray): (n, 2), n from 3.
        closed (bool): The last point joins the first one.
        steps (int): Samples a segment.

    Returns:
        ndarray: (n * steps, 2) when closed, ((n - 1) * steps + 1, 2) when open; sample ``i * steps`` is point ``i``.
    """
    if steps not in _SPLINE_BASIS:
        t = np.arange(steps)[:, None] / steps
        rows = [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2]
        _SPLINE_BASIS[steps] = 0.5 * np.concatenate(rows, axis=1)
    if closed:
        padded = np.concatenate([points[-1:], points, points[:2]])
    else:
        padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    windows = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]], axis=1)
    curve = (_SPLINE_BASIS[steps] @ windows).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, points[-1:]])


def tapered(spine: Points, widths: Points) -> Points:
    """Closed outline around an open ``spine`` (n, 2) with half ``widths`` (n,)."""
    along = np.gradient(spine, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1) / (np.hypot(along[:, 0], along[:, 1])[:, None] + 1e-9)
    return np.concatenate([spine + normal * widths[:, None], (spine - normal * widths[:, None])[::-1]])


def ellipse(centre: tuple[float, float] | Points, radius_x: float, radius_y: float, count: int = 20) -> Points:
    """Closed ellipse (count, 2) around ``centre`` (x, y)."""
    angle = np.arange(count) * (2 * math.pi / count)
    return np.stack([centre[0] + radius_x * np.cos(angle), centre[1] + radius_y * np.sin(angle)], axis=1)


class FaceGeometry:
    """Outlines of the parts of one face in the head frame (yaw and pitch applied).

    Args:
        params (FaceParams): What the face looks like.

    Attributes:
        landmarks (ndarray): (68, 2) in iBUG's order.
        jaw (ndarray): (17, 2), from the ear on the left of the image to that on the right.
        face (ndarray): (n, 2), outline of the face.
        eyes (list[ndarray]): Outlines (n, 2) of the eye openings, the left one of the image first.
        brow_points (list[ndarray]): Spines (5, 2) of the brows, the left one of the image first.
        nose_points (ndarray): (9, 2), the bridge and then the base.
        outer_lip, inner_lip (ndarray): (12, 2) and (8, 2).
    """

    def __init__(self, params: FaceParams) -> None:
        self.params = params
        self.cos_yaw, self.sin_yaw = math.cos(params.pose.yaw), math.sin(params.pose.yaw)
        self.cos_pitch, self.sin_pitch = math.cos(params.pose.pitch), math.sin(params.pose.pitch)
        self.jaw = self._jaw()
        self.face = self._face()
        eyes = [self._eye(-1), self._eye(1)]
        self.eyes = [self._eye_outline(points) for points in eyes]
        self.brow_points = [self._brow(-1), self._brow(1)]
        self.nose_points = self._nose_points()
        self.outer_lip, self.inner_lip = self._lips()
        self.landmarks = np.concatenate(
            [self.jaw, *self.brow_points, self.nose_points, *eyes, self.outer_lip, self.inner_lip]
        )

    def pose(self, points: Points | list[tuple[float, float]], lift: float | Points = 0.0) -> Points:
        """Turns points (n, 2) of the frontal face surface, raised by ``lift`` (head-frame units), by yaw and pitch."""
        flat = np.asarray(points, dtype=np.float64)
        x, y = flat[:, 0], flat[:, 1]
        bulge = np.clip(1 - (x / (1.06 * self.params.shape.width)) ** 2, 0, 1)
        z = DEPTH * np.sqrt(bulge) * (1 - 0.8 * np.clip(np.abs(y), 0, 0.42) ** 2) + lift
        turned = x * self.cos_yaw + z * self.sin_yaw
        depth = z * self.cos_yaw - x * self.sin_yaw
        return np.stack([turned, y * self.cos_pitch - depth * self.sin_pitch], axis=1)

    def rim(self, points: Points | list[tuple[float, float]]) -> Points:
        """Turns points (n, 2) of the head's silhouette: it keeps nearly its width while the features move."""
        flat = np.asarray(points, dtype=np.float64)
        width = self.params.shape.width
        share = np.abs(flat[:, 0]) / width
        half = np.hypot(flat[:, 0] * self.cos_yaw, DEPTH * np.minimum(share, 1.2) * self.sin_yaw)
        reach = 0.17 * np.clip(1 - share, 0, 1) * np.clip(0.5 + flat[:, 1] * 2, 0, 1)
        x = np.sign(flat[:, 0]) * half + reach * self.sin_yaw
        return np.stack([x, flat[:, 1] * self.cos_pitch - reach * self.sin_pitch], axis=1)

    def _jaw(self) -> Points:
        shape = self.params.shape
        half = _JAW.copy()
        strength = np.array([0, 0, 0.3, 0.7, 1, 1, 1, 1, 0])
        half[:, 0] *= shape.width * (1 + (shape.jaw - 1) * strength)
        half[:, 1] = np.where(half[:, 1] > 0, half[:, 1] * shape.chin_y / 0.38, half[:, 1])
        left = half * np.array([-1.0, 1.0])
        return self.rim(np.concatenate([left, half[-2::-1]]))

    def _face(self) -> Points:
        w = self.params.shape.width
        dome = [(0.99, -0.11), (0.94, -0.19), (0.81, -0.27), (0.50, -0.344)]
        right = [(w * x, y) for x, y in dome]
        crown = [*right, (0.0, SKULL_TOP), *[(-x, y) for x, y in right[::-1]]]
        return spline(np.concatenate([self.jaw, self.rim(crown)]), closed=True)

    def _eye(self, side: int) -> Points:
        """Six points of one eye in iBUG order; ``side`` is -1 on the image's left."""
        s = self.params.shape
        height = s.eye_h * (1 - 0.15 * side * s.asym / 0.005) - 0.06 * s.smile
        height = max(height, 0.004)
        offsets = np.array(
            [
                [s.eye_w, 0.002],
                [0.36 * s.eye_w, -height],
                [-0.36 * s.eye_w, -1.02 * height],
                [-s.eye_w, 0.004],
                [-0.36 * s.eye_w, 0.72 * height],
                [0.36 * s.eye_w, 0.8 * height],
            ]
        )  # x grows towards the outer corner here
        tilt = s.eye_tilt
        x = offsets[:, 0] * math.cos(tilt) + offsets[:, 1] * math.sin(tilt)
        y = -offsets[:, 0] * math.sin(tilt) + offsets[:, 1] * math.cos(tilt)
        posed = self.pose(np.stack([side * (s.eye_dx + x), s.eye_y + side * s.asym + y], axis=1), -0.012)
        # iBUG starts at the image's left corner of each eye and runs over the top: outer first on the left eye.
        return posed if side < 0 else posed[[3, 2, 1, 0, 5, 4]]

    @staticmethod
    def _eye_outline(points: Points) -> Points:
        upper = spline(points[:4])
        lower = spline(points[[3, 4, 5, 0]])
        return np.concatenate([upper[:-1], lower[:-1]])

    def _brow(self, side: int) -> Points:
        s = self.params.shape
        along = np.linspace(-1.0, 1.0, 5)  # inner end to outer end
        x = s.eye_dx + 0.004 + 0.068 * along
        y = s.eye_y - s.brow_gap - s.brow_arch * (1 - (along - 0.18) ** 2) - s.brow_angle * 0.06 * along + 0.008
        posed = self.pose(np.stack([side * x, y + side * s.asym], axis=1))
        return posed[::-1] if side < 0 else posed

    def _nose_points(self) -> Points:
        s = self.params.shape
        top = s.eye_y + 0.004
        bridge_y = np.linspace(top, s.nose_y - 0.028, 4)
        lift = s.nose_lift * np.array([0.22, 0.5, 0.78, 1.0])
        bridge = self.pose(np.stack([np.zeros(4), bridge_y], axis=1), lift)
        base_x = s.nose_w * np.array([-0.78, -0.42, 0, 0.42, 0.78])
        base_y = s.nose_y + np.array([-0.003, 0.005, 0.009, 0.005, -0.003])
        base = self.pose(np.stack([base_x, base_y], axis=1), s.nose_lift * np.array([0.15, 0.35, 0.45, 0.35, 0.15]))
        return np.concatenate([bridge, base])

    def nose(self) -> Points:
        """Outline (n, 2) of the nose."""
        s = self.params.shape
        top = s.eye_y + 0.004
        rows = [
            (0.015, top, 0.12),
            (0.018, top + 0.06, 0.30),
            (0.6 * s.nose_w, s.nose_y - 0.045, 0.35),
            (1.0 * s.nose_w, s.nose_y - 0.022, 0.12),
            (1.0 * s.nose_w, s.nose_y - 0.008, 0.12),
        ]
        x, y, lift = (np.array(v) for v in zip(*rows, strict=True))
        right = self.pose(np.stack([x, y], axis=1), s.nose_lift * lift)
        left = self.pose(np.stack([-x, y], axis=1), s.nose_lift * lift)
        base = self.nose_points[4:]
        return spline(np.concatenate([right, base[::-1], left[::-1]]), closed=True, steps=4)

    def _lips(self) -> tuple[Points, Points]:
        s = self.params.shape
        w, o = s.mouth_w, s.mouth_open
        corner = -s.smile
        outer_x = w * np.array([-1, -0.62, -0.22, 0, 0.22, 0.62, 1, 0.62, 0.26, 0, -0.26, -0.62])
        up, low = s.lip_up + 0.45 * o, s.lip_low + 0.75 * o
        arc = np.array([0, 0.72, 1.05, 0.9, 1.05, 0.72, 0, 0.68, 0.97, 1.0, 0.97, 0.68])
        outer_y = np.concatenate([-up * arc[:7], low * arc[7:]])
        inner_x = w * np.array([-0.9, -0.45, 0, 0.45, 0.9, 0.45, 0, -0.45])
        gap = np.array([0.0, -0.36, -0.45, -0.36, 0.0, 0.62, 0.75, 0.62]) * o
        inner_y = gap + np.array([0, 0.0, 0.002, 0.0, 0, 0.0, 0.002, 0.0])
        outer_y = outer_y + corner * (outer_x / w) ** 2
        inner_y = inner_y + corner * (inner_x / w) ** 2
        lift = 0.03 - 0.02 * (outer_x / w) ** 2
        lift_in = 0.026 - 0.02 * (inner_x / w) ** 2
        outer = self.pose(np.stack([outer_x, s.mouth_y + outer_y], axis=1), lift)
        return outer, self.pose(np.stack([inner_x, s.mouth_y + inner_y], axis=1), lift_in)

    def lips(self) -> tuple[Points, Points, Points]:
        """Outlines, each (n, 2), of the upper lip, the lower lip and the mouth opening."""
        top, bottom = spline(self.outer_lip[:7]), spline(self.outer_lip[[6, 7, 8, 9, 10, 11, 0]])
        inner_top = spline(self.inner_lip[:5])
        inner_bottom = spline(self.inner_lip[[4, 5, 6, 7, 0]])
        upper = np.concatenate([top, inner_top[::-1]])
        lower = np.concatenate([bottom, inner_bottom[::-1]])
        return upper, lower, np.concatenate([inner_top, inner_bottom[1:-1]])

    def ear(self, side: int, grow: float = 1.0) -> Points:
        """Outline (n, 2) of one ear, ``side`` -1 on the left of the image; ``grow`` below 1 gives the inner folds."""
        s = self.params.shape
        shape = np.array(
            [
                [-0.022, -0.045],
                [0.008, -0.075],
                [0.034, -0.062],
                [0.040, -0.025],
                [0.031, 0.02],
                [0.021, 0.055],
                [0.004, 0.072],
                [-0.020, 0.055],
            ]
        )
        x = s.width + grow * s.ear * shape[:, 0] + 0.002
        posed = self.rim(np.stack([side * x, 0.035 + grow * s.ear * shape[:, 1]], axis=1))
        posed[:, 0] -= 0.06 * self.sin_yaw  # ears sit behind the axis of the turn
        posed[:, 1] += 0.06 * self.sin_pitch
        return spline(posed, closed=True, steps=4)
