"""Files that do harm to a reader that trusts them; each is made where a test needs it."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from facesr_ext.archs.srresnet_arch import SRResNet
from facesr_ext.runs.checkpoints import META_KEY

ARCH = {'type': 'SRResNet', 'scale': 4, 'num_feat': 4, 'num_block': 1}


class Exploit:
    """An object whose unpickling makes a folder.

    Args:
        marker (Path): The folder.
    """

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


def pickled(marker: Path) -> dict[str, bytes]:
    """The exploit in every form that a file of weights has: name -> bytes."""
    found = {f'pickle protocol {protocol}': pickle.dumps(Exploit(marker), protocol) for protocol in (0, 2, 4)}
    for name, zipped in (('torch archive', True), ('torch before 1.6', False)):
        out = io.BytesIO()
        torch.save({'params': Exploit(marker)}, out, _use_new_zipfile_serialization=zipped)
        found[name] = out.getvalue()
    return found


def polyglot(marker: Path) -> bytes:
    """A file that begins as one of safetensors and ends as an archive of torch."""
    header = b'{"__metadata__":{"format":"pt"}}'
    return struct.pack('<Q', len(header)) + header + pickled(marker)['torch archive']


def weights(arch: Mapping[str, Any] = ARCH) -> dict[str, torch.Tensor]:
    """Those of a small SRResNet."""
    torch.manual_seed(0)
    return SRResNet(**{key: value for key, value in arch.items() if key != 'type'}).state_dict()


def checkpoint(path: Path, changes: Mapping[str, Any] | None = None, **metadata: Any) -> Path:
    """A checkpoint of a small SRResNet, with other weights or another description."""
    torch.save({'params': {**weights(), **(changes or {})}, META_KEY: {'arch': ARCH, 'scale': 4, **metadata}}, path)
    return path


def swollen(path: Path, size: int) -> Path:
    """A checkpoint whose archive is packed: one weight is so many bytes of zeros."""
    out = io.BytesIO()
    torch.save({'params': {'a': torch.zeros(size // 4)}}, out)
    with zipfile.ZipFile(out) as plain, zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    return path


def laughs(depth: int = 12, width: int = 10) -> list[Any]:
    """Lists of one list ``width`` times, ``depth`` deep: small in memory and in a pickle, endless when copied."""
    found: list[Any] = ['ha']
    for _ in range(depth):
        found = [found] * width
    return found


def png(width: int, height: int, rows: int = 1000) -> bytes:
    """A PNG that says that it has so many black pixels, with the data of some rows."""
    data = zlib.compress(b'\0' * (1 + (width + 7) // 8) * rows, 9)
    head = struct.pack('>IIBBBBB', width, height, 1, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', head) + _chunk(b'IDAT', data) + _chunk(b'IEND', b'')


def large_pictures() -> dict[str, bytes]:
    """Small files of many pixels by their heads, of every format: name -> bytes."""
    side = 60_000
    jpeg = bytearray(_saved('JPEG'))
    place = jpeg.find(b'\xff\xc0')
    jpeg[place + 5 : place + 9] = struct.pack('>HH', side, side)
    gif = bytearray(_saved('GIF'))
    gif[6:10] = struct.pack('<HH', side, side)
    bmp = bytearray(_saved('BMP'))
    bmp[18:26] = struct.pack('<ii', side, side)
    webp = bytearray(_saved('WEBP', lossless=True))
    webp[21:25] = ((16383 | 16383 << 14) | int.from_bytes(webp[21:25], 'little') & 0xF0000000).to_bytes(4, 'little')
    tiff = bytearray(_saved('TIFF'))
    start = struct.unpack('<I', tiff[4:8])[0]
    for entry in range(start + 2, len(tiff) - 11, 12):
        if struct.unpack('<H', tiff[entry : entry + 2])[0] in (256, 257):  # width and height
            tiff[entry + 2 : entry + 12] = struct.pack('<HII', 4, 1, side)
    return {
        'a.png': png(side, side), 'a.jpg': bytes(jpeg), 'a.gif': bytes(gif), 'a.bmp': bytes(bmp),
        'a.webp': bytes(webp), 'a.tif': bytes(tiff), 'a.ppm': b'P6 %d %d 255\n' % (side, side),
        'a.pam': b'P7\nWIDTH %d\nHEIGHT %d\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n' % (side, side),
        'a.hdr': b'#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n' % (side, side),
        'a.ras': b'\x59\xa6\x6a\x95' + struct.pack('>IIIIIII', side, side, 24, 0, 1, 0, 0),
    }  # fmt: skip


def _saved(kind: str, **more: Any) -> bytes:
    out = io.BytesIO()
    Image.new('RGB', (16, 16)).save(out, kind, **more)
    return out.getvalue()


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))
