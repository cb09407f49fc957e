"""Photographs with drawn faces, whose places are known, and one that may be shown (skimage's astronaut)."""

from __future__ import annotations

import importlib.util
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from facesr_ext import PhotoRestorer, Restorer
from facesr_ext.data.image_io import read_image
from facesr_ext.errors import CheckpointError, DatasetError, OptionError
from facesr_ext.faces.detection import Face
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.inference.photo import is_gray
from facesr_ext.inference.progress import Steps
from facesr_ext.inference.which_faces import chosen, find_faces, inner_faces, read_choice
from facesr_ext.models.precision import cpu_computes_in_bf16
from tests.support import PHOTOS, needs_photos

needs_faces = pytest.mark.skipif(importlib.util.find_spec('dlib') is None, reason='the extra faces is not installed')
PLACES = ((20, 30, 96), (150, 40, 80), (270, 20, 128))


class Keep(torch.nn.Module):
    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        return lq


class Bright(torch.nn.Module):
    """Lights up the middle of a face: a change that its border does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        self.batches.append(lq.shape[0])
        y, x = (torch.linspace(-1, 1, side) for side in lq.shape[-2:])
        return lq + 0.3 * torch.exp(-8 * (y[:, None] ** 2 + x**2))


def _restorer(net: torch.nn.Module | None = None) -> Restorer:
    return Restorer(None, arch=net or Keep(), scale=1, device='cpu')


def _bicubic() -> Restorer:
    return Restorer(None, arch={'type': 'Bicubic', 'scale': 4}, device='cpu')


def _scene() -> np.ndarray:
    """(220, 420, 3): three drawn faces before a slope with noise; the largest is the last."""
    rng = np.random.default_rng(0)
    slope = np.linspace(60, 200, 420)[None, :, None] + rng.normal(0, 2, (220, 420, 3))
    photo = np.clip(slope, 0, 255).astype(np.uint8)
    for index, (left, top, size) in enumerate(PLACES):
        photo[top : top + size, left : left + size] = render_face(3, index, size).image
    return photo


def _detector(image: np.ndarray) -> list[Face]:
    """Where the drawn faces of the scene are, the largest first."""
    faces = []
    for index, (left, top, size) in enumerate(PLACES):
        points = render_face(3, index, size).landmarks + (left, top)
        five = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
        box = np.concatenate([points.min(0), points.max(0)])
        faces.append(Face(box.astype(np.float32), 0.9, five.astype(np.float32)))
    return sorted(faces, key=lambda face: -face.size)


def _photo_restorer(model: Any = None, **more: Any) -> PhotoRestorer:
    return PhotoRestorer(model or _restorer(), **{'detector': _detector, **more})


@pytest.mark.parametrize('model', [_restorer, _bicubic])
def test_a_network_that_changes_nothing_changes_the_photograph_by_less_than_half_a_level(model: Any) -> None:
    scene = _scene()
    result = _photo_restorer(model()).restore(scene)
    assert [face.done for face in result.faces] == [True] * 3
    assert np.abs(result.image.astype(int) - scene).mean() < 0.5
    assert model is _bicubic or np.array_equal(result.image, scene)


def test_faces_are_restored_and_the_rest_is_left_alone() -> None:
    scene = _scene()
    result = _photo_restorer(_restorer(Bright())).restore(scene)
    changed = np.abs(result.image.astype(int) - scene).max(2) > 0
    for face in result.faces:
        left, top, right, bottom = (round(value) for value in face.box)
        assert (result.image.astype(int) - scene)[(top + bottom) // 2, (left + right) // 2].mean() > 20
        assert face.before is not None and face.after is not None and face.before.shape == face.after.shape
    assert changed.mean() < 0.5 and not changed[:, :10].any() and not changed[200:, 120:150].any()
    still = _photo_restorer(_restorer(Bright()), strength=0.0).restore(scene)
    assert np.array_equal(still.image, scene)


def test_faces_and_strength_of_one_photograph_and_how_far_it_is() -> None:
    restorer, scene = _photo_restorer(_restorer(Bright()), max_face=100, batch_size=1), _scene()
    found = restorer.find(scene)
    assert [(face.number, face.done) for face in found] == [(1, False), (2, False), (3, False)]
    open_to = [face.number for face in found if face.reason is None]
    assert 0 < len(open_to) < 3 and 'larger than 100 px' in str(found[0].reason)
    told: list[tuple[int, int]] = []
    one = restorer.restore(scene, faces=[open_to[-1]], progress=lambda done, of: told.append((done, of)))
    assert [face.number for face in one.faces if face.done] == [open_to[-1]] and told == [(0, 2), (1, 2), (2, 2)]
    full = (one.image.astype(int) - scene).max()
    half = restorer.restore(scene, faces=[open_to[-1]], strength=0.5)
    assert full > 40 and abs((half.image.astype(int) - scene).max() - full / 2) <= 1
    assert np.array_equal(restorer.restore(scene).image, next(restorer.restore_many([scene])).image)
    with pytest.raises(OptionError, match='from 0 to 1'):
        restorer.restore(scene, strength=2)
    with pytest.raises(OptionError, match='numbered from 1 on'):
        restorer.restore(scene, faces=[0])


def test_who_is_told_of_progress_may_end_the_work() -> None:
    def stop(done: int, of: int) -> None:
        if done:
            raise DatasetError('enough')

    net = Bright()
    restorer = _photo_restorer(_restorer(net), batch_size=1)
    with pytest.raises(DatasetError, match='enough'):
        restorer.restore(_scene(), progress=stop)
    net.batches.clear()
    faces = 2 * torch.get_num_threads() + 8
    with pytest.raises(DatasetError, match='enough'):
        restorer.restore_squares([np.zeros((64, 64, 3), np.uint8)] * faces, Steps(faces, stop))
    assert set(net.batches) == {1} and len(net.batches) <= faces // 2 + 1  # those that other threads had begun


def test_many_photographs_share_batches_and_keep_their_order() -> None:
    net, scene = Bright(), _scene()
    scenes = [scene, scene[:, ::-1].copy(), np.roll(scene, 1, axis=2)]
    restorer = PhotoRestorer(_restorer(net), batch_size=8)
    together = list(restorer.restore_many(iter(scenes)))
    assert sum(net.batches) == 9 and max(net.batches) == 8 and len(net.batches) == 2
    for one, photo in zip(together, scenes, strict=True):
        assert np.array_equal(one.image, restorer.restore(photo).image)


def test_which_faces() -> None:
    scene, net = _scene(), Bright()
    restorer, done = _photo_restorer(_restorer(net)), {}
    for faces in ('all', 'largest', 'center', (1, 3), '2', '7'):
        restorer.choice = read_choice(faces)
        done[str(faces)] = [face.number for face in restorer.restore(scene).faces if face.done]
    assert done == {'all': [1, 2, 3], 'largest': [1], 'center': [3], '(1, 3)': [1, 3], '2': [2], '7': []}
    sides = [face.size for face in restorer.restore(scene).faces]
    between = int(sides[2]) + 1, int(sides[0]) - 1
    records = _photo_restorer(min_face=between[0], max_face=between[1]).restore(scene).faces
    assert [face.done for face in records] == [False, True, False]
    assert records[0].reason and 'larger than' in records[0].reason and 'smaller than' in str(records[2].reason)
    eightfold = Restorer(None, arch=Keep(), scale=8, device='cpu')  # trained on faces of 64 px, enlarged
    assert _photo_restorer(eightfold).max_face == 96 and _photo_restorer(_bicubic()).max_face == 512
    for bad in ('biggest', '0', (), '1,x'):
        with pytest.raises(OptionError):
            read_choice(bad)


def test_a_face_in_a_face_is_dropped() -> None:
    def face(*box: float) -> Face:
        return Face(np.array(box, np.float32), 0.9, np.zeros((5, 2), np.float32))

    faces = [face(0, 0, 100, 100), face(20, 20, 50, 50), face(60, 0, 160, 100)]
    assert inner_faces(faces) == {1}
    assert chosen('center', faces, (100, 200)) == {2}


def test_turned_faces_are_found_and_come_back_where_they_were() -> None:
    astronaut = data.astronaut()
    upright = PhotoRestorer(_restorer()).restore(astronaut)
    assert len(upright.faces) == 1 and np.array_equal(upright.image, astronaut)
    turned = np.ascontiguousarray(np.rot90(astronaut))
    result = PhotoRestorer(_restorer(Bright()), angles=(0, 90, 180, 270)).restore(turned)
    assert len(result.faces) == 1 and abs(abs(result.faces[0].angle) - 90) < 10
    straight = PhotoRestorer(_restorer(Bright())).restore(astronaut).image
    assert np.abs(np.rot90(result.image, -1).astype(int) - straight).mean() < 0.3
    face = find_faces(turned, PhotoRestorer(_restorer()).detector, (0, 90, 180, 270))[0]
    left, top, right, bottom = face.box
    assert (face.points > (left, top)).all() and (face.points < (right, bottom)).all()


def test_upscale_and_a_background_model() -> None:
    scene = _scene()
    lanczos = cv2.resize(scene, (840, 440), interpolation=cv2.INTER_LANCZOS4)
    result = _photo_restorer(_bicubic(), upscale=2.0).restore(scene)
    assert result.image.shape == (440, 840, 3)
    assert np.abs(result.image.astype(int) - lanczos).mean() < 1
    bicubic = _photo_restorer(_bicubic(), upscale=4.0, background=_bicubic(), min_face=400, max_face=500).restore(scene)
    assert np.array_equal(bicubic.image, _bicubic().restore(scene))
    with pytest.raises(OptionError, match='background'):
        _photo_restorer(upscale=2.0, background='none')


def test_where_memory_is_short_batches_and_tiles_are_halved() -> None:
    class Short(Bright):
        """Has memory for two small squares at a time."""

        def forward(self, lq: torch.Tensor) -> torch.Tensor:
            if lq.shape[0] > 2 or lq.shape[-1] > 512:
                raise torch.OutOfMemoryError('no more')
            return super().forward(lq)

    scene = np.concatenate([_scene(), _scene()], axis=1)
    short = _photo_restorer(_restorer(Short()), background=_restorer(Short())).restore(scene)
    ample = _photo_restorer(_restorer(Bright())).restore(scene)
    assert [face.done for face in short.faces] == [True] * 3
    assert all(np.array_equal(a.after, b.after) for a, b in zip(short.faces, ample.faces, strict=True))
    with pytest.raises(DatasetError, match='lower --max-face'):
        _photo_restorer(_restorer(Short()), max_face=4000).restore_aligned(np.zeros((600, 600, 3), np.uint8))


def test_gray_photographs_stay_gray() -> None:
    scene = np.repeat(_scene()[..., 1:2], 3, axis=2)

    class Red(Bright):
        def forward(self, lq: torch.Tensor) -> torch.Tensor:
            return lq + (super().forward(lq) - lq) * torch.tensor([1.0, 0, 0])[:, None, None]

    result = _photo_restorer(_restorer(Red())).restore(scene)
    assert is_gray(scene) and (np.ptp(result.image, axis=2) == 0).all() and not np.array_equal(result.image, scene)
    coloured = _photo_restorer(_restorer(Red()), keep_gray=False).restore(scene)
    assert np.ptp(coloured.image, axis=2).max() > 30 and not is_gray(_scene())


def test_16_bits() -> None:
    deep = _scene().astype(np.uint16) * 257 + 7
    kept = _photo_restorer().restore(deep)
    assert kept.image.dtype == np.uint16 and np.array_equal(kept.image, deep)


def test_aligned_faces_go_through_whole() -> None:
    face = render_face(0, 0, 64).image
    result = PhotoRestorer(_bicubic(), detector=_detector).restore_aligned(face)
    assert result.image.shape == (256, 256, 3) and result.faces[0].done
    assert np.abs(result.image.astype(int) - _bicubic().restore(face)).max() <= 1
    with pytest.raises(DatasetError, match='no square'):
        PhotoRestorer(_bicubic(), detector=_detector).restore_aligned(face[:40])


@needs_faces
def test_identity_before_and_after() -> None:
    class Blurred(torch.nn.Module):
        def forward(self, lq: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(torch.nn.functional.avg_pool2d(lq, 64), scale_factor=64)

    same = PhotoRestorer(_restorer()).restore(data.astronaut()).faces[0]
    other = PhotoRestorer(_restorer(Blurred())).restore(data.astronaut()).faces[0]
    assert same.identity_distance == 0 and same.warning is None
    assert other.identity_distance > 0.4 and 'another person' in other.warning
    assert 'before' not in other.as_json()


def test_what_cannot_be_is_named(tmp_path: Any) -> None:
    (tmp_path / 'x.pth').write_bytes(b'nothing')
    with pytest.raises(CheckpointError):
        PhotoRestorer(tmp_path / 'x.pth')
    with pytest.raises(OptionError, match='there is no'):
        PhotoRestorer(tmp_path / 'nowhere')
    for wrong in ({'strength': 1.5}, {'upscale': 99.0}, {'angles': (45,)}, {'min_face': 0}, {'min_face': 600}):
        with pytest.raises(OptionError):
            _photo_restorer(**wrong)
    restorer = _photo_restorer()
    for image in (np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((0, 9, 3), np.uint8), None):
        with pytest.raises(DatasetError, match='the photograph is'):
            restorer.restore(image)


def test_batches_hold_what_a_cpu_has_room_for() -> None:
    restorer, many = _photo_restorer(), 8 * min(4, torch.get_num_threads())
    assert [restorer._at_once(size, many) for size in (64, 128, 256, 300, 512, 1024)] == [8, 8, 4, 2, 1, 1]
    assert restorer._at_once(64, many // 2) == 4, 'each thread has its share'
    net = Bright()
    PhotoRestorer(_restorer(net), batch_size=3).restore(_scene())
    assert max(net.batches) == 3


def test_bf16_is_for_our_own_models_where_the_processor_has_it() -> None:
    own = torch.bfloat16 if cpu_computes_in_bf16() else None
    assert PhotoRestorer(device='cpu').restorer.precision.dtype is own
    assert PhotoRestorer(device='cpu', precision='fp32').restorer.precision.dtype is None
    with pytest.raises(OptionError):
        PhotoRestorer(precision='fp12')


@pytest.mark.parametrize(
    ('trained', 'least', 'size'),
    [
        ({}, 512, 512),
        ({'image_size': 128}, 128, 128),
        ({'image_size': 256, 'crop_scale': [0.5, 0.75]}, 341, 512),
        ({'image_size': 256, 'crop_scale': 0.5}, 512, 512),
        ({'image_size': 'x', 'crop_scale': [0, 2]}, 512, 512),
        (None, 512, 512),
    ],
)
def test_a_network_that_saw_parts_of_faces_is_given_whole_ones_of_their_size(
    trained: Any, least: int, size: int
) -> None:
    restorer = _restorer()
    restorer.metadata = {'trained_on': trained}
    photos = PhotoRestorer(restorer)
    assert (photos.sizes.least, photos.sizes.trained) == (least, size)
    for side, place in ((60, 60), (60, 240), (size, size), (2 * size, size)):
        fed = photos.sizes.fed(side, place)
        assert max(side, least) <= fed <= max(side, size) + 64  # up to the next of eight sizes


@needs_photos
@pytest.mark.parametrize(('name', 'count'), [('multi/codeformer_00.jpg', 4), ('old/bopbtl_a.png', 1)])
def test_real_photographs(name: str, count: int) -> None:
    photo = read_image(PHOTOS / 'photos' / name)
    kept = PhotoRestorer(_bicubic()).restore(photo)
    assert sum(face.done for face in kept.faces) == count
    assert np.abs(kept.image.astype(int) - photo).mean() < 0.5
