"""Lists of images, folders and images as other tools and systems write them: taken, or refused before the run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from basicsr.data import build_dataset
from PIL import Image

from facesr_ext.data.image_io import write_image
from facesr_ext.errors import DatasetError, OptionError

NAMES = ('a.png', 's/\u00e4.png', 's/face (1).png', 'two\u2028lines.png')


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Images of several names, and their LQ at 4x."""
    for i, name in enumerate(NAMES):
        write_image(tmp_path / 'gt' / name, np.full((16, 16, 3), 10 * i, np.uint8))
        write_image(tmp_path / 'lq' / name, np.full((4, 4, 3), 10 * i, np.uint8))
    (tmp_path / 'gt' / 'notes.txt').write_text('no image')
    return tmp_path


def _open(place: Path, kind: str = 'FaceDataset', **changes: Any) -> Any:
    opt = {'name': 'f', 'type': kind, 'phase': 'val', 'scale': 4, 'dataroot_gt': str(place / 'gt'), **changes}
    return build_dataset(opt)


def _listed(place: Path, text: str | bytes, **changes: Any) -> list[str]:
    """The images that a list of this text names."""
    path = place / 'list.txt'
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    data = _open(place, meta_info_file=str(path), **changes)
    for i in range(len(data)):
        assert 'gt' in data[i]
    return list(data.paths)


@pytest.mark.parametrize(
    ('text', 'names'),
    [
        ('a.png\r\ns/face (1).png\r\n', [NAMES[0], NAMES[2]]),
        ('a.png\rs/face (1).png', [NAMES[0], NAMES[2]]),
        ('\n\n  a.png\t(16,16,3)\t1\n\n', [NAMES[0]]),
        ('./a.png\ns/../s/\u00e4.png', [NAMES[0], NAMES[1]]),
        ('s\\\u00e4.png', [NAMES[1]]),
        ('s/a\u0308.png', [NAMES[1]]),
        ('two\u2028lines.png', [NAMES[3]]),
        ('{root}/a.png\n{root}/s/face (1).png', [NAMES[0], NAMES[2]]),
    ],
    ids=('CRLF', 'CR', 'tabs', 'dots', "Windows' separator", 'decomposed letters', 'separator in a name', 'in full'),
)
@pytest.mark.parametrize('kind', ['FaceDataset', 'PairedFaceDataset'])
def test_lists_that_are_taken(kind: str, text: str, names: list[str], place: Path) -> None:
    """Under the names that the images have, by which their labels and pairs are found."""
    more = {'dataroot_lq': str(place / 'lq')} if kind.startswith('Paired') else {}
    assert _listed(place, text.replace('{root}', str(place / 'gt')), kind=kind, **more) == names


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a.png\nnotes.txt', "the first is 'notes.txt'"),
        ('s', "the first is 's'"),
        ('a', "the first is 'a'"),
        ('../gt2/a.png', "the first is '../gt2/a.png'"),
        ('../lq/a.png', "the first is '../lq/a.png'"),
        ('/etc/a.png', "the first is '/etc/a.png'"),
        ('a.png,0.5', "the first is 'a.png,0.5'"),
        ('a.png\t12', r"the first is 'a.png\\t12'"),
        ('"a.png"', 'the first is \'"a.png"\''),
        ('# faces\na.png', "the first is '# faces'"),
        ('a.png\0', r"the first is 'a.png\\x00'"),
        ('a.png\n'.encode('utf-16-le'), 'are not in'),
        ('\u00e4.png'.encode('latin-1'), 'cannot read'),
        (' \n\t\r\n', 'names no image'),
    ],
)
def test_lists_that_are_refused(text: str | bytes, message: str, place: Path) -> None:
    with pytest.raises(DatasetError, match=f'datasets:val:meta_info_file: .*{message}'):
        _listed(place, text)


def test_an_image_that_is_listed_twice(place: Path, told: list[str]) -> None:
    """Its results would have one name; in training it is drawn twice as often."""
    with pytest.raises(DatasetError, match=r'meta_info_file: names 1 images more than once, the first is a\.png'):
        _listed(place, 'a.png\n./a.png')
    assert _listed(place, 'a.png\n./a.png', phase='train') == ['a.png', 'a.png']
    assert f'f: 2 images in {place / "gt"}, as listed; 3 there are not in the list, 1 lines name one again' in told


@pytest.mark.parametrize('key', ['dataroot_gt', 'meta_info_file', 'dataroot_parsing', 'landmark_file'])
@pytest.mark.parametrize('value', ['', '  ', 'a\0b'])
def test_paths_that_are_none(key: str, value: str, place: Path) -> None:
    with pytest.raises(OptionError, match=f'datasets:val:{key}: must be a path, not '):
        _open(place, **{key: value})


def test_folders_that_cannot_be_joined(place: Path) -> None:
    (place / 'again').symlink_to(place / 'gt')
    for other, message in (('again', 'has one folder twice'), ('gt/', 'has one folder twice'), ('no', 'is no folder')):
        with pytest.raises((OptionError, DatasetError), match=f'dataroot_gt: .*{message}'):
            _open(place, dataroot_gt=[str(place / 'gt'), f'{place}/{other}'])
    with pytest.raises(OptionError, match="dataroot_gt: must be a path, not ''"):
        _open(place, dataroot_gt=[str(place / 'gt'), ''])
    assert len(_open(place, dataroot_gt=[str(place / 'gt'), str(place / 'gt' / 's')])) == 4  # each of them once


