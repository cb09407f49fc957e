"""Every single file operation of what is written fails once: what was there is whole, and the error names the file."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.models import build_model

from facesr_ext.cli.main import main
from facesr_ext.cli.run import run_pipeline
from facesr_ext.comparison.results import Comparison
from facesr_ext.data.image_io import write_image, write_mask
from facesr_ext.errors import CheckpointError, FaceSRError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host import resume
from facesr_ext.runs.atomic import replaced_when_whole, write_text
from facesr_ext.runs.checkpoints import save_safetensors
from tests.faults.contents import assert_same, files
from tests.faults.failing import Disk, every_failure
from tests.faults.test_killed import compare, prepare, restore
from tests.support import OPTIONS, small_options, write_options
from tests.test_models.test_training import _batch, _step
from tests.training import parse

CODES = [errno.ENOSPC, errno.EIO]


# ---- the one place ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('lasting', [False, True])
@pytest.mark.parametrize('code', CODES)
@pytest.mark.parametrize('there', [True, False])
@pytest.mark.parametrize('synced', [True, False])
def test_a_file_is_the_one_or_the_other(there: bool, synced: bool, code: int, lasting: bool, tmp_path: Path) -> None:
    target = tmp_path / 'figures.json'

    def work() -> None:
        with replaced_when_whole(target, synced) as temporary, temporary.open('w', encoding='utf-8') as file:
            file.write('new ')
            file.write('content')

    tried = []
    put_back(target, 'old' if there else None)
    for disk, error in every_failure(tmp_path, work, code, lasting):
        tried.append(disk.failed.split()[0])
        assert isinstance(error, OSError) and error.errno == code and 'figures.json' in str(error.filename)
        found = target.read_text(encoding='utf-8') if target.is_file() else None
        in_place = disk.failed.startswith('fsync') and disk.count > 6  # the folder's: the file has its name already
        assert found == ('new content' if in_place else 'old' if there else None)
        assert [path.name for path in tmp_path.iterdir()] == ([target.name] if found is not None else [])
        put_back(target, 'old' if there else None)
    assert tried == ['open', 'write', 'write', 'close', *(['fsync', 'replace', 'fsync'] if synced else ['replace'])]
    assert target.read_text(encoding='utf-8') == 'new content'


def put_back(target: Path, text: str | None) -> None:
    target.unlink(missing_ok=True)
    if text is not None:
        target.write_text(text, encoding='utf-8')


# ---- a save -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('lasting', [False, True])
def test_a_save(lasting: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Best, networks and state, then the pruning; with ``--faults`` each operation, without it every 40th."""
    opt = small_options(OPTIONS / 'srcnn.yml')
    opt['logger'].update(keep_last=1, keep_best='psnr_y')
    torch.manual_seed(0)
    model = build_model(parse(opt, tmp_path, monkeypatch))
    run = Path(model.opt['path']['experiments_root'])
    for iteration in (1, 2):
        _step(model, iteration, _batch(seed=iteration))
    model.save(0, 2)
    for iteration in (3, 4):
        _step(model, iteration, _batch(seed=iteration))
    before = tmp_path / 'before'
    shutil.copytree(run, before)
    wanted = {2: contents(run, 2)}

    def save() -> None:
        model.files.keeping.record = None
        model.keep_best('val', {'psnr_y': 20.0})
        model.save(0, 4)

    save()
    wanted[4] = contents(run, 4)
    put_back_folder(run, before)
    tried, best = 0, 0
    stride = 1 if request.config.getoption('--faults') else 40
    for disk, error in every_failure(run, save, CODES[lasting], lasting, stride):
        tried += 1
        what, name = disk.failed.split()
        if what in ('unlink', 'remove'):  # pruning costs nothing but room
            assert error is None
        else:
            assert isinstance(error, CheckpointError) and name_of(name) in str(error), disk.failed
        found = resumed_from(model.opt)
        assert found in (2, 4) and (error is not None or found == 4), disk.failed
        assert_same(contents(run, found), wanted[found], disk.failed)
        for path in run.rglob('*.*'):
            if path.suffix in ('.pth', '.state'):  # whole, each of them
                torch.load(path, map_location='cpu', weights_only=True)
        left = [path for path in run.rglob('.*') if what != 'unlink']
        assert not left, (disk.failed, left)
        best += (run / 'models' / 'net_g_best.pth').is_file()
        put_back_folder(run, before)
    assert tried >= 200 // stride and 0 < best < tried
    request.node.user_properties.append(('tries', tried))
    assert resumed_from(model.opt) == 4 and not (run / 'training_states' / '2.state').exists()


