"""Painting of the parts of the drawn faces."""

from __future__ import annotations

import math

import cv2
import numpy as np

from facesr_ext.faces.drawn.canvas import Painter, scaled
from facesr_ext.faces.drawn.geometry import FaceGeometry, Points, ellipse, spline, tapered
from facesr_ext.faces.drawn.shading import SKIN_GRID, SKIN_SPAN, Image, cloth_layer, light_direction, lit_colour


def paint_body(painter: Painter, geometry: FaceGeometry, skin: Image, rng: np.random.Generator) -> Image:
    """Paints neck, necklace and cloth.

    Args:
        painter (Painter): Where to.
        geometry (FaceGeometry): The posed face.
        skin (ndarray): (side, side, 3) uint8 RGB, of `warp_skin`.
        rng (Generator): Source of the folds and the pattern of the cloth.

    Returns:
        ndarray: (side, side) uint8, 0 or 255: the neck, for the shadow of the chin.
    """
    p = geometry.params
    n, line = p.shape.neck_w, p.extras.neckline
    half = np.array(
        [[n * 0.98, 0.10], [n * 0.95, 0.30], [n, 0.38], [n * 1.2, 0.43], [0.34, 0.49], [0.62, 0.58], [0.7, 0.9]]
    )
    mirrored = half[::-1] * np.array([-1.0, 1.0])
    neck = painter.mask(np.concatenate([half, mirrored]), body=True)
    painter.stamp(skin, neck, 'neck')
    if p.extras.necklace:
        chain = np.array([[-n, 0.40], [-0.6 * n, line - 0.015], [0, line + 0.015], [0.6 * n, line - 0.015], [n, 0.40]])
        painter.lines([spline(chain)], (196.0, 168.0, 96.0), 0.008, 'neck_l')
    deep = line + (0.06 if p.extras.cloth == 'shirt' else 0.035)
    collar = spline(
        np.array(
            [
                [-n * 1.12, 0.405],
                [-0.55 * n, 0.5 * (deep + line)],
                [0, deep],
                [0.55 * n, 0.5 * (deep + line)],
                [n * 1.12, 0.405],
            ]
        )
    )
    outer = np.array([[n * 1.25, 0.425], [0.35, 0.48], [0.64, 0.565], [0.8, 1.0]])
    cloth = np.concatenate([collar, outer, outer[::-1] * np.array([-1.0, 1.0])])
    painter.stamp(cloth_layer(p, painter.side, rng), painter.mask(cloth, body=True), 'cloth')
    if p.extras.cloth == 'shirt':
        tone = lit_colour(p, p.extras.cloth_second, 0.85)
        for s in (-1.0, 1.0):
            flap = np.array([[n * 1.02, 0.36], [n * 1.3, 0.43], [0.45 * n, deep + 0.05], [0.0, deep]]) * np.array(
                [s, 1.0]
            )
            painter.fill(flap, scaled(tone, 0.92 + 0.08 * s), 'cloth', body=True)
    return neck


def paint_ears(painter: Painter, geometry: FaceGeometry, skin: Image) -> None:
    """Paints ears and earrings; the face painted next covers their inner edge."""
    p = geometry.params
    for side, label in ((-1, 'r_ear'), (1, 'l_ear')):
        painter.stamp(skin, painter.mask(geometry.ear(side)), label)
        inner = geometry.ear(side, 0.62)
        painter.ink_lines([inner[2:24]], 0.010, 0.45)
        painter.ink_lines([inner.mean(axis=0) + 0.45 * (inner[6:26] - inner.mean(axis=0))], 0.014, 0.35)
        kind = p.extras.earring
        if not kind:
            continue
        x, y = geometry.ear(side)[24]
        gold = (222.0, 190.0, 110.0) if p.look.melanin > 0.3 else (225.0, 225.0, 232.0)
        if kind == 'hoop':
            painter.lines([ellipse((x, y + 0.036), 0.024, 0.034)], gold, 0.008, 'ear_r', closed=True)
        else:
            painter.fill(ellipse((x, y), 0.012, 0.012), gold, 'ear_r')
            if kind == 'drop':
                painter.fill(ellipse((x, y + 0.042), 0.011, 0.026), scaled(gold, 0.85), 'ear_r')
        painter.fill(ellipse((x - 0.003, y - 0.003), 0.004, 0.004), (255.0, 255.0, 255.0))


