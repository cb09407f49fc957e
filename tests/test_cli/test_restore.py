"""``facesr restore``: files of every kind in, files of the same kind out; what is bad is named, the rest is done."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from basicsr.archs.srresnet_arch import MSRResNet
from PIL import Image, ImageCms
from skimage import data

from facesr_ext.cli.main import main
from facesr_ext.data.image_io import read_image
from facesr_ext.data.photo_io import PhotoFile, decode_photo_file, encode_photo_file, written_suffix
from facesr_ext.errors import DatasetError
from facesr_ext.runs.checkpoints import META_KEY, save_atomic


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small network."""
    arch: dict[str, Any] = {'num_feat': 4, 'num_block': 1, 'upscale': 2}
    torch.manual_seed(0)
    net = MSRResNet(**arch)
    path = tmp_path_factory.mktemp('model') / 'net_g.pth'
    save_atomic({'params': net.state_dict(), META_KEY: {'arch': {'type': 'MSRResNet', **arch}, 'scale': 2}}, path)
    return path


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['restore', *map(str, arguments)])
    return int(ended.value.code or 0)


def _astronaut(side: int = 160) -> np.ndarray:
    return cv2.resize(data.astronaut()[:360, 60:420], (side, side), interpolation=cv2.INTER_AREA)


def _files(folder: Path) -> dict[str, bytes]:
    paths = [path for path in sorted(folder.rglob('*')) if path.is_file() and '.restore' not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_folder_without_files_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / 'in').mkdir()
    assert _run(tmp_path / 'in', '-o', tmp_path / 'out') == 2
    assert f'there is no photograph in {tmp_path / "in"}; name others' in capsys.readouterr().err.replace('\n', ' ')
    assert not (tmp_path / 'out').exists()


def test_a_folder_keeps_its_tree_bad_files_are_named_and_it_goes_on(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / 'photos', tmp_path / 'photos' / 'out'  # OUT inside INPUT is not read
    (source / 'año').mkdir(parents=True)
    Image.fromarray(_astronaut()).save(source / 'año' / 'a.png')
    Image.fromarray(_astronaut()).save(source / 'b.JPG', quality=95)
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(source / 'none.bmp')
    (source / 'notes.txt').write_text('no photograph')
    (source / 'cut.png').write_bytes((source / 'año' / 'a.png').read_bytes()[:2000])
    (source / 'empty.jpg').touch()
    frames = [Image.new('RGB', (20, 20), colour) for colour in ('red', 'blue')]
    frames[0].save(source / 'moving.gif', save_all=True, append_images=frames[1:])
    assert _run(source, '-o', out, '--model', model, '--json', '--compare', '--save-crops') == 3
    told = capsys.readouterr()
    for name, why in (('cut.png', 'damaged'), ('empty.jpg', 'an empty file'), ('moving.gif', 'an animation')):
        assert f'{name}: {why}' in told.err
    assert '3 photographs, 2 faces restored; 3 failed' in told.out
    made = _files(out)
    assert set(made) == {
        'año/a.png', 'año/a.png.json', 'año/a_compare.png', 'b.JPG', 'b.JPG.json', 'b_compare.png', 'none.png',
        'none.png.json', 'none_compare.png', *(f'faces/{name}_1_{kind}.png' for name in ('año/a.png', 'b.JPG')
                                               for kind in ('before', 'after')),
    }  # fmt: skip
    face = json.loads(made['año/a.png.json'])['faces'][0]
    assert face['done'] and face['number'] == 1 and 40 < face['size'] < 90 and face['score'] > 0.5
    assert json.loads(made['none.png.json'])['notes'] == ['no face found']
    assert np.array_equal(read_image(out / 'none.png'), read_image(source / 'none.bmp'))
    assert read_image(out / 'año' / 'a_compare.png').shape == (160, 320, 3)
    (out / 'b.JPG').unlink()
    assert _run(source, '-o', out, '--model', model, '--json', '--compare', '--save-crops') == 3
    assert '1 photographs, 1 faces restored, 2 done before; 3 failed' in capsys.readouterr().out
    assert _files(out) == made
    assert _run(source, '-o', out, '--model', model, '--strength', '0.5') == 2
    assert 'was made with other settings: strength 1.0 (now 0.5)' in capsys.readouterr().err


def test_what_a_file_carries_stays(model: Path, tmp_path: Path) -> None:
    source, out = tmp_path / 'in', tmp_path / 'out'
    source.mkdir()
    icc, exif = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes(), Image.Exif()
    exif[0x010E], exif[0x0112] = 'a person', 6  # a description; to be turned
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(_astronaut())))
    lying.save(source / 'turned.jpg', exif=exif, icc_profile=icc, quality=95)
    alpha = np.tile(np.linspace(0, 255, 160).astype(np.uint8), (160, 1))
    Image.fromarray(np.dstack([_astronaut(), alpha])).save(source / 'alpha.png')
    Image.fromarray(_astronaut()).convert('L').save(source / 'gray.png')
    deep = _astronaut().astype(np.uint16) * 257 + 3
    (source / 'deep.png').write_bytes(cv2.imencode('.png', deep[..., ::-1])[1].tobytes())
    assert _run(source, '-o', out, '--model', model, '--strength', 0) == 0
    with Image.open(out / 'turned.jpg') as img:
        assert img.info['icc_profile'] == icc and img.getexif()[0x010E] == 'a person'
        assert img.getexif().get(0x0112, 1) == 1
        assert np.abs(np.asarray(img).astype(int) - _astronaut()).mean() < 4
    with Image.open(out / 'alpha.png') as img:
        assert img.mode == 'RGBA' and np.array_equal(np.asarray(img), np.dstack([_astronaut(), alpha]))
    with Image.open(out / 'gray.png') as img:
        assert img.mode == 'L' and np.array_equal(np.asarray(img), np.asarray(Image.open(source / 'gray.png')))
    assert np.array_equal(decode_photo_file((out / 'deep.png').read_bytes()).image, deep)


