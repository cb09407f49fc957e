"""Reading and writing of pictures: the one place that does it.

Paths may hold any character on any system, EXIF rotation is applied, and a file that cannot be decoded is named.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from facesr_ext.errors import DatasetError

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.webp', '.tif', '.tiff')


def list_images(folder: str | os.PathLike[str], key: Sequence[str] = ()) -> list[str]:
    """Relative paths (with '/') of the pictures below a folder, sorted.

    Args:
        folder (str | PathLike): The folder; hidden files and folders are passed over.
        key (Sequence[str]): The option that names it.

    Raises:
        DatasetError: if the folder is missing or holds no picture.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DatasetError(f'there is no folder {root}; name an existing folder of pictures', key)
    found = (p.relative_to(root) for p in root.rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    names = sorted(p.as_posix() for p in found if not any(part.startswith('.') for part in p.parts))
    if not names:
        raise DatasetError(f'no picture ({", ".join(IMAGE_SUFFIXES)}) in {root} or below it', key)
    return names


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a picture as 8-bit RGB.

    Returns:
        ndarray: (H, W, 3), uint8, RGB.

    Raises:
        DatasetError: naming the file, if it is missing or cannot be decoded.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as err:
        raise DatasetError(f'cannot read {path}: {err.strerror or err}') from err
    return decode_image(data, str(path))


def decode_image(data: bytes | np.ndarray, where: str) -> np.ndarray:
    """Decodes the bytes of a picture file as 8-bit RGB.

    Args:
        data (bytes | ndarray): What the file holds.
        where (str): Its place, for the message.

    Returns:
        ndarray: (H, W, 3), uint8, RGB.

    Raises:
        DatasetError: naming the place, if it cannot be decoded.
    """
    array = np.frombuffer(data, np.uint8)
    img = cv2.imdecode(array, cv2.IMREAD_COLOR) if array.size else None
    if img is None:
        raise DatasetError(
            f'{where} is not a picture that can be decoded (cut off or of another format); remove or replace it'
        )
    return cv2.cvtColor(img, cv2.COLOR_BGR2RGB)


class StoredPicture(NamedTuple):
    """What a file says of its picture, before any reader makes 8-bit RGB of it.

    Attributes:
        format (str): 'PNG', 'JPEG', ...
        mode (str): Pillow's: 'RGB', 'RGBA', 'L' (grey), 'P' (palette), ...
        bits (int): Of each channel.
        rgb (ndarray): (H, W, 3), uint8, RGB, as stored: no rotation that EXIF asks for, no alpha.
    """

    format: str
    mode: str
    bits: int
    rgb: np.ndarray


def read_stored(path: str | os.PathLike[str]) -> StoredPicture:
    """Reads a picture as it is stored; as `decode_stored`, and DatasetError for a file that is missing."""
    try:
        data = Path(path).read_bytes()
    except OSError as err:
        raise DatasetError(f'cannot read {path}: {err.strerror or err}') from err
    return decode_stored(data, str(path))


def decode_stored(data: bytes, where: str) -> StoredPicture:
    """Decodes the bytes of a picture file whole, checksums included, as a scorer reads it: by Pillow.

    Args:
        data (bytes): What the file holds.
        where (str): Its place, for the message.

    Raises:
        DatasetError: naming the place, if it is damaged, cut off or no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as img:
            img.verify()  # checksums; the picture has to be opened again after it
        with Image.open(io.BytesIO(data)) as img:
            name, mode = str(img.format), img.mode
            rgb = np.array(img.convert('RGB'))
    except (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as err:
        raise DatasetError(f'{where} is damaged or no picture: {err}') from err
    bits = data[24] if name == 'PNG' else 8  # IHDR's fifth field: Pillow shows 16 bits as 8
    return StoredPicture(name, mode, bits, rgb)


def read_mask(path: str | os.PathLike[str]) -> np.ndarray:
    """Reads a mask of class values (palette or grey PNG).

    Returns:
        ndarray: (H, W), uint8, the stored values.

    Raises:
        DatasetError: naming the file, if it is missing, cannot be decoded or is a colour picture.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as err:
        raise DatasetError(f'cannot read the mask {path}: {err.strerror or err}') from err
    return decode_mask(data, str(path))


def decode_mask(data: bytes, where: str) -> np.ndarray:
    """Decodes the bytes of a mask file; as `read_mask`, with ``where`` for the message."""
    try:
        with Image.open(io.BytesIO(data)) as img:
            if img.mode not in ('P', 'L', '1'):
                raise DatasetError(
                    f'{where} has mode {img.mode}; a mask is a palette or grey PNG that holds class values'
                )
            return np.array(img, dtype=np.uint8)
    except (OSError, UnidentifiedImageError) as err:
        raise DatasetError(f'cannot read the mask {where}: {err}') from err


def write_image(path: str | os.PathLike[str], img: np.ndarray) -> None:
    """Writes an RGB or grey picture in the format of its suffix, making the folder where needed.

    Args:
        path (str | PathLike): Where to.
        img (ndarray): (H, W, 3) RGB or (H, W), uint8.

    Raises:
        DatasetError: if it cannot be encoded or written.
    """
    path = Path(path)
    data = encode_image(img, path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as err:
        raise DatasetError(f'cannot write {path}: {err.strerror or err}') from err


def encode_image(img: np.ndarray, suffix: str = '.png') -> bytes:
    """The bytes of a picture file.

    Args:
        img (ndarray): (H, W, 3) RGB or (H, W), uint8.
        suffix (str): Names the format, as '.png'.

    Raises:
        DatasetError: for a format that cannot be written.
    """
    try:
        ok, data = cv2.imencode(suffix, cv2.cvtColor(img, cv2.COLOR_RGB2BGR) if img.ndim == 3 else img)
    except cv2.error:
        ok = False
    if not ok:
        raise DatasetError(f'cannot encode a picture as {suffix!r}; take one of {", ".join(IMAGE_SUFFIXES)}')
    return bytes(data)


def write_mask(path: str | os.PathLike[str], mask: np.ndarray) -> None:
    """Writes a mask (H, W) uint8 of class values as a palette PNG that shows each class in a colour of its own."""
    img = Image.fromarray(mask).convert('L')
    img.putpalette(_palette())
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    img.save(path)


def _palette() -> list[int]:
    """256 well separated colours: hues by the golden angle; value 0 is black."""
    hues = (np.arange(256) * 137.508) % 360 / 2
    hsv = np.stack([hues, np.full(256, 170), 140 + (np.arange(256) * 53) % 116], -1).astype(np.uint8)
    rgb = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    rgb[0] = 0
    return [int(v) for v in rgb.ravel()]


def read_lines(path: str | os.PathLike[str], key: Sequence[str] = ()) -> list[str]:
    """The first word of each line of a meta_info file, empty lines left out.

    Raises:
        DatasetError: if the file is missing or names nothing.
    """
    try:
        lines: Iterable[str] = Path(path).read_text(encoding='utf-8').splitlines()
    except OSError as err:
        raise DatasetError(f'cannot read {path}: {err.strerror or err}', key) from err
    words = [line.split()[0] for line in lines if line.strip()]
    if not words:
        raise DatasetError(f'{path} names no picture', key)
    return words
