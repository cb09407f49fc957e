"""PSNR of a part of the face alone."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np

from facesr_ext.errors import OptionError
from facesr_ext.faces.labels import CELEBAMASK19
from facesr_ext.faces.parsing import parsing_weights
from facesr_ext.metrics.found_faces import landmarks, parsing
from facesr_ext.metrics.metric_info import register_metric
from facesr_ext.metrics.needs import NoValue, extra_faces, extra_facexlib, weights

Region = Literal['eyes', 'mouth', 'skin', 'hair']
By = Literal['landmarks', 'parsing']

_CLASSES = {
    'eyes': ('l_eye', 'r_eye'),
    'mouth': ('mouth', 'u_lip', 'l_lip'),
    'skin': ('skin', 'nose'),
    'hair': ('hair',),
}
_HULLS = {
    'eyes': (slice(36, 42), slice(42, 48)),
    'mouth': (slice(48, 60),),
    'brows': (slice(17, 22), slice(22, 27)),
    'face': (slice(0, 27),),
}
_MARGIN = 0.05  # around hulls of parts of the face, of the distance of the outer eye corners


def _refuse_hair(region: Region, by: By = 'landmarks', **_: Any) -> None:
    if region == 'hair' and by == 'landmarks':
        raise OptionError('hair has no landmarks; write by: parsing', ('by',))


@register_metric(
    higher_is_better=True,
    unit='dB',
    needs=(
        extra_faces('shape_predictor_68_face_landmarks.dat', only=('by', 'landmarks')),
        extra_facexlib(only=('by', 'parsing')),
        weights(*parsing_weights('bisenet'), only=('by', 'parsing')),
    ),
    refuse=_refuse_hair,
)
def psnr_region(img: np.ndarray, img2: np.ndarray, region: Region, by: By = 'landmarks', crop_border: int = 0) -> float:
    """PSNR (dB) over all RGB values, 8 bit, of the pixels of one region of the GT: eyes, mouth, skin or hair.

    ``by: landmarks`` takes the hulls of dlib's 68 points, a twentieth of the outer eye corners' distance wider; skin is
    the hull of the face, which ends at the brows, without eyes, brows and mouth. ``by: parsing`` takes the classes of
    BiSeNet, skin with nose.
    """
    _refuse_hair(region, by)
    if by == 'parsing':
        inside = classes_region(parsing(img2), region)
    else:
        inside = hull_region(landmarks(img2, img2), region, img2.shape[:2])
    rows, columns = (slice(crop_border, side - crop_border) for side in img2.shape[:2])
    return _psnr(img[rows, columns], img2[rows, columns], inside[rows, columns], region)


def _psnr(img: np.ndarray, img2: np.ndarray, inside: np.ndarray, region: str) -> float:
    if not inside.any():
        raise NoValue(f'a GT shows no {region}')
    error = float(((img[inside].astype(np.float64) - img2[inside]) ** 2).mean())
    return float('inf') if error == 0 else float(10 * np.log10(255.0**2 / error))


def classes_region(mask: np.ndarray, region: Region) -> np.ndarray:
    """(H, W) uint8 classes of celebamask19 -> (H, W) bool."""
    return np.isin(mask, [CELEBAMASK19.value(cls) for cls in _CLASSES[region]])


def hull_region(points: np.ndarray, region: Region, size: tuple[int, ...]) -> np.ndarray:
    """(68, 2) landmarks in pixels and height and width -> (H, W) bool; not for hair."""
    if region != 'skin':
        return _hulls(points, region, size)
    without = [_hulls(points, part, size) for part in ('eyes', 'brows', 'mouth')]
    return _hulls(points, 'face', size) & ~np.logical_or.reduce(without)


def _hulls(points: np.ndarray, part: str, size: tuple[int, ...]) -> np.ndarray:
    """The convex hulls of a part's points; all but the face's own with a margin."""
    inside = np.zeros(size[:2], np.uint8)
    for which in _HULLS[part]:
        cv2.fillConvexPoly(inside, cv2.convexHull(np.round(points[which]).astype(np.int32)), 1)
    if part != 'face':
        radius = max(1, round(_MARGIN * float(np.linalg.norm(points[45] - points[36]))))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        cv2.dilate(inside, disc, inside)
    return inside.astype(bool)
