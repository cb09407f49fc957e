from __future__ import annotations

import json
import logging
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.data import build_dataset
from PIL import Image
from torch.utils.data import DataLoader

from facesr_ext.cli.main import main
from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import list_images, read_image, read_mask, write_image, write_mask
from facesr_ext.data.transforms import FaceSample, crop, draw_turns, turn
from facesr_ext.degradations.bicubic import BicubicDegradation
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.host.samplers import EpochIndex
from facesr_ext.imaging import to_tensor
from tests.support import PHOTOS, needs_photos


@pytest.fixture(scope='module')
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``facesr sample`` writes: six faces of 64 px."""
    folder = tmp_path_factory.mktemp('sample')
    with pytest.raises(SystemExit) as ended:
        main(['sample', str(folder), '--num', '6', '--size', '64', '--seed', '3'])
    assert ended.value.code in (0, None)
    return folder


def _faces(folder: Path, **changes: Any) -> Any:
    opt = {
        'name': 'faces',
        'type': 'FaceDataset',
        'phase': 'train',
        'scale': 8,
        'manual_seed': 5,
        'dataroot_gt': str(folder / 'images'),
        'dataroot_parsing': str(folder / 'masks'),
        'landmark_file': str(folder / 'landmarks.json'),
        'num_landmark': 68,
        'image_size': 64,
        'use_hflip': True,
    }
    opt.update(changes)
    return build_dataset({key: value for key, value in opt.items() if value is not ...})


def test_written_faces_read_back_as_the_builtin_ones(sample: Path) -> None:
    written = _faces(sample, phase='val', use_hflip=False)
    drawn = _faces(
        sample, phase='val', dataroot_gt='builtin', dataroot_parsing=..., landmark_file=..., seed=3, num_faces=6
    )
    assert len(written) == len(drawn) == 6
    for a, b in zip((written[i] for i in range(6)), (drawn[i] for i in range(6)), strict=True):
        assert torch.equal(a['gt'], b['gt']) and torch.equal(a['parsing'], b['parsing'])
        assert torch.allclose(a['landmarks'], b['landmarks'], atol=0.01)
        assert (
            a['gt'].shape == (3, 64, 64) and a['gt'].dtype == torch.float32 and 0 <= a['gt'].min() <= a['gt'].max() <= 1
        )
        assert a['parsing'].dtype == torch.int64 and a['landmarks'].shape == (68, 2)


def test_bytes_are_the_same_images_and_masks(sample: Path) -> None:
    paired = {'type': 'PairedFaceDataset', 'dataroot_lq': str(sample / 'images'), 'lq_enlarged': True}
    unpaired = {'type': 'UnpairedFaceDataset', 'dataroot_lq': 'builtin', 'scale': 4}
    for kind in ({}, paired, unpaired):
        changes: dict[str, Any] = {**kind, 'landmark_file': ..., 'num_landmark': ..., 'crop_scale': [0.5, 1.0]}
        if kind is paired:
            changes['crop_scale'] = ...
        if kind is unpaired:
            changes['dataroot_parsing'] = ...
        usual, small = (_faces(sample, **changes, as_bytes=as_bytes) for as_bytes in (False, True))
        for index in range(3):
            one, other = usual[index], small[index]
            assert one.keys() == other.keys()
            for key in {'gt', 'lq'} & one.keys():
                assert other[key].dtype == torch.uint8 and torch.equal(other[key].float().div_(255), one[key])
            if 'parsing' in one:
                assert other['parsing'].dtype == torch.uint8 and torch.equal(other['parsing'].long(), one['parsing'])


def test_an_lq_that_workers_make_is_of_floating_point(sample: Path) -> None:
    made = _faces(sample, as_bytes=True, degrade_in_workers=True, degradation={'preset': 'bicubic_x8'})[0]
    assert made['lq'].dtype == made['gt'].dtype == torch.float32


def test_draws_are_a_function_of_seed_epoch_and_index(sample: Path) -> None:
    data = _faces(sample, crop_scale=[0.5, 1.0], image_size=32)

    def same(a: int, b: int, other: Any = data) -> bool:
        return torch.equal(data[a]['gt'], other[b]['gt'])

    at = EpochIndex
    assert same(at(2, 4, 2), at(2, 4, 2)) and same(at(2, 4, 2), at(2, 4, 2), pickle.loads(pickle.dumps(data)))
    assert not same(at(2, 4, 2), at(2, 5, 2)) and not same(at(2, 4, 2), at(2, 4, 8))
    assert not same(at(2, 4, 2), at(2, 4, 2), _faces(sample, crop_scale=[0.5, 1.0], image_size=32, manual_seed=6))


@pytest.mark.parametrize('context', sorted({'fork', 'spawn'} & set(multiprocessing.get_all_start_methods())))
def test_workers_give_what_the_main_process_gives(sample: Path, context: str) -> None:
    data = _faces(sample, crop_scale=0.8)
    alone = next(iter(DataLoader(data, 6)))
    worked = next(iter(DataLoader(data, 6, num_workers=1, multiprocessing_context=context)))
    assert all(torch.equal(alone[key], worked[key]) for key in ('gt', 'parsing', 'landmarks'))


def test_mirroring_keeps_labels_on_their_feature(sample: Path) -> None:
    """The mean landmark of each eye stays in that eye's mask, mirrored or not, and both happen."""
    data = _faces(sample, image_size=64)
    mirrored = 0
    plain = _faces(sample, use_hflip=False)
    for epoch in range(6):
        item = data[EpochIndex(1, epoch, 1)]
        mirrored += not torch.equal(item['gt'], plain[EpochIndex(1, epoch, 1)]['gt'])
        for label, points in ((5, slice(36, 42)), (4, slice(42, 48))):
            y, x = torch.nonzero(item['parsing'] == label, as_tuple=True)
            centre = item['landmarks'][points].mean(0)
            assert abs(x.float().mean() - centre[0]) < 2 and abs(y.float().mean() - centre[1]) < 2
    assert 0 < mirrored < 6


