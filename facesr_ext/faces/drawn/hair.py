"""Painting of the hair and the hats of the drawn faces."""

from __future__ import annotations

import math

import cv2
import numpy as np

from facesr_ext.faces.drawn.canvas import SHIFT, Painter, scaled
from facesr_ext.faces.drawn.geometry import SKULL_TOP, FaceGeometry, Points, ellipse, spline
from facesr_ext.faces.drawn.params import Colour, FaceParams
from facesr_ext.faces.drawn.shading import Image, light_direction, lit_colour

_BRIM_Y = -0.20  # height of the lower edge of hats in the head frame


def _dome(params: FaceParams, extra_top: float, extra_side: float) -> Points:
    """Half-open outline of the hair or a hat over the skull, from the left temple over the top to the right one."""
    width = params.shape.width + extra_side
    angle = np.linspace(math.pi, 0, 17)
    rise = -SKULL_TOP + extra_top - 0.06
    cos = np.cos(angle)
    return np.stack([width * np.sign(cos) * np.abs(cos) ** 0.85, -0.06 - rise * np.sin(angle) ** 0.85], axis=1)


def _shell(geometry: FaceGeometry, length: float, flare: float) -> Points:
    """Outline (open at the bottom) of the hair around the head down to ``length``."""
    params = geometry.params
    dome = geometry.rim(_dome(params, params.hair.top, params.hair.side))
    dome[:, 0] -= 0.05 * geometry.sin_yaw
    if length < 0.02:
        return dome
    left, right = dome[0, 0], dome[-1, 0]
    steps = np.linspace(0, 1, 5)[1:]
    y = -0.06 + steps * (length + 0.06)
    bulge = flare * np.sin(steps * 2.2) - 0.03 * steps**6  # the ends turn inwards
    sway = params.hair.wave * np.sin(params.hair.wave_freq * y)
    down_right = np.stack([right + bulge + sway, y], axis=1)
    down_left = np.stack([left - bulge + sway, y], axis=1)
    return np.concatenate([down_left[::-1], dome, down_right])


def _hairline(geometry: FaceGeometry, low: float) -> Points:
    """Inner edge of the front hair from the right temple over the forehead to the left one."""
    p = geometry.params
    w, hair = p.shape.width, p.hair
    fringe_y = hair.line + hair.fringe * (p.shape.eye_y - 0.055 - hair.line)
    x = np.array([0.97, 0.93, 0.88, 0.78, 0.55, 0.28, 0.0, -0.28, -0.55, -0.78, -0.88, -0.93, -0.97]) * w
    mid = np.array([low, -0.07, -0.14, -0.20, -0.245, -0.262, -0.268, -0.262, -0.245, -0.20, -0.14, -0.07, low])
    y = mid + (hair.line + 0.268)
    y[[0, -1]] = low
    if hair.fringe > 0.2:
        y[4:9] = fringe_y + 0.012 * np.cos(np.arange(5) * 2.6 + 10 * hair.part)
        y[[3, 9]] = 0.5 * (y[[3, 9]] + fringe_y)
    else:
        y = (
            y
            + np.exp(-(((x - 1.3 * hair.part) / 0.05) ** 2)) * -0.018
            + 0.25 * hair.part * x / w * (np.abs(x) < 0.8 * w)
        )
    points = np.stack([x, y], axis=1)
    border = np.clip((np.abs(x[:, None]) / w - 0.80) / 0.14, 0, 1)  # the temples turn with the silhouette
    return geometry.pose(points) * (1 - border) + geometry.rim(points) * border


