"""Pictures as they are stored, and their bytes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesr_ext.data.image_io import decode_stored, encode_image, read_image, read_stored
from facesr_ext.errors import DatasetError


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(('suffix', 'name'), [('.png', 'PNG'), ('.jpg', 'JPEG'), ('.bmp', 'BMP'), ('.webp', 'WEBP')])
def test_what_a_file_says_of_itself(suffix: str, name: str, tmp_path: Path) -> None:
    img = _noise(8, 6, 3)
    (tmp_path / 'a').write_bytes(encode_image(img, suffix))
    stored = read_stored(tmp_path / 'a')
    assert (stored.format, stored.mode, stored.bits) == (name, 'RGB', 8) and stored.rgb.shape == (8, 6, 3)
    assert suffix in ('.jpg', '.webp') or np.array_equal(stored.rgb, img)
    assert decode_stored(encode_image(img[..., 0], '.png'), '').mode == 'L'


def test_rotation_is_not_applied_as_scorers_do_not(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(_noise(8, 6, 3)).save(tmp_path / 'a.jpg', exif=exif)
    assert read_stored(tmp_path / 'a.jpg').rgb.shape == (8, 6, 3)
    assert read_image(tmp_path / 'a.jpg').shape == (6, 8, 3)


def test_checksums_are_looked_at() -> None:
    data = io.BytesIO()
    Image.fromarray(_noise(32, 32, 3)).save(data, 'PNG')
    spoilt = bytearray(data.getvalue())
    spoilt[-20] ^= 1  # of the last chunk of the picture's data
    with pytest.raises(DatasetError, match='there is damaged or no picture'):
        decode_stored(bytes(spoilt), 'there')


def test_formats_that_cannot_be_written_and_files_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"cannot encode a picture as '\.txt'; take one of \.png"):
        encode_image(_noise(4, 4, 3), '.txt')
    with pytest.raises(DatasetError, match='cannot read .*nothing.png'):
        read_stored(tmp_path / 'nothing.png')