@pytest.mark.parametrize('turn', range(1, 9))
def test_16_bits_are_turned_as_8_are(turn: int) -> None:
    image = _astronaut(40)[:30].copy()
    exif = Image.Exif()
    exif[0x0112] = turn
    shallow = io.BytesIO()
    Image.fromarray(image).save(shallow, 'PNG', exif=exif)
    photo = decode_photo_file(shallow.getvalue())
    deep = photo._replace(image=image.astype(np.uint16) * 257, exif=exif.tobytes(), icc=b'profile')
    data_16, lost = encode_photo_file(deep)
    again = decode_photo_file(data_16)
    assert again.image.dtype == np.uint16 and np.array_equal(again.image // 257, photo.image) and not lost
    assert again.icc == b'profile'


@pytest.mark.parametrize(('gray', 'alpha'), [(False, False), (True, False), (False, True)])
def test_a_tiff_of_16_bits_keeps_what_the_photograph_carries(gray: bool, alpha: bool) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0111] = 'maker', 5  # the second is where another file's pixels began
    exif.get_ifd(0x8769)[0x8827], exif.get_ifd(0x8825)[1] = 400, 'N'
    image = np.random.default_rng(0).integers(0, 65536, (600, 500, 3), np.uint16)  # several strips
    image = np.repeat(image[..., :1], 3, 2) if gray else image
    photo = PhotoFile(image, image[..., 0] if alpha else None, gray, '.tif', exif.tobytes(), b'profile')
    data, lost = encode_photo_file(photo)
    again = decode_photo_file(data)
    assert not lost and again.gray is gray and again.icc == b'profile' and again.suffix == '.tif'
    assert np.array_equal(again.image, image)
    assert again.alpha is None if photo.alpha is None else np.array_equal(again.alpha, photo.alpha)
    with Image.open(io.BytesIO(data)) as img:
        read = img.getexif()
        assert img.size == (500, 600) and read[0x010F] == 'maker' and dict(read.get_ifd(0x8769)) == {0x8827: 400}
        assert read.get_ifd(0x8825)[1] == 'N'