def _loose_ends(left: float, right: float, y: float, rng: np.random.Generator) -> Points:
    """Strands (n, 3 points, 2) that hang out of a straight end of hair, some longer than others."""
    left, right = min(left, right), max(left, right)  # a turned head may hide an end
    count = max(4, int(110 * (right - left)))
    x = rng.uniform(left, right, count)
    lean = rng.normal(0, 0.008, count) - 0.10 * x  # towards the neck
    reach = rng.uniform(-0.02, 0.035, count)
    rows = [(x, np.full(count, y - 0.06)), (x + 0.3 * lean, np.full(count, y - 0.01)), (x + lean, y + reach)]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _front_hair(geometry: FaceGeometry, rng: np.random.Generator) -> tuple[Points, Points]:
    """Outline of the front hair and the loose strands along its edges."""
    p = geometry.params
    hair = p.hair
    locks = hair.style in ('medium', 'long') and not hair.tucked
    low = hair.length if locks else 0.0 if hair.style == 'short' else -0.02
    shell = _shell(geometry, low if locks else 0.0, 0.4 * hair.side)
    inner = _hairline(geometry, low)
    outline = np.concatenate([spline(shell, steps=3), spline(inner, steps=4)])
    roots = spline(inner, steps=10)[4:-4]
    roots = roots[rng.integers(0, len(roots), 46)] + rng.normal(0, 0.004, (46, 2))
    spread = 0.012 + 0.024 * hair.fringe
    tips = roots + np.stack([rng.normal(0, 0.008, 46) + 0.08 * roots[:, 0], rng.uniform(0, spread, 46)], axis=1)
    starts = roots - np.stack([0.5 * roots[:, 0] * 0.1, np.full(46, 0.02)], axis=1)
    rim = spline(shell, steps=6)
    pick = rng.integers(5, len(rim) - 5, 40)
    reach = np.where(pick < len(rim) // 2, -5, 5)  # loose hairs leave the outline at a small angle, downwards
    out = rim[pick + reach] * (1 + rng.uniform(0.0, 0.03, (40, 1)))
    ends = np.stack([rim[pick] * 0.985, 0.5 * (rim[pick] + out), out], axis=1)
    strands = [np.stack([starts, roots, tips], axis=1), ends]
    if locks:
        for end in (0, -1):  # the left and the right lock
            strands.append(_loose_ends(shell[end, 0], inner[-1 - end, 0], low, rng))
    return outline, np.concatenate(strands)


def paint_back_hair(painter: Painter, geometry: FaceGeometry, back: Image, rng: np.random.Generator) -> None:
    """Paints the hair that hangs behind the head and the neck."""
    hair = geometry.params.hair
    ends = None
    if hair.style in ('medium', 'long'):
        outline = _shell(geometry, hair.length, 0.6 * hair.side + 0.02)
        ends = _loose_ends(outline[0, 0], outline[-1, 0], hair.length, rng)
        outline = spline(outline, steps=3)
    elif hair.style == 'afro':
        centre = np.array([-0.05 * geometry.sin_yaw, -0.15])
        outline = ellipse(centre, 0.30 + hair.side, 0.30 + hair.top, 90)
        outline = centre + (outline - centre) * rng.normal(1, 0.022, (90, 1))
    elif hair.style == 'updo':
        outline = ellipse((0.4 * hair.part, SKULL_TOP - 0.02), 0.10, 0.075)
    else:
        return
    mask = painter.mask(outline)
    if ends is not None:
        cv2.polylines(mask, painter.place(ends), False, 255, max(1, round(0.011 * painter.unit)), cv2.LINE_8, SHIFT)
    painter.blend(back, mask, 'hair', 0.006 if hair.style == 'afro' else 0.0035)


def paint_front_hair(
    painter: Painter, geometry: FaceGeometry, front: Image, face: Image, rng: np.random.Generator
) -> None:
    """Paints the hair over the forehead and the sides of the face, with its shadow on the face."""
    p = geometry.params
    if p.hair.style == 'bald':
        return
    outline, strands = _front_hair(geometry, rng)
    mask = painter.mask(outline)
    thickness = max(1, round(0.0035 * painter.unit))
    cv2.polylines(mask, painter.place(strands), False, 255, thickness, cv2.LINE_8, SHIFT)
    lx, ly, _ = light_direction(p)
    painter.shade(mask, face, 0.014, 0.5, -0.018 * lx, 0.012 - 0.014 * ly)
    painter.blend(front, mask, 'hair', 0.0035 if p.hair.curl < 0.4 else 0.005)


def paint_hat(painter: Painter, geometry: FaceGeometry, rng: np.random.Generator) -> None:
    """Paints the hat, if there is one, over everything else."""
    p = geometry.params
    if not p.extras.hat:
        return
    dome = geometry.rim(_dome(p, p.hair.top + 0.03, max(p.hair.side, 0.015) + 0.012))
    dome = dome[dome[:, 1] < _BRIM_Y]
    left, right = float(dome[0, 0]), float(dome[-1, 0])
    tone = lit_colour(p, p.extras.hat_colour, 0.85)
    crown = np.concatenate([dome, [[right, _BRIM_Y + 0.05], [0.0, _BRIM_Y + 0.07], [left, _BRIM_Y + 0.05]]])
    x = np.linspace(-1, 1, 192, dtype=np.float32)[None]
    felt = cv2.resize(rng.standard_normal((150, 150), dtype=np.float32), (192, 192))
    wave = 1 - 0.35 * x * x + np.float32(0.3 * light_direction(p)[0]) * x + 0.07 * felt
    layer = np.clip(np.array(tone, np.float32) * wave[:, :, None], 0, 255).astype(np.uint8)
    full = np.asarray(cv2.resize(layer, (painter.side, painter.side), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    painter.stamp(full, painter.mask(crown), 'hat')
    _paint_brim(painter, p.extras.hat, (left, right), tone, 0.25 * geometry.sin_yaw)


def _paint_brim(painter: Painter, kind: str, sides: tuple[float, float], tone: Colour, shift: float) -> None:
    """Lower edge of a hat between its ``sides``; ``shift`` moves a visor with the turn of the head."""
    left, right = sides
    if kind == 'beanie':
        corners = [
            (left - 0.012, -0.04),
            (left - 0.01, 0.05),
            (0.0, 0.085),
            (right + 0.01, 0.05),
            (right + 0.012, -0.04),
        ]
        band = np.array([*corners, (0.0, 0.0)]) + np.array([0.0, _BRIM_Y])
        painter.fill(spline(band, closed=True, steps=4), scaled(tone, 0.75), 'hat')
        x = np.linspace(left * 0.95, right * 0.95, 26)
        bow = (x / right) ** 2
        top, bottom = np.stack([x, _BRIM_Y + 0.035 - 0.03 * bow], 1), np.stack([x, _BRIM_Y + 0.075 - 0.03 * bow], 1)
        painter.lines(np.stack([top, bottom], axis=1), scaled(tone, 0.55), 0.004)
    elif kind == 'cap':
        front = [(left * 0.75 + shift, 0.095), (shift, 0.118), (right * 0.75 + shift, 0.095)]
        visor = np.array([(left * 0.85, 0.045), *front, (right * 0.85, 0.045), (0.0, 0.03)]) + np.array([0.0, _BRIM_Y])
        painter.fill(spline(visor, closed=True, steps=5), scaled(tone, 0.75), 'hat')
    else:
        painter.fill(ellipse((0.0, _BRIM_Y + 0.04), 0.47, 0.07, 40), scaled(tone, 0.75), 'hat')
        painter.fill(ellipse((0.0, _BRIM_Y + 0.02), 0.29, 0.028, 30), scaled(tone, 0.45), 'hat')
