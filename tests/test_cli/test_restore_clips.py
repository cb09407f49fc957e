"""``facesr restore`` with clips and frames."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.archs.srresnet_arch import MSRResNet

from benchmarks.clips import write_clip
from facesr_ext.cli.main import main
from facesr_ext.data.image_io import write_image
from facesr_ext.runs.checkpoints import META_KEY, save_atomic
from tests.clips import read_clip, scene

needs_av = pytest.mark.skipif(importlib.util.find_spec('av') is None, reason='the extra video is not installed')


@pytest.fixture(scope='module')
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a small network."""
    arch: dict[str, Any] = {'num_feat': 4, 'num_block': 1, 'upscale': 2}
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('model') / 'net_g.pth'
    state = {'params': MSRResNet(**arch).state_dict()}
    save_atomic({**state, META_KEY: {'arch': {'type': 'MSRResNet', **arch}, 'scale': 2}}, path)
    return path


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['restore', *map(str, arguments)])
    return int(ended.value.code or 0)


@needs_av
def test_one_clip_into_a_file(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, out = tmp_path / 'a.mp4', tmp_path / 'made' / 'b.mkv'
    write_clip(clip, scene(4), turn=90)
    assert _run(clip, '-o', out, '--model', model, '--json') == 0
    told = capsys.readouterr().out
    assert f'{out}: 4 frames, 1 shot, 1 face followed and restored; flicker ' in told
    times, _, said = read_clip(out)
    steps = [time - times[0] for time in times]  # Matroska begins at 0, where sound begins before the picture
    assert steps == [0, 512, 1024, 1536] and said['turn'] == 90 and said['title'] == 'A clip'
    assert {path.name for path in out.parent.iterdir()} == {'b.mkv', 'b.mkv.json'}
    assert _run(clip, '-o', out, '--model', model) == 2
    assert 'is there already' in capsys.readouterr().err
    assert _run(clip, '-o', out, '--model', model, '--compare') == 2
    assert '--compare: is for photographs' in capsys.readouterr().err


@needs_av
def test_a_folder_of_photographs_and_clips(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / 'in' / 'b.png', scene(1)[0])
    write_clip(tmp_path / 'in' / 'a.mp4', scene(2), sound=False)
    for text in ('1 photographs, 1 faces restored, 1 clips; 0 failed', ', 2 done before; 0 failed'):
        assert _run(tmp_path / 'in', '-o', tmp_path / 'out', '--model', model) == 0
        assert text in capsys.readouterr().out
    assert read_clip(tmp_path / 'out' / 'a.mp4')[0] == [0, 512]


def test_frames(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index, image in enumerate(scene(2)):
        write_image(tmp_path / 'in' / f'{index}.png', image)
    asked = ('--frames', '--model', model)
    assert _run(tmp_path / 'in', *asked, '-o', tmp_path / 'out') == 0
    assert '2 frames, 1 shot, 1 face followed and restored; flicker' in capsys.readouterr().out
    assert (tmp_path / 'out' / '1.png').is_file()
    assert _run(tmp_path / 'in' / '0.png', *asked) == 2
    assert '--frames: is for one folder' in capsys.readouterr().err
    assert _run(tmp_path / 'in', *asked, '--fps', 'fast') == 2
    assert "--fps: 'fast' is no number of frames a second" in capsys.readouterr().err
