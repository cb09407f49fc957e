"""``facesr list`` and ``facesr init``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from facesr_ext.cli.list import KINDS
from facesr_ext.cli.main import main
from facesr_ext.host.source import OptionFile
from facesr_ext.runs.recipes import recipe_named, shipped_options
from tests.support import OPTIONS


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ('kind', 'row'),
    [
        ('archs', 'FSRNet facesr_ext facesr_ext.archs.fsrnet_arch FSRNet: face super-resolution with facial priors.'),
        ('archs', 'MSRResNet basicsr basicsr.archs.srresnet_arch Modified SRResNet.'),
        ('losses', 'ParsingLoss facesr_ext facesr_ext.losses.prior_loss Loss of parsing maps;'),
        ('models', 'RealESRGANModel basicsr basicsr.models.realesrgan_model RealESRGAN Model for Real-ESRGAN:'),
        ('datasets', 'FaceDataset facesr_ext facesr_ext.data.face_dataset Ground-truth faces,'),
        ('metrics', 'calculate_psnr basicsr basicsr.metrics.psnr_ssim Calculate PSNR'),
        ('degradations', 'BicubicDegradation facesr_ext facesr_ext.degradations.bicubic Antialiased bicubic'),
        ('presets', 'fsrnet_x8 facesr_ext type: BicubicDegradation, scale: 8, enlarge: True'),
    ],
)
def test_list(kind: str, row: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run('list', kind) == 0
    rows = [' '.join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == f'{kind}:' and any(line.startswith(row) for line in rows)
    names = [line.split()[0] for line in rows[1:]]
    assert len(set(names)) == len(names) and not any(name.endswith('_basicsr') for name in names)


def test_list_says_what_a_metric_needs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'dlib', None)
    assert run('list', 'metrics') == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert rows['landmark_nrmse'].endswith('[needs extra faces: missing]')
    assert '[needs' not in rows['landmark5_nrmse'] and '[needs' not in rows['psnr_y']
    assert '[needs extra faces with by: landmarks: missing, extra facexlib with by: parsing' in rows['psnr_region']


def test_list_of_all_and_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run('list') == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.endswith(':') and line[0] != ' '] == [
        f'{kind}:' for kind in KINDS
    ]
    assert run('list', 'arch') == 2
    assert 'did you mean archs?' in capsys.readouterr().err


def test_init(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run('init', str(tmp_path / 'mine')) == 0
    laid = {p.relative_to(tmp_path / 'mine' / 'options') for p in (tmp_path / 'mine').rglob('*.yml')}
    assert laid == {p.relative_to(OPTIONS) for p in OPTIONS.rglob('*.yml')}
    own = tmp_path / 'mine' / 'options' / 'fsrgan.yml'
    own.write_text('name: mine\n')
    assert run('init', str(tmp_path / 'mine')) == 2
    assert '--force' in capsys.readouterr().err and own.read_text() == 'name: mine\n'
    assert run('init', str(tmp_path / 'mine'), '--force') == 0
    assert own.read_bytes() == (OPTIONS / 'fsrgan.yml').read_bytes()


def test_init_replaces_neither_other_files_nor_what_it_reads(tmp_path: Path) -> None:
    schema = tmp_path / 'options' / 'schema.json'
    schema.parent.mkdir()
    schema.write_text('{}')
    assert run('init', str(tmp_path)) == 2
    assert schema.read_text() == '{}' and len(list(schema.parent.iterdir())) == 1
    assert run('init', str(OPTIONS.parent), '--force') == 2


@pytest.mark.parametrize('command', [('init',), ('sample', '--num', '1', '--size', '32')])
@pytest.mark.parametrize('place', ['file', 'file/below', 'nothing', 'n' * 300, ''])
def test_places_that_are_no_folders(
    command: tuple[str, ...], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path('file').write_text('mine')
    Path('nothing').symlink_to('gone')
    assert run(command[0], place, *command[1:], '--force') == 2
    assert sorted(path.name for path in Path().iterdir()) == ['file', 'nothing'] and Path('file').read_text() == 'mine'


def test_sample_keeps_faces_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ('sample', str(tmp_path), '--num', '2', '--size', '32')
    (tmp_path / 'landmarks.json').write_text('{}')
    assert run(*arguments) == 2
    assert 'landmarks.json is there already' in capsys.readouterr().err
    assert (tmp_path / 'landmarks.json').read_text() == '{}' and not (tmp_path / 'images').exists()
    assert run(*arguments, '--force') == 0
    assert run(*arguments, '--seed', '1') == 2
    assert len(list((tmp_path / 'images').iterdir())) == 2


def test_recipes_are_found_by_the_name_of_their_run(tmp_path: Path) -> None:
    assert recipe_named('quickstart') == shipped_options() / 'quickstart.yml'
    assert recipe_named('nothing') is None
    (tmp_path / 'own.yml').write_text('name: quickstart  # mine\ntrain:\n')
    assert recipe_named('quickstart', tmp_path / 'test') == tmp_path / 'own.yml'


def test_who_names_a_shipped_file_that_is_not_there_is_told_of_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped, own = (OptionFile.read(name).problems[0].message for name in ('options/quickstart.yml', 'mine.yml'))
    assert shipped.endswith('correct -opt, or have facesr init . write the shipped option files here')
    assert own.endswith('correct -opt')