@pytest.mark.parametrize('template', ['x4', '{}x{}', '%sx4', '{:d}', '{name}', '{', '{0.x}'])
def test_names_of_lq_images_hold_the_gts(template: str, place: Path) -> None:
    """Without it all GTs would have one LQ."""
    with pytest.raises(OptionError, match='datasets:val:filename_tmpl: must have {}'):
        _open(place, 'PairedFaceDataset', dataroot_lq=str(place / 'lq'), filename_tmpl=template)


def test_pairs_across_systems_and_cases(place: Path) -> None:
    """Letters may be decomposed; names that differ in case are others."""
    (place / 'lq' / NAMES[1]).rename(place / 'lq' / 's' / 'a\u0308.png')
    data = _open(place, 'PairedFaceDataset', dataroot_lq=str(place / 'lq'))
    assert [float(data[i]['lq'].mean() * 255) for i in range(4)] == pytest.approx(
        [0, 20, 10, 30]
    )  # in the order of their names
    (place / 'lq' / 'a.png').rename(place / 'lq' / 'A.png')
    if not (place / 'lq' / 'a.png').exists():
        with pytest.raises(DatasetError, match='dataroot_lq: 1 of 4 images have no LQ .* the first is a'):
            _open(place, 'PairedFaceDataset', dataroot_lq=str(place / 'lq'))


# ---- images ----------------------------------------------------------------------------------------------------------

COLOUR = np.broadcast_to(np.array([200, 120, 40], np.uint8), (16, 24, 3))
PICTURE = Image.fromarray(np.ascontiguousarray(COLOUR))
ALPHA = Image.fromarray(np.dstack([COLOUR, np.zeros((16, 24), np.uint8)]))
PAGES = {'save_all': True, 'append_images': [Image.new('RGB', (24, 16))]}


def _encoded(suffix: str, array: np.ndarray) -> bytes:
    return bytes(cv2.imencode(suffix, array)[1])


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    ('name', 'write'),
    [
        ('cmyk.jpg', lambda path: PICTURE.convert('CMYK').save(path, quality=95)),
        ('turned.jpg', lambda path: PICTURE.save(path, exif=_turned(), quality=95)),
        ('sixteen.png', lambda path: path.write_bytes(_encoded('.png', COLOUR[..., ::-1].astype(np.uint16) * 257))),
        ('palette.png', lambda path: PICTURE.quantize(8).save(path)),
        ('alpha.png', lambda path: ALPHA.save(path)),
        ('moving.gif', lambda path: PICTURE.save(path, **PAGES)),
        ('pages.tif', lambda path: PICTURE.save(path, **PAGES)),
        ('JPEG.PNG', lambda path: PICTURE.save(path, format='JPEG', quality=95)),
        ('50% #1 \U0001f600..png', lambda path: PICTURE.save(path)),
        ('a\nb.png', lambda path: PICTURE.save(path)),
        ('folder.png/in.png', lambda path: PICTURE.save(path)),
    ],
)
def test_images_of_every_kind_are_the_same_rgb(name: str, write: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / 'gt' / name
    path.parent.mkdir(parents=True)
    write(path)
    gt = _open(tmp_path)[0]['gt']
    assert tuple(gt.shape[1:]) == ((24, 16) if name.startswith('turned') else (16, 24))
    assert np.abs(gt.numpy().transpose(1, 2, 0) * 255 - [200, 120, 40]).max() < 6


@pytest.mark.parametrize(
    ('name', 'write', 'message'),
    [
        ('empty.png', lambda path: path.write_bytes(b''), r'empty\.png is not a picture'),
        ('page.jpg', lambda path: path.write_text('<!DOCTYPE html>'), r'page\.jpg is not a picture'),
        (
            'scan.tif',
            lambda path: path.write_bytes(_encoded('.tif', np.zeros((8, 8, 3), np.float32))),
            r'scan\.tif is not',
        ),
        ('folder.png', lambda path: path.mkdir(), 'dataroot_gt: no picture'),
        ('photo.heic', lambda path: path.write_bytes(b'x'), 'dataroot_gt: no picture'),
    ],
)
def test_what_is_no_image_is_named(name: str, write: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    (tmp_path / 'gt').mkdir()
    write(tmp_path / 'gt' / name)
    with pytest.raises(DatasetError, match=message):
        _open(tmp_path)[0]


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='a system without named pipes')
def test_what_is_no_file_is_passed_over(place: Path, told: list[str]) -> None:
    os.mkfifo(place / 'gt' / 'pipe.png')
    (place / 'gt' / 'broken.png').symlink_to(place / 'gone')
    assert len(_open(place)) == 4
    passed = '3 files passed over, which are no images (.txt 1, broken link 1, no file 1)'
    assert f'{place / "gt"}: {passed}' in told