def test_crop_and_resize_move_landmarks_with_the_picture(sample: Path) -> None:
    whole = _faces(sample, phase='val', image_size=64)[0]
    half = _faces(sample, phase='val', image_size=24, crop_scale=0.5)[0]
    expected = (whole['landmarks'] + 0.5 - 16) * 24 / 32 - 0.5
    assert torch.allclose(half['landmarks'], expected, atol=1e-4)
    crop = _faces(sample, gt_size=32, use_hflip=False)[0]
    assert crop['gt'].shape == (3, 32, 32) and crop['parsing'].shape == (32, 32)
    place = whole['landmarks'][0] - crop['landmarks'][0]
    x, y = (int(v) for v in place.round())
    assert torch.equal(crop['gt'], whole['gt'][:, y : y + 32, x : x + 32])
    assert torch.equal(crop['position'] * 64, torch.tensor([x, y, x + 32, y + 32], dtype=torch.float32))
    assert 'position' not in whole


def test_the_place_of_a_crop_is_mirrored_with_it(sample: Path) -> None:
    plain, mirrored = (_faces(sample, gt_size=32, image_size=64, use_hflip=flip) for flip in (False, True))
    seen = 0
    for epoch in range(8):
        index = EpochIndex(1, epoch, 1)
        a, b = plain[index], mirrored[index]
        if not torch.equal(a['gt'], b['gt']):
            seen += 1
            assert torch.equal(a['gt'].flip(-1), b['gt'])
            assert torch.equal(1 - b['position'][[2, 0]], a['position'][[0, 2]])
            assert torch.equal(b['position'][[1, 3]], a['position'][[1, 3]])
        else:
            assert torch.equal(a['position'], b['position'])
    assert 0 < seen < 8


def test_turning_keeps_labels_on_their_feature(sample: Path) -> None:
    """FSRNet's augmentation on Helen: by 0, 90, 180 and 270 degrees, all four of them, the person's left staying so."""
    turned, plain = _faces(sample, use_rot=True, use_hflip=False), _faces(sample, use_hflip=False)
    seen = set()
    for epoch in range(12):
        item, upright = (data[EpochIndex(1, epoch, 1)] for data in (turned, plain))
        (turns,) = [k for k in range(4) if torch.equal(item['gt'], torch.rot90(upright['gt'], k, (1, 2)))]
        seen.add(turns)
        assert torch.equal(item['parsing'], torch.rot90(upright['parsing'], turns, (0, 1)))
        for label, points in ((5, slice(36, 42)), (4, slice(42, 48))):
            y, x = torch.nonzero(item['parsing'] == label, as_tuple=True)
            centre = item['landmarks'][points].mean(0)
            assert abs(x.float().mean() - centre[0]) < 2 and abs(y.float().mean() - centre[1]) < 2
    assert seen == {0, 1, 2, 3}
    turned, plain = (_faces(sample, phase='val', use_rot=use_rot) for use_rot in (True, False))
    assert all(torch.equal(turned[i]['gt'], plain[i]['gt']) for i in range(6))  # in training alone


