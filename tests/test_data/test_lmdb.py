"""LMDB: what a folder gives, an LMDB gives too; BasicSR reads it, and workers of any kind do."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
import torch
from basicsr.data import build_dataset
from basicsr.utils.lmdb_util import make_lmdb_from_imgs
from torch.utils.data import DataLoader

from facesr_ext.data.image_io import list_images, read_image, write_image
from facesr_ext.data.lmdb_io import write_lmdb
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.inference.sampler import write_sample

LMDB = {'type': 'lmdb'}


@pytest.fixture(scope='module')
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four faces, one of them in a sub-folder with a name that is neither ASCII nor one word; and their LMDB."""
    folder = tmp_path_factory.mktemp('sample')
    write_sample(folder, 4, 3, 64)
    landmarks = json.loads((folder / 'landmarks.json').read_text())
    old, new = '003_00001.png', 'unter/zwei fé.png'
    for sub in ('images', 'masks'):
        (folder / sub / 'unter').mkdir()
        (folder / sub / old).rename(folder / sub / new)
    (folder / 'masks' / '003_00002.png').unlink()
    landmarks[new] = landmarks.pop(old)
    del landmarks['003_00003.png']
    (folder / 'landmarks.json').write_text(json.dumps(landmarks))
    assert write_lmdb(folder / 'images', folder / 'all.lmdb', folder / 'masks', landmarks) == 4
    return folder


def _opt(folder: Path, in_lmdb: bool, **changes: Any) -> dict[str, Any]:
    places = ('images', 'masks', 'landmarks.json') if not in_lmdb else ('all.lmdb',) * 3
    keys = ('dataroot_gt', 'dataroot_parsing', 'landmark_file')
    opt = {'name': 'faces', 'type': 'FaceDataset', 'phase': 'train', 'scale': 8, 'manual_seed': 5, 'num_landmark': 68}
    opt.update({key: str(folder / place) for key, place in zip(keys, places, strict=True)}, use_hflip=True)
    opt.update({'io_backend': LMDB} if in_lmdb else {}, image_size=64, **changes)
    return opt


def test_an_lmdb_gives_what_the_folder_gives(sample: Path) -> None:
    stored, kept = (build_dataset(_opt(sample, in_lmdb)) for in_lmdb in (False, True))
    assert stored.paths == kept.paths and len(kept) == 4
    for i in range(4):
        for key in ('gt', 'parsing', 'landmarks'):
            assert torch.equal(stored[i][key], kept[i][key]) or torch.isnan(kept[i][key]).all()
    assert (kept[2]['parsing'] != 255).sum() + (kept[1]['parsing'] != 255).sum() > 0
    unknown = [bool((item['parsing'] == 255).all()) for item in (kept[i] for i in range(4))]
    assert sum(unknown) == 1 and sum(bool(torch.isnan(kept[i]['landmarks']).all()) for i in range(4)) == 1
    assert Path(kept[3]['gt_path']).name == 'zwei fé.png'


@pytest.mark.parametrize('context', sorted({'fork', 'spawn'} & set(multiprocessing.get_all_start_methods())))
def test_workers_read_an_lmdb_that_the_main_process_has_open(sample: Path, context: str) -> None:
    data = build_dataset(_opt(sample, True))
    again = build_dataset(_opt(sample, True, phase='val', use_hflip=False))  # the same file in the same process
    alone = next(iter(DataLoader(data, 4)))
    worked = next(iter(DataLoader(data, 4, num_workers=2, multiprocessing_context=context)))
    assert torch.equal(alone['gt'], worked['gt']) and torch.equal(alone['parsing'], worked['parsing'])
    assert torch.equal(next(iter(DataLoader(data, 4)))['gt'], alone['gt']) and again[0]['gt'].shape == (3, 64, 64)


@pytest.fixture(scope='module')
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('pairs')
    rng = np.random.default_rng(0)
    for i in range(3):
        for sub, size in (('gt', 32), ('lq', 8)):
            write_image(folder / sub / f'{i:03d}.png', rng.integers(0, 256, (size, size, 3), np.uint8))
    for sub in ('gt', 'lq'):
        write_lmdb(folder / sub, folder / f'{sub}.lmdb')
        names = list_images(folder / sub, sub)
        stock = str(folder / f'stock_{sub}.lmdb')
        make_lmdb_from_imgs(str(folder / sub), stock, names, [Path(n).stem for n in names], map_size=2**24)
    return folder


def _pairs(folder: Path, kind: str, prefix: str = '', **changes: Any) -> Any:
    roots = {f'dataroot_{sub}': str(folder / f'{prefix}{sub}.lmdb') for sub in ('gt', 'lq')}
    opt = {'name': 'p', 'type': kind, 'phase': 'val', 'scale': 4, 'io_backend': dict(LMDB), **roots}
    return build_dataset({**opt, **changes})


