"""Photographs with all that their files carry: EXIF, colour profile, alpha, 16 bits; read, and written back."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2
from PIL.TiffTags import TAGS_V2_GROUPS

from facesr_ext.data.image_heads import DAMAGE, HEAD, MOST_PIXELS, pixels_of
from facesr_ext.data.image_io import decode_image, turned
from facesr_ext.errors import DatasetError

WRITTEN = ('.png', '.jpg', '.webp', '.tif')
"""What a photograph is written as."""
_ALIKE = {'.jpeg': '.jpg', '.jpe': '.jpg', '.jfif': '.jpg', '.jif': '.jpg', '.tiff': '.tif'}
_NAMES = {'.png': 'PNG', '.jpg': 'JPEG', '.webp': 'WEBP', '.tif': 'TIFF'}
_SUFFIXES = {'PNG': '.png', 'JPEG': '.jpg', 'MPO': '.jpg', 'WEBP': '.webp', 'TIFF': '.tif'}
_ORIENTATION = 0x0112
_TURNS = {1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True), 5: (1, True), 6: (3, False), 7: (3, True),
          8: (1, False)}  # fmt: skip
_STRIP = 1 << 20  # bytes of a TIFF file that are deflated together
_DESCRIBING = {270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432, 34665, 34853}
"""Of EXIF in TIFF: what says something of the photograph, and not how the file is laid out."""
_UNWRITABLE = (OSError, ValueError, RuntimeError, struct.error)
"""What Pillow raises for pixels or notes that a format does not take; RuntimeError is libtiff's."""
_PLAIN = ('JPEG', 'PNG', 'WEBP', 'TIFF', 'BMP', 'GIF', 'AVIF')
"""Formats (Pillow's names) of photographs whose size is known before they are decoded; MPO opens as JPEG."""


class PhotoFile(NamedTuple):
    """A photograph as its file has it.

    Attributes:
        image (ndarray): (H, W, 3), uint8 or uint16, RGB, turned as EXIF says.
        alpha (ndarray | None): (H, W), of the same kind.
        gray (bool): The file has one channel of colour.
        suffix (str): Of what it is best written as: one of `WRITTEN`.
        exif, icc (bytes | None): As the file has them; EXIF no longer asks for a turn.
    """

    image: np.ndarray
    alpha: np.ndarray | None = None
    gray: bool = False
    suffix: str = '.png'
    exif: bytes | None = None
    icc: bytes | None = None


def written_suffix(suffix: str) -> str | None:
    """The suffix of `WRITTEN` that a file's suffix means ('.jpg' for '.JPEG'), None where there is none."""
    suffix = _ALIKE.get(suffix.lower(), suffix.lower())
    return suffix if suffix in WRITTEN else None


def decode_photo_file(data: bytes, most_pixels: int | None = None) -> PhotoFile:
    """Decodes a photograph of any origin.

    Args:
        data (bytes): What the file holds.
        most_pixels (int | None): Refuses larger ones unread, and formats that do not tell their size. Default: what
            Pillow allows, 179 million.

    Raises:
        DatasetError: without a place: if it moves, is cut off, has too many pixels or cannot be decoded.
    """
    if not data:
        raise DatasetError('an empty file')
    if pixels_of(data[:HEAD], np.frombuffer(data, np.uint8)) > MOST_PIXELS:
        raise DatasetError('too many pixels for one photograph, more than 178 million; cut it into parts')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)  # from half of what is refused on
            return _decoded(data, most_pixels)
    except UnidentifiedImageError as err:
        if most_pixels is not None:
            raise DatasetError('no photograph: JPEG, PNG, WebP, TIFF, BMP and AVIF are read') from err
        return PhotoFile(decode_image(data, 'it'))  # of another format than Pillow's
    except Image.DecompressionBombError as err:
        raise DatasetError(f'too many pixels for one photograph ({err}); cut it into parts') from err
    except MemoryError as err:
        raise DatasetError('it needs more memory than there is; cut it into parts') from err
    except DAMAGE as err:
        raise DatasetError(f'damaged or cut off: {err}') from err


