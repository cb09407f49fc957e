"""Colour layers of the drawn faces: skin, hair, cloth, background and camera.

Layers come from grids of a fixed size (or from formulas in normalised coordinates), never from the size of the image,
so that one face stays the same face at every resolution.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facesr_ext.faces.drawn.geometry import FaceGeometry, head_affine
from facesr_ext.faces.drawn.params import Colour, FaceParams, Scene

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

SKIN_SPAN = 0.56  # the skin layer covers -SKIN_SPAN to SKIN_SPAN of the head frame
_SHADE_GRID = 144
SKIN_GRID = 288
_BACK_GRID = 192
_FLOW_GRID = 192


def _normal(rng: np.random.Generator, *shape: int) -> Plane:
    """Standard normal noise in float32."""
    return rng.standard_normal(shape, dtype=np.float32)


def _resize(plane: NDArray[Any], side: int, method: int = cv2.INTER_CUBIC) -> Any:
    return cv2.resize(plane, (side, side), interpolation=method)


def _bells(rows: list[tuple[Any, ...]], axis: Plane) -> tuple[Plane, Plane]:
    """Separable bell curves: ``rows`` hold (x, y, sigma_x, sigma_y); returns two factors (k, grid)."""
    table = np.array(rows, dtype=np.float32)
    across = np.exp(-0.5 * ((axis[None] - table[:, 0:1]) / table[:, 2:3]) ** 2)
    down = np.exp(-0.5 * ((axis[None] - table[:, 1:2]) / table[:, 3:4]) ** 2)
    return across, down


def _relief(geometry: FaceGeometry) -> list[tuple[float, float, float, float, float, float]]:
    """Bumps and hollows of a face as (height, x, y, lift, sigma_x, sigma_y) before the pose."""
    s, look = geometry.params.shape, geometry.params.look
    ny, nw, my = s.nose_y, s.nose_w, s.mouth_y
    deep = 1 + 0.5 * look.age
    middle = [
        (0.030, 0.0, 0.02, 0.04, 0.022, 0.07),
        (0.028, 0.0, ny - 0.026, 0.09, 0.027, 0.025),
        (0.016, 0.0, my, 0.01, 0.075, 0.045),
        (-0.012, 0.0, my + 0.052, 0.0, 0.045, 0.012),
        (0.018, 0.0, s.chin_y - 0.04, 0.0, 0.042, 0.028),
        (-0.005, 0.0, ny + 0.035, 0.0, 0.007, 0.018),
        (0.012, 0.0, -0.20, 0.0, 0.12, 0.06),
        (-0.008, 0.0, s.eye_y - 0.005, 0.0, 0.02, 0.02),
    ]
    sides = [
        (0.012, 0.8 * nw, ny - 0.014, 0.02, 0.014, 0.014),
        (-0.019, s.eye_dx - 0.02, s.eye_y - 0.012, 0.0, 0.045, 0.024),
        (0.013, s.eye_dx, s.eye_y + 0.002, 0.0, 0.030, 0.018),
        (0.012, s.eye_dx - 0.01, s.eye_y - 0.075, 0.0, 0.06, 0.018),
        (0.020, 0.145, 0.095, 0.0, 0.05, 0.045),
        (-0.008 * deep, s.eye_dx - 0.02, s.eye_y + 0.045, 0.0, 0.035, 0.010),
        (-0.008, 0.17, 0.19, 0.0, 0.04, 0.05),
    ]
    for share in (0.0, 0.33, 0.67, 1.0):  # the fold from the wing of the nose around the corner of the mouth
        x = 0.95 * nw + 0.012 + (s.mouth_w + 0.010 - nw) * share**0.8
        y = ny - 0.018 + (my + 0.014 - ny) * share
        sides.append((-0.0042 * (deep + 30 * max(s.smile, 0.0)) * (1 - 0.4 * share), x, y, 0.0, 0.013, 0.018))
    mirrored = [(h, -x, y, lift, sx, sy) for h, x, y, lift, sx, sy in sides]
    return middle + sides + mirrored


def light_direction(params: FaceParams) -> tuple[float, float, float]:
    """Unit vector towards the light (x right, y down, z to the viewer)."""
    scene = params.scene
    flat = math.cos(scene.elevation)
    return math.sin(scene.azimuth) * flat, -math.sin(scene.elevation), math.cos(scene.azimuth) * flat


def _shade(geometry: FaceGeometry, axis: Plane) -> tuple[Plane, Plane]:
    """Diffuse shade and highlight (grid, grid) of the face from a height field."""
    params, width = geometry.params, geometry.params.shape.width
    rows = _relief(geometry)
    bumps = np.array(rows)
    centres = geometry.pose(bumps[:, 1:3], bumps[:, 3])
    cells = [(x, y, row[4], row[5]) for (x, y), row in zip(centres, rows, strict=True)]
    across, down = _bells(cells, axis)
    height = (down * bumps[:, 0:1].astype(np.float32)).T @ across
    x = (axis - 0.10 * geometry.sin_yaw) / (1.12 * width)
    y = (axis + 0.02 + 0.08 * geometry.sin_pitch) / 0.47
    height += 0.21 * np.sqrt(np.maximum(1.0 - (x * x)[None] - (y * y)[:, None], 0.012)).astype(np.float32)
    step = float(axis[1] - axis[0])
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / (8 * step))
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / (8 * step))
    inverse = 1.0 / np.sqrt(slope_x**2 + slope_y**2 + 1.0)
    lx, ly, lz = light_direction(params)
    facing = (lz - lx * slope_x - ly * slope_y) * inverse
    ambient = params.scene.ambient
    fill = np.clip(0.75 + 0.45 * lx * slope_x, 0.3, 1.1) * inverse  # weak light from the other side
    # The root rounds the border of the light off: a lamp is no point, and skin lets some of it through.
    soft = 0.5 * (facing + np.sqrt(facing * facing + 0.02))
    diffuse = ambient * (0.55 + 0.45 * fill) + (1.24 - ambient) * soft
    norm = math.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)
    half = ((lz + 1) - lx * slope_x - ly * slope_y) * inverse / norm
    shine = np.maximum(half, 0) ** 32
    return diffuse.astype(np.float32), shine.astype(np.float32)


def _tints(geometry: FaceGeometry, axis: Plane) -> Plane:
    """Colour changes (grid, grid, 3) as factors minus one: blush, eye sockets, shadows, beard shadow, make-up."""
    p = geometry.params
    s, look = p.shape, p.look
    lx = light_direction(p)[0]
    red = 0.5 + 0.5 * (1 - look.melanin)
    blush = np.array([0.05, -0.10, -0.08]) * red * (0.6 + 0.9 * look.makeup)
    under = -np.array([0.10, 0.12, 0.07]) * (0.35 + 0.8 * look.age)
    lid = np.array([-0.16, -0.24, -0.20]) * (0.45 + 0.8 * look.makeup)
    stubble = -np.array([0.34, 0.32, 0.27]) * (look.beard if look.beard_kind in ('full', 'stubble') else 0.0)
    dark = -np.array([0.34, 0.40, 0.40])
    rows: list[tuple[float, float, float, float, float, NDArray[Any]]] = [
        (0.0, s.nose_y - 0.022, 0.09, 0.024, 0.020, 0.8 * blush),
        (0.0, s.chin_y - 0.05, 0.0, 0.05, 0.03, 0.4 * blush),
        (-0.052 * np.sign(lx), s.nose_y - 0.035, 0.0, 0.020, 0.042, 0.36 * abs(lx) * dark),
        (0.0, s.nose_y + 0.018, 0.0, 0.042, 0.010, 0.40 * dark),
        (0.0, s.mouth_y + 0.048, 0.0, 0.05, 0.010, 0.35 * dark),
        (0.0, 0.33, 0.0, 0.13, 0.06, stubble),
        (0.0, s.nose_y + 0.04, 0.0, 0.06, 0.015, 0.8 * stubble),
    ]
    for side in (-1, 1):
        rows += [
            (side * 0.15, 0.10, 0.0, 0.05, 0.04, blush),
            (side * (s.eye_dx - 0.012), s.eye_y + 0.040, 0.0, 0.035, 0.012, under),
            (side * s.eye_dx, s.eye_y - 0.022, 0.0, 0.045, 0.016, lid),
            (side * 0.16, 0.22, 0.0, 0.05, 0.08, 0.9 * stubble),
            (side * (s.eye_dx - s.eye_w), s.eye_y - 0.01, 0.0, 0.014, 0.025, 0.4 * dark),
        ]
    flat = np.array([row[:5] for row in rows])
    centres = geometry.pose(flat[:, :2], flat[:, 2])
    across, down = _bells([(x, y, r[3], r[4]) for (x, y), r in zip(centres, flat, strict=True)], axis)
    amounts = np.stack([row[5] for row in rows]).astype(np.float32)
    planes = [(down * amounts[:, c : c + 1]).T @ across for c in range(3)]
    return np.stack(planes, axis=2)


def skin_layer(geometry: FaceGeometry, rng: np.random.Generator) -> Image:
    """Lit skin of the whole head.

    Args:
        geometry (FaceGeometry): The posed face.
        rng (Generator): Source of the fine texture.

    Returns:
        ndarray: (SKIN_GRID, SKIN_GRID, 3) uint8 RGB, the head frame from -SKIN_SPAN to SKIN_SPAN.
    """
    params = geometry.params
    axis: Plane = (((np.arange(_SHADE_GRID) + 0.5) / _SHADE_GRID * 2 - 1) * SKIN_SPAN).astype(np.float32)
    diffuse, shine = _shade(geometry, axis)
    blotch = _resize(_normal(rng, 14, 14), _SHADE_GRID)[:, :, None] * np.array([0.008, 0.014, 0.014], np.float32)
    shadow = 1 + np.clip(0.9 - diffuse, 0, 1)[:, :, None] * np.array([0.12, -0.03, -0.10], np.float32)
    base = np.array(params.look.skin, np.float32) * np.array(params.scene.light, np.float32)
    colour = base * (diffuse[:, :, None] * shadow * (1 + _tints(geometry, axis) + blotch))
    colour += (255 * params.look.gloss * shine)[:, :, None]
    fine = _resize(np.clip(colour, 0, 255).astype(np.uint8), SKIN_GRID)
    # Integer noise (standard deviation near 25 after the blur) around a neutral 200 keeps this pass in uint8.
    grain = cv2.GaussianBlur(rng.integers(0, 256, (SKIN_GRID, SKIN_GRID), dtype=np.uint8), (3, 3), 0.7)
    gain = 4.5 * (0.016 + 0.022 * params.look.age)
    pores = cv2.convertScaleAbs(grain, alpha=gain, beta=200 - 127.5 * gain)
    return np.asarray(cv2.multiply(fine, cv2.merge([pores, pores, pores]), scale=1 / 200), dtype=np.uint8)


def lit_colour(params: FaceParams, colour: Colour, share: float = 1.0) -> Colour:
    """``colour`` (RGB, 0 to 255) under the light of the scene at the mean shade times ``share``."""
    red, green, blue = (min(255.0, c * light * share) for c, light in zip(colour, params.scene.light, strict=True))
    return red, green, blue


def _strand_tile(rng: np.random.Generator) -> Plane:
    """Tile (64, 1024) of hair strands: long along the rows, fine across the columns, about -1 to 1."""
    white = _normal(rng, 64, 1024)
    along = cv2.blur(cv2.blur(white, (1, 13)), (1, 13))
    tile = 0.40 * along / (along.std() + 1e-6)
    for width, share in ((7, 0.24), (25, 0.30), (81, 0.34)):  # strands, locks, and what the comb has left
        wide = cv2.blur(cv2.blur(along, (width, 1)), (width // 2, 3))
        tile += share * wide / (wide.std() + 1e-6)
    return np.asarray(tile, dtype=np.float32)


def _hair_flow(params: FaceParams, x: Plane, y: Plane, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """Strand coordinates on the flow grid: across and along the hair, given head-frame coordinates (n, n)."""
    hair, side = params.hair, x.shape[0]
    lifted = np.maximum((0.04 - y) / np.float32(0.47 + hair.top), 0)
    if hair.parted > 0:
        # Parted hair runs along the outline of the head, away from the parting, and sinks a little on its way.
        beside = x - np.float32(1.5 * hair.part) * lifted
        radius = np.sqrt(x * x / 0.0676 + lifted * lifted * 1.3) * np.float32(0.26)
        across = np.where(beside > 0, radius, -radius) - np.float32(0.35) * lifted * beside
    else:
        # Longitude lines of a dome: strands are combed back, bulge over the top and fall down at the sides.
        across = (x - np.float32(hair.part) * lifted) / np.sqrt(1 - np.minimum(lifted, 0.98) ** 2)
    if hair.wave > 0:
        across += np.float32(hair.wave) * np.sin(np.float32(hair.wave_freq) * (y + 0.3 * np.abs(x)))
    bend = _resize(_normal(rng, 18, 18), side)
    across += np.float32(0.003 + 0.010 * hair.curl) * bend
    along = y + np.float32(0.010 + 0.05 * hair.curl) * bend.T
    return across.astype(np.float32), along.astype(np.float32)


def _hair_table(params: FaceParams) -> Image:
    """Colours (256, 1, 3) from the darkest to the brightest strand."""
    hair = params.hair
    ramp = np.linspace(0, 1, 256)[:, None]
    base = np.array(lit_colour(params, hair.colour))
    light = np.minimum(base * 1.7 + 46 * hair.shine, 255)
    table = np.where(ramp < 0.5, base * (0.22 + 1.56 * ramp), base + (light - base) * np.abs(2 * ramp - 1) ** 1.3)
    return np.clip(table, 0, 255).astype(np.uint8)[:, None, :]


def hair_layers(params: FaceParams, side: int, rng: np.random.Generator) -> tuple[Image, Image]:
    """Strand texture of the hair over the whole canvas.

    Args:
        params (FaceParams): What the face looks like.
        side (int): Side of the canvas, pixels.
        rng (Generator): Source of the strands.

    Returns:
        tuple[ndarray, ndarray]: front hair and (darker) back hair, each (side, side, 3) uint8 RGB.
    """
    hair = params.hair
    m = np.asarray(cv2.invertAffineTransform(head_affine(params.pose, _FLOW_GRID, 0.5)), dtype=np.float32)
    grid = np.arange(_FLOW_GRID, dtype=np.float32)
    x = m[0, 0] * grid[None] + (m[0, 1] * grid + m[0, 2])[:, None]
    y = m[1, 0] * grid[None] + (m[1, 1] * grid + m[1, 2])[:, None]
    across, along = _hair_flow(params, x, y, rng)
    lx = light_direction(params)[0]
    ring = np.exp(-(((along + 0.27 - 0.35 * x * x) / 0.055) ** 2)) * np.float32(0.30 * hair.shine)
    tone = (0.44 + 0.66 * lx * x - 0.22 * (y + 0.1)) + ring
    where = [across * np.float32(860 * hair.strand) + 512, along * np.float32(60) + 32]
    at_x, at_y = (_resize(plane, side, cv2.INTER_LINEAR) for plane in where)
    tone = _resize(255 * tone, side, cv2.INTER_LINEAR)
    gain = _resize(255 * (0.13 + 0.35 * ring), side, cv2.INTER_LINEAR)
    strand = cv2.remap(_strand_tile(rng), at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    if hair.curl > 0.4:  # ringlets: knots of light and dark instead of long strands
        knots = cv2.GaussianBlur(_normal(rng, 120, 120), (0, 0), 1.3)
        knots = cv2.resize(knots / knots.std(), (side, side), interpolation=cv2.INTER_LINEAR)
        share = hair.curl * (0.9 if hair.style == 'afro' else 0.55)
        strand = cv2.addWeighted(strand, 1 - share, knots, share, 0)
    index = np.clip(tone + strand * gain, 0, 255).astype(np.uint8)
    table = _hair_table(params)
    front = np.asarray(cv2.applyColorMap(index, table), dtype=np.uint8)
    if hair.style in ('short', 'bald'):
        return front, front  # nothing hangs behind the head
    share = 0.92 if hair.style == 'afro' else 0.62  # a round head of hair is lit all around
    return front, np.asarray(cv2.applyColorMap(index, (table * share).astype(np.uint8)), dtype=np.uint8)


def _ints(values: NDArray[Any]) -> Any:
    return [int(v) for v in values]


def _paint_shapes(picture: Plane, kind: str, rng: np.random.Generator, first: Any, second: Any) -> None:
    """Draws the objects of one background kind into ``picture`` (n, n, 3) float32, in place."""
    n = picture.shape[0]
    if kind == 'bokeh':
        for x, y, r, w in rng.uniform(0, 1, (22, 4)):
            colour = (second * (0.35 + 0.65 * w) * np.float32(240 / max(second.max(), 1))).tolist()  # lamps
            cv2.circle(picture, _ints(np.array([x, y]) * n), int(4 + 12 * r), colour, -1)
    elif kind == 'leaves':
        green = np.array([0.40, 0.56, 0.24]) * 255
        for x, y, a, b, w in rng.uniform(0, 1, (130, 5)):
            tone = (0.2 + 0.6 * w) * (green + 0.5 * (second - green))
            cv2.ellipse(
                picture,
                _ints(np.array([x, y]) * n),
                (int(4 + 9 * a), int(2 + 4 * a)),
                360 * b,
                0,
                360,
                tone.tolist(),
                -1,
            )
    elif kind == 'wall':
        height, width = int(rng.integers(9, 20)), int(rng.integers(20, 46))
        for row in range(n // height + 1):
            cv2.line(picture, (0, row * height), (n, row * height), second.tolist(), 1)
            for x in range((row % 2) * width // 2, n, width):
                cv2.line(picture, (x, row * height), (x, (row + 1) * height), second.tolist(), 1)
    elif kind == 'room':
        for x, y, w, h, c in rng.uniform(0, 1, (9, 5)):
            corner = np.array([x, y]) * 1.2 * n - 0.15 * n
            size = np.array([0.06 + 0.3 * w, 0.08 + 0.5 * h]) * n
            colour = (first + (second - first) * c) * (0.5 + 0.7 * w)
            cv2.rectangle(picture, _ints(corner), _ints(corner + size), colour.tolist(), -1)
            cv2.rectangle(picture, _ints(corner), _ints(corner + size), (colour * 0.6).tolist(), 2)


def _clutter(rng: np.random.Generator, side: int) -> Plane:
    """Noise (side, side) of all sizes, coarse ones strongest: power falls with the square of the frequency."""
    total: Plane = np.zeros((side, side), np.float32)
    for cells in (5, 11, 23, 47, 95):
        total += _resize(_normal(rng, cells, cells), side) * np.float32(5 / cells)
    return total


def background_layer(params: FaceParams, side: int, rng: np.random.Generator) -> Image:
    """Background (side, side, 3) uint8 RGB, drawn on a fixed grid and enlarged."""
    scene, n = params.scene, _BACK_GRID
    first, second = np.array(scene.back_first, np.float32), np.array(scene.back_second, np.float32)
    angle = rng.uniform(0, 2 * math.pi)
    axis = np.linspace(-0.5, 0.5, n, dtype=np.float32)
    mix = 0.5 + 0.6 * (np.float32(math.cos(angle)) * axis[None] + np.float32(math.sin(angle)) * axis[:, None])
    if scene.background == 'blobs':
        cells = np.clip(
            first + (second - first) * rng.uniform(-0.2, 1.2, (6, 6, 1)) + rng.normal(0, 12, (6, 6, 3)), 0, 255
        )
        picture = _resize(cells.astype(np.float32), n)
    else:
        close = 1.0 if scene.background in ('gradient', 'room') else 0.45
        picture = first + (second - first) * np.clip(mix * close, 0, 1)[:, :, None]
        if scene.background == 'bokeh':
            picture *= np.float32(0.55)
        elif scene.background == 'leaves':
            picture = 0.6 * picture + 38 * _clutter(rng, n)[:, :, None] * np.array([0.8, 1.0, 0.5])
    picture = np.ascontiguousarray(picture, dtype=np.float32)
    _paint_shapes(picture, scene.background, rng, first, second)
    blur = scene.back_blur * n * (0.6 if scene.background == 'wall' else 1.0)
    if blur > 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    rough = _normal(rng, n, n) * np.float32(1.0 + (7.0 if scene.background == 'wall' else 1.5))
    if blur > 1.0:
        rough = rough * np.float32(0.3)
    picture = picture + rough[:, :, None]
    return np.asarray(_resize(np.clip(picture, 0, 255).astype(np.uint8), side, cv2.INTER_LINEAR), dtype=np.uint8)


def cloth_layer(params: FaceParams, side: int, rng: np.random.Generator) -> Image:
    """Cloth (side, side, 3) uint8 RGB: pattern times soft folds; only the lower part of it is ever seen."""
    extras, n = params.extras, 256
    first = np.array(lit_colour(params, extras.cloth_colour), np.float32)
    second = np.array(lit_colour(params, extras.cloth_second), np.float32)
    x, y = np.arange(n, dtype=np.float32)[None], np.arange(n // 4, dtype=np.float32)[:, None]
    bow = 0.0012 * (x - n / 2) ** 2
    period = float(rng.uniform(6, 22))
    if extras.cloth == 'stripes':
        pattern = (np.mod(y + bow, period) < 0.4 * period).astype(np.float32)
    elif extras.cloth == 'checks':
        pattern = 0.5 * (np.mod(y + bow, period) < 0.5 * period) + 0.5 * (np.mod(x + 0 * y, period) < 0.5 * period)
    elif extras.cloth == 'knit':
        pattern = 0.18 + 0.18 * np.sin(1.6 * x + 1.2 * np.sin(1.3 * y)) + 0 * bow
    else:
        pattern = np.zeros((n // 4, n), np.float32)
    folds = 0.80 + 0.10 * cv2.resize(_normal(rng, 5, 14), (n, n // 4), interpolation=cv2.INTER_CUBIC)
    folds = folds + 0.03 * _normal(rng, n // 4, n)
    colour = (first + (second - first) * pattern[:, :, None]) * folds[:, :, None]
    strip = np.clip(colour, 0, 255).astype(np.uint8)
    layer = np.zeros((side, side, 3), np.uint8)
    top = side - side // 4
    layer[top:] = cv2.resize(strip, (side, side - top), interpolation=cv2.INTER_LINEAR)
    return layer


def tone_curve(scene: Scene) -> Image:
    """Exposure, contrast and the shoulder that keeps highlights from clipping, as a table (256,) uint8."""
    tone = np.arange(256) / 255.0 * scene.exposure
    tone = np.maximum((tone - 0.45) * scene.contrast + 0.45, 0.25 * tone)
    knee = 0.72
    over = np.maximum(tone - knee, 0)
    tone = np.minimum(tone, knee) + (1.01 - knee) * (1 - np.exp(-over / (1.01 - knee)))
    return np.clip(tone * 255, 0, 255).astype(np.uint8)


def camera(image: Image, params: FaceParams, rng: np.random.Generator) -> Image:
    """Slight defocus, tone curve and sensor noise on the finished image (size, size, 3) uint8 RGB."""
    scene, size = params.scene, image.shape[0]
    sigma = scene.blur * size
    if sigma > 0.25:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), dtype=np.uint8)
    image = np.asarray(cv2.LUT(image, tone_curve(scene)), dtype=np.uint8)
    noise = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(scene.noise)
    return np.clip(image + noise + 0.5, 0, 255).astype(np.uint8)
