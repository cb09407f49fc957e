"""What is used of a data set is said; labels that cannot be those of their image are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from basicsr.data import build_dataset
from PIL import Image

from facesr_ext.check.examine import check_file
from facesr_ext.data.image_io import read_mask, write_image
from facesr_ext.errors import DatasetError
from facesr_ext.inference.sampler import write_sample

PAIRED = {'type': 'PairedFaceDataset'}


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Four faces of 64 px with masks and landmarks."""
    write_sample(tmp_path, 4, 3, 64)
    return tmp_path


def _open(folder: Path, **changes: Any) -> Any:
    opt = {
        'name': 'faces',
        'type': 'FaceDataset',
        'phase': 'val',
        'scale': 4,
        'dataroot_gt': str(folder / 'images'),
        'dataroot_parsing': str(folder / 'masks'),
        'landmark_file': str(folder / 'landmarks.json'),
        'num_landmark': 68,
        **changes,
    }
    return build_dataset({key: value for key, value in opt.items() if value is not None})


def _each_mask(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    for path in (folder / 'masks').iterdir():
        Image.fromarray(change(read_mask(path))).save(path)


def _each_landmark(folder: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    path = folder / 'landmarks.json'
    entries = {name: change(np.array(points)).tolist() for name, points in json.loads(path.read_text()).items()}
    path.write_text(json.dumps(entries))


def test_what_is_used_is_said(faces: Path, told: list[str]) -> None:
    names = sorted(path.name for path in (faces / 'images').iterdir())
    for name in names[:2]:
        write_image(faces / 'lq' / name, np.zeros((16, 16, 3), np.uint8))
    (faces / 'masks' / names[0]).rename(faces / 'masks' / 'nobody.png')
    entries = json.loads((faces / 'landmarks.json').read_text())
    (faces / 'landmarks.json').write_text(json.dumps({f'gone/{names[0]}': entries.pop(names[0]), **entries}))
    (faces / 'list.txt').write_text('\n'.join(names[:1]))
    _open(faces)
    _open(faces, **PAIRED, meta_info_file=str(faces / 'list.txt'), dataroot_lq=str(faces / 'lq'),
          dataroot_parsing=None, landmark_file=None)  # fmt: skip
    assert [line for line in told if not line.startswith('Dataset [')] == [
        f'faces: 4 images in {faces / "images"}',
        f'faces: masks of 3 of 4 images in {faces / "masks"}; 1 masks there are of none of them',
        f'faces: landmarks of 3 of 4 images in {faces / "landmarks.json"}; 1 entries there are of none of them, the '
        f'first of gone/{names[0]}',
        f'faces: 1 images in {faces / "images"}, as listed; 3 there are not in the list',
        f'faces: 1 pairs with {faces / "lq"}; 1 LQ images there are of none of them',
    ]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda mask: mask * 0, 'none of 4 masks in .* holds a value but 0'),
        (lambda mask: (mask > 0).astype(np.uint8) * 255, 'none of 4 masks in .* holds a value but 0'),
        (lambda mask: mask * 0 + 255, 'none of 4 masks in .* holds a value but 0'),
        (lambda mask: mask + 10, r'holds the values? .*, but celebamask19 has 0 to 18'),
        (lambda mask: mask[:, :32], 'is 32x64 px, its image 64x64 px'),
        (lambda mask: mask[:40, :60], 'is 60x40 px, its image 64x64 px'),
    ],
)
def test_masks_that_cannot_be(change: Callable[[np.ndarray], np.ndarray], message: str, faces: Path) -> None:
    _each_mask(faces, change)
    with pytest.raises(DatasetError, match=f'datasets:val:dataroot_parsing: .*{message}'):
        _open(faces)


@pytest.mark.parametrize('size', [32, 128])
def test_masks_of_another_resolution_are_brought_to_the_image(size: int, faces: Path) -> None:
    _each_mask(faces, lambda mask: np.array(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST)))
    assert _open(faces)[0]['parsing'].shape == (64, 64)


def test_some_masks_of_background_alone_are_told(faces: Path, told: list[str]) -> None:
    path = next((faces / 'masks').iterdir())
    Image.fromarray(read_mask(path) * 0).save(path)
    _open(faces)
    assert f'1 of 4 masks looked at in {faces / "masks"} hold background alone' in told


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda points: points / 64, 'lie in -1..1'),
        (lambda points: points / 32 - 1, 'lie in -1..1'),
        (lambda points: points * 0, 'lie in -1..1'),
        (lambda points: points * 4, r'lie outside of the image of 64x64 px'),
        (lambda points: points - 100, r'lie outside of the image of 64x64 px'),
        (lambda points: np.where(np.arange(68)[:, None] == 5, 500, points), r'lie outside of the image of 64x64 px'),
    ],
)
def test_landmarks_that_cannot_be(change: Callable[[np.ndarray], np.ndarray], message: str, faces: Path) -> None:
    _each_landmark(faces, change)
    with pytest.raises(DatasetError, match=f'datasets:val:landmark_file: .*{message}'):
        _open(faces)


def test_landmarks_a_little_outside_stay(faces: Path) -> None:
    _each_landmark(faces, lambda points: points - 20)
    assert _open(faces)[0]['landmarks'].min() < 0


def test_landmarks_of_other_names_are_shown_beside_the_images(faces: Path) -> None:
    entries = json.loads((faces / 'landmarks.json').read_text())
    (faces / 'landmarks.json').write_text(json.dumps({f'x/{name}': points for name, points in entries.items()}))
    with pytest.raises(DatasetError, match=r'its first entry is x/003_00000\.png, the first image 003_00000\.png'):
        _open(faces)


def test_one_bad_label_leaves_its_face_out_where_asked(faces: Path) -> None:
    path = min((faces / 'masks').iterdir())
    Image.fromarray(read_mask(path) + 30).save(path)
    assert Path(_open(faces, skip_bad_files=True)[0]['gt_path']).name != path.name


def test_two_sets_of_one_name_are_refused(tmp_path: Path) -> None:
    one = '{name: val, type: FaceDataset, dataroot_gt: builtin, image_size: 32}'
    path = tmp_path / 'x.yml'
    path.write_text(f'name: x\nmodel_type: FaceSRModel\nscale: 4\ndatasets:\n  test_1: {one}\n  test_2: {one}\n')
    found = [finding for finding in check_file(str(path), 'test') if finding.key == ('datasets', 'test_2', 'name')]
    assert [finding.level for finding in found] == ['error'] and 'test_1' in found[0].message