def _decoded(data: bytes, most_pixels: int | None) -> PhotoFile:
    Image.init()
    formats = None if most_pixels is None else [name for name in _PLAIN if name in Image.OPEN]
    with Image.open(io.BytesIO(data), formats=formats) as img:
        if most_pixels is not None and img.width * img.height > most_pixels:
            size = f'{img.width}x{img.height} px, and {most_pixels / 1e6:g} million pixels are allowed'
            raise DatasetError(f'too many pixels for one photograph ({size}); make it smaller')
        frames = getattr(img, 'n_frames', 1)
        if frames > 1 and img.format != 'MPO':
            raise DatasetError(f'an animation or several pages: {frames} images in one file')
        suffix, icc = _SUFFIXES.get(str(img.format), '.png'), img.info.get('icc_profile')
        exif = _readable_exif(img)
        turn = exif.get(_ORIENTATION, 1)
        if _bits(img, data) == 16 and (deep := _deep(data, turn)) is not None:
            exif.pop(_ORIENTATION, None)
            return PhotoFile(*deep, suffix=suffix, exif=_bytes_of(exif), icc=icc)
        img.load()
        upright = turned(img)
        exif = _readable_exif(upright)
        exif.pop(_ORIENTATION, None)  # of no known turn
        gray = img.mode in ('1', 'L', 'LA', 'I;16', 'I')
        if img.mode in ('CMYK', 'YCCK'):
            icc = None  # of other inks than the result's
        alpha = None
        if img.mode in ('RGBA', 'LA', 'PA') or 'transparency' in img.info:
            upright = upright.convert('RGBA')
            alpha = np.array(upright.getchannel('A'))
        return PhotoFile(np.array(upright.convert('RGB')), alpha, gray, suffix, _bytes_of(exif), icc)


def _bits(img: Image.Image, data: bytes) -> int:
    """Of each channel: Pillow shows 16 bits of colour as 8."""
    if img.format == 'PNG':
        return data[24]  # IHDR's fifth field
    depths: Any = getattr(img, 'tag_v2', {}).get(258, 8)  # TIFF's BitsPerSample
    return int(max(depths)) if isinstance(depths, tuple) else int(depths)


def _deep(data: bytes, turn: int) -> tuple[np.ndarray, np.ndarray | None, bool] | None:
    """Image, alpha and whether it is grey, of a file of 16 bits; None where OpenCV has no such values of it."""
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16:
        return None
    turns, flips = _TURNS.get(turn, (0, False))
    stored = np.rot90(stored[:, ::-1] if flips else stored, turns)
    if stored.ndim == 2:
        return np.ascontiguousarray(np.repeat(stored[..., None], 3, 2)), None, True
    alpha = np.ascontiguousarray(stored[..., 3]) if stored.shape[2] == 4 else None
    return np.ascontiguousarray(stored[..., 2::-1]), alpha, False


def _readable_exif(img: Image.Image) -> Image.Exif:
    """That of an image; none where it is damaged, which costs the photograph no more than that."""
    try:
        exif = img.getexif()
        exif.tobytes()
    except DAMAGE:
        return Image.Exif()
    return exif


def _bytes_of(exif: Image.Exif) -> bytes | None:
    return exif.tobytes() if len(exif) else None


def encode_photo_file(photo: PhotoFile, quality: int = 95) -> tuple[bytes, list[str]]:
    """The bytes of a file that holds a photograph, and what of it that format cannot hold.

    Args:
        photo (PhotoFile): What to write, and by its suffix as what.
        quality (int): Of JPEG and WebP, from 1 to 100. Default: 95.

    Raises:
        DatasetError: if it cannot be encoded, such as a WebP of more than 16383 px.
    """
    deep, lost = photo.image.dtype == np.uint16, []
    if deep and photo.suffix in ('.png', '.tif'):
        return _encoded_deep(photo)
    if deep:
        lost.append(f'16 bits: {photo.suffix} has 8')
    image = _to_8_bits(photo.image)
    alpha = None if photo.alpha is None else _to_8_bits(photo.alpha)
    if alpha is not None and photo.suffix == '.jpg':
        lost.append('alpha: .jpg has none, white is behind it')
        share = alpha[..., None] / np.float32(255)
        image, alpha = np.rint(image * share + 255 * (1 - share)).astype(np.uint8), None
    gray = photo.gray and bool((image == image[..., :1]).all())
    layers = [image[..., :1] if gray else image] + ([] if alpha is None else [alpha[..., None]])
    if gray and alpha is not None and photo.suffix == '.webp':
        layers[0] = image
    pixels = np.concatenate(layers, axis=2)
    more = _arguments(photo, quality, gray)
    try:
        return _saved(pixels, photo.suffix, more), lost
    except _UNWRITABLE as err:
        if 'exif' not in more:
            raise DatasetError(f'cannot be written as {photo.suffix}: {err}; take another --format') from err
    return encode_photo_file(photo._replace(exif=None), quality)[0], [*lost, f'EXIF: {photo.suffix} cannot hold it']