def test_what_a_format_cannot_hold_is_told() -> None:
    photo = decode_photo_file(cv2.imencode('.png', np.full((8, 8, 4), 60000, np.uint16))[1].tobytes())
    assert photo.image.dtype == np.uint16 and photo.alpha is not None
    made, lost = encode_photo_file(photo._replace(suffix='.jpg'))
    assert [note.split(':')[0] for note in lost] == ['16 bits', 'alpha'] and made[:2] == b'\xff\xd8'
    with pytest.raises(DatasetError, match='webp'):
        encode_photo_file(photo._replace(image=np.zeros((1, 20000, 3), np.uint8), alpha=None, suffix='.webp'))
    assert (written_suffix('.JPEG'), written_suffix('.gif')) == ('.jpg', None)


def test_one_file_and_names_that_collide(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(_astronaut()).save(tmp_path / 'a.png')
    shutil.copy(tmp_path / 'a.png', tmp_path / 'a.bmp')
    assert _run(tmp_path / 'a.png', '-o', tmp_path / 'b.webp', '--model', model) == 0
    assert 'restored' in capsys.readouterr().out
    with Image.open(tmp_path / 'b.webp') as img:
        assert img.format == 'WEBP' and img.size == (160, 160)
    assert _run(tmp_path / 'a.png', '-o', tmp_path / 'b.webp', '--model', model) == 2
    assert _run(tmp_path / 'a.*', '-o', tmp_path / 'out', '--model', model) == 1
    assert 'a.png: its result would have the name of that of a.bmp' in capsys.readouterr().err
    assert set(_files(tmp_path / 'out')) == {'a.png'}
    assert _run(tmp_path / 'a.png', '-o', tmp_path, '--model', model) == 2
    assert _run(tmp_path / 'nowhere', '-o', tmp_path / 'new', '--model', model) == 2
    assert _run(tmp_path / 'a.png', '-o', tmp_path / 'new', '--model', 'blunt') == 2
    assert 'there is no blunt; say default, sharp, x4, x8, or name a run' in capsys.readouterr().err
    assert _run(tmp_path / 'a.png', '-o', tmp_path / 'new', '--model', model, '--format', 'gif') == 2


def test_without_an_output_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(_astronaut()).save(tmp_path / 'a.png')
    monkeypatch.chdir(tmp_path)
    assert _run('a.png') == 0
    assert capsys.readouterr().out.strip().endswith('0 failed; results in restored')
    assert set(_files(tmp_path / 'restored')) == {'a.png'}


def test_only_faces_and_aligned_ones(model: Path, tmp_path: Path) -> None:
    Image.fromarray(_astronaut()).save(tmp_path / 'a.png')
    assert _run(tmp_path / 'a.png', '-o', tmp_path / 'faces', '--model', model, '--only-faces') == 0
    assert set(_files(tmp_path / 'faces')) == {'a.png_1.png'}
    assert _run(tmp_path / 'a.png', '-o', tmp_path / 'aligned', '--model', model, '--aligned', '--upscale', 2) == 0
    assert read_image(tmp_path / 'aligned' / 'a.png').shape == (320, 320, 3)


def test_a_pipe(model: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    picture = io.BytesIO()
    Image.fromarray(_astronaut(64)).save(picture, 'PNG')
    monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(picture.getvalue())))
    assert _run('-', '--model', model, '--strength', 0) == 0
    sys.stdout.flush()
    assert np.array_equal(decode_photo_file(capfdbinary.readouterr().out).image, _astronaut(64))
    monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper(io.BytesIO(picture.getvalue()[:900])))
    assert _run('-', '--model', model) == 2
    assert b'standard input: damaged' in capfdbinary.readouterr().err


def test_processes_share_the_files(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'in').mkdir()
    for index in range(3):
        Image.fromarray(_astronaut(64)).save(tmp_path / 'in' / f'{index}.png')
    monkeypatch.setenv('WORLD_SIZE', '2')
    for rank, names in (('1', {'1.png'}), ('0', {'0.png', '1.png', '2.png'})):
        monkeypatch.setenv('RANK', rank)
        assert _run(tmp_path / 'in', '-o', tmp_path / 'out', '--model', model) == 0
        assert set(_files(tmp_path / 'out')) == names
    assert '2 photographs' in capsys.readouterr().out
    monkeypatch.delenv('WORLD_SIZE')
    monkeypatch.delenv('RANK')
    assert _run(tmp_path / 'in', '-o', tmp_path / 'out', '--model', model) == 0
    assert '0 photographs, 0 faces restored, 3 done before' in capsys.readouterr().out
