"""What `PhotoRestorer` asks of its arguments and of a photograph."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from facesr_ext.errors import DatasetError, OptionError


def require_photo(image: np.ndarray) -> None:
    """Requires (H, W, 3), uint8 or uint16.

    Raises:
        DatasetError: for anything else.
    """
    kind = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else type(image).__name__
    if not isinstance(image, np.ndarray) or image.dtype not in (np.uint8, np.uint16) or image.ndim != 3:
        raise DatasetError(f'the photograph is {kind}; give (H, W, 3) RGB, uint8 or uint16')
    if image.shape[2] != 3 or not image.size:
        raise DatasetError(f'the photograph is {kind}; give (H, W, 3) RGB, uint8 or uint16')


def require_strength(strength: float) -> None:
    """Requires a share of the change, in [0, 1].

    Raises:
        OptionError: for anything else.
    """
    if not 0 <= strength <= 1:
        raise OptionError(f'must be from 0 to 1, not {strength!r}', ('strength',))


def require_bounds(
    min_face: int,
    max_face: int | None,
    strength: float,
    upscale: float | None,
    angles: Sequence[int],
    batch_size: int | None,
) -> None:
    """Requires that the numbers of a restorer are within their bounds.

    Raises:
        OptionError: for the first that is not.
    """
    least = {'min_face': min_face, 'max_face': max_face, 'batch_size': batch_size}
    for name, value in least.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise OptionError(f'must be a whole number from 1 on, not {value!r}', (name,))
    require_strength(strength)
    if upscale is not None and not 0.1 <= upscale <= 16:
        raise OptionError(f'must be from 0.1 to 16, not {upscale!r}', ('upscale',))
    if not angles or set(angles) - {0, 90, 180, 270}:
        raise OptionError(f'must be of 0, 90, 180 and 270, not {list(angles)}', ('angles',))


def is_gray(photo: np.ndarray) -> bool:
    """Whether a photograph (H, W, 3) is grey, but for a JPEG's rounding."""
    small = cv2.resize(to_8_bits(photo), (256, 256), interpolation=cv2.INTER_AREA).astype(np.int16)
    return float(np.ptp(small, axis=2).mean()) < 2


def to_8_bits(photo: np.ndarray) -> np.ndarray:
    """A photograph of uint8 or uint16 as one of uint8."""
    return photo if photo.dtype == np.uint8 else (photo // 257).astype(np.uint8)