def _saved(pixels: np.ndarray, suffix: str, more: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(out, _NAMES[suffix], **more)
    return out.getvalue()


def _arguments(photo: PhotoFile, quality: int, gray: bool) -> dict[str, Any]:
    """Pillow's arguments."""
    more: dict[str, Any] = {'exif': photo.exif} if photo.exif else {}
    if photo.icc and gray == photo.gray:  # a profile of grey does not fit colours
        more['icc_profile'] = photo.icc
    if photo.suffix in ('.jpg', '.webp'):
        more['quality'] = quality
    if photo.suffix == '.jpg':
        more['subsampling'] = 0
    if photo.suffix == '.tif':
        more['compression'] = 'tiff_lzw'
    return more


def _encoded_deep(photo: PhotoFile) -> tuple[bytes, list[str]]:
    """16 bits, which Pillow does not write of colours."""
    layers = [photo.image[..., ::-1]] + ([] if photo.alpha is None else [photo.alpha[..., None]])
    pixels = np.concatenate(layers, axis=2)
    if photo.gray and photo.alpha is None and (photo.image == photo.image[..., :1]).all():
        pixels = photo.image[..., 0]
    icc = photo.icc if (pixels.ndim == 2) == photo.gray else None
    if photo.suffix == '.tif':
        try:
            return _tiff(pixels, photo.exif, icc), []
        except (TypeError, ValueError, KeyError, struct.error):
            return _tiff(pixels, None, icc), ['EXIF: it has values of a kind that TIFF has not']
    try:
        ok, data = cv2.imencode(photo.suffix, np.ascontiguousarray(pixels))
    except cv2.error:
        ok = False
    if not ok:
        raise DatasetError(f'cannot be written as {photo.suffix} of 16 bits; take another --format')
    chunks = b''
    if icc:
        chunks += _chunk(b'iCCP', b'ICC\0\0' + zlib.compress(icc))
    if photo.exif:
        chunks += _chunk(b'eXIf', photo.exif.removeprefix(b'Exif\0\0'))
    head = 8 + 25  # the signature and IHDR
    return bytes(data[:head]) + chunks + bytes(data[head:]), []


def _tiff(pixels: np.ndarray, exif: bytes | None, icc: bytes | None) -> bytes:
    """A TIFF file of 16 bits, (H, W) or (H, W, 3 or 4) BGR, of Pillow's tags: deflated strips of differences."""
    pixels = np.atleast_3d(pixels)
    pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]] if pixels.shape[2] > 1 else pixels
    height, width, channels = pixels.shape
    steps = np.diff(pixels, axis=1, prepend=np.zeros_like(pixels[:, :1])).astype('<u2')
    rows = max(1, _STRIP // (2 * width * channels))
    strips = [zlib.compress(steps[top : top + rows].tobytes()) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    tags = ImageFileDirectory_v2()
    if exif:
        given = Image.Exif()
        given.load(exif)
        for tag in _DESCRIBING.intersection(given):
            tags[tag] = given.get_ifd(tag) if tag in TAGS_V2_GROUPS else given[tag]
    if icc:
        tags[34675] = icc
    tags[256], tags[257], tags[258], tags[277] = width, height, (16,) * channels, channels
    tags[259], tags[317] = 8, 2  # deflated; each pixel less its left neighbour
    tags[262], tags[284] = 2 if channels > 1 else 1, 1  # RGB or grey; the channels of a pixel together
    if channels == 4:
        tags[338] = 2  # alpha, by which the colours are not multiplied
    tags[278], tags[279] = rows, tuple(sizes)
    tags[273] = tuple(np.cumsum([0, *sizes[:-1]]).tolist())  # counted from the end of the tags
    out = io.BytesIO()
    tags.save(out)
    return out.getvalue() + b''.join(strips)


def _chunk(name: bytes, content: bytes) -> bytes:
    """Of a PNG file."""
    return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))


def _to_8_bits(image: np.ndarray) -> np.ndarray:
    return image if image.dtype == np.uint8 else (image // 257).astype(np.uint8)
