from __future__ import annotations

from collections.abc import Callable
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


@pytest.mark.parametrize('link', [Path.symlink_to, Path.hardlink_to])
def test_a_link_is_replaced_and_not_what_it_leads_to(link: Callable[..., None], tmp_path: Path) -> None:
    before = _photographs(tmp_path / 'gt', 'a.png')
    (tmp_path / 'lq').mkdir()
    link(tmp_path / 'lq' / 'a.png', tmp_path / 'gt' / 'a.png')
    arguments = (str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq'))
    assert _run(*arguments) == 2 and _run(*arguments, '--force') == 0
    assert all(path.read_bytes() == data for path, data in before.items())
    assert read_image(tmp_path / 'lq' / 'a.png').shape == (16, 16, 3)


@pytest.mark.parametrize(
    ('output', 'message'),
    [
        ('file', 'file is no folder, but a file'),
        ('file/lq', 'file is no folder, but a file'),
        ('nothing', 'is no folder, but a file or a link to nothing'),
        ('folders', 'a.png is a folder'),
        ('n' * 300, 'is longer than 255 bytes'),
        ('/dev/null/lq', 'is no folder'),
    ],
)
@pytest.mark.parametrize('force', [(), ('--force',)])
def test_places_that_nothing_can_be_written_to(
    output: str, message: str, force: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _photographs(tmp_path / 'gt', 'a.png')
    (tmp_path / 'file').write_text('mine')
    (tmp_path / 'nothing').symlink_to(tmp_path / 'gone')
    (tmp_path / 'folders' / 'a.png').mkdir(parents=True)
    assert _run(str(tmp_path / 'gt'), '-o', str(tmp_path / output), *force) == 2
    text = capsys.readouterr().err
    assert 'facesr: --output: ' in text and message in text
    assert all(path.read_bytes() == data for path, data in before.items()) and (tmp_path / 'file').read_text() == 'mine'


@pytest.mark.parametrize(
    ('grid', 'message'),
    [('lq/a.png', 'is the LQ of an image'), ('sheet', "cannot encode a picture as ''"), ('sheet.xyz', "'.xyz'")],
)
def test_a_sheet_is_refused_before_the_work(
    grid: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _photographs(tmp_path / 'gt', 'a.png')
    arguments = (str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq'), '--grid', str(tmp_path / grid))
    assert _run(*arguments) == 2 and message in capsys.readouterr().err
    assert not (tmp_path / 'lq').exists()


def test_folders_above_and_names_of_any_kind(tmp_path: Path) -> None:
    """Written beside the folder that is read, and a folder called as an image is."""
    names = ('sub.png/\u00e4 50% #1.png', '\U0001f600..jpg', 'CON.png')
    before = _photographs(tmp_path / 'gt' / 'in', *names)
    assert _run(str(tmp_path / 'gt' / 'in'), '-o', str(tmp_path / 'gt')) == 0
    written = {path.relative_to(tmp_path / 'gt').as_posix() for path in (tmp_path / 'gt').rglob('*') if path.is_file()}
    assert written == {f'in/{name}' for name in names} | {names[0], '\U0001f600..png', 'CON.png'}
    assert all(path.read_bytes() == data for path, data in before.items())


@pytest.mark.parametrize('arguments', [('', '-o', 'lq'), ('gt', '-o', '')])
def test_an_empty_argument_is_no_folder(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _photographs(tmp_path / 'gt', 'a.png')
    assert _run(*arguments) == 2 and 'is empty' in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ['gt']
