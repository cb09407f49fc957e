"""Parameters of the drawn faces, all independent of the image size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]

DEPTH = 0.20  # half depth of the head, which sets how far yaw and pitch move the inner features

_SKIN_TONES = np.array(
    [[245, 207, 186], [237, 193, 163], [226, 178, 146], [199, 145, 111], [162, 108, 77], [118, 75, 53], [82, 53, 41]],
    dtype=np.float64,
)
_HAIR_TONES = np.array(
    [
        [24, 20, 19],
        [48, 33, 25],
        [84, 57, 38],
        [104, 73, 50],
        [112, 62, 40],
        [146, 92, 56],
        [184, 144, 92],
        [222, 192, 142],
    ],
    dtype=np.float64,
)
_EYE_TONES = np.array([[58, 36, 22], [92, 58, 32], [120, 98, 52], [88, 118, 84], [86, 120, 156], [124, 146, 160]])


@dataclass(frozen=True)
class Pose:
    """Head pose: angles in radians, scale relative to the usual framing, offsets in image sides."""

    yaw: float
    pitch: float
    roll: float
    scale: float
    shift_x: float
    shift_y: float


@dataclass(frozen=True)
class Shape:
    """Proportions of the face in head-frame units (factors where the name says so)."""

    width: float
    jaw: float
    chin_y: float
    eye_dx: float
    eye_y: float
    eye_w: float
    eye_h: float
    eye_tilt: float
    gaze_x: float
    gaze_y: float
    brow_gap: float
    brow_arch: float
    brow_thick: float
    brow_angle: float
    nose_y: float
    nose_w: float
    nose_lift: float
    mouth_y: float
    mouth_w: float
    lip_up: float
    lip_low: float
    mouth_open: float
    smile: float
    neck_w: float
    ear: float
    asym: float


@dataclass(frozen=True)
class Look:
    """Colours (RGB, 0 to 255) and skin state (0 to 1 each)."""

    skin: Colour
    lip: Colour
    iris: Colour
    brow: Colour
    melanin: float
    age: float
    makeup: float
    freckles: float
    gloss: float
    beard: float
    beard_kind: str
    teeth: bool


@dataclass(frozen=True)
class Hair:
    """Hair style: ``length`` is the head-frame y of the ends, ``style`` one of :data:`HAIR_STYLES`."""

    style: str
    colour: Colour
    length: float
    top: float
    side: float
    line: float
    fringe: float
    part: float
    wave: float
    wave_freq: float
    curl: float
    shine: float
    strand: float
    tucked: bool
    parted: float


@dataclass(frozen=True)
class Extras:
    """Things worn; an empty string or False means none."""

    glasses: str
    glass_colour: Colour
    hat: str
    hat_colour: Colour
    earring: str
    necklace: bool
    cloth: str
    cloth_colour: Colour
    cloth_second: Colour
    neckline: float


@dataclass(frozen=True)
class Scene:
    """Light (angles in radians, colours as factors), background (RGB, 0 to 255) and camera (blur in image sides)."""

    azimuth: float
    elevation: float
    ambient: float
    light: Colour
    background: str
    back_first: Colour
    back_second: Colour
    back_blur: float
    exposure: float
    contrast: float
    blur: float
    noise: float


@dataclass(frozen=True)
class FaceParams:
    """All parameters of one face, independent of the image size."""

    pose: Pose
    shape: Shape
    look: Look
    hair: Hair
    extras: Extras
    scene: Scene


HAIR_STYLES = ('short', 'medium', 'long', 'updo', 'afro', 'bald')
BACKGROUNDS = ('gradient', 'blobs', 'bokeh', 'wall', 'leaves', 'room')


def _ramp(table: NDArray[Any], position: float) -> NDArray[np.float64]:
    """Colour at ``position`` (0 to 1) along the rows of ``table`` (n, 3)."""
    at = float(np.clip(position, 0, 1)) * (len(table) - 1)
    low = min(int(at), len(table) - 2)
    return np.asarray(table[low] + (at - low) * (table[low + 1] - table[low]), dtype=np.float64)


def _colour(values: NDArray[Any]) -> Colour:
    """(3,) clipped to 0 to 255, as a tuple."""
    red, green, blue = (float(v) for v in np.clip(values, 0, 255))
    return red, green, blue


def _vivid(rng: np.random.Generator, low: float, high: float) -> Colour:
    """A random colour between grey and saturated with brightness from ``low`` to ``high`` (0 to 255)."""
    tint = rng.uniform(0, 1, 3)
    tint = tint / tint.max()
    return _colour(rng.uniform(low, high) * (1 - rng.uniform(0, 0.9) * (1 - tint)))


def _surrounding(rng: np.random.Generator) -> Colour:
    """A colour as rooms and streets have it: mostly muted and rather warm, often nearly white or nearly black."""
    bright = float(rng.beta(0.8, 0.8)) * 235 + 12
    tint = rng.normal(0, 1, 3) * np.array([0.18, 0.10, 0.24]) * float(rng.uniform(0.2, 1.7))
    return _colour(bright * (1 + tint + np.array([0.08, 0.0, -0.08])))


def _pick(rng: np.random.Generator, names: tuple[str, ...], weights: tuple[float, ...]) -> str:
    """One of ``names`` with the given relative weights."""
    edges = np.cumsum(weights)
    return names[min(int(np.searchsorted(edges, rng.uniform(0, edges[-1]), side='right')), len(names) - 1)]


def _draw_pose(rng: np.random.Generator) -> Pose:
    yaw = float(np.clip(rng.normal(0, 0.23), -0.55, 0.55))
    pitch = float(np.clip(rng.normal(0, 0.09), -0.22, 0.22))
    return Pose(
        yaw=yaw,
        pitch=pitch,
        roll=float(np.clip(rng.normal(0, 0.09), -0.26, 0.26)),
        scale=float(rng.uniform(0.98, 1.15)),
        # Portraits are framed on the features, so the head moves back against the turn.
        shift_x=float(rng.normal(0, 0.012)) - 0.6 * DEPTH * math.sin(yaw),
        shift_y=float(rng.normal(0.0, 0.012)) + 0.5 * DEPTH * math.sin(pitch),
    )


def _draw_shape(rng: np.random.Generator, female: float, child: float) -> Shape:
    def spread(mean: float, std: float) -> float:
        return mean + std * float(np.clip(rng.normal(), -2.2, 2.2))

    kind, extent = rng.uniform(), float(rng.uniform())
    grin = kind < 0.38  # a broad smile that shows the teeth, as most people make for a camera
    opened = 0.016 + 0.018 * extent if grin else 0.006 + 0.046 * extent if kind < 0.62 else 0.0
    return Shape(
        width=spread(0.247 + 0.012 * child, 0.011),
        jaw=spread(1.02 - 0.07 * female, 0.035),
        chin_y=spread(0.385 - 0.012 * female - 0.03 * child, 0.011),
        eye_dx=spread(0.121, 0.005),
        eye_y=spread(-0.022 + 0.03 * child, 0.007),
        eye_w=spread(0.0535 + 0.004 * child, 0.0028),
        eye_h=max(0.004, spread(0.0205 + 0.003 * female + 0.004 * child, 0.0035)),
        eye_tilt=spread(0.05, 0.06),
        gaze_x=spread(0.0, 0.22),
        gaze_y=spread(0.0, 0.12),
        brow_gap=spread(0.064 + 0.006 * female, 0.008),
        brow_arch=spread(0.014, 0.006),
        brow_thick=max(0.004, spread(0.0125 - 0.003 * female - 0.002 * child, 0.0025)),
        brow_angle=spread(-0.10, 0.10),
        nose_y=spread(0.142 - 0.008 * female, 0.008),
        nose_w=spread(0.053 - 0.004 * female, 0.0055),
        nose_lift=spread(0.105 - 0.03 * child, 0.015),
        mouth_y=spread(0.232, 0.007),
        mouth_w=spread(0.090, 0.007) + (0.016 if grin else 0.15 * opened),
        lip_up=spread(0.0155 + 0.002 * female, 0.0035),
        lip_low=spread(0.022 + 0.003 * female, 0.004),
        mouth_open=opened,
        smile=spread(0.030, 0.006) if grin else spread(0.008, 0.010),
        neck_w=spread(0.165 - 0.028 * female - 0.02 * child, 0.012),
        ear=spread(1.0, 0.08),
        asym=spread(0.0, 0.0022),
    )


def _draw_look(rng: np.random.Generator, female: float, child: float, hair: NDArray[Any], melanin: float) -> Look:
    tone = _ramp(_SKIN_TONES, melanin) * (1 + rng.normal(0, 0.035)) + rng.normal(0, 3.5) * np.array([0.6, -0.2, -0.9])
    age = 0.0 if child > 0 else float(rng.uniform(0, 1)) ** 2.1
    makeup = float(rng.uniform(0.2, 1)) if female > 0.5 and child == 0 and rng.uniform() < 0.6 else 0.0
    rouge = np.array([rng.uniform(150, 200), rng.uniform(30, 80), rng.uniform(50, 100)])
    natural = tone * np.array([0.88, 0.62, 0.62]) + np.array([8.0, 0, 4])
    bearded = female < 0.5 and child == 0 and rng.uniform() < 0.5
    iris_at = np.clip(rng.beta(1.2, 1.2) * (1.15 - melanin) + rng.normal(0, 0.05), 0, 1) if melanin < 0.65 else 0.08
    return Look(
        skin=_colour(tone),
        lip=_colour(natural + makeup * 0.75 * (rouge - natural)),
        iris=_colour(_ramp(_EYE_TONES, float(iris_at)) * rng.uniform(0.85, 1.2)),
        brow=_colour(np.minimum(hair * 0.72, 0.62 * tone)),
        melanin=melanin,
        age=age,
        makeup=makeup,
        freckles=float(rng.uniform(0.3, 1)) if melanin < 0.4 and rng.uniform() < 0.22 else 0.0,
        gloss=float(rng.uniform(0.03, 0.15)) + 0.05 * melanin,
        beard=float(rng.uniform(0.25, 1)) if bearded else 0.0,
        beard_kind=_pick(rng, ('full', 'goatee', 'moustache', 'stubble'), (0.35, 0.2, 0.15, 0.3)),
        teeth=bool(rng.uniform() < 0.85),
    )


def _hair_colour(rng: np.random.Generator, melanin: float) -> NDArray[np.float64]:
    """Natural hair colour (dark hair goes with dark skin), now and then a dyed one."""
    base = _ramp(_HAIR_TONES, rng.beta(1.0, 1.3 + 5 * melanin)) * rng.uniform(0.85, 1.15)
    if rng.uniform() < 0.04:
        base = np.array(_vivid(rng, 110, 220))
    return np.asarray(base, dtype=np.float64)


def _draw_hair(rng: np.random.Generator, female: float, melanin: float, colour: NDArray[Any], age: float) -> Hair:
    if female > 0.5:
        weights = (0.10, 0.25, 0.48, 0.12, 0.05 + 0.15 * melanin, 0.0)
    else:
        weights = (0.68, 0.07, 0.04, 0.01, 0.04 + 0.15 * melanin, 0.06 + 0.12 * age)
    style = _pick(rng, HAIR_STYLES, weights)
    length = {'short': rng.uniform(-0.07, 0.03), 'medium': rng.uniform(0.10, 0.30), 'long': rng.uniform(0.42, 0.75)}
    volume = {'afro': (0.09, 0.13), 'bald': (0.0, 0.0)}.get(style, (0.045, 0.035))
    curly = style == 'afro' or rng.uniform() < 0.15 + 0.3 * melanin
    return Hair(
        style=style,
        colour=_colour(colour),
        length=float(length.get(style, rng.uniform(-0.05, 0.0))),
        top=volume[0] * float(rng.uniform(0.6, 1.3)),
        side=volume[1] * float(rng.uniform(0.5, 1.7)) * (0.4 if style in ('short', 'updo') else 1.0),
        line=float(rng.normal(-0.268, 0.014)) - 0.05 * max(0.0, age - 0.6) * (1 - female),
        fringe=float(rng.uniform(0.45, 1.0)) if rng.uniform() < 0.25 else float(rng.uniform(0, 0.12)),
        part=float(np.clip(rng.normal(0, 0.07), -0.14, 0.14)),
        wave=float(rng.uniform(0, 0.016)) if rng.uniform() < 0.6 else 0.0,
        wave_freq=float(rng.uniform(10, 32)),
        curl=float(rng.uniform(0.5, 1.0)) if curly else float(rng.uniform(0.0, 0.2)),
        shine=float(rng.uniform(0.1, 0.7)),
        strand=float(rng.uniform(0.7, 1.5)),
        tucked=bool(rng.uniform() < 0.25),
        parted=0.0 if style == 'updo' or rng.uniform() < 0.25 else 1.0,
    )


def _draw_extras(rng: np.random.Generator, female: float, age: float, hair: Hair) -> Extras:
    hat = _pick(rng, ('', 'beanie', 'cap', 'brim'), (0.88, 0.05, 0.04, 0.03))
    if hair.style in ('afro', 'updo'):
        hat = ''
    dark = rng.uniform() < 0.6
    return Extras(
        glasses=_pick(rng, ('', 'round', 'square', 'rimless', 'sun'), (0.78 - 0.15 * age, 0.08, 0.10, 0.05, 0.03)),
        glass_colour=_colour(rng.uniform(12, 50, 3)) if dark else _vivid(rng, 70, 190),
        hat=hat,
        hat_colour=_vivid(rng, 40, 220),
        earring=_pick(rng, ('', 'stud', 'drop', 'hoop'), (0.45, 0.2, 0.2, 0.15)) if female > 0.5 else '',
        necklace=bool(female > 0.5 and rng.uniform() < 0.25),
        cloth=_pick(rng, ('plain', 'stripes', 'checks', 'shirt', 'knit'), (0.35, 0.15, 0.12, 0.23, 0.15)),
        cloth_colour=_vivid(rng, 25, 240),
        cloth_second=_vivid(rng, 25, 240),
        neckline=float(rng.uniform(0.40, 0.50)),
    )


def _draw_scene(rng: np.random.Generator, melanin: float) -> Scene:
    warm = float(np.clip(rng.normal(0.05, 0.035), -0.04, 0.13))
    return Scene(
        azimuth=float(np.clip(rng.normal(0, 0.55), -1.2, 1.2)),
        elevation=float(rng.uniform(0.05, 0.9)),
        ambient=float(rng.uniform(0.42, 0.72)),
        light=(1 + warm, 1.0, 1 - warm),
        background=_pick(rng, BACKGROUNDS, (0.18, 0.18, 0.16, 0.14, 0.16, 0.18)),
        back_first=_surrounding(rng),
        back_second=_surrounding(rng),
        back_blur=float(rng.uniform(0.0, 0.02)),
        # Cameras meter on what they see: less light for pale skin, more for dark.
        exposure=float(np.clip(rng.normal(1.05 + 0.3 * melanin, 0.11), 0.8, 1.5)),
        contrast=float(np.clip(rng.normal(1.12, 0.10), 0.85, 1.4)),
        blur=float(rng.uniform(0.0022, 0.0050)),
        noise=float(rng.uniform(0.3, 2.6)),
    )


def draw_params(rng: np.random.Generator) -> FaceParams:
    """Draws all parameters of one face.

    Args:
        rng (Generator): Source of randomness, advanced by the draw.

    Returns:
        FaceParams: independent of any image size.
    """
    pose = _draw_pose(rng)
    female = float(rng.uniform(0.6, 1)) if rng.uniform() < 0.5 else float(rng.uniform(0, 0.4))
    child = float(rng.uniform(0.4, 1)) if rng.uniform() < 0.1 else 0.0
    melanin = float(rng.beta(1.0, 1.8))
    look_seed, hair_seed = rng.integers(0, 2**31, 2)  # separate streams keep one part stable when another changes
    hair_rng = np.random.default_rng(int(hair_seed))
    base = _hair_colour(hair_rng, melanin)
    look = _draw_look(np.random.default_rng(int(look_seed)), female, child, base, melanin)
    grey = float(np.clip((look.age - 0.55) * 2.2 * hair_rng.uniform(0.2, 1.4), 0, 1))
    colour = base + grey * (np.array([1.0, 0.99, 0.97]) * hair_rng.uniform(130, 215) - base)
    hair = _draw_hair(hair_rng, female, melanin, colour, look.age)
    shape = _draw_shape(rng, female, child)
    return FaceParams(pose, shape, look, hair, _draw_extras(rng, female, look.age, hair), _draw_scene(rng, melanin))
