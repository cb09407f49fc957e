"""Pictures as they are stored, and their bytes."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesr_ext.data.image_io import (
    IMAGE_SUFFIXES,
    decode_stored,
    encode_image,
    list_images,
    read_image,
    read_stored,
    write_image,
)
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


# ---- folders -------------------------------------------------------------------------------------------------------


def test_linked_folders_are_entered_and_loops_are_not(tmp_path: Path) -> None:
    for name in ('in/own.png', 'elsewhere/a.png', 'elsewhere/deep/b.png', 'in/.hidden/c.png', 'in/.d.png'):
        write_image(tmp_path / name, _noise(4, 4, 3))
    (tmp_path / 'in' / 'linked').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'in' / 'again').symlink_to(tmp_path / 'elsewhere' / 'deep')
    (tmp_path / 'elsewhere' / 'up').symlink_to(tmp_path / 'in')
    (tmp_path / 'elsewhere' / 'self').symlink_to(tmp_path / 'elsewhere')
    (tmp_path / 'in' / 'one.png').symlink_to(tmp_path / 'elsewhere' / 'a.png')
    (tmp_path / 'in' / 'gone.png').symlink_to(tmp_path / 'nowhere.png')
    assert list_images(tmp_path / 'in') == [
        'again/b.png', 'linked/a.png', 'linked/deep/b.png', 'one.png', 'own.png',
    ]  # fmt: skip
    (tmp_path / 'only').symlink_to(tmp_path / 'elsewhere')
    assert 'a.png' in list_images(tmp_path / 'only')


@pytest.mark.parametrize('suffix', IMAGE_SUFFIXES)
def test_every_suffix_that_is_listed_is_read(suffix: str, tmp_path: Path) -> None:
    """The pixels of .hdr, .pic, .pbm and .gif are others: they hold no 8-bit RGB."""
    img, data = np.tile(np.arange(0, 240, 15, dtype=np.uint8)[:, None, None], (1, 16, 3)), io.BytesIO()
    pillow = {'.jfif': 'JPEG', '.jif': 'JPEG', '.jp2': 'JPEG2000', '.pgm': 'PPM', '.pbm': 'PPM', '.dib': 'BMP'}
    if suffix in pillow:
        mode = {'.pgm': 'L', '.pbm': '1'}.get(suffix, 'RGB')
        Image.fromarray(img).convert(mode).save(data, pillow[suffix])
    try:
        path = tmp_path / f'a{suffix.upper()}'
        path.write_bytes(data.getvalue() or encode_image(img, suffix))
    except DatasetError:
        pytest.skip(f'this OpenCV does not write {suffix}')
    assert list_images(tmp_path) == [path.name] and read_image(path).shape == (16, 16, 3)
    assert suffix in ('.hdr', '.pic', '.pbm', '.gif') or np.abs(read_image(path).astype(int) - img).max() < 32


def test_what_is_passed_over_is_told_once_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('a.png', 'b.png'):
        write_image(tmp_path / name, _noise(4, 4, 3))
    for name in ('a.txt', 'b.TXT', 'c.heic', 'readme', '.DS_Store'):
        (tmp_path / name).write_text('')
    (tmp_path / 'gone.png').symlink_to(tmp_path / 'nowhere.png')
    logger, handler, told = logging.getLogger('basicsr'), logging.Handler(), list[str]()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    for handlers, disabled in (([], False), ([handler], True), ([handler], False), ([handler], False)):
        monkeypatch.setattr(logger, 'handlers', handlers)  # at first no log is open, as in the option check
        monkeypatch.setattr(logger, 'disabled', disabled)
        monkeypatch.setattr(logger, 'level', logging.INFO)
        assert len(list_images(tmp_path)) == 2
    assert told == [
        f'{tmp_path}: 5 files passed over, which are no images (.txt 2, .heic 1, broken link 1, no suffix 1)'
    ]


def test_a_folder_of_other_files_says_what_is_read(tmp_path: Path) -> None:
    (tmp_path / 'a.txt').write_text('')
    with pytest.raises(DatasetError, match=r'GT: no picture \(\.png, .*\.jfif'):
        list_images(tmp_path, ('GT',))