@pytest.mark.parametrize('turns', range(5))
def test_a_turned_crop_is_the_crop_of_the_turned_face(turns: int) -> None:
    """Its place in the face and its landmarks, too; of a face that is not square."""
    rng = np.random.default_rng(0)
    face = FaceSample(rng.integers(0, 256, (48, 64, 3), np.uint8), None, rng.uniform(0, 48, (5, 2)).astype(np.float32))
    one = turn(crop(face, 8, 24, 16), turns)
    assert one.position is not None and one.landmarks is not None
    whole = turn(face, turns)
    height, width = whole.image.shape[:2]
    x, y = round(one.position[0] * width), round(one.position[1] * height)
    other = crop(whole, y, x, 16)
    assert np.array_equal(one.image, other.image) and one.position == pytest.approx(other.position)
    assert np.allclose(one.landmarks, other.landmarks, atol=1e-4)
    assert {draw_turns(face.image, rng) for _ in range(20)} == {0, 2}  # it stays 48 x 64


def test_a_pair_is_turned_together(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    write_image(tmp_path / 'gt' / '0.png', image)
    write_image(tmp_path / 'lq' / '0.png', image[::4, ::4])
    opt = {'name': 'a', 'type': 'PairedFaceDataset', 'phase': 'train', 'scale': 4, 'use_rot': True}
    data = build_dataset({**opt, 'dataroot_gt': str(tmp_path / 'gt'), 'dataroot_lq': str(tmp_path / 'lq')})
    seen = set()
    for epoch in range(12):
        item = data[EpochIndex(0, epoch, 0)]
        turns = [k for k in range(4) if torch.equal(item['gt'], torch.rot90(to_tensor(image), k, (1, 2)))]
        assert torch.equal(item['lq'], torch.rot90(to_tensor(image[::4, ::4]), turns[0], (1, 2)))
        seen.update(turns)
    assert seen == {0, 1, 2, 3}


def test_unknown_labels(sample: Path, tmp_path: Path) -> None:
    masks = tmp_path / 'masks'
    masks.mkdir()
    name = list_images(sample / 'images', 'x')[0]
    write_mask(masks / name, read_mask(sample / 'masks' / name))
    landmarks = json.loads((sample / 'landmarks.json').read_text())
    landmarks[name][3] = None
    some = tmp_path / 'some.json'
    some.write_text(json.dumps({name: landmarks[name]}))
    data = _faces(sample, phase='val', dataroot_parsing=str(masks), landmark_file=str(some))
    assert data[0]['parsing'].max() < 19 and (data[1]['parsing'] == 255).all()
    assert torch.isnan(data[0]['landmarks'][3]).all() and torch.isfinite(data[0]['landmarks'][4]).all()
    assert torch.isnan(data[1]['landmarks']).all()


def test_meta_info_file_and_non_ascii_paths(sample: Path, tmp_path: Path) -> None:
    folder = tmp_path / 'Gesichter-äöü-脸'
    for index, name in enumerate(list_images(sample / 'images', 'x')[:3]):
        write_image(folder / 'sub' / f'{index}é.png', read_image(sample / 'images' / name))
    meta = tmp_path / 'meta.txt'
    meta.write_text('sub/2é.png (64,64,3)\n\nsub/0é.png\n', encoding='utf-8')
    plain = {'dataroot_parsing': ..., 'landmark_file': ..., 'num_landmark': ..., 'phase': 'val'}
    data = _faces(folder, dataroot_gt=str(folder), meta_info_file=str(meta), **plain)
    assert [Path(data[i]['gt_path']).name for i in range(len(data))] == ['2é.png', '0é.png']
    assert 'parsing' not in data[0] and 'landmarks' not in data[0]


def _listed(folder: Path, text: str, encoding: str = 'utf-8') -> Any:
    meta = folder.parent / f'{folder.name}.txt'
    meta.write_text(text, encoding=encoding)
    plain = {'dataroot_parsing': ..., 'landmark_file': ..., 'num_landmark': ..., 'phase': 'val'}
    return _faces(folder, dataroot_gt=str(folder), meta_info_file=str(meta), **plain)


@pytest.fixture
def named(sample: Path, tmp_path: Path) -> Path:
    """Three images, one of whose names has spaces and brackets."""
    image = read_image(sample / 'images' / list_images(sample / 'images')[0])
    for name in ('a.png', 'my face (2).png', 'c.png'):
        write_image(tmp_path / 'named' / name, image)
    return tmp_path / 'named'


def test_lists_cut_off_what_basicsr_adds_and_that_alone(named: Path) -> None:
    lines = ('my face (2).png (64,64,3) 1', 'a.png (64, 64, 3)', '', 'c.png (64,64)  ')
    data = _listed(named, '\n'.join(lines))
    assert data.paths == ['my face (2).png', 'a.png', 'c.png'] and data[0]['gt'].shape == (3, 64, 64)


def test_lists_that_windows_has_saved(named: Path) -> None:
    assert _listed(named, 'a.png\r\nc.png\r\n', 'utf-8-sig').paths == ['a.png', 'c.png']


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-8-sig'])
def test_lists_and_landmarks_of_any_unicode(encoding: str, sample: Path, named: Path) -> None:
    assert _listed(named, 'a.png\r\nmy face (2).png\r\n', encoding).paths == ['a.png', 'my face (2).png']
    (named / 'images.json').write_text(json.dumps({'a.png': [[1, 2], [30, 3]]}), encoding=encoding)
    changes = {'landmark_file': str(named / 'images.json'), 'num_landmark': 2, 'dataroot_parsing': ...}
    assert len(_faces(named, dataroot_gt=str(named), phase='val', **changes)) == 3
    with pytest.raises(DatasetError, match=r'val:meta_info_file: cannot read'):
        _listed(named, 'ä.png', 'latin-1')


def test_lists_are_compared_with_the_disk_before_the_run(named: Path) -> None:
    with pytest.raises(
        DatasetError, match=r'val:meta_info_file: 2 of its 3 images are not in .*; the first is .b\.png'
    ):
        _listed(named, 'a.png\nb.png\nc.png extra\n')
    with pytest.raises(DatasetError, match='val:dataroot_gt: there is no folder'):
        _listed(named.parent / 'nowhere', 'a.png')
    (named / '.hidden').mkdir()
    (named / 'a.png').rename(named / '.hidden' / 'a.data')  # what the list names is taken, listed or not
    assert len(_listed(named, './c.png\n.hidden/a.data\n')) == 2


def test_masks_that_two_images_would_share_are_refused(sample: Path, tmp_path: Path) -> None:
    name = list_images(sample / 'images')[0]
    for suffix in ('.png', '.jpg'):
        write_image(tmp_path / 'images' / f'a{suffix}', read_image(sample / 'images' / name))
    write_mask(tmp_path / 'masks' / 'a.png', read_mask(sample / 'masks' / name))
    plain = {'landmark_file': ..., 'num_landmark': ...}
    with pytest.raises(DatasetError, match=r'dataroot_parsing: a\.jpg and a\.png have one key, a; rename one of them'):
        _faces(tmp_path, **plain)
    assert len(_faces(tmp_path, dataroot_parsing=..., **plain)) == 2


def test_landmarks_have_full_names(sample: Path, tmp_path: Path) -> None:
    """So that a.jpg and a.png keep their own; a file that names none of the images is refused."""
    name, landmarks = list_images(sample / 'images')[0], json.loads((sample / 'landmarks.json').read_text())
    for suffix in ('.png', '.jpg'):
        write_image(tmp_path / 'images' / f'a{suffix}', read_image(sample / 'images' / name))
    own = {'a.png': landmarks[name], 'a.jpg': [[1, 2 + i] for i in range(68)]}
    (tmp_path / 'landmarks.json').write_text(json.dumps(own), encoding='utf-8-sig')
    data = _faces(tmp_path, dataroot_parsing=..., phase='val')
    assert data.paths == ['a.jpg', 'a.png'] and data[0]['landmarks'].tolist() == own['a.jpg']
    assert torch.allclose(data[1]['landmarks'], torch.tensor(landmarks[name]))
    for text, message in (
        (json.dumps({'b.png': own['a.png']}), 'no image of .* has landmarks in'),
        (json.dumps({**own, 'b.png': [1]}), r'b\.png has shape \(1,\), not \(68, 2\)'),
        ('[1]', 'must hold image path -> landmarks, not a list'),
        ('{', 'cannot read'),
    ):
        (tmp_path / 'landmarks.json').write_text(text)
        with pytest.raises(DatasetError, match='landmark_file: .*' + message):
            _faces(tmp_path, dataroot_parsing=...)


def test_grey_alpha_16_bit_and_exif(tmp_path: Path) -> None:
    rgb = np.tile(np.arange(0, 240, 30, dtype=np.uint8)[:, None, None], (1, 6, 3))
    Image.fromarray(rgb[..., 0]).save(tmp_path / 'grey.png')
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save(tmp_path / 'alpha.png')
    Image.fromarray(rgb[..., 0].astype(np.uint16) * 257).save(tmp_path / 'deep.png')
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.fromarray(rgb).save(tmp_path / 'turned.jpg', exif=exif, quality=100)
    for name in ('grey.png', 'alpha.png', 'deep.png'):
        assert np.abs(read_image(tmp_path / name).astype(int) - rgb).max() <= 1, name
    assert read_image(tmp_path / 'turned.jpg').shape == (6, 8, 3)


def _spoil(folder: Path) -> None:
    (folder / '0_bad.png').write_bytes(b'no picture')


def test_bad_files_are_named_or_skipped(sample: Path, tmp_path: Path) -> None:
    for name in list_images(sample / 'images', 'x')[:2]:
        write_image(tmp_path / name, read_image(sample / 'images' / name))
    _spoil(tmp_path)
    plain: dict[str, Any] = {
        'dataroot_parsing': ...,
        'landmark_file': ...,
        'num_landmark': ...,
        'dataroot_gt': str(tmp_path),
    }
    bad = _faces(tmp_path, **plain)
    position = bad.paths.index('0_bad.png')
    with pytest.raises(DatasetError, match=r'0_bad\.png is not a picture'):
        bad[position]
    item = _faces(tmp_path, skip_bad_files=True, **plain)[position]
    assert Path(item['gt_path']).name != '0_bad.png'


def test_a_skipped_file_is_told_once_a_run(sample: Path, tmp_path: Path) -> None:
    """Workers come and go with the epochs; the list in the run's folder outlives them."""
    for name in list_images(sample / 'images', 'x')[:2]:
        write_image(tmp_path / 'in' / name, read_image(sample / 'images' / name))
    _spoil(tmp_path / 'in')
    told: list[str] = []
    logger = logging.getLogger('basicsr')
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    plain: dict[str, Any] = {'dataroot_parsing': ..., 'landmark_file': ..., 'num_landmark': ...}
    listed = tmp_path / 'skipped.txt'
    for _ in range(2):  # two workers, or a resumed run
        data = _faces(
            tmp_path, dataroot_gt=str(tmp_path / 'in'), skip_bad_files=True, skipped_file=str(listed), **plain
        )
        bad = data.paths.index('0_bad.png')
        assert torch.equal(data[bad]['gt'], data[bad]['gt'])
        next(iter(DataLoader(data, 3, num_workers=1)))
    logger.removeHandler(handler)
    assert len([text for text in told if text.startswith('Skipped: ')]) == 1
    assert listed.read_text(encoding='utf-8').splitlines() == [str(tmp_path / 'in' / '0_bad.png')]


# ---- degradation in the workers ------------------------------------------------------------------------------------


def _degrading(folder: Path, **changes: Any) -> Any:
    opt = {'degrade_in_workers': True, 'degradation': {'preset': 'fsrnet_x8'}, **changes}
    return _faces(folder, crop_scale=[0.5, 1.0], **opt)


@pytest.mark.parametrize('context', sorted({'fork', 'spawn'} & set(multiprocessing.get_all_start_methods())))
def test_workers_degrade_what_they_load(sample: Path, context: str) -> None:
    data, plain = _degrading(sample), _faces(sample, crop_scale=[0.5, 1.0])
    batch = next(iter(DataLoader(data, 6, num_workers=2, multiprocessing_context=context)))
    assert torch.equal(batch['gt'], next(iter(DataLoader(plain, 6)))['gt'])  # what is drawn for the picture stays
    expected = build_degradation({'preset': 'fsrnet_x8'}, 8)(batch['gt'], torch.Generator())
    assert torch.allclose(batch['lq'], expected, atol=1 / 255 + 1e-6) and batch['lq'].shape == batch['gt'].shape


def test_each_draw_is_degraded_by_a_seed_of_its_own(sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Noise(BicubicDegradation):
        def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
            return torch.rand(1, 3, 8, 8, generator=generator)

    data = _degrading(sample, image_size=64)
    data.degradation = Noise(8)
    at = EpochIndex
    lqs = [data[index]['lq'] for index in (at(2, 4, 2), at(2, 4, 2), at(2, 5, 2), at(2, 4, 8))]
    assert torch.equal(lqs[0], lqs[1]) and not any(torch.equal(lqs[0], lq) for lq in lqs[2:])
    data.manual_seed += 1
    assert not torch.equal(lqs[0], data[at(2, 4, 2)]['lq'])


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        ({'degrade_in_workers': True}, OptionError, 'train:degrade_in_workers: needs the degradation section'),
        ({'degrade_in_workers': True, 'phase': 'val'}, OptionError, 'val:degrade_in_workers: is for training'),
        ({'dataroot_gt': 'nowhere'}, DatasetError, 'dataroot_gt: there is no folder nowhere'),
        ({'dataroot_gt': ...}, OptionError, 'datasets:train:dataroot_gt: is missing'),
        ({'dataroot_parsing': 'nowhere'}, DatasetError, 'dataroot_parsing: no image of .* has a mask'),
        ({'parsing_labels': 'celeba'}, OptionError, 'parsing_labels: must be one of celebamask19'),
        ({'num_landmark': 98}, DatasetError, r'shape \(68, 2\), not \(98, 2\)'),
        ({'num_landmark': ...}, OptionError, 'needs num_landmark'),
        ({'crop_scale': [0.9, 1.2]}, OptionError, 'crop_scale: must be a number or'),
        ({'gtsize': 32}, OptionError, r'train:gtsize: unknown key.* did you mean gt_size'),
        ({'dataroot_gt': 'builtin', 'image_size': ...}, OptionError, 'builtin needs image_size'),
        (
            {'dataroot_gt': 'builtin', 'num_landmark': 98},
            OptionError,
            'num_landmark: drawn faces have 68 or 5 landmarks',
        ),
    ],
)
def test_unfit_options(sample: Path, changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _faces(sample, **changes)


def test_empty_folder_and_too_large_crop(sample: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match='no picture'):
        _faces(sample, dataroot_gt=str(tmp_path), dataroot_parsing=...)
    with pytest.raises(DatasetError, match=r'gt_size: 128 is larger than a picture of 64x64 px, .*png'):
        _faces(sample, gt_size=128)[0]


# ---- pairs ---------------------------------------------------------------------------------------------------------


def _pairs(folder: Path, **changes: Any) -> Any:
    opt = {
        'name': 'pairs',
        'type': 'PairedFaceDataset',
        'phase': 'train',
        'scale': 4,
        'manual_seed': 0,
        'dataroot_gt': str(folder / 'gt'),
        'dataroot_lq': str(folder / 'lq'),
        'gt_size': 32,
        'use_hflip': True,
    }
    return build_dataset({**opt, **changes})


@pytest.fixture(scope='module')
def pair_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs whose LQ pixel tells the place of the GT pixels that it stands for."""
    folder = tmp_path_factory.mktemp('pairs')
    grid = np.arange(256, dtype=np.uint8).reshape(16, 16)
    lq = np.repeat(grid[..., None], 3, 2)
    for name in 'ab':
        write_image(folder / 'gt' / f'{name}.png', lq.repeat(4, 0).repeat(4, 1))
        write_image(folder / 'lq' / f'{name}.png', lq)
        write_image(folder / 'enlarged' / f'{name}x4.png', lq.repeat(4, 0).repeat(4, 1))
    return folder


@pytest.mark.parametrize('enlarged', [False, True])
def test_pairs_stay_aligned(pair_folder: Path, enlarged: bool) -> None:
    changes: dict[str, Any] = {
        'dataroot_lq': str(pair_folder / 'enlarged'),
        'filename_tmpl': '{}x4',
        'lq_enlarged': True,
    }
    data = _pairs(pair_folder, **(changes if enlarged else {}))
    for epoch in range(8):
        item = data[EpochIndex(1, epoch, 1)]
        lq = item['lq'] if enlarged else item['lq'].repeat_interleave(4, 1).repeat_interleave(4, 2)
        assert item['gt'].shape == (3, 32, 32) and torch.equal(lq, item['gt'])


def test_unfit_pairs(pair_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r'is 16x16 px, expected 64x64 px.*lq_enlarged True'):
        _pairs(pair_folder, lq_enlarged=True)[0]
    with pytest.raises(DatasetError, match='2 of 2 images have no LQ'):
        _pairs(pair_folder, filename_tmpl='{}_lq')
    with pytest.raises(OptionError, match='builtin has no stored LQ'):
        _pairs(pair_folder, dataroot_gt='builtin')
    with pytest.raises(OptionError, match='degrade_in_workers: unknown key'):
        _pairs(pair_folder, degrade_in_workers=True)
    with pytest.raises(OptionError, match='gt_size: 30 is not a multiple of the scale 4'):
        _pairs(pair_folder, gt_size=30)[0]
    for sub, where in (('gt', 'dataroot_gt'), ('lq', 'dataroot_lq')):  # whose LQ is it, and which of the two is meant?
        write_image(tmp_path / sub / 'c.png', np.zeros((64, 64, 3), np.uint8))
        write_image(tmp_path / sub / 'c.jpg', np.zeros((64, 64, 3), np.uint8))
        with pytest.raises(DatasetError, match=rf'{where}: c\.jpg and c\.png have one key, c'):
            _pairs(pair_folder, **{where: str(tmp_path / sub)})
    with pytest.raises(DatasetError, match='is 64x64 px, but image_size is 128'):
        _pairs(pair_folder, image_size=128)[0]


@needs_photos
def test_real_photographs_with_masks() -> None:
    folder = PHOTOS / 'celebahq_parsing'
    data = _faces(folder, dataroot_gt=str(folder / 'images'), landmark_file=..., num_landmark=..., image_size=128)
    assert len(data) == 896
    item = data[10]
    assert item['gt'].shape == (3, 128, 128) and set(item['parsing'].unique().tolist()) <= set(range(19))


@needs_photos
def test_published_pairs_are_declared_enlarged() -> None:
    folder = PHOTOS / 'fsrnet_celeba_x8'
    data = _pairs(
        folder,
        dataroot_gt=str(folder / 'HR'),
        dataroot_lq=str(folder / 'LR_bicubic'),
        scale=8,
        lq_enlarged=True,
        gt_size=None,
        phase='val',
    )
    assert len(data) == 500 and data[0]['lq'].shape == data[0]['gt'].shape == (3, 128, 128)


def test_contact_sheet() -> None:
    small, large = np.zeros((4, 4, 3), np.uint8), np.full((16, 16, 3), 200, np.uint8)
    sheet = contact_sheet([[small, large], [small, large]], ['LQ', 'GT'])
    assert sheet.shape == (18 + 2 * 18, 2 * 18, 3) and sheet.dtype == np.uint8
    assert (sheet[18:34, :16] == 0).all() and (sheet[18:34, 18:34] == 200).all()
    short = contact_sheet([[small, large], [small]], ['LQ', 'GT'])
    assert short.shape == sheet.shape and (short[36:, 18:] == 255).all()


def test_rows_of_a_contact_sheet_have_names() -> None:
    dark = np.zeros((16, 16, 3), np.uint8)
    plain = contact_sheet([[dark] * 3, [dark] * 3], ['a', 'b', 'c'])
    named = contact_sheet([[dark] * 3, [dark] * 3], ['a', 'b', 'c'], captions=['0001', '0002'])
    assert named.shape == (plain.shape[0] + 2 * 18, *plain.shape[1:])
    assert np.array_equal(named[36:54], plain[18:36]) and np.array_equal(named[72:], plain[36:])
    strips = named[18:36], named[54:72]
    assert all((strip < 128).any() for strip in strips) and not np.array_equal(*strips)