def _paint_wrinkles(painter: Painter, geometry: FaceGeometry, rng: np.random.Generator) -> None:
    p = geometry.params
    s, age = p.shape, p.look.age
    folds: list[Points] = []
    for side in (-1.0, 1.0):
        if age > 0.45:
            bag = np.array(
                [[s.eye_dx - 0.05, s.eye_y + 0.034], [s.eye_dx, s.eye_y + 0.048], [s.eye_dx + 0.045, s.eye_y + 0.036]]
            )
            folds.append(spline(geometry.pose(bag * np.array([side, 1.0]))))
            for k in range(3):
                foot = np.array(
                    [[s.eye_dx + 0.062, s.eye_y + 0.008 * k - 0.006], [s.eye_dx + 0.085, s.eye_y + 0.020 * k - 0.018]]
                )
                folds.append(geometry.pose(foot * np.array([side, 1.0])))
    if age > 0.4:
        for k in range(int(1 + 4 * age)):
            y = -0.15 - 0.026 * k + float(rng.normal(0, 0.003))
            x = np.linspace(-0.11, 0.11, 6) * float(rng.uniform(0.7, 1.1))
            folds.append(spline(geometry.pose(np.stack([x, y + rng.normal(0, 0.003, 6)], axis=1))))
    if folds:
        painter.ink_lines(folds, 0.006, 0.06 + 0.18 * age)
    if p.look.freckles > 0:
        spot = lit_colour(p, (p.look.skin[0] * 0.84, p.look.skin[1] * 0.72, p.look.skin[2] * 0.64))
        count = int(50 * p.look.freckles)
        at = geometry.pose(np.stack([rng.normal(0, 0.10, count), rng.normal(0.08, 0.045, count)], axis=1))
        painter.lines(np.stack([at, at + 0.002], axis=1), spot, 0.004)


def _paint_nose(painter: Painter, geometry: FaceGeometry) -> None:
    p = geometry.params
    s = p.shape
    painter.fill(geometry.nose(), None, 'nose')
    dark = lit_colour(p, p.look.skin, 0.36)
    for side in (-1.0, 1.0):
        lift = 0.4 * s.nose_lift
        hole = ellipse((side * 0.48 * s.nose_w, s.nose_y - 0.004), 0.26 * s.nose_w, 0.0065, 14)
        hole[:, 1] += 0.25 * (side * hole[:, 0] - 0.48 * s.nose_w)  # the outer ends hang a little
        painter.fill(geometry.pose(hole, lift), dark)
        painter.ink_lines([geometry.pose(hole, lift)], 0.008, 0.28)
        wing = np.array([[0.78, -0.036], [1.0, -0.022], [0.98, -0.006], [0.74, 0.001]])
        wing = np.stack([side * wing[:, 0] * s.nose_w, s.nose_y + wing[:, 1]], axis=1)
        painter.ink_lines([spline(geometry.pose(wing, 0.12 * s.nose_lift))], 0.008, 0.26)


