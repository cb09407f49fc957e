"""The files of a run: their names, and what is found in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from facesr_ext.errors import CheckpointError
from facesr_ext.host.run_files import checkpoint_name, parse_checkpoint
from facesr_ext.runs.folder import RunFolder, is_run, late_checkpoints, latest_checkpoint


def _fill(folder: Path, *names: str) -> RunFolder:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return RunFolder(folder)


@pytest.mark.parametrize(
    ('name', 'label', 'which', 'iteration'),
    [
        ('net_g_5000.pth', 'net_g', '5000', 5000),
        ('net_g_latest.safetensors', 'net_g', 'latest', None),
        ('runs/net_d_best.pth', 'net_d', 'best', None),
    ],
)
def test_names_are_read_as_they_are_written(name: str, label: str, which: str, iteration: int | None) -> None:
    found = parse_checkpoint(name)
    assert found is not None and (found.label, found.which, found.iteration) == (label, which, iteration)
    assert checkpoint_name(label, which, Path(name).suffix) == Path(name).name


def test_the_end_of_a_run_and_other_names() -> None:
    assert checkpoint_name('net_g', -1) == 'net_g_latest.pth'
    assert parse_checkpoint('ESRGAN_SRx4.pth') is None


def test_what_is_found_in_a_run(tmp_path: Path) -> None:
    names = [f'models/net_g_{i}.pth' for i in (900, 1000, 'latest', 'best')]
    folder = _fill(tmp_path, *names, 'models/net_d_1100.pth', 'training_states/1000.state', 'models/net_g_old_5.pth')
    assert list(folder.numbered()) == [900, 1000] and list(folder.numbered('net_d')) == [1100]
    assert folder.latest() == tmp_path / 'models' / 'net_g_latest.pth'
    assert folder.best() == tmp_path / 'models' / 'net_g_best.pth' and folder.best('net_d') is None
    assert list(folder.states()) == [1000] and folder.saved() == [5, 900, 1000, 1100]
    assert {path.name for path in folder.files_of(1000)} == {'1000.state', 'net_g_1000.pth'}
    (tmp_path / 'models' / 'net_g_latest.pth').unlink()
    assert latest_checkpoint(tmp_path).name == 'net_g_1000.pth'


def test_a_folder_of_copied_checkpoints_is_a_run_too(tmp_path: Path) -> None:
    assert not is_run(tmp_path)
    with pytest.raises(CheckpointError, match=r'holds no checkpoint of a run \(models/net_g_\*\.pth\)'):
        latest_checkpoint(tmp_path)
    _fill(tmp_path, 'net_g_20.pth')
    assert is_run(tmp_path) and latest_checkpoint(tmp_path) == tmp_path / 'net_g_20.pth'


def test_late_checkpoints_are_of_one_network_and_suffix(tmp_path: Path) -> None:
    _fill(tmp_path, 'net_g_5.pth', 'net_g_6.safetensors', 'net_g_10.pth', 'net_d_7.pth', 'net_g_latest.pth')
    assert [Path(p).name for p in late_checkpoints(tmp_path / 'net_g_latest.pth', 2)] == ['net_g_5.pth', 'net_g_10.pth']
    with pytest.raises(CheckpointError, match='has 1 numbered checkpoints up to 5'):
        late_checkpoints(tmp_path / 'net_g_5.pth', 2)


def test_what_validation_writes_is_found_again(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    for name, iteration in (('val', 20), ('val_2', 5)):
        _fill(tmp_path, str(folder.table(name, iteration).relative_to(tmp_path)))
    _fill(tmp_path, 'visualization/set.csv')  # a test's
    assert [found[:2] for found in folder.tables()] == [('val', 20), ('val_2', 5)]
    assert folder.table('set') == tmp_path / 'visualization' / 'set.csv'
    assert folder.image('val', 'a', 20).relative_to(folder.visualization) == Path('a', 'a_20.png')
    assert folder.image('set', 'a', suffix='run').relative_to(folder.visualization) == Path('set', 'a_run.png')
