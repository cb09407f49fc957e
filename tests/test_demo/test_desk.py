"""The work behind the page, on its own examples."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facesr_ext.data.photo_io import decode_photo_file
from facesr_ext.demo.desk import Desk
from facesr_ext.demo.examples import write_examples
from facesr_ext.demo.limits import Limits
from facesr_ext.demo.store import Kept, Store
from facesr_ext.errors import FaceSRError, OptionError
from facesr_ext.inference.photo_files import Written, restore_bytes


@pytest.fixture(scope='module')
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(['default'], Store(tmp_path_factory.mktemp('visitors'), 1), Limits(megapixels=0.5, seconds=3600), 'cpu')


@pytest.fixture(scope='module')
def group(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The drawn group, with EXIF."""
    files = write_examples(tmp_path_factory.mktemp('examples'))
    exif = Image.Exif()
    exif[0x010E] = 'six drawn faces'
    out = io.BytesIO()
    with Image.open(files[0]) as picture:
        picture.save(out, 'JPEG', quality=80, exif=exif)
    return out.getvalue()


@pytest.fixture
def kept(desk: Desk, group: bytes) -> Kept:
    return desk.look('a', 'group.jpg', group)


def test_every_drawn_face_of_the_group_is_found(kept: Kept) -> None:
    assert [face.number for face in kept.found if face.reason is None] == [1, 2, 3, 4, 5, 6]


def test_what_is_taken_home_is_what_restore_writes(desk: Desk, kept: Kept, group: bytes) -> None:
    told: list[tuple[int, int]] = []
    pair = desk.restore(kept, 'default', [1, 2, 3, 4, 5, 6], 1.0, lambda done, of: told.append((done, of)))
    made = desk.write(kept, 'as it was')
    data, record = restore_bytes(desk.restorers['default'], group, Written())
    assert made.photo.read_bytes() == data and made.photo.name == 'group.jpg'
    assert made.record == {**record, 'source': 'group.jpg'}
    assert json.loads(made.json.read_text(encoding='utf-8')) == json.loads(json.dumps(made.record))
    assert told[0] == (0, 12) and told[-1] == (12, 12) and told == sorted(told)
    before, after = (decode_photo_file(path.read_bytes()).image for path in pair)
    assert before.shape == after.shape and not np.array_equal(before, after)


def test_one_face_alone_in_another_format_with_what_the_file_carries(desk: Desk, kept: Kept, group: bytes) -> None:
    desk.restore(kept, 'default', [2], 0.5)
    made = desk.write(kept, 'PNG')
    assert made.photo.name == 'group.png' and made.json.name == 'group.png.json'
    assert [face['number'] for face in made.record['faces'] if face['done']] == [2]
    photo, result = decode_photo_file(group), decode_photo_file(made.photo.read_bytes())
    assert Image.open(made.photo).getexif()[0x010E] == 'six drawn faces'
    changed = (photo.image != result.image).any(2)
    left, top, right, bottom = (int(value) for value in kept.found[0].box)
    assert changed.any() and not changed[top:bottom, left:right].any()
    assert [path.name for path in made.photo.parent.iterdir() if path.suffix != '.json'] == ['group.png']
    assert desk.write(kept, 'JPEG').photo.name == 'group.jpg' and not made.photo.exists()


def test_clicks_and_outlines_are_in_the_pixels_that_are_shown(desk: Desk, kept: Kept) -> None:
    one = desk.outline(kept, [1, 2, 3])
    shown = decode_photo_file(one.read_bytes()).image
    assert shown.shape[:2] == (667, 1000) and kept.longest == 384  # a small photograph is shown larger
    x, y = (1000 / 384 * (kept.found[3].box[side] + kept.found[3].box[side + 2]) / 2 for side in (0, 1))
    assert desk.face_at(kept, x, y) == 4
    two = desk.outline(kept, [])
    assert two.name != one.name and not one.exists()
    assert not np.array_equal(shown, decode_photo_file(two.read_bytes()).image)


def test_what_is_no_photograph_or_too_large_is_named_and_the_last_one_stays(desk: Desk, kept: Kept) -> None:
    bomb = io.BytesIO()
    Image.new('L', (3000, 3000)).save(bomb, 'PNG')
    for data, text in ((b'Dear all,\n' * 50, 'no photograph'), (b'', 'empty'), (bomb.getvalue(), 'too many pixels')):
        with pytest.raises(FaceSRError, match=text):
            desk.look('a', 'a.txt', data)
    with pytest.raises(FaceSRError, match='larger than 20 MB'):
        desk.look('a', 'a.jpg', b'\xff\xd8' + bytes(20_000_001))
    assert desk.store.get('a') is kept


def test_no_face_another_model_and_nothing_restored_are_told(desk: Desk, kept: Kept) -> None:
    with pytest.raises(FaceSRError, match='switched off'):
        desk.restore(kept, 'default', [], 1.0)
    with pytest.raises(FaceSRError, match="no model '/etc/passwd'"):
        desk.restore(kept, '/etc/passwd', [1], 1.0)
    with pytest.raises(OptionError, match='from 0 to 1'):
        desk.restore(kept, 'default', [1], 3.0)
    with pytest.raises(FaceSRError, match='Nothing is restored yet'):
        desk.write(kept, 'PNG')
    with pytest.raises(FaceSRError, match="no format 'exe'"):
        desk.write(kept, 'exe')
    desk.store.drop('a')
    for work in (lambda: desk.restore(kept, 'default', [1], 1.0), lambda: desk.outline(kept, [])):
        with pytest.raises(FaceSRError, match='has been deleted'):
            work()


def test_the_time_of_a_photograph_is_limited(desk: Desk, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 100_000, 2_000))
    monkeypatch.setattr(time, 'monotonic', lambda: float(next(clock)))
    with pytest.raises(FaceSRError, match='longer than 3600 s'):
        desk.restore(kept, 'default', [1, 2, 3, 4, 5, 6], 1.0)


def test_a_wide_photograph_is_shown_smaller_and_clicks_still_hit(tmp_path: Path, desk: Desk, group: bytes) -> None:
    picture = Image.open(io.BytesIO(group)).convert('RGB')
    wide = Image.new('RGB', (1900, 256), (90, 90, 90))
    wide.paste(picture, (1500, 0))
    out = io.BytesIO()
    wide.save(out, 'PNG')
    kept = desk.look('wide', 'wide.png', out.getvalue())
    assert decode_photo_file(desk.outline(kept, []).read_bytes()).image.shape[:2] == (216, 1600)
    box = kept.found[0].box
    share = 1600 / 1900
    assert desk.face_at(kept, share * (box[0] + box[2]) / 2, share * (box[1] + box[3]) / 2) == 1