def _paint_mouth(painter: Painter, geometry: FaceGeometry, rng: np.random.Generator) -> None:
    p = geometry.params
    upper, lower, inside = geometry.lips()
    lip = lit_colour(p, p.look.lip, 0.95)
    dark = scaled(lip, 0.42)
    if p.shape.mouth_open > 0:
        painter.fill(inside, (52.0, 18.0, 20.0), 'mouth')
        top, bottom = spline(geometry.inner_lip[:5]), spline(geometry.inner_lip[[0, 7, 6, 5, 4]])
        if p.look.teeth:
            edge = top + (bottom - top) * 0.62
            painter.fill(np.concatenate([top[3:-3], edge[3:-3][::-1]]), lit_colour(p, (226.0, 220.0, 206.0), 0.95))
            gaps = [np.stack([top[i], edge[i]]) for i in range(4, len(top) - 4, 2)]
            painter.lines(gaps, (170.0, 160.0, 148.0), 0.0015)
        else:
            middle = bottom + (top - bottom) * 0.35
            painter.fill(np.concatenate([middle[4:-4], bottom[4:-4][::-1]]), scaled(lip, 0.85))
    painter.fill(upper, scaled(lip, 0.86), 'u_lip')
    painter.fill(lower, lip, 'l_lip')
    outer, inner = geometry.outer_lip, geometry.inner_lip
    # Fine folds across the red of the lips and a soft highlight on the lower one.
    share = rng.uniform(0.1, 0.9, (16, 1))
    low_in, low_out = spline(inner[[4, 5, 6, 7, 0]], steps=4), spline(outer[[6, 7, 8, 9, 10, 11, 0]], steps=4)
    pick = rng.integers(3, 14, 16)
    start = low_in[pick]
    end = start + (low_out[(pick * 1.5).astype(int)] - start) * share
    painter.lines(np.stack([start, end], axis=1), scaled(lip, 0.90), 0.002)
    glow = outer[9] * 0.5 + inner[6] * 0.5
    painter.fill(ellipse(glow, 0.026, 0.0045), scaled(lip, 1.22))
    painter.lines([spline(inner[:5])], dark, 0.005)
    if p.shape.mouth_open > 0:
        painter.lines([spline(inner[[4, 5, 6, 7, 0]])], dark, 0.003)


def _paint_iris(painter: Painter, geometry: FaceGeometry, side: int) -> None:
    """Iris, pupil and highlights of one eye, unclipped."""
    p = geometry.params
    s = p.shape
    centre = geometry.pose(
        [(side * s.eye_dx + 0.5 * s.gaze_x * s.eye_w, s.eye_y - 0.002 + 0.4 * s.gaze_y * s.eye_w)], -0.012
    )[0]
    radius = 0.0235
    iris = lit_colour(p, p.look.iris, 0.85)
    flat = radius * (0.55 + 0.45 * geometry.cos_yaw)
    painter.fill(ellipse(centre, flat, radius), scaled(iris, 0.45))
    painter.fill(ellipse(centre, 0.84 * flat, 0.84 * radius), iris)
    rays = ellipse(centre, 0.80 * flat, 0.80 * radius, 9)
    painter.lines(np.stack([np.broadcast_to(centre, rays.shape), rays], axis=1), scaled(iris, 1.3), 0.002)
    painter.fill(ellipse(centre, 0.42 * flat, 0.42 * radius), (12.0, 10.0, 10.0))
    lx = light_direction(p)[0]
    spot = centre + np.array([0.45 * lx * radius, -0.38 * radius])
    painter.fill(ellipse(spot, 0.0062, 0.0062, 12), (255.0, 255.0, 255.0))
    painter.fill(ellipse(2 * centre - spot, 0.003, 0.003, 10), scaled(iris, 1.7))


def _paint_eyes(painter: Painter, geometry: FaceGeometry, rng: np.random.Generator) -> None:
    p = geometry.params
    ink = lit_colour(p, (38.0, 24.0, 20.0)) if p.look.makeup < 0.4 else (14.0, 10.0, 12.0)
    clean = painter.image.copy()
    masks = []
    for index, (side, label) in enumerate(((-1, 'r_eye'), (1, 'l_eye'))):
        eye = geometry.eyes[index]
        mask = painter.mask(eye)
        masks.append(mask)
        light = sum(cv2.mean(clean, mask)[:3]) / sum(p.look.skin)
        white = lit_colour(p, (226.0, 217.0, 211.0), min(1.0, 0.25 + 0.75 * light))
        painter.fill(eye, white)
        corner = eye[15] if side < 0 else eye[0]
        painter.fill(ellipse(corner, 0.010, 0.007, 10), lit_colour(p, (206.0, 134.0, 124.0), 0.9))
        _paint_iris(painter, geometry, side)
        shadow = np.concatenate([eye[:16], eye[:16][::-1] + np.array([0.0, 0.006])])
        painter.fill(shadow, scaled(white, 0.42))
        painter.mark(mask > 0, label)
    outside = cv2.bitwise_not(cv2.bitwise_or(masks[0], masks[1]))
    cv2.copyTo(clean, outside, painter.image)
    for index, side in enumerate((-1, 1)):
        eye = geometry.eyes[index]
        upper, lower = eye[:16], eye[15:]
        painter.ink_lines([lower], 0.005, 0.35)
        thick = (0.0035 + 0.003 * p.look.makeup) * np.linspace(1.15, 0.6, 16)[:: 1 if side < 0 else -1]
        painter.fill(tapered(upper, thick), ink)
        fold = upper + np.stack([np.zeros(16), -0.004 - 0.011 * np.sin(np.linspace(0.25, math.pi - 0.25, 16))], axis=1)
        painter.ink_lines([fold], 0.006, 0.42)
        roots = upper[rng.integers(1, 15, 16)]
        lean = (roots[:, :1] - upper[8, 0]) * 0.28
        length = (0.007 + 0.010 * p.look.makeup) * rng.uniform(0.6, 1.2, (16, 1))
        tips = roots + np.concatenate([lean, -length], axis=1)
        painter.lines(np.stack([roots, tips], axis=1), ink, 0.0018)


