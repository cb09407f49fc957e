"""Older releases of BasicSR are named and repaired where they can be; copies that projects ship are left alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_host.test_runner import workplace

__all__ = ['workplace']  # a fixture

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']


@pytest.fixture
def older(workplace: Path) -> dict[str, str]:
    """BasicSR as 1.3.5 was: one file of losses under another name; the environment that finds it first."""
    folder = workplace / 'other' / 'basicsr'
    stock = Path(str(sys.modules['basicsr'].__file__)).parent
    shutil.copytree(stock, folder, ignore=shutil.ignore_patterns('__pycache__'))
    (folder / 'losses' / 'basic_loss.py').rename(folder / 'losses' / 'losses.py')
    for path in (folder / 'losses').glob('*.py'):
        path.write_text(path.read_text(encoding='utf-8').replace('basic_loss', 'losses'), encoding='utf-8')
    with (folder / 'losses' / '__init__.py').open('a', encoding='utf-8') as init:
        init.write('from . import losses\n')
    (folder / 'version.py').write_text("__version__ = '1.3.5'\n__gitsha__ = 'x'\n", encoding='utf-8')
    return {'PYTHONPATH': str(workplace / 'other')}


def test_an_older_release_is_named_and_trains(run_python: RunPython, workplace: Path, older: dict[str, str]) -> None:
    info = workplace / 'other' / 'basicsr-1.3.5.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: basicsr\nVersion: 1.3.5\n', encoding='utf-8')
    words = ['-opt', 'train.yml', '--force_yml', 'train:total_iter=2']
    done = run_python(['-m', 'basicsr.train', *words], cwd=workplace, env=older)
    assert 'basicsr 1.3.5 is older than 1.4.2' in done.stderr and 'ImportError' not in done.stderr
    assert (workplace / 'experiments' / 'whole' / 'models' / 'net_g_latest.pth').is_file()
    done = run_python(['-m', 'facesr_ext', 'train', *words], cwd=workplace, env=older, check=False)
    assert done.returncode == 2 and 'pip install -U "basicsr>=1.4.2"' in done.stderr
    code = """
import sys, basicsr
from basicsr.models.base_model import BaseModel
assert hasattr(BaseModel.get_optimizer, '__wrapped__')
assert hasattr(sys.modules['basicsr.losses.losses'].PerceptualLoss.__init__, '__wrapped__')
assert sys.modules['basicsr.train'].load_resume_state.__module__ == 'basicsr.train'
assert sys.modules['basicsr.train'].EnlargedSampler.__name__ == 'ResumableSampler'
"""
    run_python(code, cwd=workplace, env=older)


@pytest.mark.parametrize('missing', ['models/realesrgan_model.py', ''])
def test_a_copy_that_a_project_ships_is_left_alone(
    run_python: RunPython, workplace: Path, older: dict[str, str], missing: str
) -> None:
    folder = workplace / 'other' / 'basicsr'
    if missing:  # cut down, and of today's version
        (folder / missing).unlink()
        (folder / 'version.py').write_text("__version__ = '1.4.2'\n__gitsha__ = 'x'\n", encoding='utf-8')
    code = """
import sys, basicsr
assert 'facesr_ext.host' not in sys.modules
from basicsr.archs import build_network
"""
    done = run_python(code, cwd=workplace, env=older)
    assert 'facesr_ext' not in done.stderr
