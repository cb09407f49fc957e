"""The whole way: photographs in, a data set out; broken off, begun again, with files of every kind."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from facesr_ext.cli.main import main
from facesr_ext.data.face_dataset import FaceDataset
from facesr_ext.data.image_io import read_image, read_mask, write_image, write_mask
from facesr_ext.data.paired_face_dataset import PairedFaceDataset
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.faces.labels import CELEBAMASK19
from facesr_ext.faces.sides import confused_sides, with_sides_swapped
from facesr_ext.imaging import imresize, quantize, to_images, to_tensor
from facesr_ext.preparation import run
from facesr_ext.preparation.plan import Plan
from facesr_ext.preparation.process import _new_folder
from facesr_ext.preparation.run import prepare
from tests.support import child_environment

DRAWN = Plan(detector='none', sizes=(64,), min_sharpness=0.0, split='1:1')


def write_faces(folder: Path, num: int, size: int = 96, masks: Path | None = None) -> None:
    for index in range(num):
        face = render_face(5, index, size)
        write_image(folder / f'{index:03d}.png', face.image)
        if masks:
            write_mask(masks / f'{index:03d}.png', face.parsing)


def manifest(folder: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / 'manifest.jsonl').read_text(encoding='utf-8').splitlines()]
    return {line['source']: line for line in lines}


def files(folder: Path) -> dict[str, bytes]:
    """What the data set holds, but for the work that a later run goes on from."""
    paths = [path for path in sorted(folder.rglob('*')) if path.is_file() and '.prepare' not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_faces_are_found_aligned_and_labelled(tmp_path: Path) -> None:
    source = tmp_path / 'photos'
    write_image(source / 'astronaut.png', data.astronaut())
    write_image(source / 'coffee.png', data.coffee())
    plan = Plan(sizes=(128, 32), lr=(4,), split='1:0:0', min_face=64, min_sharpness=3, licence='public domain')
    counts = prepare([source], tmp_path / 'set', plan).counts
    assert counts == {'train': 1, 'no face found': 1}
    line = manifest(tmp_path / 'set')['astronaut.png']
    assert line['split'] == 'train' and abs(line['angle'] - 3) < 3 and line['score'] > 0.8 and line['sharpness'] > 5
    image = read_image(tmp_path / 'set' / 'train' / 'images_128' / 'astronaut.png')
    assert image.shape == (128, 128, 3)
    points = json.loads((tmp_path / 'set' / 'train' / 'landmarks5_128.json').read_text())['astronaut.png']
    assert np.abs(np.array(points)[:2] - [[47.7, 59.5], [79.2, 59.5]]).max() < 4  # where FFHQ has the eyes
    lr = read_image(tmp_path / 'set' / 'train' / 'lr_x4_128' / 'astronaut.png')
    assert np.array_equal(lr, to_images(quantize(imresize(to_tensor(image)[None], (32, 32))))[0])
    about = (tmp_path / 'set' / 'dataset.md').read_text(encoding='utf-8')
    assert 'Terms: public domain' in about and '| train | 1 |' in about and '| no face found | 1 |' in about
    assert (tmp_path / 'set' / 'sheets' / 'no_face_found.png').is_file()


def test_data_sets_read_what_came_out(tmp_path: Path) -> None:
    source, masks = tmp_path / 'photos', tmp_path / 'masks'
    write_faces(source, 6, masks=masks)
    plan = Plan(detector='none', sizes=(64,), lr=(4,), min_sharpness=0, split='1:0:0', masks=str(masks))
    prepare([source], tmp_path / 'set', plan)
    train = tmp_path / 'set' / 'train'
    opt = {
        'name': 'a',
        'type': 'FaceDataset',
        'phase': 'train',
        'dataroot_gt': str(train / 'images'),
        'image_size': 64,
        'manual_seed': 0,
    }
    faces = FaceDataset({**opt, 'dataroot_parsing': str(train / 'masks')})
    assert len(faces) == 6
    sample = faces[0]
    assert sample['gt'].shape == (3, 64, 64) and set(np.unique(sample['parsing'])) > {0, 1}
    del opt['image_size']
    low = {'type': 'PairedFaceDataset', 'phase': 'val', 'dataroot_lq': str(train / 'lr_x4'), 'scale': 4}
    pairs = PairedFaceDataset({**opt, **low})
    assert pairs[0]['lq'].shape == (3, 16, 16)


def test_masks_go_along_and_confused_sides_are_told_or_mended(tmp_path: Path) -> None:
    source, masks = tmp_path / 'photos', tmp_path / 'masks'
    write_faces(source, 6, masks=masks)
    write_mask(masks / '001.png', with_sides_swapped(read_mask(masks / '001.png'), CELEBAMASK19, ['eye', 'brow']))
    write_mask(masks / '002.png', np.zeros((96, 50), np.uint8))
    write_mask(masks / '003.png', np.full((96, 96), 40, np.uint8))
    (masks / '004.png').unlink()
    (masks / '005.png').write_bytes(b'text')
    told = Plan(detector='none', sizes=(64,), min_sharpness=0, split='1:0:0', masks=str(masks))
    for name, plan in (('told', told), ('mended', Plan(**{**vars(told), 'fix_labels': True}))):
        prepare([source], tmp_path / name, plan)
        lines = manifest(tmp_path / name)
        assert 'confused' not in lines['000.png'] and lines['001.png']['confused'] == ['eye', 'brow']
        assert lines['002.png']['mask'] == 'a mask of another shape than its image: 50x96 px'
        assert lines['003.png']['mask'] == 'a mask of other values than celebamask19: 40'
        assert lines['004.png']['mask'] == 'no mask'
        assert lines['005.png']['mask'].startswith('a mask that cannot be read: ')
        assert not (tmp_path / name / 'train' / 'masks' / '002.png').exists()
        mask = read_mask(tmp_path / name / 'train' / 'masks' / '001.png')
        assert confused_sides(mask, CELEBAMASK19, np.array([1.0, 0])) == ([] if name == 'mended' else ['eye', 'brow'])
    assert 'left and right eye confused, exchanged | 1' in (tmp_path / 'mended' / 'dataset.md').read_text()


def test_copies_stay_once_and_on_no_other_side(tmp_path: Path) -> None:
    source = tmp_path / 'photos'
    write_faces(source, 4)
    shutil.copy(source / '000.png', source / 'z_copy.png')
    image = read_image(source / '001.png')
    write_image(source / 'z_mirrored.jpg', image[:, ::-1])
    write_image(source / 'z_larger.png', np.kron(read_image(source / '002.png'), np.ones((2, 2, 1), np.uint8)))
    prepare([source], tmp_path / 'set', DRAWN)
    lines = manifest(tmp_path / 'set')
    assert lines['z_copy.png']['reason'] == 'the same file as 000.png'
    assert lines['z_mirrored.jpg']['reason'] == 'shows the same as 001.png'
    assert lines['002.png']['reason'] == 'shows the same as z_larger.png'  # the larger one stays
    prepare([source], tmp_path / 'exact', Plan(**{**vars(DRAWN), 'duplicates': 'exact'}))
    assert [line['reason'] for line in manifest(tmp_path / 'exact').values()].count(None) == 6
    prepare([source], tmp_path / 'all', Plan(**{**vars(DRAWN), 'duplicates': 'keep', 'split': '1:1:1'}))
    lines = manifest(tmp_path / 'all')
    assert all(line['reason'] is None for line in lines.values())
    for first, copy in (('000.png', 'z_copy.png'), ('001.png', 'z_mirrored.jpg'), ('002.png', 'z_larger.png')):
        assert lines[first]['split'] == lines[copy]['split']  # on one side, where they stay


def test_new_files_move_no_old_one(tmp_path: Path) -> None:
    source = tmp_path / 'photos'
    write_faces(source, 8)
    prepare([source], tmp_path / 'set', DRAWN)
    before, old = manifest(tmp_path / 'set'), files(tmp_path / 'set')
    write_faces(source / 'a_more', 3, size=128)  # the same faces, larger: they would win, were the others not there
    for index in range(8, 12):
        write_image(source / f'{index:03d}.png', render_face(5, index, 96).image)
    prepare([source], tmp_path / 'set', DRAWN)
    after = manifest(tmp_path / 'set')
    assert {name: after[name] for name in before} == before
    assert sum(name.startswith('a_more') and line['reason'].startswith('shows') for name, line in after.items()) == 3
    assert sum(line['split'] is not None for line in after.values()) == 12
    new = files(tmp_path / 'set')
    assert all(new[name] == content for name, content in old.items() if '/images/' in name)


def test_images_stay_when_their_photographs_are_gone(tmp_path: Path) -> None:
    write_faces(tmp_path / 'first', 3)
    prepare([tmp_path / 'first'], tmp_path / 'set', DRAWN)
    before, old = manifest(tmp_path / 'set'), files(tmp_path / 'set')
    write_image(tmp_path / 'second' / '010.png', render_face(5, 10, 96).image)
    shutil.copy(tmp_path / 'first' / '001.png', tmp_path / 'second' / '001.png')
    os.utime(tmp_path / 'second' / '001.png', (0, 0))
    prepare([tmp_path / 'second'], tmp_path / 'set', DRAWN)
    after = manifest(tmp_path / 'set')
    assert set(after) == {'000.png', '001.png', '002.png', '010.png'}
    assert {name: after[name] for name in before} == before
    (tmp_path / 'set' / before['001.png']['split'] / 'images' / '001.png').unlink()  # by hand: it comes back
    prepare([tmp_path / 'second'], tmp_path / 'set', DRAWN)
    new = files(tmp_path / 'set')
    assert all(new[name] == content for name, content in old.items() if '/images/' in name)


def test_names_of_several_sources_tell_them_apart(tmp_path: Path) -> None:
    for index, name in enumerate(('a', 'b')):
        write_image(tmp_path / name / 'images' / 'face.png', render_face(5, index, 96).image)
    prepare([tmp_path / name / 'images' for name in ('a', 'b', 'a')], tmp_path / 'set', DRAWN)
    assert set(manifest(tmp_path / 'set')) == {'images/face.png', 'b/images/face.png'}


def test_file_that_says_the_split_moves_nothing(tmp_path: Path) -> None:
    write_faces(tmp_path / 'photos', 3)
    table = tmp_path / 'list.txt'
    plan = Plan(**{**vars(DRAWN), 'split': str(table)})
    table.write_text('000.png 0\n001.png 2\n', encoding='utf-8')
    prepare([tmp_path / 'photos'], tmp_path / 'set', plan)
    splits = {name: line['split'] for name, line in manifest(tmp_path / 'set').items()}
    assert splits == {'000.png': 'train', '001.png': 'test', '002.png': None}
    table.write_text('000.png 0\n001.png 0\n', encoding='utf-8')
    with pytest.raises(OptionError, match=r'--split: .* has 001.png in train, and it is in test already'):
        prepare([tmp_path / 'photos'], tmp_path / 'set', plan)


def test_full_disk_is_named_and_the_rest_done_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_faces(tmp_path / 'photos', 6)
    prepare([tmp_path / 'photos'], tmp_path / 'unbroken', DRAWN)
    write, num = Path.write_bytes, 0

    def full(self: Path, data: bytes) -> int:
        nonlocal num
        num += 1
        if num > 3:
            write(self, data[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    monkeypatch.setattr(Path, 'write_bytes', full)
    with pytest.raises(DatasetError, match='No space left on device: .*; make room, and run it again: it goes on'):
        prepare([tmp_path / 'photos'], tmp_path / 'set', DRAWN)
    monkeypatch.undo()
    assert not (tmp_path / 'set' / 'manifest.jsonl').exists()
    prepare([tmp_path / 'photos'], tmp_path / 'set', DRAWN)
    wanted, got = files(tmp_path / 'unbroken'), files(tmp_path / 'set')
    assert wanted.pop('dataset.md') != got.pop('dataset.md')  # it names its folder
    assert got == wanted


def test_disk_without_second_names_for_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(errno.EPERM, 'Operation not permitted')

    monkeypatch.setattr(os, 'link', refused)
    write_faces(tmp_path / 'photos', 2)
    assert prepare([tmp_path / 'photos'], tmp_path / 'set', Plan(**{**vars(DRAWN), 'split': '1:0:0'})).counts == {
        'train': 2
    }
    assert len(list((tmp_path / 'set' / 'train' / 'images').iterdir())) == 2


def test_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_faces(tmp_path / 'photos', 2)
    write_faces(tmp_path / 'photos' / 'closed', 2)
    scan = os.scandir

    def refused(folder: Any) -> Any:
        if str(folder).endswith('closed'):
            raise PermissionError(errno.EACCES, 'Permission denied')
        return scan(folder)

    monkeypatch.setattr(os, 'scandir', refused)
    prepare([tmp_path / 'photos'], tmp_path / 'set', DRAWN)
    assert manifest(tmp_path / 'set')['closed']['reason'] == 'the folder cannot be read: Permission denied'


def test_copies_that_two_workers_meet_at_once(tmp_path: Path) -> None:
    folder = tmp_path / 'staged' / 'aa'
    folder.parent.mkdir()
    with _new_folder(folder) as slower:
        write_image(slower / 'images_64.png', render_face(5, 0, 64).image)
        write_image(folder / 'images_64.png', render_face(5, 0, 64).image)  # another worker was faster
    assert list(folder.parent.iterdir()) == [folder]


def png(image: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, 'PNG', **options)
    return stream.getvalue()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def odd_files() -> dict[str, bytes]:
    """Names and contents of files that are somehow not as they should be."""
    face = Image.fromarray(render_face(7, 0, 96).image)
    others = [Image.fromarray(render_face(7, index, 96).image) for index in range(1, 9)]
    whole, turned = saved(face, 'PNG'), Image.Exif()
    turned[0x0112] = 6
    wide = np.random.default_rng(0).integers(0, 256, (64, 20000, 3)).astype(np.uint8)
    deep = np.stack([np.asarray(others[0].convert('L')).astype(np.uint16) * 257] * 1, -1)[..., 0]
    clear = others[1].convert('RGBA')
    clear.putalpha(128)
    return {
        'empty.jpg': b'', 'cut.png': whole[: len(whole) // 2], 'cut.jpg': saved(face, 'JPEG')[:-900],
        'text.jpg': b'<!DOCTYPE html><html>not found</html>',
        'moving.gif': saved(face, 'GIF', save_all=True, append_images=others[:2]),
        'pages.tif': saved(face, 'TIFF', save_all=True, append_images=others[:1]),
        'thin.png': png(np.zeros((64, 1, 3), np.uint8)),
        'wide.png': png(wide), 'deep.png': saved(Image.fromarray(deep), 'PNG'), 'clear.png': saved(clear, 'PNG'),
        'print.jpg': saved(others[2].convert('CMYK'), 'JPEG'), 'grey.png': saved(others[3].convert('L'), 'PNG'),
        'palette.gif': saved(others[4].convert('P'), 'GIF'), 'turned.jpg': saved(others[5], 'JPEG', exif=turned),
        'notes.txt': b'text', 'no_suffix': whole, 'upper.PNG': saved(others[6], 'PNG'),
        'ümläut 名.png': saved(others[7], 'PNG'), 'zip.png': b'PK\x03\x04' + bytes(60),
        'lfs.png': b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n',
    }  # fmt: skip


USED = {
    'deep.png', 'clear.png', 'print.jpg', 'grey.png', 'palette.gif', 'turned.jpg', 'upper.PNG',
    'ümläut 名.png', 'wide.png',
}  # fmt: skip
REASONS = {
    'empty.jpg': 'an empty file', 'cut.png': 'damaged or cut off', 'cut.jpg': 'damaged or cut off',
    'notes.txt': 'no image by its suffix: .txt',
    'no_suffix': 'no image by its suffix: none', 'moving.gif': 'an animation or several pages: 3 images in one file',
    'pages.tif': 'an animation or several pages: 2 images in one file', 'thin.png': 'too small: 1 px, below 64',
    'text.jpg': 'it is not a picture', 'lfs.png': 'it is not a picture', 'zip.png': 'it is not a picture',
}  # fmt: skip


def test_every_odd_file_is_a_line_of_the_manifest_and_the_rest_is_done(tmp_path: Path) -> None:
    source = tmp_path / 'photos'
    source.mkdir()
    contents = odd_files()
    for name, content in contents.items():
        (source / name).write_bytes(content)
    if os.name == 'posix':
        (source / 'a\nnew line.png').write_bytes(saved(Image.fromarray(render_face(7, 20, 96).image), 'PNG'))
        (source / 'loop').symlink_to(source, target_is_directory=True)
        (source / 'broken.png').symlink_to(source / 'nowhere.png')
    prepare([source], tmp_path / 'set', DRAWN)
    lines = manifest(tmp_path / 'set')
    kept = {name for name, line in lines.items() if line['split']}
    assert set(contents) <= set(lines) and kept - {'a\nnew line.png'} == USED
    for name, reason in REASONS.items():
        assert lines[name]['reason'].startswith(reason), (name, lines[name]['reason'])
    if os.name == 'posix':
        assert lines['loop']['reason'] == 'a link to a folder that it lies in'
        assert lines['broken.png']['reason'] == 'a broken link, or no file'
        assert lines['a\nnew line.png']['name'] == 'a_new line'
    cmyk = read_image(next((tmp_path / 'set').rglob('images/print.png'))).astype(int)
    wanted = read_image_at(render_face(7, 3, 96).image)
    assert np.abs(cmyk - wanted).mean() < 25  # no negative


def read_image_at(image: np.ndarray, size: int = 64) -> np.ndarray:
    return to_images(imresize(to_tensor(image)[None], (size, size)))[0].astype(int)


def test_target_inside_the_source_is_not_read(tmp_path: Path) -> None:
    write_faces(tmp_path, 3)
    for _ in range(2):
        prepare([tmp_path], tmp_path / 'set', DRAWN)
        assert set(manifest(tmp_path / 'set')) == {'000.png', '001.png', '002.png'}


def test_what_is_refused(tmp_path: Path) -> None:
    write_faces(tmp_path / 'photos', 2)
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine' / 'letter.txt').write_text('dear', encoding='utf-8')
    with pytest.raises(OptionError, match='DST: .*mine is there and was not made by this command'):
        prepare([tmp_path / 'photos'], tmp_path / 'mine', DRAWN)
    with pytest.raises(OptionError, match='SRC: there is no .*nowhere'):
        prepare([tmp_path / 'nowhere'], tmp_path / 'set', DRAWN)
    with pytest.raises(OptionError, match='DST: .*photos is the result itself'):
        prepare([tmp_path / 'photos'], tmp_path / 'photos', DRAWN)
    with pytest.raises(DatasetError, match='no image in'):
        prepare([tmp_path / 'mine'], tmp_path / 'set', DRAWN)
    prepare([tmp_path / 'photos'], tmp_path / 'set', DRAWN)
    other = Plan(**{**vars(DRAWN), 'sizes': (32,), 'split': '9:1', 'licence': 'free'})
    with pytest.raises(OptionError, match=r'other settings: --sizes \[64\] \(now \[32\]\), --split 1:1 \(now 9:1\)'):
        prepare([tmp_path / 'photos'], tmp_path / 'set', other)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'crop': 'tight'}, '--crop'), ({'sizes': (4,)}, '--sizes: 4 is not between'),
        ({'sizes': ()}, '--sizes: names no size'), ({'max_face': 64}, '--max-face: 64 px is below the least, 256'),
        ({'detector': 'none', 'same_person': 0.5}, '--same-person'), ({'fix_labels': True}, '--fix-labels'),
        ({'sizes': (100,), 'lr': (8,)}, '--lr: 100 px cannot be divided by 8'), ({'threshold': 0.0}, '--threshold'),
        ({'tile': 64, 'landmarks': 'dlib'}, '--tile'), ({'detector': 'none', 'landmarks': 'dlib'}, '--landmarks'),
        ({'masks': 'a', 'parse': 'bisenet'}, '--parse'), ({'duplicates': 'all'}, '--duplicates'),
        ({'max_outside': float('nan')}, '--max-outside'), ({'mask_labels': 'mine'}, '--mask-labels'),
    ],
)  # fmt: skip
def test_settings_are_looked_at_first(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Plan(**options)


def test_tiles_of_images(tmp_path: Path) -> None:
    image = data.astronaut().copy()
    image[:128, :128] = (20, 90, 30)
    write_image(tmp_path / 'photos' / 'a.png', image)
    prepare([tmp_path / 'photos'], tmp_path / 'set', Plan(tile=128, split='1:0:0'))
    lines = [json.loads(line) for line in (tmp_path / 'set' / 'manifest.jsonl').read_text().splitlines()]
    assert len(lines) == 16 and lines[0]['reason'].startswith('low information')
    kept = [line for line in lines if line['split']]
    assert 10 <= len(kept) < 16
    tile = read_image(tmp_path / 'set' / 'train' / 'images' / f'{kept[-1]["name"]}.png')
    number = int(kept[-1]['key'].rsplit('_', 1)[1])
    row, col = divmod(number, 4)
    assert np.array_equal(tile, image[row * 128 : row * 128 + 128, col * 128 : col * 128 + 128])


def test_lmdb(tmp_path: Path) -> None:
    write_faces(tmp_path / 'photos', 4, masks=tmp_path / 'masks')
    plan = Plan(**{**vars(DRAWN), 'store': 'lmdb', 'split': '1:0:0', 'lr': (4,), 'masks': str(tmp_path / 'masks')})
    for _ in range(2):
        prepare([tmp_path / 'photos'], tmp_path / 'set', plan)
        root = str(tmp_path / 'set' / 'train' / 'images.lmdb')
        faces = FaceDataset({
            'name': 'a', 'type': 'FaceDataset', 'phase': 'val', 'dataroot_gt': root, 'dataroot_parsing': root,
            'io_backend': {'type': 'lmdb'}, 'image_size': 64, 'manual_seed': 0,
        })  # fmt: skip
        assert len(faces) == 4 and faces[0]['gt'].shape == (3, 64, 64)
    assert (tmp_path / 'set' / 'train' / 'lr_x4.lmdb' / 'meta_info.txt').is_file()


@pytest.mark.slow
def test_two_processes_of_torchrun_share_the_files(tmp_path: Path) -> None:
    write_faces(tmp_path / 'photos', 9)
    command = [sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node', '2', '--master_port', '29731']
    command += ['-m', 'facesr_ext', 'prepare', 'photos', 'set', '--detector', 'none', '--sizes', '64', '--workers', '1']
    command += ['--min-sharpness', '0', '--split', '1:1']
    done = subprocess.run(command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    prepare([tmp_path / 'photos'], tmp_path / 'one', DRAWN)
    assert (tmp_path / 'set' / 'manifest.jsonl').read_bytes() == (tmp_path / 'one' / 'manifest.jsonl').read_bytes()
    assert {path.name for path in (tmp_path / 'set' / '.prepare' / 'records').iterdir()} == {'0.jsonl', '1.jsonl'}


def test_a_line_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    write_faces(tmp_path / 'photos', 3)
    prepare([tmp_path / 'photos'], tmp_path / 'set', DRAWN)
    wanted = files(tmp_path / 'set')
    records = tmp_path / 'set' / '.prepare' / 'records' / '0.jsonl'
    records.write_bytes(records.read_bytes()[:-40])
    (tmp_path / 'set' / 'manifest.jsonl').unlink()
    prepare([tmp_path / 'photos'], tmp_path / 'set', DRAWN)
    assert files(tmp_path / 'set') == wanted


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write_faces(tmp_path / 'photos', 3)
    monkeypatch.chdir(tmp_path)
    options = ['--detector', 'none', '--sizes', '32,64', '--min-sharpness', '0', '--split', '1:0:0', '--workers', '1']
    with pytest.raises(SystemExit) as caught:
        main(['prepare', 'photos/000.png', 'photos', 'set', *options])
    out = capsys.readouterr().out
    assert caught.value.code in (0, None) and '3 train' in out and '1 the same file' in out
    assert (tmp_path / 'set' / 'train' / 'images_32').is_dir()
    with pytest.raises(SystemExit) as caught:
        main(['prepare', 'photos', 'other', '--sizes', '12a'])
    assert caught.value.code == 2 and "--sizes: '12a' are no whole numbers" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(['prepare', 'photos'])
    assert caught.value.code == 2 and 'SRC... DST: one path is too few' in capsys.readouterr().err


def test_check_labels_lists_confused_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    masks = tmp_path / 'masks'
    write_faces(tmp_path / 'photos', 3, masks=masks)
    write_mask(masks / '001.png', with_sides_swapped(read_mask(masks / '001.png'), CELEBAMASK19, ['eye', 'brow']))
    with pytest.raises(SystemExit):
        main(['prepare', str(masks), '--check-labels'])
    assert capsys.readouterr().out.splitlines() == [
        f'{masks / "001.png"}: eye, brow',
        '3 masks; left and right confused: eye 1, brow 1, ear 0',
    ]


def test_few_files_are_not_worth_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'cpu_count', lambda: 8)
    assert [run._workers_for(num) for num in (1, 500, 501, 100_000)] == [1, 1, 2, 8]