def _paint_brows(painter: Painter, geometry: FaceGeometry, rng: np.random.Generator) -> None:
    p = geometry.params
    base = np.array(lit_colour(p, p.look.brow))
    skin = np.array(lit_colour(p, p.look.skin, 0.75))
    mix = base + 0.35 * (skin - base)
    for index, (side, label) in enumerate(((-1, 'r_brow'), (1, 'l_brow'))):
        spine = spline(geometry.brow_points[index], steps=6)
        if side > 0:
            spine = spine[::-1]  # outer end first
        count = len(spine)
        widths = p.shape.brow_thick * np.interp(np.linspace(0, 1, count), [0, 0.3, 0.85, 1], [0.15, 0.75, 1.0, 0.75])
        red, green, blue = (float(v) for v in mix)
        painter.fill(tapered(spine, widths), (red, green, blue), label)
        pick = rng.integers(1, count - 1, 60)
        across = rng.uniform(-1.0, 0.7, (60, 1)) * widths[pick][:, None]
        roots = spine[pick] + np.concatenate([np.zeros((60, 1)), across], axis=1)
        tips = roots + np.stack([side * rng.uniform(0.006, 0.02, 60), -across[:, 0] * 0.5 - 0.004], axis=1)
        strokes = np.stack([roots, tips], axis=1)
        for part, tone in ((strokes[:40], 0.75), (strokes[40:], 1.25)):
            red, green, blue = (float(v) for v in np.clip(base * tone, 0, 255))
            painter.lines(part, (red, green, blue), 0.0022, label)


def _paint_beard(painter: Painter, geometry: FaceGeometry, rng: np.random.Generator) -> None:
    """Short strokes over the jaw, the chin or the upper lip, away from the lips."""
    p = geometry.params
    s, kind, amount = p.shape, p.look.beard_kind, p.look.beard
    if amount <= 0:
        return
    count = int(amount * {'full': 3800, 'stubble': 2800}.get(kind, 1100))
    x = rng.uniform(-0.97, 0.97, count) * s.width * (1.0 if kind in ('full', 'stubble') else 0.42)
    y = rng.uniform(0.02 if kind in ('full', 'stubble') else s.nose_y + 0.018, s.chin_y - 0.004, count)
    if kind == 'moustache':
        y = s.nose_y + 0.02 + (y - s.nose_y) * 0.22 + 0.5 * np.abs(x) * 0.4
    mouth = (x / (s.mouth_w + 0.012)) ** 2 + ((y - s.mouth_y) / (0.028 + 0.9 * s.mouth_open + s.lip_low * 0.6)) ** 2 < 1
    high = y < np.interp(
        np.abs(x) / s.width,
        [0, 0.3, 0.4, 0.75, 0.92, 1.0],
        [s.nose_y + 0.022, s.nose_y + 0.024, 0.215, 0.16, 0.02, 0.0],
    )
    wide = np.abs(x) / s.width > np.interp(y, [0.05, 0.12, 0.2, 0.26, 0.31, 0.37], [1, 0.97, 0.92, 0.8, 0.62, 0.3])
    keep = ~(mouth | high | wide)
    roots = geometry.pose(np.stack([x[keep], y[keep]], axis=1), 0.01)
    long = 0.004 if kind == 'stubble' else 0.009 + 0.004 * amount
    tips = roots + np.stack(
        [0.10 * roots[:, 0] * long / 0.011 + rng.normal(0, 0.3 * long, len(roots)), np.full(len(roots), long)], axis=1
    )
    strokes = np.stack([roots, tips], axis=1)
    third = len(strokes) // 3
    pairs = zip(lit_colour(p, p.hair.colour), lit_colour(p, p.look.skin, 0.6), strict=True)
    share = 0.34 if kind == 'stubble' else 0.5
    red, green, blue = (share * hair + (1 - share) * skin for hair, skin in pairs)
    blend = (red, green, blue)
    for part, tone in ((strokes[:third], 0.7), (strokes[third : 2 * third], 0.9), (strokes[2 * third :], 1.15)):
        if len(part):
            painter.lines(part, scaled(blend, tone), 0.0024)


