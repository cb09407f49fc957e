"""Reading and writing of images: the one place that does it.

Paths may hold any character on any system, EXIF rotation is applied, and a file that cannot be decoded is named.
"""

from __future__ import annotations

import codecs
import io
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from facesr_ext.data.image_heads import DAMAGE, HEAD, MOST_PIXELS, pixels_of
from facesr_ext.errors import DatasetError
from facesr_ext.places import user_path
from facesr_ext.runs.atomic import replaced_when_whole

IMAGE_SUFFIXES = (
    '.png', '.jpg', '.jpeg', '.jpe', '.jfif', '.jif', '.bmp', '.dib', '.webp', '.tif', '.tiff', '.avif', '.gif', '.jp2',
    '.ppm', '.pgm', '.pbm', '.pnm', '.pam', '.hdr', '.pic', '.sr', '.ras',
)  # fmt: skip
"""Of the files that are taken as images: all that OpenCV decodes, whatever it was built with."""
_WRITTEN = '.png, .jpg, .bmp, .webp, .tif'
_told: set[str] = set()


def list_images(folder: str | os.PathLike[str], key: Sequence[str] = ()) -> list[str]:
    """Relative paths (with '/') of the images below a folder, sorted. Links to folders are followed.

    How many files are no images by their suffix is logged, once a folder, where a run has opened its log.

    Args:
        folder (str | PathLike): The folder; hidden files and folders are passed over.
        key (Sequence[str]): The option that names it.

    Raises:
        DatasetError: if the folder is missing, cannot be read or holds no image.
    """
    root = user_path(folder)
    if not root.is_dir():
        raise DatasetError(f'there is no folder {root}; name an existing folder of images', key)
    names: list[str] = []
    others: Counter[str] = Counter()
    try:
        for entry in _files(str(root), (os.path.realpath(root),)):
            if is_image_name(entry.name) and entry.is_file():
                names.append(Path(entry.path).relative_to(root).as_posix())
            elif entry.is_file():
                others[os.path.splitext(entry.name)[1].lower() or 'no suffix'] += 1
            else:
                others['broken link' if entry.is_symlink() else 'no file'] += 1
    except OSError as err:
        raise DatasetError(f'cannot list {root}: {err}; see to its rights', key) from err
    if not names:
        raise DatasetError(f'no picture ({", ".join(IMAGE_SUFFIXES)}) in {root} or below it', key)
    if others:
        _tell_passed_over(root, others)
    return sorted(names)


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken as an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _files(folder: str, above: tuple[str, ...]) -> Iterator[os.DirEntry[str]]:
    """What is no folder below one, without what is hidden; a link to one of the folders ``above`` is a loop."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith('.'):
                continue
            if not entry.is_dir():
                yield entry
            elif (real := os.path.realpath(entry.path)) not in above:
                yield from _files(entry.path, (*above, real))


def _tell_passed_over(root: Path, others: Counter[str]) -> None:
    """Once a folder; where no log is open nothing is said: to open it is for the run, which gives it a file."""
    logger, place = logging.getLogger('basicsr'), os.path.realpath(root)
    if logger.disabled or not logger.handlers or place in _told:
        return
    _told.add(place)
    kinds = ', '.join(f'{kind} {num}' for kind, num in sorted(others.items(), key=lambda item: (-item[1], item[0])))
    logger.warning(f'{root}: {sum(others.values())} files passed over, which are no images ({kinds})')


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


def stored_size(file: str | os.PathLike[str] | io.BytesIO) -> tuple[int, int] | None:
    """Height and width of an image by the head of its file, before EXIF turns it; None where that cannot be read."""
    try:
        with Image.open(file) as img:
            return img.height, img.width
    except (*DAMAGE, Image.DecompressionBombError):
        return None


def decode_image(data: bytes | np.ndarray, where: str) -> np.ndarray:
    """Decodes the bytes of a picture file as 8-bit RGB.

    Args:
        data (bytes | ndarray): What the file holds.
        where (str): Its place, for the message.

    Returns:
        ndarray: (H, W, 3), uint8, RGB.

    Raises:
        DatasetError: naming the place, if it cannot be decoded, or has more than `MOST_PIXELS`.
    """
    array = np.frombuffer(data, np.uint8)
    _require_few_pixels(array, where)
    try:
        img = cv2.imdecode(array, cv2.IMREAD_COLOR) if array.size else None
    except cv2.error as err:
        raise DatasetError(
            f'{where} cannot be decoded ({err.err}): OpenCV takes up to 2^20 px a side and 2^30 px in all; cut it into '
            'parts, or remove it'
        ) from err
    if img is None:
        raise DatasetError(
            f'{where} is not a picture that can be decoded (cut off or of another format); remove or replace it'
        )
    return cv2.cvtColor(img, cv2.COLOR_BGR2RGB)


def _require_few_pixels(array: np.ndarray, where: str) -> None:
    if pixels_of(array[:HEAD].tobytes(), array) > MOST_PIXELS:
        raise DatasetError(
            f'{where} has more than {MOST_PIXELS // 10**6} million pixels, which are not decoded; cut it into parts, '
            'or remove it'
        )


def decode_photo(data: bytes) -> np.ndarray:
    """Decodes a photograph of any origin as 8-bit RGB: turned as EXIF says, CMYK converted, white behind what is clear.

    Args:
        data (bytes): What the file holds.

    Returns:
        ndarray: (H, W, 3), uint8, RGB.

    Raises:
        DatasetError: without a place: if it moves, is cut off, has too many pixels or cannot be decoded.
    """
    _require_few_pixels(np.frombuffer(data, np.uint8), 'it')
    try:
        with Image.open(io.BytesIO(data)) as img:
            frames = getattr(img, 'n_frames', 1)
            plain = img.mode not in ('CMYK', 'YCCK', 'RGBA', 'LA', 'PA') and 'transparency' not in img.info
            if plain:
                img.draft(img.mode, (1, 1))  # JPEG at an eighth of its size: only whether it is whole is asked here
            img.load()  # OpenCV fills up with grey what is cut off
            seen = None if plain else _flattened(turned(img))
    except Image.DecompressionBombError:
        frames, seen = 1, None  # it is refused below
    except UnidentifiedImageError:
        frames, seen = 1, None  # of another format than Pillow's
    except DAMAGE as err:
        raise DatasetError(f'damaged or cut off: {err}') from err
    if frames > 1:
        raise DatasetError(f'an animation or several pages: {frames} images in one file')
    return decode_image(data, 'it') if seen is None else seen


def turned(img: Image.Image) -> Image.Image:
    """An image that is loaded, as its EXIF asks for; as it is where that is damaged."""
    try:
        return ImageOps.exif_transpose(img)
    except DAMAGE:
        return img


def _flattened(img: Image.Image) -> np.ndarray:
    """RGB over white."""
    if img.mode not in ('CMYK', 'YCCK'):
        img = img.convert('RGBA')
        ground = Image.new('RGBA', img.size, 'white')
        img = Image.alpha_composite(ground, img)
    return np.array(img.convert('RGB'))


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


def decode_stored(data: bytes, where: str, most_pixels: int | None = None) -> StoredPicture:
    """Decodes the bytes of a picture file whole, checksums included, as a scorer reads it: by Pillow.

    Args:
        data (bytes): What the file holds.
        where (str): Its place, for the message.
        most_pixels (int | None): Refuses larger ones unread. Default: what Pillow allows, 179 million.

    Raises:
        DatasetError: naming the place, if it is damaged, cut off, too large or no picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as img:
            if most_pixels is not None and img.width * img.height > most_pixels:
                raise DatasetError(f'{where} has {img.width}x{img.height} px, and {most_pixels:,} pixels are read')
            img.verify()  # checksums; the picture has to be opened again after it
        with Image.open(io.BytesIO(data)) as img:
            name, mode = str(img.format), img.mode
            rgb = np.array(img.convert('RGB'))
    except (*DAMAGE, Image.DecompressionBombError) as err:
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
    except UnidentifiedImageError as err:
        raise DatasetError(f'cannot read the mask {where}: it is no image') from err
    except (*DAMAGE, Image.DecompressionBombError) as err:
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
        with replaced_when_whole(path) as temporary:  # where the path is a link, what it leads to stays
            temporary.write_bytes(data)
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
        raise DatasetError(f'cannot encode a picture as {suffix!r}; take one of {_WRITTEN}')
    return bytes(data)


