"""Names and places that lie: outside of their folder, to pipes, cut off, or with what no name should have.

Names in archives of submissions are attacked in ``tests/test_challenge/test_submission.py``, names of runs and sets in
``tests/test_check/test_run_names.py``, names on pages in ``tests/test_comparison/test_page.py``, the endpoints of the
demo page in ``tests/test_demo/test_served.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from facesr_ext.challenge.submission import check_submission
from facesr_ext.data.image_io import list_images, read_image, write_image
from facesr_ext.data.lmdb_io import write_lmdb
from facesr_ext.data.sources import open_images
from facesr_ext.data.stores import LmdbStore, picture_key
from facesr_ext.errors import DatasetError, OptionError, SubmissionError
from facesr_ext.inference.opening import open_model
from facesr_ext.runs.described_options import complete
from facesr_ext.settings.datasets import FaceSet
from facesr_ext.settings.reading import read
from tests.attacks.hostile import checkpoint

OUTSIDE = ['../secret.png', '/etc/passwd', 'a/../../secret.png', '..', '.', '/', './/', '\0', 'a' * 300, 'a' * 5000]
ODD = [b'new\nline.png', b'\x1b[2Jred.png', b'\xff\xfe.png', 'n\u0301.png'.encode(), b' .png', b'-rf.png',
       b'a' * 251 + b'.png', '\u202egnp.png'.encode(), b'$(touch x).png', b'%s%n.png']  # fmt: skip


def _face(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(path)
    return path


def _listed(folder: Path, *names: str) -> FaceSet:
    (folder / 'meta.txt').write_text('\n'.join(names), encoding='utf-8')
    section = {'name': 'a', 'type': 'FaceDataset', 'dataroot_gt': str(folder / 'in'), 'image_size': 16}
    return read(FaceSet, {**section, 'meta_info_file': str(folder / 'meta.txt')}, ('datasets', 'train'))


@pytest.mark.parametrize('name', OUTSIDE)
def test_a_list_names_nothing_outside_of_its_folder(name: str, tmp_path: Path) -> None:
    _face(tmp_path / 'secret.png')
    _face(tmp_path / 'in' / 'a.png')
    assert name in ('.', '/', './/', '\0', 'a' * 300, 'a' * 5000) or (tmp_path / 'in' / name).resolve().exists()
    with pytest.raises(DatasetError, match='1 of its 2 images are not in'):
        open_images(_listed(tmp_path, 'a.png', name), ('datasets', 'train'))


@pytest.mark.parametrize('name', [*OUTSIDE, 'a' * 600, '\ud800'.encode('utf-8', 'replace').decode(), 'label/parsing/a'])
def test_an_lmdb_gives_nothing_but_what_it_holds(name: str, tmp_path: Path) -> None:
    _face(tmp_path / 'in' / 'a.png')
    write_lmdb(tmp_path / 'in', tmp_path / 'a.lmdb')
    (tmp_path / 'a.lmdb' / 'meta_info.txt').write_text(f'{name} (4,4,3) 1\n', encoding='utf-8')
    store = LmdbStore(tmp_path / 'a.lmdb')
    (listed,) = store.names()
    assert store.size(listed) is None and not store.has_mask(listed) and store.landmarks(listed) is None
    with pytest.raises(DatasetError, match='has no picture'):
        store.image(listed)


def test_an_lmdb_that_is_cut_off_does_not_kill_the_process(tmp_path: Path) -> None:
    (tmp_path / 'a.lmdb').mkdir()
    with lmdb.open(str(tmp_path / 'a.lmdb')) as environment, environment.begin(write=True) as transaction:
        for number in range(40):
            transaction.put(b'%02d' % number, os.urandom(5000))
    whole = (tmp_path / 'a.lmdb' / 'data.mdb').read_bytes()
    (tmp_path / 'a.lmdb' / 'meta_info.txt').write_text('39.png (4,4,3) 1\n')
    for size in (len(whole) // 2, len(whole) - 4096, 8192, 100, 0):
        (tmp_path / 'a.lmdb' / 'data.mdb').write_bytes(whole[:size])
        with pytest.raises(DatasetError, match=r'a\.lmdb'):
            LmdbStore(tmp_path / 'a.lmdb').image('39.png')


@pytest.mark.parametrize('raw', ODD)
def test_odd_names_of_files_are_names(raw: bytes, tmp_path: Path) -> None:
    try:
        os.rename(_face(tmp_path / 'in' / 'x.png'), os.fsencode(tmp_path / 'in') + b'/' + raw)
    except OSError:
        pytest.skip('no name of a file here')
    name = os.fsdecode(raw)
    assert list_images(tmp_path / 'in') == [name] and picture_key(name) == name[:-4]
    image = read_image(tmp_path / 'in' / name)
    write_image(tmp_path / 'out' / name, image)
    assert os.listdir(os.fsencode(tmp_path / 'out')) == [raw] and (read_image(tmp_path / 'out' / name) == image).all()


def test_links_and_pipes_among_results(tmp_path: Path) -> None:
    _face(tmp_path / 'lq' / '0.png')
    (tmp_path / 'results').mkdir()
    os.mkfifo(tmp_path / 'results' / '0.png')  # whoever opens it waits for ever
    with pytest.raises(SubmissionError, match="neither a file nor a folder: '0.png'"):
        check_submission(tmp_path / 'results', tmp_path / 'lq')
    (tmp_path / 'results' / '0.png').unlink()
    (tmp_path / 'results' / '0.png').symlink_to('/dev/zero')  # and who reads this, has no memory left
    with pytest.raises(SubmissionError, match="neither a file nor a folder: '0.png'"):
        check_submission(tmp_path / 'results', tmp_path / 'lq')
    with pytest.raises(DatasetError, match='no picture'):
        list_images(tmp_path / 'results')


def test_a_result_is_not_written_through_a_link(tmp_path: Path) -> None:
    secret = _face(tmp_path / 'secret.png')
    before = secret.read_bytes()
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'a.png').symlink_to(secret)
    write_image(tmp_path / 'out' / 'a.png', np.zeros((4, 4, 3), np.uint8))
    assert secret.read_bytes() == before and not (tmp_path / 'out' / 'a.png').is_symlink()


@pytest.mark.parametrize('run', ['../../x', '/tmp/x', 'a/b', '..', '.hidden', 'a\nb', 'a' * 300, 5, ''])
def test_a_checkpoint_does_not_choose_where_results_go(run: object, tmp_path: Path) -> None:
    path = checkpoint(tmp_path / 'net.pth', run=run)
    options: dict[str, object] = {'path': {'pretrain_network_g': str(path)}, 'datasets': {}}
    complete(options)
    assert options['name'] == tmp_path.parent.name


@pytest.mark.parametrize('name', ['../default', 'default/../../x', 'sharp\0', 'default.safetensors'])
def test_names_of_models_are_names(name: str) -> None:
    with pytest.raises(OptionError, match='model: there is no'):
        open_model(name)
