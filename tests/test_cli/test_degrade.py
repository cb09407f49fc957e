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


def _photographs(folder: Path, *names: str) -> dict[Path, bytes]:
    for index, name in enumerate(names):
        write_image(folder / name, render_face(0, index, 64).image)
    return {folder / name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize('output', ['.', 'lq', '../link', '../photographs/../photographs'])
def test_what_is_read_is_not_replaced(output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / 'photographs'
    before = _photographs(folder, '0.png', 'sub/1.png')
    (tmp_path / 'link').symlink_to(folder)
    assert _run(str(folder), '-o', str(folder / output)) == 2
    assert '--force' in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before and not (folder / 'lq').exists()


def test_what_is_there_is_not_replaced_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _photographs(tmp_path / 'gt', '0.png', '1.jpg')
    others = _photographs(tmp_path / 'lq', '1.png')
    arguments = [str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq')]
    assert _run(*arguments) == 2
    assert '1.png is there already' in capsys.readouterr().err
    assert all(path.read_bytes() == data for path, data in others.items()) and not (tmp_path / 'lq/0.png').exists()
    assert _run(*arguments, '--grid', str(tmp_path / 'gt' / 'sheet.png'), '--force') == 0
    assert read_image(tmp_path / 'lq' / '1.png').shape == (16, 16, 3)
    assert _run(str(tmp_path / 'gt'), '-o', str(tmp_path / 'new'), '--grid', str(tmp_path / 'gt' / 'new.png')) == 2
    assert '--grid' in capsys.readouterr().err


def test_a_photograph_beside_its_lq(tmp_path: Path) -> None:
    before = _photographs(tmp_path, 'a.png', 'b.jpg')
    assert _run(str(tmp_path / 'a.png'), '-o', str(tmp_path)) == 2
    assert _run(str(tmp_path / 'b.jpg'), '-o', str(tmp_path)) == 0
    assert all(path.read_bytes() == data for path, data in before.items()) and (tmp_path / 'b.png').is_file()


def test_images_whose_lq_would_have_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _photographs(tmp_path / 'gt', 'a.jpg', 'a.png')
    assert _run(str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq')) == 2
    assert 'a.jpg and a.png have one key' in capsys.readouterr().err and not (tmp_path / 'lq').exists()


def test_an_image_without_a_pixel_of_lq_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_image(tmp_path / 'gt' / 'tiny.png', np.zeros((3, 3, 3), np.uint8))
    assert _run(str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq'), '--preset', 'bicubic_x4') == 2
    assert 'tiny.png is 3x3 px, too small for scale 4' in capsys.readouterr().err
