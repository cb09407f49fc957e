"""How many pixels a file is going to have, by its head, before a decoder makes room for them."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib

import numpy as np
from PIL import Image

MOST_PIXELS = 178_956_970
"""Of an image that is decoded, as Pillow has it: half a GiB of 8-bit RGB. A file of 100 kB may say billions."""
HEAD = 1 << 18
"""Bytes in which the size of an image stands: in a JPEG it follows EXIF and colour profile."""
DAMAGE = (
    OSError, SyntaxError, ValueError, struct.error, zlib.error, EOFError, LookupError, TypeError, MemoryError,
)  # fmt: skip
"""What Pillow raises of damaged files."""

_TEXT = re.compile(rb'[-+]Y +(\d{1,9}) +[-+]X +(\d{1,9})|\nHEIGHT +(\d{1,9})|\nWIDTH +(\d{1,9})')
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the markers of JPEG that a size follows


def pixels_of(head: bytes, data: np.ndarray) -> int:
    """Width times height, 0 where the head says neither: what is wrong with such a file, the decoder says.

    Args:
        head (bytes): The first bytes of the file, up to :data:`HEAD`.
        data (ndarray): All of it, uint8; Pillow looks at that where the format is none of the usual ones.
    """
    padded = head[:32].ljust(32, b'\0')
    if head[:8] == b'\x89PNG\r\n\x1a\n':
        sides = struct.unpack('>II', padded[16:24])
    elif head[:2] == b'\xff\xd8':
        sides = _sides_of_jpeg(head)
    elif head[:2] == b'BM':
        sides = struct.unpack('<ii', padded[18:26])
    elif head[:4] == b'GIF8':
        sides = struct.unpack('<HH', padded[6:10])
    elif head[:4] == b'RIFF' and padded[12:15] == b'VP8' and padded[15:16] in b' L':  # 14 bits each
        sides = _sides_of_webp(padded)
    elif head[:4] == b'\x59\xa6\x6a\x95':  # a Sun raster
        sides = struct.unpack('>II', padded[4:12])
    elif head[:2] in (b'#?', b'P7'):  # Radiance HDR, PAM
        found = [int(side) for match in _TEXT.findall(head[:4096]) for side in match if side]
        sides = (found[0], found[1]) if len(found) > 1 else (0, 0)
    else:
        return _by_pillow(data)
    return abs(sides[0] * sides[1])


def _sides_of_jpeg(head: bytes) -> tuple[int, int]:
    """The largest frame that is announced; its bytes need no decoding to be found."""
    place, sides = 2, (0, 0)
    while place + 9 <= len(head) and head[place] == 0xFF:
        marker, length = head[place + 1], int.from_bytes(head[place + 2 : place + 4], 'big')
        if marker in _FRAMES:
            found = struct.unpack('>HH', head[place + 5 : place + 9])
            sides = max(sides, (found[0], found[1]), key=lambda both: both[0] * both[1])
        place += 1 if marker == 0xFF else 2 + max(2, length)
    return sides


def _sides_of_webp(head: bytes) -> tuple[int, int]:
    if head[15:16] == b' ':
        return int.from_bytes(head[26:28], 'little') & 0x3FFF, int.from_bytes(head[28:30], 'little') & 0x3FFF
    bits = int.from_bytes(head[21:25], 'little')
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


def _by_pillow(data: np.ndarray) -> int:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data.tobytes())) as img:
                return img.width * img.height
    except Image.DecompressionBombError:
        return MOST_PIXELS + 1
    except DAMAGE:
        return 0
