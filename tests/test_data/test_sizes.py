"""Images smaller than what is asked for, and crops that the image allows."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.data import build_dataset
from PIL import Image
from torch.utils.data import DataLoader

from facesr_ext.check.examine import check_file
from facesr_ext.cli.run import run_pipeline
from facesr_ext.data.image_io import read_image, read_mask, stored_size, write_image
from facesr_ext.data.lmdb_io import write_lmdb
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.samplers import EpochIndex, ResumableSampler
from facesr_ext.imaging import to_tensor
from tests.support import OPTIONS, small_options, write_options


def _open(folder: Path, **changes: Any) -> Any:
    opt = {'name': 'a', 'type': 'FaceDataset', 'phase': 'train', 'scale': 4, 'dataroot_gt': str(folder), **changes}
    return build_dataset(opt)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Faces of 48, 64 and 80 px."""
    for size in (48, 64, 80):
        write_image(tmp_path / 'in' / f'{size}.png', render_face(0, 0, size).image)
    return tmp_path / 'in'


@pytest.mark.parametrize('phase', ['train', 'val'])
@pytest.mark.parametrize('crop_scale', [[0.9, 1.0], [0.5, 0.8], 0.7])
def test_an_image_of_the_size_asked_for_is_never_resampled(phase: str, crop_scale: Any, folder: Path) -> None:
    data = _open(folder, phase=phase, image_size=64, crop_scale=crop_scale)
    number = data.paths.index('64.png')
    for epoch in range(5):
        item = data[EpochIndex(number, epoch, number)]
        assert torch.equal(item['gt'], to_tensor(read_image(folder / '64.png')))


def test_crops_of_larger_images_are_never_enlarged(folder: Path) -> None:
    data = _open(folder, image_size=64, crop_scale=[0.1, 0.8])  # all draws below 64 px
    whole = to_tensor(read_image(folder / '80.png'))
    item, number = None, data.paths.index('80.png')
    windows = [whole[:, y : y + 64, x : x + 64] for y in range(17) for x in range(17)]
    for epoch in range(3):
        item = data[EpochIndex(number, epoch, number)]['gt']
        assert any(torch.equal(item, window) for window in windows)


@pytest.mark.parametrize('kind', ['FaceDataset', 'UnpairedFaceDataset'])
def test_smaller_images_are_counted_before_the_run(kind: str, folder: Path, tmp_path: Path) -> None:
    more = {'dataroot_lq': 'builtin'} if kind.startswith('Unpaired') else {}
    data = _open(folder, type=kind, image_size=64, **more)
    assert data.enlarged.startswith('1 of 3 images looked at are smaller than 64 px, the first is 48.png')
    assert not _open(folder, type=kind, image_size=48, **more).enlarged
    with pytest.raises(DatasetError, match=r'train:gt_size: 2 of 3 images .* 72 px, the first is 48\.png'):
        _open(folder, type=kind, gt_size=72, **more)
    write_lmdb(folder, tmp_path / 'x.lmdb')
    assert (
        '1 of 3' in _open(tmp_path / 'x.lmdb', type=kind, image_size=64, io_backend={'type': 'lmdb'}, **more).enlarged
    )