def write_mask(path: str | os.PathLike[str], mask: np.ndarray) -> None:
    """Writes a mask (H, W) uint8 of class values as a palette PNG that shows each class in a colour of its own."""
    img = Image.fromarray(mask).convert('L')
    img.putpalette(_palette())
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_whole(path) as temporary:
        img.save(temporary, format='PNG')


def _palette() -> list[int]:
    """256 well separated colours: hues by the golden angle; value 0 is black."""
    hues = (np.arange(256) * 137.508) % 360 / 2
    hsv = np.stack([hues, np.full(256, 170), 140 + (np.arange(256) * 53) % 116], -1).astype(np.uint8)
    rgb = cv2.cvtColor(hsv[None], cv2.COLOR_HSV2RGB)[0]
    rgb[0] = 0
    return [int(v) for v in rgb.ravel()]


_INFO = re.compile(r'\s+\(\d+(,\s*\d+){1,2}\)(\s+\d+)?$')


def info_name(line: str) -> str:
    """The name of a line of a meta_info file, which may hold spaces: BasicSR's ' (h,w,c) n' at its end is cut off."""
    return _INFO.sub('', line.strip())


def read_text(path: str | os.PathLike[str]) -> str:
    """A text file, in UTF-8 with or without a byte order mark, or in UTF-16 with one, as Windows saves it.

    Raises:
        OSError, UnicodeDecodeError: if it cannot be read, or is of another encoding.
    """
    data = user_path(path).read_bytes()
    return data.decode('utf-16' if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else 'utf-8-sig')


def lines_of(text: str) -> list[str]:
    """The lines of a text as any system ends them; what Unicode alone counts as a line's end may stand in a name."""
    return re.split('\r\n|\n|\r', text)


def read_lines(path: str | os.PathLike[str], key: Sequence[str] = ()) -> list[str]:
    """The names of a meta_info file, one a line, as `info_name` has them; empty lines are left out.

    Args:
        path (str | PathLike): As `read_text` takes it.
        key (Sequence[str]): The option that names it.

    Raises:
        DatasetError: if the file is missing or names nothing.
    """
    try:
        lines = lines_of(read_text(path))
    except (OSError, UnicodeDecodeError) as err:
        raise DatasetError(f'cannot read {path}: {getattr(err, "strerror", None) or err}', key) from err
    names = [info_name(line) for line in lines if line.strip()]
    if not names:
        raise DatasetError(f'{path} names no image', key)
    return names
