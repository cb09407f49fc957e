from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesr_ext.cli.main import main
from facesr_ext.data.image_io import read_image, write_image
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import to_tensor
from facesr_ext.inference.chosen_degradation import chosen_degradation
from facesr_ext.inference.degrader import _generator, _to_image
from tests.support import OPTIONS, write_degradation_net


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


def test_settings_change_a_preset(tmp_path: Path) -> None:
    _photographs(tmp_path / 'gt', '0.png')
    changes = ('--set', 'blur_sigma=[0.2,3]', '--set', 'noise_range=[1e-4, 9]', '--set', 'jpeg_codec=diffjpeg')
    assert _run(str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq'), '--preset', 'ai6126_2023', *changes) == 0
    section = {
        'preset': 'ai6126_2023', 'blur_sigma': [0.2, 3], 'noise_range': [0.0001, 9], 'jpeg_codec': 'diffjpeg',
    }  # fmt: skip
    gt = to_tensor(read_image(tmp_path / 'gt' / '0.png'))[None]
    expected, plain = (
        _to_image(build_degradation(opt, 4)(gt, _generator('0.png', 0, 0)))
        for opt in (section, {'preset': 'ai6126_2023'})
    )
    written = read_image(tmp_path / 'lq' / '0.png')
    assert np.array_equal(written, expected) and not np.array_equal(written, plain)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--set', 'blur_sigm=[0,1]'], '--set blur_sigm: unknown key, nothing reads it; did you mean blur_sigma?'),
        (['--set', 'jpeg_range=[95,30]'], '--set jpeg_range: must be two numbers [low, high], 1 <= low <= high <= 100'),
        (['--set', 'sinc_prob=50'], '--set sinc_prob: must be a number from 0 to 1, not 50'),
        (['--set', 'usm_lq=maybe'], "--set usm_lq: must be true or false, not 'maybe'"),
        (['--set', 'type=BicubicDegradatio'], '--set type: '),
        (['--set', 'noise_range=[1,'], "--set noise_range: '[1,' is no value"),
        (['--set', 'blur_sigma'], "--set: 'blur_sigma' is no setting; write KEY=VALUE"),
        (['--preset', 'bicubic_x8', '--scale', '4'], '--scale: is 4, but --preset bicubic_x8 reduces by 8'),
        (['--set', 'scale=2', '--scale', '4'], '--scale: is 4, but realesrgan reduces by 2'),
        (['--preset', 'realesrgan', '--checkpoint', 'x'], 'each of --preset and --checkpoint says how to degrade'),
        (['--checkpoint', 'missing.pth'], '--checkpoint: there is no file missing.pth'),
        (['-opt', 'missing.yml'], 'missing.yml: there is no such file'),
        (['-opt', str(OPTIONS / 'test.yml')], '-opt: '),
        (['-opt', str(OPTIONS / 'srnet.yml'), '--scale', '8'], 'srnet.yml reduces by 4; leave it out'),
    ],
)
def test_what_does_not_fit_is_named_as_it_was_given(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _photographs(tmp_path / 'gt', '0.png')
    assert _run(str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq'), *arguments) == 2
    assert message in capsys.readouterr().err and not (tmp_path / 'lq').exists()


def test_a_scale_that_agrees_is_no_clash() -> None:
    assert chosen_degradation('bicubic_x8', scale=8).scale == chosen_degradation('bicubic_x8').scale == 8
    assert chosen_degradation('realesrgan', scale=2).scale == 2 and chosen_degradation().scale == 4
    assert chosen_degradation('realesrgan', changes=['scale=2']).scale == 2


def test_an_option_file_gives_degradation_and_scale(tmp_path: Path) -> None:
    made: Any = chosen_degradation(option_file=OPTIONS / 'challenge' / 's4.yml', changes=['jpeg_range=[9,9]'])
    assert made.scale == 4 and made.noise.sigma == (15.0, 15.0) and made.jpeg.quality == (9, 9)
    assert chosen_degradation(option_file=OPTIONS / 'fsrnet.yml').scale == 8
    file = tmp_path / 'x.yml'
    file.write_text('degradation: {preset: realesrgan, jpeg_range: [9, 5]}')
    with pytest.raises(OptionError, match=r'must be two numbers .*\[9, 5\]') as error:
        chosen_degradation(option_file=file)
    assert error.value.key == ('degradation', 'jpeg_range')


def test_a_trained_network_beside_bicubic_and_second_order(tmp_path: Path) -> None:
    """Its LQ, and the sheet of report S0's figure 5: GT, bicubic, second order, results of other z."""
    _photographs(tmp_path / 'gt', '0.png', '1.png', '2.png')
    net = tmp_path / 'experiments' / 'h2l' / 'models' / 'net_g_latest.pth'
    net.parent.mkdir(parents=True)
    write_degradation_net(net, 4, residual=True, fold=4)
    for checkpoint in (net, net.parents[1]):
        grid = tmp_path / 'grid.png'
        arguments = ['--checkpoint', str(checkpoint), '--grid', str(grid), '--force']
        assert _run(str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq'), *arguments) == 0
        sheet = read_image(grid)
        assert sheet.shape == (18 + 3 * 162, 8 * 162, 3)
        cells = [sheet[18:178, i * 162 : i * 162 + 160] for i in range(8)]
        gt = to_tensor(read_image(tmp_path / 'gt' / '0.png'))[None]
        for number, section in ((1, {'preset': 'bicubic_x4'}), (2, {'preset': 'realesrgan'})):
            lq = _to_image(build_degradation(section, 4)(gt, _generator('0.png', 0, 0)))
            assert np.array_equal(cells[number], lq.repeat(10, 0).repeat(10, 1))
        written = read_image(tmp_path / 'lq' / '0.png')
        assert np.array_equal(cells[3], written.repeat(10, 0).repeat(10, 1))
        assert all(not np.array_equal(cells[3], cell) for cell in cells[4:])
    (net.parents[1] / 'models' / 'net_g_latest.pth').unlink()
    with pytest.raises(CheckpointError, match='--checkpoint: .* holds no checkpoint of a run'):
        chosen_degradation(checkpoint=net.parents[1])


def test_faces_are_brought_to_the_size_of_a_network_that_takes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(tmp_path / 'gt' / '0.png', render_face(0, 0, 90).image)
    write_degradation_net(tmp_path / 'net.pth', 4, noise='plane', norm='bn')
    arguments = [str(tmp_path / 'gt'), '-o', str(tmp_path / 'lq'), '--checkpoint', str(tmp_path / 'net.pth')]
    assert _run(*arguments) == 2
    assert 'degrades images of 64x64 px' in capsys.readouterr().err
    assert _run(*arguments, '--image-size', '64') == 0
    assert read_image(tmp_path / 'lq' / '0.png').shape == (16, 16, 3)


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