@pytest.mark.parametrize('size', [{'image_size': 64}, {'gt_size': 64}])
@pytest.mark.parametrize('kind', ['FaceDataset', 'PairedFaceDataset'])
def test_smaller_images_are_left_out_where_asked(kind: str, size: dict[str, int], folder: Path) -> None:
    if kind == 'PairedFaceDataset':
        for side in (48, 64, 80):
            write_image(folder.parent / 'lq' / f'{side}.png', np.zeros((side // 4, side // 4, 3), np.uint8))
        size = {'gt_size': 64}
    more = {'dataroot_lq': str(folder.parent / 'lq')} if kind == 'PairedFaceDataset' else {}
    data = _open(folder, type=kind, skip_bad_files=True, **size, **more)
    assert [Path(data[i]['gt_path']).name for i in range(3)] == ['64.png', '64.png', '80.png'] and not data.enlarged


def test_the_check_tells_of_images_that_are_enlarged(folder: Path) -> None:
    path = folder.parent / 'x.yml'
    section = f'{{name: a, type: FaceDataset, dataroot_gt: {folder}, image_size: 64}}'
    path.write_text(f'name: x\nmodel_type: FaceSRModel\nscale: 4\nnetwork_g: {{type: ESPCN, scale: 4}}\n'
                    f'degradation: {{preset: bicubic_x4}}\ndatasets:\n  test_1: {section}\n')  # fmt: skip
    found = [f for f in check_file(str(path), 'test') if f.key == ('datasets', 'test_1', 'image_size')]
    assert [finding.level for finding in found] == ['warning'] and '1 of 3 images' in found[0].message


def test_sizes_come_from_the_head_of_a_file(tmp_path: Path) -> None:
    Image.new('RGB', (30, 20)).save(tmp_path / 'a.jpg')
    (tmp_path / 'b.png').write_bytes(b'no image')
    (tmp_path / 'c.jpg').write_bytes((tmp_path / 'a.jpg').read_bytes()[:-5])
    sizes = [stored_size(tmp_path / name) for name in ('a.jpg', 'b.png', 'c.jpg', 'd.png')]
    assert sizes == [(20, 30), None, (20, 30), None]


def _png(width: int, height: int, colour: int) -> bytes:
    """A PNG that says a size and holds next to nothing."""
    chunks = (
        (b'IHDR', struct.pack('>IIBBBBB', width, height, 8, colour, 0, 0, 0)),
        (b'IDAT', zlib.compress(bytes(100))),
        (b'IEND', b''),
    )
    packed = (struct.pack('>I', len(d)) + kind + d + struct.pack('>I', zlib.crc32(kind + d)) for kind, d in chunks)
    return b'\x89PNG\r\n\x1a\n' + b''.join(packed)


@pytest.mark.parametrize(('read', 'colour'), [(read_image, 2), (read_mask, 0)])
@pytest.mark.parametrize('size', [(40_000, 40_000), (2_000_000, 2_000)])
def test_a_very_large_image_is_named(
    read: Callable[[Path], np.ndarray], colour: int, size: tuple[int, int], tmp_path: Path
) -> None:
    (tmp_path / 'huge.png').write_bytes(_png(*size, colour))
    with pytest.raises(DatasetError, match=r'huge\.png'):
        read(tmp_path / 'huge.png')


@pytest.mark.parametrize('phase', ['train', 'val'])
def test_an_image_without_a_pixel_of_lq_is_named_or_left_out(phase: str, folder: Path) -> None:
    write_image(folder / '0.png', np.zeros((3, 3, 3), np.uint8))
    with pytest.raises(DatasetError, match=r'0\.png is 3x3 px, too small for scale 4'):
        _open(folder, phase=phase)[0]
    assert Path(_open(folder, phase=phase, skip_bad_files=True)[0]['gt_path']).name == '48.png'


# ---- several folders -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['FaceDataset', 'UnpairedFaceDataset'])
def test_several_folders_whose_names_may_be_alike(kind: str, folder: Path, tmp_path: Path) -> None:
    write_image(tmp_path / 'more' / 'sub' / '64.png', render_face(0, 5, 64).image)
    write_image(tmp_path / 'more' / '64.png', render_face(0, 6, 64).image)
    more = {'dataroot_lq': 'builtin'} if kind.startswith('Unpaired') else {}
    roots = [str(folder), str(tmp_path / 'more')]
    data = build_dataset(
        {'name': 'a', 'type': kind, 'phase': 'val', 'scale': 4, 'dataroot_gt': roots, 'image_size': 64, **more}
    )
    paths = [data[i]['gt_path'] for i in range(len(data))]
    assert paths == [str(folder / f'{n}.png') for n in (48, 64, 80)] + [
        str(tmp_path / 'more' / name) for name in ('64.png', 'sub/64.png')
    ]
    for number in (1, 3, 4):
        assert torch.equal(data[number]['gt'], to_tensor(read_image(paths[number])))
    assert data.enlarged.startswith('1 of 5 images')


def test_a_run_on_several_folders(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BasicSR's parser takes a text alone; '~' means the same in a list."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.setenv('USERPROFILE', str(tmp_path))
    write_image(tmp_path / 'more' / 'a.png', render_face(0, 6, 64).image)
    opt = small_options(OPTIONS / 'srcnn.yml')
    opt['datasets']['train'].update(dataroot_gt=['in', '~/more'], image_size=64)
    run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'opt.yml'))])
    assert (tmp_path / 'experiments' / opt['name'] / 'models' / 'net_g_latest.pth').is_file()


def _weighted(folder: Path, kind: str = 'FaceDataset', weights: Any = (3, 1), **changes: Any) -> Any:
    """Three images of one folder, one of another, which the weights are of."""
    write_image(folder.parent / 'more' / '64.png', render_face(0, 6, 64).image)
    more = {'dataroot_lq': str(folder)} if kind.startswith('Unpaired') else {}
    roots = [str(folder), str(folder.parent / 'more')]
    opt = {'dataroot_gt': roots, 'type': kind, 'root_weights': list(weights), 'image_size': 16, **more, **changes}
    return _open(folder, **opt)


