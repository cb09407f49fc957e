"""benchmarks/clips.py and benchmarks/video.py, on a few small frames."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import video
from benchmarks.clips import SHOT, drawn_frames, panned_frames, write_clip
from facesr_ext.data.image_io import write_image
from facesr_ext.faces.drawn.face import render_face

needs_av = pytest.mark.skipif(importlib.util.find_spec('av') is None, reason='the extra video is not installed')
SIZE = (192, 108)


def test_drawn_frames_move_and_are_cut() -> None:
    frames = list(drawn_frames(SHOT + 2, 1, SIZE))
    assert [frame.shape for frame in frames] == [(108, 192, 3)] * 8 and frames[0].dtype == np.uint8
    changes = [np.abs(b.astype(int) - a).mean() for a, b in zip(frames, frames[1:], strict=False)]
    assert np.argmax(changes) == SHOT - 1 and min(changes) > 5


def test_a_window_moves_over_a_photograph() -> None:
    photo = render_face(3, 0, 256).image
    frames = list(panned_frames(photo, 3, (64, 64)))
    assert len(frames) == 3 and frames[0].shape == (64, 64, 3)
    assert np.abs(frames[2].astype(int) - frames[0]).mean() > np.abs(frames[1].astype(int) - frames[0]).mean() > 5


@needs_av
def test_the_table_of_a_clip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / 'a.mp4', drawn_frames(6, 6, SIZE), rate=6, turn=90, crf=20)
    video.print_clip(tmp_path / 'a.mp4', 'default')
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in capsys.readouterr().out.splitlines()[3:]]
    told = {name: (before, after) for name, before, after in rows}
    assert told['frames'] == ('6', '6') and told['turned by, degrees'] == ('90', '90')
    assert told['times of frames'] == ('6', '6, the same') and told['frames a second'] == ('6.0', '6.0')
    packets, kept = told['packets of sound']
    assert kept == f'{packets}, the same' and packets.startswith('4') and told['times of packets'][1].endswith('same')
    assert told['faces followed, restored'][1] == '2, 2' and told['shots, from frame'][1] == '0'
    ways = {name: list(map(float, cells)) for name, cells in told.items() if name.startswith('flicker')}
    assert len(ways) == 3 and all(0 < value < 30 for pair in ways.values() for value in pair)
    assert len({before for before, _ in ways.values()}) == 1


@needs_av
@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_what_a_process_tells_of_its_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / 'a.mp4', drawn_frames(3, 6, SIZE), rate=6)
    video.restore_once(str(tmp_path / 'a.mp4'), str(tmp_path / 'b.mp4'), 'default')
    frames, before, most, seconds = json.loads(capsys.readouterr().out)
    assert frames == 3 and 100 < before <= most and seconds > 0 and (tmp_path / 'b.mp4').is_file()


def test_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / 'face.png', render_face(3, 0, 256).image)
    monkeypatch.setattr(sys, 'argv', ['video', '--size', '640'])
    with pytest.raises(SystemExit):
        video.main()
    assert 'say it as 640x360' in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, 'av', None)
    monkeypatch.setattr(sys, 'argv', ['video', '--parts', '--photo', str(tmp_path / 'face.png')])
    with pytest.raises(SystemExit):
        video.main()
    assert 'facesr_ext[video]' in capsys.readouterr().err
