from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from facesr_ext.cli.main import main
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.faces.drawn.face import render_face


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['degrade', *arguments])
    return int(ended.value.code or 0)


def test_degrade_is_seeded_by_name_and_writes_a_sheet(tmp_path: Path) -> None:
    for index in range(2):
        write_image(tmp_path / 'gt' / f'{index}.png', render_face(0, index, 101).image)
    for out, seed in (('a', '1'), ('b', '1'), ('c', '2')):
        grid = ['--grid', str(tmp_path / 'grid.png')] if out == 'a' else []
        preset = ['--preset', 'ai6126_2024', '--seed', seed]
        assert _run(str(tmp_path / 'gt'), '-o', str(tmp_path / out), *preset, *grid) == 0
    a, b, c = (read_image(tmp_path / out / '0.png') for out in 'abc')
    assert a.shape == (25, 25, 3) and np.array_equal(a, b) and not np.array_equal(a, c)
    sheet = read_image(tmp_path / 'grid.png')
    assert sheet.shape == (18 + 2 * 162, 8 * 162, 3)
    draws = [sheet[18:178, i * 162 : i * 162 + 160] for i in range(1, 8)]
    assert all(not np.array_equal(draws[0], draw) for draw in draws[1:])


def test_unknown_preset_and_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / 'gt.png', render_face(0, 0, 64).image)
    assert _run(str(tmp_path / 'gt.png'), '-o', str(tmp_path), '--preset', 'realesrgn') == 2
    assert 'did you mean realesrgan' in capsys.readouterr().err
    assert _run(str(tmp_path / 'nowhere'), '-o', str(tmp_path)) == 2
    assert 'there is no folder' in capsys.readouterr().err
