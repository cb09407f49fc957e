"""Clips of drawn faces: what is kept, what is followed, and going on after an interruption."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.clips import write_clip
from facesr_ext import PhotoRestorer, Restorer
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.errors import DatasetError, DependencyError, OptionError
from facesr_ext.inference.video import files, run
from facesr_ext.inference.video.files import ClipWritten, restore_clip_file, restore_clips, restore_frames
from facesr_ext.inference.video.frames import steadied
from facesr_ext.inference.video.look import look
from facesr_ext.inference.video.plan import Plan, cuts
from facesr_ext.inference.video.sources import FolderSource, Given
from facesr_ext.preparation.find import Found
from tests.clips import read_clip, scene, sound_of

needs_av = pytest.mark.skipif(importlib.util.find_spec('av') is None, reason='the extra video is not installed')
HOW = ClipWritten(json=True, quiet=True, segment=8)
UNEVEN = [0, 300, 900, 1500, 2600, 3000, 3512, 4024, 4600, 5000, 5600, 6300]


class Bright(torch.nn.Module):
    """Lights up the middle of a face."""

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        y, x = (torch.linspace(-1, 1, side) for side in lq.shape[-2:])
        return lq + 0.2 * torch.exp(-8 * (y[:, None] ** 2 + x**2))


@pytest.fixture(scope='module')
def restorer() -> PhotoRestorer:
    return PhotoRestorer(Restorer(None, arch=Bright(), scale=1, device='cpu'), identity=False)


@needs_av
def test_a_clip_keeps_its_times_turn_colours_tags_and_sound(tmp_path: Path, restorer: PhotoRestorer) -> None:
    clip, out = tmp_path / 'ü a.mp4', tmp_path / 'better.mp4'
    write_clip(clip, scene(12, cut=7), UNEVEN, turn=90)
    record = restore_clip_file(restorer, clip, out, HOW, {})
    (times, before, said), (new_times, after, now_said) = read_clip(clip), read_clip(out)
    assert new_times == times == UNEVEN and now_said == said and said['turn'] == 90
    assert sound_of(out) == sound_of(clip) and len(sound_of(clip)) > 10
    assert record.frames == 12 and record.shots == [0, 7]
    assert [(person.first, person.last, person.done) for person in record.persons] in (
        [(0, 6, True), (7, 11, True)], [(7, 11, True), (0, 6, True)],
    )  # fmt: skip
    gain = [float((new.astype(int) - old).mean()) for old, new in zip(before, after, strict=True)]
    assert min(gain) > 1.2 and max(gain) - min(gain) < 1.5
    told = json.loads((tmp_path / 'better.mp4.json').read_text(encoding='utf-8'))
    assert told['frames'] == 12 and told['flicker']['pairs'] == 10 - 1 and told['faces'][0]['flicker']['after'] > 0
    assert not list(tmp_path.glob('*.parts'))


@needs_av
def test_frames_without_a_face_go_through_untouched(tmp_path: Path, restorer: PhotoRestorer) -> None:
    from facesr_ext.data.clip_io import Clip, as_rgb, with_change

    clip = tmp_path / 'a.mp4'
    write_clip(clip, scene(2))
    opened = Clip(clip)
    for frame in opened.frames():
        image = as_rgb(frame.stored, False)
        bright = image.copy()
        bright[40:80, 60:100] = np.minimum(bright[40:80, 60:100].astype(int) + 30, 255)
        made = with_change(frame.stored, image, bright, 'yuv420p', opened.info.colours)
        same = with_change(frame.stored, image, image, 'yuv420p', opened.info.colours)
        assert np.array_equal(same.to_ndarray(), frame.stored.to_ndarray())
        luma, new = frame.stored.to_ndarray()[:144].astype(int), made.to_ndarray()[:144].astype(int)
        assert np.array_equal(new[:38], luma[:38]) and 24 <= (new - luma)[45:75, 65:95].mean() <= 28


@needs_av
@pytest.mark.parametrize(('layout', 'codec', 'bits'), [('yuv420p', 'h264', 8), ('yuv420p10le', 'hevc', 10)])
def test_ten_bits_stay_ten(tmp_path: Path, restorer: PhotoRestorer, layout: str, codec: str, bits: int) -> None:
    clip, out = tmp_path / 'a.mkv', tmp_path / 'b.mov'
    write_clip(clip, scene(3), layout=layout)
    restore_clip_file(restorer, clip, out, HOW, {})
    _, frames, said = read_clip(out)
    assert said['layout'] == layout and said['codec'] == codec and len(frames) == 3


class _KilledError(Exception):
    pass


@needs_av
def test_a_killed_run_goes_on_to_the_same_frames(
    tmp_path: Path, restorer: PhotoRestorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out, whole = tmp_path / 'a.mp4', tmp_path / 'b.mp4', tmp_path / 'whole.mp4'
    write_clip(clip, scene(20), sound=False)
    restore_clip_file(restorer, clip, whole, HOW, {})
    detector, looks = restorer.detector, [0]

    def dies_at_the_ninth_look(image: np.ndarray) -> Any:
        looks[0] += 1
        if looks[0] == 9:
            raise _KilledError
        return detector(image)

    monkeypatch.setattr(restorer, 'detector', dies_at_the_ninth_look)
    with pytest.raises(_KilledError):
        restore_clip_file(restorer, clip, out, HOW, {})
    notes = tmp_path / 'b.mp4.parts' / 'faces.jsonl'
    with notes.open('ab') as stream:
        stream.write(b'[4096, 512, 0.')  # cut off within a line
    squares, calls = restorer.restore_squares, [0]

    def dies_at_the_second_segment(given: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise _KilledError
        return squares(given)

    monkeypatch.setattr(restorer, 'restore_squares', dies_at_the_second_segment)
    with pytest.raises(_KilledError):
        restore_clip_file(restorer, clip, out, HOW, {})
    assert looks[0] == 9 + 12 and not out.exists()
    assert sorted(path.name for path in notes.parent.glob('*.mkv')) == ['000000.mkv']
    with pytest.raises(OptionError, match='other settings: strength None'):
        restore_clip_file(restorer, clip, out, HOW, {'strength': 0.5})
    monkeypatch.setattr(restorer, 'restore_squares', squares)
    kept = notes.read_bytes()
    notes.write_bytes(kept.replace(b'\n', b'\n[0, 1, 0.5, false, [[7, 8, 9, 10]]]\n', 1))
    with pytest.raises(DatasetError, match=r'faces.jsonl is damaged in line 2; remove its folder'):
        restore_clip_file(restorer, clip, out, HOW, {})
    notes.write_bytes(kept)
    record = restore_clip_file(restorer, clip, out, HOW, {})
    assert looks[0] == 9 + 12 and record.whole_flicker().pairs == 7 + 7 + 3
    (_, frames, _), (_, expected, _) = read_clip(out), read_clip(whole)
    assert all(np.array_equal(a, b) for a, b in zip(frames, expected, strict=True))
    assert out.read_bytes() == whole.read_bytes()


def test_a_folder_of_frames_becomes_a_folder_or_a_clip(tmp_path: Path, restorer: PhotoRestorer) -> None:
    images, folder = scene(5), tmp_path / 'frames'
    for index, image in enumerate(images):
        write_image(folder / f'{index:03d}.png', image)
    record = restore_frames(restorer, folder, tmp_path / 'out', HOW, {})
    made = [read_image(tmp_path / 'out' / f'{index:03d}.png') for index in range(5)]
    assert record.frames == 5 and all((a.astype(int) - b).mean() > 1 for a, b in zip(made, images, strict=True))
    assert all(np.array_equal(a[:, -5:], b[:, -5:]) for a, b in zip(made, images, strict=True))
    with pytest.raises(OptionError, match='is there already'):
        restore_frames(restorer, folder, tmp_path / 'out', HOW, {})
    with pytest.raises(OptionError, match='frames themselves'):
        restore_frames(restorer, folder, folder, HOW, {})
    write_image(folder / '005.png', images[0][:100])
    with pytest.raises(DatasetError, match=r'005\.png is 192x100 px, and the first frame 192x144 px'):
        restore_frames(restorer, folder, tmp_path / 'other', HOW, {})
    if importlib.util.find_spec('av'):
        (folder / '005.png').unlink()
        restore_frames(restorer, folder, tmp_path / 'out.mp4', ClipWritten(fps=Fraction(10), quiet=True), {})
        assert read_clip(tmp_path / 'out.mp4')[0] == [1280 * index for index in range(5)]


@needs_av
def test_clips_among_files_share_a_folder_and_are_not_done_twice(tmp_path: Path, restorer: PhotoRestorer) -> None:
    write_clip(tmp_path / 'a.mp4', scene(2), sound=False)
    (tmp_path / 'bad.mp4').write_bytes(b'no clip at all')
    items = [Found(tmp_path / name, name) for name in ('a.mp4', 'b.png', 'bad.mp4')]
    out = tmp_path / 'out'
    first = restore_clips(restorer, items, out, HOW, {})
    assert [path.name for path, _ in first.done] == ['a.mp4'] and read_clip(out / 'a.mp4')[0] == [0, 512]
    assert len(first.failures) == 1 and 'bad.mp4: cannot be opened as a clip' in first.failures[0]
    second = restore_clips(restorer, items, out, HOW, {})
    assert second.before == 1 and not second.done and len(second.failures) == 1


@needs_av
def test_what_cannot_be_written_is_told_before_the_work(tmp_path: Path, restorer: PhotoRestorer) -> None:
    clip = tmp_path / 'a.mp4'
    write_clip(clip, scene(2))

    def told(name: str, **how: Any) -> str:
        with pytest.raises(OptionError) as error:
            restore_clip_file(restorer, clip, tmp_path / name, ClipWritten(**how), {})
        return str(error.value)

    assert told('b.avi').startswith('--output: .avi is not written; say .mp4')
    assert told('b.webm') == '--output: .webm cannot hold its audio (aac); name another suffix, as .mkv'
    assert 'did you mean libx265?' in told('b.mp4', codec='libx256')
    assert told('b.mp4', codec='mpeg4', crf=3).startswith('crf: mpeg4 has none')
    assert not list(tmp_path.glob('*.parts'))


def test_without_pyav_it_is_said_what_to_install(
    tmp_path: Path, restorer: PhotoRestorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__('sys').modules, 'av', None)
    with pytest.raises(DependencyError, match=r'facesr_ext\[video\]'):
        restore_clip_file(restorer, tmp_path / 'a.mp4', tmp_path / 'b.mp4', HOW, {})


def test_cuts_are_no_flashes_and_no_movements() -> None:
    changes = np.full(40, 2.0)
    changes[0], changes[10], changes[20], changes[21], changes[30:34] = 0, 40, 60, 60, 30
    assert cuts(changes) == [10]
    assert cuts(np.array([0.0])) == [] and cuts(np.array([0.0, 50.0])) == [1]


class _Frames(FolderSource):
    """Frames of memory."""

    def __init__(self, images: list[np.ndarray]) -> None:
        self.images = images

    def frames(self, start: int = 0) -> Iterator[Given]:
        for number, image in list(enumerate(self.images))[start:]:
            yield Given(number, number, 1, image, None)


def test_which_faces_are_restored_and_at_what_size(tmp_path: Path, restorer: PhotoRestorer) -> None:
    look(_Frames(scene(8, cut=4)), restorer, tmp_path / 'faces.jsonl', lambda: None)

    def plan(**asked: Any) -> Plan:
        made = copy.copy(restorer)
        vars(made).update(asked)
        return Plan(tmp_path / 'faces.jsonl', 0.04, (144, 192), made)

    both = plan()
    assert [shot.first for shot in both.shots] == [0, 4] and [person.done for person in both.persons] == [True, True]
    sizes = [placed.size for number in range(8) for placed in both.placed(number)]
    assert len(sizes) == 8 and len(set(sizes[:4])) == len(set(sizes[4:])) == 1
    second = plan(choice=(2,))
    assert [person.reason for person in second.persons] == ['not asked for', None]
    assert sum(len(second.placed(number)) for number in range(8)) == 4
    assert [person.done for person in plan(choice='largest').persons] == [True, True]
    small = plan(max_face=40)
    assert all('larger than 40 px' in person.reason for person in small.persons)
    assert all('smaller than 400 px' in person.reason for person in plan(min_face=400).persons)


def test_a_face_is_averaged_with_its_neighbours_where_they_show_the_same() -> None:
    rng = np.random.default_rng(0)
    true = np.full((64, 64, 3), 120.0)
    noisy = [np.clip(true + rng.normal(0, 2, true.shape), 0, 255).astype(np.uint8) for _ in range(5)]
    noisy[3][:, 32:] = 200
    made = steadied(noisy[2], [(1, noisy[1]), (1, noisy[3]), (2, noisy[0]), (2, noisy[4])])
    assert (made.astype(float) - 120).std() < 0.75 * (noisy[2].astype(float) - 120).std()
    assert abs(float(made[:, 34:].mean()) - 120) < 1
    assert steadied(noisy[2], []) is noisy[2]


def test_masks_that_tremble_are_refused(restorer: PhotoRestorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restorer, 'parser', object())
    with pytest.raises(OptionError, match='--parse'):
        files.require_clip_settings(restorer)
    assert run.SEGMENT % 8 == 0