def _paint_glasses(painter: Painter, geometry: FaceGeometry) -> None:
    p = geometry.params
    s, kind = p.shape, p.extras.glasses
    if not kind:
        return
    colour = lit_colour(p, p.extras.glass_colour)
    power = {'round': 1.0, 'square': 0.45, 'rimless': 0.6, 'sun': 0.7}[kind]
    width = 0.005 if kind == 'rimless' else 0.011
    angle = np.arange(32) * (2 * math.pi / 32)
    cos, sin = np.cos(angle), np.sin(angle)
    rounded = np.stack(
        [np.sign(cos) * np.abs(cos) ** power * 0.088, np.sign(sin) * np.abs(sin) ** power * 0.066], axis=1
    )
    rounded *= 1.12 if kind == 'sun' else 1.0
    lenses = [
        geometry.pose(rounded * np.array([side, 1.0]) + np.array([side * (s.eye_dx + 0.004), s.eye_y + 0.008]), 0.02)
        for side in (-1.0, 1.0)
    ]
    if kind == 'sun':
        for lens in lenses:
            painter.fill(lens, (30.0, 26.0, 28.0), 'eye_g')
            middle = lens.mean(axis=0)
            painter.fill(middle + 0.88 * (lens - middle), (44.0, 40.0, 42.0))
            painter.fill(
                middle + 0.80 * (lens - middle) * np.array([1.0, 0.55]) + np.array([0.0, 0.022]), (62.0, 57.0, 57.0)
            )
    else:
        for lens in lenses:
            middle = lens.mean(axis=0)
            streak = [np.stack([middle + np.array([0.03, -0.045]), middle + np.array([0.055, -0.015])])]
            painter.lines(streak, (236.0, 238.0, 240.0), 0.003)
    painter.lines(lenses, colour, width, 'eye_g', closed=True)
    bridge = geometry.pose([(-0.04, s.eye_y - 0.006), (0.0, s.eye_y - 0.016), (0.04, s.eye_y - 0.006)], 0.03)
    arms = []
    for side in (-1.0, 1.0):
        start = geometry.pose([(side * (s.eye_dx + 0.09), s.eye_y - 0.01)], 0.02)
        arms.append(np.concatenate([start, geometry.rim([(side * s.width * 1.02, s.eye_y - 0.015)])]))
    painter.lines([spline(bridge), *arms], colour, width, 'eye_g')


def warp_skin(painter: Painter, layer: Image) -> Image:
    """The layer of `skin_layer` on the canvas, (side, side, 3) uint8 RGB."""
    scale = 2 * SKIN_SPAN / SKIN_GRID
    start = 0.5 * scale - SKIN_SPAN
    matrix = painter.head.copy()
    matrix[:, 2] = matrix[:, :2] @ np.array([start, start]) + matrix[:, 2]
    matrix[:, :2] *= scale
    side = (painter.side, painter.side)
    warped = cv2.warpAffine(layer, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(warped, dtype=np.uint8)


def paint_features(painter: Painter, geometry: FaceGeometry, rng: np.random.Generator) -> None:
    """Paints everything on the skin of the face, glasses included."""
    _paint_wrinkles(painter, geometry, rng)
    _paint_nose(painter, geometry)
    _paint_beard(painter, geometry, rng)
    _paint_mouth(painter, geometry, rng)
    _paint_eyes(painter, geometry, rng)
    painter.apply_ink()
    _paint_brows(painter, geometry, rng)
    _paint_glasses(painter, geometry)