def put_back_folder(folder: Path, before: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(before, folder)


def name_of(temporary: str) -> str:
    """'net_g_4.pth' of '.net_g_4.pth.1a2b3c4d-123'; a folder's name as it is."""
    return temporary[1:].rpartition('.')[0] if temporary.startswith('.') else temporary


def resumed_from(opt: dict[str, Any]) -> int:
    """The iteration from which ``--auto_resume`` would go on."""
    state = resume.load_resume_state({**opt, 'auto_resume': True, 'path': dict(opt['path']), 'rank': 1})
    return int(state['iter']) if state else 0


def contents(run: Path, iteration: int) -> dict[str, Any]:
    """What the files of an iteration hold."""
    paths = [run / 'training_states' / f'{iteration}.state', *(run / 'models').glob(f'net_*_{iteration}.pth')]
    return {path.name: torch.load(path, map_location='cpu', weights_only=True) for path in sorted(paths)}


# ---- everything else, once each -----------------------------------------------------------------------------------


def photo(folder: Path) -> None:
    write_image(folder / 'face.png', render_face(1, 0, 32).image)


def mask(folder: Path) -> None:
    write_mask(folder / 'face.png', np.zeros((8, 8), np.uint8))


def weights(folder: Path) -> None:
    save_safetensors({'weight': torch.ones(2)}, folder / 'net.safetensors')


def table(folder: Path) -> None:
    write_text(folder / 'table.csv', 'name,psnr_y\n')


def comparison(folder: Path) -> None:
    Comparison('trial', 'bicubic').write(folder)


@pytest.mark.parametrize('work', [photo, mask, weights, table, comparison])
def test_what_is_written_is_there_whole_or_not_at_all(work: Callable[[Path], None], tmp_path: Path) -> None:
    out = tmp_path / 'out'
    out.mkdir()
    work(out)
    (wanted,) = (path.read_bytes() for path in out.iterdir())
    tried = 0
    for disk, error in every_failure(out, lambda: work(out)):
        tried += 1
        if disk.failed == f'mkdir {out.name}':
            continue  # it is there already
        assert isinstance(error, (FaceSRError, OSError)), disk.failed
        assert str(out) in (str(error) if isinstance(error, FaceSRError) else str(error.filename)), disk.failed
        (found,) = (path.read_bytes() for path in out.iterdir())
        assert sorted(found) == sorted(wanted), disk.failed  # safetensors has its notes in any order
    assert tried >= 4


COMMANDS = [prepare, restore, compare]


@pytest.mark.parametrize('command', COMMANDS)
@pytest.mark.parametrize('where', [0.5])
def test_a_command_says_what_failed_and_goes_on(
    command: Callable[[Path], list[str]], where: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full from some operation on; then there is room again."""
    words = command(tmp_path)
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    counted = Disk(tmp_path / 'here')
    assert status_of(words, counted) == 0
    wanted = results()
    shutil.rmtree('out')
    full = Disk(tmp_path / 'here', max(1, int(counted.count * where)), lasting=True)
    ended = status_of(words, full)
    assert full.failed and (ended != 0 or results() == wanted)
    assert status_of(words, Disk(tmp_path / 'here')) == 0
    assert results() == wanted


def status_of(words: list[str], disk: Disk) -> int:
    with disk.watched(), pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


def results() -> dict[str, bytes]:
    """The pictures that a command has made, but for those that show times."""
    found = {name: path for name, path in files(Path('out')).items() if path.suffix == '.png'}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(('.', 'pictures/cost'))}


@pytest.mark.parametrize(
    'name', ['val_2.csv', 'val_2.png', 'net_g_2.pth', '2.state', 'net_g_latest.pth', 'first_batch']
)
def test_a_training_that_cannot_write_ends_with_the_name_of_the_file(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = small_options(OPTIONS / 'srcnn.yml')
    monkeypatch.chdir(tmp_path)
    words = ['-opt', str(write_options(opt, tmp_path / 'opt.yml'))]
    with FailsAt(tmp_path, name).watched(), pytest.raises(FaceSRError, match=name):
        run_pipeline('train', words)
    assert not [path for path in tmp_path.rglob('.*') if path.suffix != '.lock']
    run_pipeline('train', [*words, '--auto_resume'])
    assert (tmp_path / 'experiments' / opt['name'] / 'models' / 'net_g_latest.pth').is_file()


class FailsAt(Disk):
    """Has what is done to a file of some name fail."""

    def __init__(self, folder: Path, name: str) -> None:
        super().__init__(folder)
        self.name = name

    def ask(self, what: str, path: Any) -> None:
        if self.name in os.fsdecode(path) and what == 'write':
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
