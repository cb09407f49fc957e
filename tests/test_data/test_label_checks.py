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
from facesr_ext.data.image_io import read_mask, write_image, write_mask
from facesr_ext.errors import DatasetError
from facesr_ext.faces.labels import CELEBAMASK19
from facesr_ext.faces.sides import with_sides_swapped
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
        'faces: looked at before the run: landmarks of 3 of 3 images; 3 of 3 masks by their size, 3 by their values',
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


@pytest.mark.parametrize('size', [8, 32, 128])
def test_masks_of_another_resolution_are_brought_to_the_image(size: int, faces: Path, told: list[str]) -> None:
    """Each pixel of the image has the value of the mask's pixel that lies there; it is said once."""
    _each_mask(faces, lambda mask: np.array(Image.fromarray(mask).resize((size, size), Image.Resampling.NEAREST)))
    data = _open(faces)
    nearest = np.minimum((np.arange(64) + 0.5) * size / 64, size - 1).astype(int)
    stored = read_mask(min((faces / 'masks').iterdir()))
    assert np.array_equal(data[0]['parsing'].numpy(), stored[nearest][:, nearest])
    assert [line for line in told if 'another size' in line] == [
        f'faces: 4 of 4 masks are of another size than their image, the first {size}x{size} px for 64x64 px; they are '
        'scaled by nearest neighbour'
    ]


def test_masks_too_small_to_hold_a_face_are_refused(faces: Path) -> None:
    _each_mask(faces, lambda mask: np.ascontiguousarray(mask[::16, ::16]))
    with pytest.raises(DatasetError, match='is 4x4 px, its image 64x64 px: less than 1/8 of it'):
        _open(faces)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """90 flat images of 24 x 16 px with masks and five landmarks: more than are read before a run."""
    entries = {}
    for i in range(90):
        write_image(tmp_path / 'images' / f'{i:02d}.png', np.full((16, 24, 3), i, np.uint8))
        write_mask(tmp_path / 'masks' / f'{i:02d}.png', np.full((16, 24), 1, np.uint8))
        entries[f'{i:02d}.png'] = [[2, 3], [9, 3], [5, 5], [3, 9], [8, 9]]
    (tmp_path / 'landmarks.json').write_text(json.dumps(entries))
    return tmp_path


@pytest.mark.parametrize('number', [1, 41, 88])
def test_the_labels_of_every_face_are_compared_with_its_size(number: int, many: Path, told: list[str]) -> None:
    assert len(_open(many, num_landmark=5)) == 90
    assert 'faces: looked at before the run: landmarks of 90 of 90 images; 90 of 90 masks by their size, 64 by their ' \
        'values' in told  # fmt: skip
    path = many / 'masks' / f'{number:02d}.png'
    write_mask(path, np.full((24, 16), 1, np.uint8))
    with pytest.raises(DatasetError, match=f'{number:02d}.png is 16x24 px, its image 24x16 px: not of one shape'):
        _open(many, num_landmark=5)
    path.unlink()
    entries = json.loads((many / 'landmarks.json').read_text())
    entries[f'{number:02d}.png'][2] = [90, 5]
    (many / 'landmarks.json').write_text(json.dumps(entries))
    with pytest.raises(DatasetError, match=f'landmarks of {number:02d}.png .* lie outside of the image of 24x16 px'):
        _open(many, num_landmark=5)


def test_labels_of_images_that_exif_turns_are_those_of_the_turned_image(tmp_path: Path) -> None:
    """The head of the file has the size before it."""
    (tmp_path / 'images').mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new('RGB', (48, 24)).save(tmp_path / 'images' / 'a.jpg', exif=turned)
    write_mask(tmp_path / 'masks' / 'a.png', np.full((48, 24), 1, np.uint8))
    (tmp_path / 'landmarks.json').write_text(json.dumps({'a.jpg': [[2, 45], [9, 45], [5, 40], [3, 40], [8, 40]]}))
    item = _open(tmp_path, num_landmark=5)[0]
    assert item['gt'].shape == (3, 48, 24) and item['parsing'].shape == (48, 24)


def test_faces_left_out_for_their_labels_are_counted(many: Path, told: list[str]) -> None:
    for i in (3, 4):
        write_mask(many / 'masks' / f'{i:02d}.png', np.full((24, 16), 1, np.uint8))
    _open(many, num_landmark=5, skip_bad_files=True)
    assert [line for line in told if line.startswith('2 of 90 images are left out for their labels, the first: ')]
    for i in range(90):
        write_mask(many / 'masks' / f'{i:02d}.png', np.zeros((16, 24), np.uint8))
    with pytest.raises(DatasetError, match='none of 64 masks in .* holds a value but 0'):
        _open(many, num_landmark=5, skip_bad_files=True)


def test_some_masks_of_background_alone_are_told(faces: Path, told: list[str]) -> None:
    path = next((faces / 'masks').iterdir())
    Image.fromarray(read_mask(path) * 0).save(path)
    _open(faces)
    assert f'1 of 4 masks looked at in {faces / "masks"} hold background alone' in told
    assert not any('eyes confused' in line for line in told)


