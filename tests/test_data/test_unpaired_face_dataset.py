"""Unpaired faces: independent draws that come again, LR pictures of other sizes, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from basicsr.data import build_dataset

from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.samplers import EpochIndex
from facesr_ext.imaging import to_tensor


@pytest.fixture(scope='module')
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three HR faces of 64 px and seven LR pictures of 16 px."""
    root = tmp_path_factory.mktemp('unpaired')
    for i in range(3):
        write_image(root / 'hr' / f'{i}.png', render_face(0, i, 64).image)
    for i in range(7):
        write_image(root / 'lr' / f'{i}.png', np.full((16, 16, 3), 30 * i, np.uint8))
    return root


def _set(root: Path, **changes: Any) -> Any:
    opt = {
        'name': 'faces', 'type': 'UnpairedFaceDataset', 'phase': 'train', 'scale': 4, 'manual_seed': 5,
        'dataroot_gt': str(root / 'hr'), 'dataroot_lq': str(root / 'lr'), 'image_size': 64, **changes,
    }  # fmt: skip
    return build_dataset({key: value for key, value in opt.items() if value is not None})


def test_draws_are_a_function_of_seed_epoch_and_draw(folders: Path) -> None:
    data = _set(folders)
    again, other = pickle.loads(pickle.dumps(data)), _set(folders, manual_seed=6)
    at = [EpochIndex(i % 3, epoch, i) for epoch in range(3) for i in range(12)]
    drawn = [data[i]['lq_path'] for i in at]
    assert drawn == [again[i]['lq_path'] for i in at]
    assert drawn != [other[i]['lq_path'] for i in at]
    assert len(set(drawn)) == 7  # each HR face meets all LR faces in time
    assert drawn[:12] != drawn[12:24]


def test_validation_takes_them_in_order(folders: Path) -> None:
    data = _set(folders, phase='val')
    assert [Path(data[i]['lq_path']).name for i in range(3)] == ['0.png', '1.png', '2.png']
    assert set(data[0]) == {'gt', 'gt_path', 'lq', 'lq_path'}
    assert data[0]['gt'].shape == (3, 64, 64) and data[0]['lq'].shape == (3, 16, 16)


def test_faces_are_mirrored_independently(folders: Path, tmp_path: Path) -> None:
    """All four combinations come up."""
    half = np.zeros((16, 16, 3), np.uint8)
    half[:, :8] = 255
    write_image(tmp_path / 'half.png', half)
    data = _set(folders, dataroot_lq=str(tmp_path), use_hflip=True)
    plain = to_tensor(read_image(folders / 'hr' / '0.png'))
    seen = set()
    for epoch in range(24):
        item = data[EpochIndex(0, epoch, 0)]
        seen.add((torch.equal(item['gt'], plain), bool(item['lq'][0, 0, 0] == 1)))
    assert len(seen) == 4


def test_other_sizes_are_cut_square_and_resized_or_refused(folders: Path, tmp_path: Path) -> None:
    img = np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8)
    write_image(tmp_path / 'a.png', img)
    fitted = _set(folders, phase='val', dataroot_lq=str(tmp_path))[0]['lq']
    assert torch.equal(fitted, to_tensor(cv2.resize(img[4:44], (16, 16), interpolation=cv2.INTER_AREA)))
    with pytest.raises(DatasetError, match=r'a.png is 40x48 px, expected 16x16 px; set lq_fit: resize'):
        _set(folders, dataroot_lq=str(tmp_path), lq_fit='exact')[0]


def test_builtin_lr_faces_are_other_faces_and_a_fixed_set(folders: Path) -> None:
    options = {'dataroot_gt': 'builtin', 'dataroot_lq': 'builtin', 'num_faces': 3, 'phase': 'val'}
    data, again = _set(folders, **options), _set(folders, **options)
    for i in (2, 0):
        lq = data[i]['lq']
        assert torch.equal(lq, again[i]['lq']) and lq.shape == (3, 16, 16)
        own = torch.nn.functional.avg_pool2d(data[i]['gt'], 4)
        assert (lq - own).abs().mean() > 0.03
    assert not torch.equal(data[0]['lq'], data[1]['lq'])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'dataroot_lq': None}, 'datasets:train:dataroot_lq: is missing'),
        ({'lq_fit': 'area'}, "lq_fit: must be one of resize, exact, not 'area'"),
        ({'image_size': None}, 'image_size or gt_size is missing'),
        ({'image_size': 62}, 'a face of 62 px is not a multiple of the scale 4'),
        ({'dataroot_parsing': 'masks'}, 'dataroot_parsing: unknown key'),
    ],
)
def test_refuses(folders: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        _set(folders, **changes)


def test_bad_lr_file_is_named_or_skipped(folders: Path, tmp_path: Path) -> None:
    (tmp_path / 'bad.png').write_bytes(b'no picture')
    write_image(tmp_path / 'good.png', np.full((16, 16, 3), 9, np.uint8))
    with pytest.raises(DatasetError, match='bad.png'):
        _set(folders, phase='val', dataroot_lq=str(tmp_path))[0]
    data = _set(folders, phase='val', dataroot_lq=str(tmp_path), skip_bad_files=True)
    assert data[0]['lq'].mean() == pytest.approx(9 / 255)
    assert Path(data[0]['lq_path']).name == 'good.png'  # the one that is given, not the one that was asked for
    listed = tmp_path / 'skipped.txt'
    _set(folders, phase='val', dataroot_lq=str(tmp_path), skip_bad_files=True, skipped_file=str(listed))[0]
    assert listed.read_text(encoding='utf-8').splitlines() == [str(tmp_path / 'bad.png')]
    with pytest.raises(DatasetError, match='dataroot_lq: there is no folder'):
        _set(folders, dataroot_lq=str(tmp_path / 'none'))