@pytest.mark.parametrize('kind', ['FaceDataset', 'UnpairedFaceDataset'])
@pytest.mark.parametrize(('weights', 'share'), [([3, 1], 0.25), ([0.5, 1.5], 0.75), ([0, 2], 1.0), ([1, 0], 0.0)])
def test_each_folder_gets_its_share_of_the_draws(kind: str, weights: list[float], share: float, folder: Path) -> None:
    data = _weighted(folder, kind, weights)
    drawn = [data[EpochIndex(i % 4, i // 40, i % 40)]['gt_path'] for i in range(400)]
    of_second = sum(str(folder.parent / 'more') in path for path in drawn)
    assert len(data) == 4 and of_second / 400 == pytest.approx(share, abs=0.07 * (0 < share < 1))
    if share < 1:
        assert {Path(path).name for path in drawn if '/more/' not in Path(path).as_posix()} == {
            '48.png',
            '64.png',
            '80.png',
        }


def test_weighted_draws_come_again_in_workers_and_after_a_resumption(folder: Path) -> None:
    """Of two processes, with a longer epoch: each draws its own, and goes on where it stopped."""
    data = _weighted(folder, batch_size_per_gpu=2)
    per_rank = []
    for rank in range(2):
        sampler, resumed = (ResumableSampler(data, 2, rank, ratio=4) for _ in range(2))
        resumed.resume(sampler.iters_per_epoch + 1)
        for each in (sampler, resumed):
            each.set_epoch(1)
        paths = [data[index]['gt_path'] for index in sampler]
        assert [data[index]['gt_path'] for index in resumed] == paths[2:]
        loader = DataLoader(data, batch_size=2, sampler=sampler, num_workers=2)
        assert [path for batch in loader for path in batch['gt_path']] == paths
        per_rank.append(paths)
    assert per_rank[0] != per_rank[1] and len(per_rank[0]) == len(per_rank[1]) == 8
    other = _weighted(folder, manual_seed=1)
    assert [data[EpochIndex(0, 0, i)]['gt_path'] for i in range(20)] != [
        other[EpochIndex(0, 0, i)]['gt_path'] for i in range(20)
    ]


def test_the_share_of_each_folder_is_said(folder: Path, told: list[str]) -> None:
    _weighted(folder)
    assert f'a: 3 images in {folder}, 75.0% of the draws' in told
    assert f'a: 1 images in {folder.parent / "more"}, 25.0% of the draws' in told


_NUMBERS = 'root_weights: must be a list of numbers, none below 0 and not all of them 0'


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'root_weights': [1]}, 'root_weights: must be 2 numbers, one for each folder'),
        ({'root_weights': [1, 1, 1]}, 'root_weights: must be 2 numbers, one for each folder'),
        ({'root_weights': [2, -1]}, _NUMBERS),
        ({'root_weights': [0, 0.0]}, _NUMBERS),
        ({'root_weights': []}, _NUMBERS),
        ({'root_weights': 3}, _NUMBERS),
        ({'root_weights': [1, True]}, _NUMBERS),
        ({'root_weights': [1, '1']}, _NUMBERS),
        ({'root_weights': [1, float('nan')]}, _NUMBERS),
        ({'root_weights': [1, float('inf')]}, _NUMBERS),
        ({'dataroot_gt': 'a'}, 'root_weights: needs a list of folders in dataroot_gt'),
        ({'dataroot_gt': 'builtin', 'image_size': 16}, 'root_weights: needs a list of folders in dataroot_gt'),
        ({'phase': 'val'}, 'root_weights: is for training'),
        ({'type': 'PairedFaceDataset', 'dataroot_gt': 'a', 'dataroot_lq': 'lq'}, 'root_weights: unknown key'),
    ],
)
def test_weights_that_cannot_be(changes: dict[str, Any], message: str, folder: Path) -> None:
    with pytest.raises(OptionError, match=message):
        _weighted(folder, **changes)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'meta_info_file': 'list.txt'}, 'dataroot_gt: names below 2 folders may be alike, which meta_info_file'),
        ({'dataroot_parsing': 'masks'}, 'dataroot_gt: names below 2 folders may be alike, which dataroot_parsing'),
        ({'dataroot_gt': []}, 'dataroot_gt: must be a folder or a list of folders'),
        ({'dataroot_gt': ['a', 3]}, 'dataroot_gt: must be a folder or a list of folders'),
        ({'type': 'PairedFaceDataset', 'dataroot_lq': 'lq'}, 'dataroot_gt: must be one folder'),
    ],
)
def test_where_several_folders_cannot_be(changes: dict[str, Any], message: str) -> None:
    opt = {'name': 'a', 'type': 'FaceDataset', 'phase': 'val', 'scale': 4, 'dataroot_gt': ['a', 'b'], **changes}
    with pytest.raises(OptionError, match=message):
        build_dataset(opt)