@pytest.mark.parametrize('prefix', ['', 'stock_'])
def test_pairs_of_ours_and_of_basicsrs_are_one_layout(prefix: str, pairs: Path) -> None:
    """Ours reads what BasicSR writes, and BasicSR what ours writes (in a process of its own: it opens it anew)."""
    data = _pairs(pairs, 'PairedFaceDataset', prefix)
    assert len(data) == 3
    for i, name in enumerate(data.paths):
        assert np.array_equal(data[i]['gt'].mul(255).round().byte().permute(1, 2, 0), read_image(pairs / 'gt' / name))
        assert data[i]['lq'].shape == (3, 8, 8)


def test_basicsr_reads_our_pairs(pairs: Path, sample: Path, run_python: Any) -> None:
    code = f"""
from basicsr.data import build_dataset
roots = {{f'dataroot_{{sub}}': {str(pairs)!r} + f'/{{sub}}.lmdb' for sub in ('gt', 'lq')}}
opt = {{'name': 'p', 'type': 'PairedImageDataset', 'phase': 'val', 'scale': 4, 'io_backend': {{'type': 'lmdb'}}}}
data = build_dataset({{**opt, **roots}})
print(len(data), *(float(data[i][key].sum()) for i in range(3) for key in ('gt', 'lq')))
"""
    number, *sums = run_python(code).stdout.split()
    ours = _pairs(pairs, 'PairedFaceDataset')
    expected = [float(ours[i][key].sum()) for i in range(3) for key in ('gt', 'lq')]
    assert number == '3' and [float(v) for v in sums] == pytest.approx(expected)


# ---- what it refuses -----------------------------------------------------------------------------------------------


def test_an_lmdb_is_whole_or_not_there(tmp_path: Path) -> None:
    write_image(tmp_path / 'in' / 'a.png', np.zeros((8, 8, 3), np.uint8))
    (tmp_path / 'in' / 'b.png').write_bytes(b'no picture')
    with pytest.raises(DatasetError, match=r'b\.png is not a picture'):
        write_lmdb(tmp_path / 'in', tmp_path / 'x.lmdb')
    assert [p.name for p in tmp_path.iterdir()] == ['in']
    write_image(tmp_path / 'in' / 'b.png', np.zeros((8, 8, 3), np.uint8))
    write_image(tmp_path / 'in' / 'a.jpg', np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DatasetError, match=r'a\.jpg and a\.png have one key, a'):
        write_lmdb(tmp_path / 'in', tmp_path / 'x.lmdb')
    (tmp_path / 'in' / 'a.jpg').unlink()
    write_lmdb(tmp_path / 'in', tmp_path / 'x.lmdb')
    for target in ('x.lmdb', 'y'):
        with pytest.raises(DatasetError, match=r'must be a new folder that ends in \.lmdb'):
            write_lmdb(tmp_path / 'in', tmp_path / target)


def test_a_full_disk_leaves_nothing(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('facesr_ext.data.lmdb_io._Entries.room', lambda self, names: 2**14)
    with pytest.raises(DatasetError, match='cannot write .*MDB_MAP_FULL'):
        write_lmdb(sample / 'images', tmp_path / 'x.lmdb')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        ({'io_backend': ...}, OptionError, r'all\.lmdb does not fit io_backend: \{type: disk\}'),
        ({'dataroot_gt': 'images'}, OptionError, r'images does not fit io_backend: \{type: lmdb\}'),
        ({'io_backend': {'type': 'http'}}, OptionError, "type is disk or lmdb, not 'http'"),
        ({'dataroot_gt': 'none.lmdb'}, DatasetError, r'none\.lmdb is no LMDB with a meta_info\.txt'),
        ({'num_landmark': 98}, DatasetError, r'shape \(68, 2\), not \(98, 2\)'),
        ({'dataroot_parsing': 'bare.lmdb'}, DatasetError, r'has a mask in .*would have the key label/parsing/003_0'),
        ({'landmark_file': 'bare.lmdb'}, DatasetError, 'no image of .* has landmarks in'),
    ],
)
def test_what_does_not_fit_is_named(
    changes: dict[str, Any], error: type[Exception], message: str, sample: Path
) -> None:
    if not (sample / 'bare.lmdb').exists():
        write_lmdb(sample / 'images', sample / 'bare.lmdb')
    opt = _opt(sample, True)
    for key, value in changes.items():
        opt[key] = str(sample / value) if isinstance(value, str) else value
    with pytest.raises(error, match=message):
        build_dataset({key: value for key, value in opt.items() if value is not ...})[0]


def test_a_picture_that_the_list_has_but_the_data_has_not(sample: Path, tmp_path: Path) -> None:
    write_lmdb(sample / 'images', tmp_path / 'x.lmdb')
    with lmdb.open(str(tmp_path / 'x.lmdb'), map_size=2**24) as environment, environment.begin(write=True) as change:
        change.delete(b'003_00000')
    opt = {'name': 'f', 'type': 'FaceDataset', 'phase': 'train', 'io_backend': LMDB, 'image_size': 64, 'scale': 8}
    opt['dataroot_gt'] = str(tmp_path / 'x.lmdb')
    with pytest.raises(DatasetError, match="has no picture '003_00000'"):
        build_dataset(opt)[0]
    assert build_dataset({**opt, 'skip_bad_files': True})[0]['gt_path'].endswith('003_00002.png')