def test_confused_eyes_are_told(faces: Path, told: list[str]) -> None:
    _each_mask(faces, lambda mask: with_sides_swapped(mask, CELEBAMASK19, ['eye']))
    _open(faces)
    (line,) = [line for line in told if 'eyes confused' in line]
    assert line.startswith(f'4 of 4 masks looked at in {faces / "masks"} have the eyes confused')
    assert 'facesr prepare MASKS --check-labels' in line


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


POINTS: list[Any] = [[20, 25], [44, 25], [32, 38], [24, 48], [40, 48]]
INFINITE, NOT_A_POINT = 'has a landmark at infinity', r'has shape \(.*\), not \(5, 2\): \[x, y\] in pixels, or null'


@pytest.mark.parametrize(
    ('points', 'message'),
    [
        ([[float('inf'), 25], *POINTS[1:]], INFINITE),
        ([[1.0e39, 25], *POINTS[1:]], INFINITE),  # of no float32
        ([[None, 25], *POINTS[1:]], NOT_A_POINT),
        ([['20', '25'], *POINTS[1:]], NOT_A_POINT),
        ([[True, False], *POINTS[1:]], NOT_A_POINT),
        ([[*point, 0.9] for point in POINTS], NOT_A_POINT),  # with a confidence
        ([value for point in POINTS for value in point], NOT_A_POINT),
        ([{'x': x, 'y': y} for x, y in POINTS], NOT_A_POINT),
        ([[i % 60, i // 2] for i in range(68)], NOT_A_POINT),
        (None, NOT_A_POINT),
        ([[32, 32]] * 5, 'all lie on one point'),
    ],
)
def test_one_entry_that_holds_no_points(points: Any, message: str, faces: Path) -> None:
    names = sorted(path.name for path in (faces / 'images').iterdir())
    entries = {**dict.fromkeys(names, POINTS), names[2]: points}
    (faces / 'landmarks.json').write_text(json.dumps(entries))
    with pytest.raises(DatasetError, match=f'datasets:val:landmark_file: .*{names[2]} .*{message}'):
        _open(faces, num_landmark=5)


def test_entries_without_a_known_point_count_for_none(faces: Path, told: list[str]) -> None:
    names = sorted(path.name for path in (faces / 'images').iterdir())
    (faces / 'landmarks.json').write_text(json.dumps({**dict.fromkeys(names, [None] * 5), names[0]: POINTS}))
    _open(faces, num_landmark=5)
    assert f'faces: landmarks of 1 of 4 images in {faces / "landmarks.json"}' in told
    (faces / 'landmarks.json').write_text(json.dumps(dict.fromkeys(names, [None] * 5)))
    with pytest.raises(DatasetError, match='no image of .* has landmarks in'):
        _open(faces, num_landmark=5)


def test_an_image_with_two_entries_is_refused(faces: Path) -> None:
    name = min(path.name for path in (faces / 'images').iterdir())
    (faces / 'landmarks.json').write_text(f'{{"{name}": {POINTS}, "{name}": {POINTS}}}')
    with pytest.raises(DatasetError, match=f'1 names are there more than once, the first is {name}'):
        _open(faces, num_landmark=5)


@pytest.mark.parametrize('key', ['./s/\u00e4.png', 's\\\u00e4.png', 's/a\u0308.png'])
def test_entries_named_as_another_system_does(key: str, tmp_path: Path) -> None:
    """With './', with Windows' separator, in the decomposed letters of a Mac's archive."""
    write_image(tmp_path / 'images' / 's' / '\u00e4.png', np.zeros((64, 64, 3), np.uint8))
    (tmp_path / 'landmarks.json').write_text(json.dumps({key: POINTS}))
    assert _open(tmp_path, num_landmark=5, dataroot_parsing=None)[0]['landmarks'].tolist() == POINTS


@pytest.mark.parametrize(
    ('write', 'message'),
    [
        (lambda path, mask: Image.fromarray(mask).convert('RGB').save(path), 'has mode RGB'),
        (lambda path, mask: Image.fromarray(mask).convert('LA').save(path), 'has mode LA'),
        (lambda path, mask: Image.fromarray(mask.astype(np.uint16)).save(path), 'has mode I;16'),
        (lambda path, mask: path.write_bytes(b''), 'it is no image'),
        (lambda path, mask: path.write_bytes(path.read_bytes()[:150]), 'Truncated'),
        (lambda path, mask: path.write_text('version https://git-lfs.github.com/spec/v1'), 'it is no image'),
    ],
    ids=('colour', 'alpha', '16 bit', 'empty', 'cut off', 'a pointer'),
)
def test_files_that_are_no_masks(write: Callable[[Path, np.ndarray], Any], message: str, faces: Path) -> None:
    path = max((faces / 'masks').iterdir())
    write(path, read_mask(path))
    with pytest.raises(DatasetError, match=f'datasets:val:dataroot_parsing: .*{path.name}.* {message}'):
        _open(faces)


@pytest.mark.parametrize('name', ['{}.jpg', '{}.PNG', '{}.png/mask.png', '{}_mask.png'])
def test_masks_of_which_none_is_used(name: str, faces: Path) -> None:
    for path in list((faces / 'masks').iterdir()):
        other = faces / 'other' / name.format(path.stem)
        other.parent.mkdir(parents=True, exist_ok=True)
        path.rename(other)
    with pytest.raises(DatasetError, match='no image of .* has a mask in .*would have'):
        _open(faces, dataroot_parsing=str(faces / 'other'))


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
