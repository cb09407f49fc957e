"""Every way of installing brings the start-up hook, and uninstalling takes all of it away."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']
ROOT = Path(__file__).resolve().parents[2]
PRETRAINED = ROOT / 'facesr_ext' / 'inference' / 'pretrained'
SOURCES = ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'README.md', '_facesr_ext_boot.py')
HOOKED = 'import sys; assert any(getattr(f, "facesr_ext_finder", False) for f in sys.meta_path), sys.path'
UNHOOKED = HOOKED.replace('assert any', 'assert not any')
# What the hook leads to, without paying for torch: the plugin's own package, from where this installation put it.
WHOLE = HOOKED + '; import facesr_ext.cli.main, facesr_ext.errors; print(facesr_ext.__file__)'
# The files of the comparison's page, and where the option files are.
SHIPPED = (
    'from importlib.resources import files; names = ("page.html.j2", "page.css", "page.js"); '
    'assert all(files("facesr_ext.comparison").joinpath(name).is_file() for name in names); '
    'import facesr_ext.runs.recipes as shipped; print(shipped.shipped_options())'
)


@pytest.fixture(scope='module')
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree, so that building leaves nothing in the real one."""
    folder = tmp_path_factory.mktemp('source') / 'facesr_ext'  # as a clone is called
    folder.mkdir()
    for name in (*SOURCES, 'facesr_ext.pth', 'facesr_ext.start'):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / 'options', folder / 'options')
    shutil.copytree(ROOT / 'facesr_ext', folder / 'facesr_ext', ignore=shutil.ignore_patterns('__pycache__'))
    return folder


@pytest.fixture(scope='module')
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh virtual environment that sees the packages of this one, but not its start-up files."""
    folder = tmp_path_factory.mktemp('environment')
    venv.create(folder, with_pip=False)
    python = folder / ('Scripts/python.exe' if sys.platform == 'win32' else 'bin/python')
    parents = {sysconfig.get_path('purelib'), sysconfig.get_path('platlib')}
    for parent in parents:  # setuptools' distutils, which BasicSR imports
        for path in Path(parent).glob('distutils-precedence.pth'):
            shutil.copy(path, site_packages(python))
    (site_packages(python) / 'parent.pth').write_text('\n'.join(parents) + '\n', encoding='utf-8')
    return python


def site_packages(python: Path) -> Path:
    code = 'import sysconfig; print(sysconfig.get_path("purelib"))'
    return Path(subprocess.run([str(python), '-c', code], capture_output=True, text=True, check=True).stdout.strip())


def pip(run_python: RunPython, python: Path, *arguments: str) -> None:
    """Runs the parent's pip on the environment; nothing is fetched."""
    options = ('-m', 'pip', '--python', str(python), '--disable-pip-version-check', '--no-input')
    run_python([*options, *arguments], env={'PIP_NO_INDEX': '1'})


def install_and_remove(run_python: RunPython, python: Path, *target: str, cwd: Path | None = None) -> str:
    """Installs, looks for the hook, uninstalls, looks for remains. Returns where cwd imports facesr_ext from."""
    folder = site_packages(python)
    before = sorted(path.name for path in folder.iterdir())
    run_python(UNHOOKED, python=python)
    pip(run_python, python, 'install', '--no-deps', '--no-build-isolation', '--ignore-installed', *target)
    assert (folder / 'facesr_ext.pth').is_file() and (folder / 'facesr_ext.start').is_file()
    place = run_python(WHOLE, python=python, cwd=cwd).stdout.strip()
    shipped = Path(run_python(SHIPPED, python=python).stdout.strip().splitlines()[-1])
    assert sorted(p.name for p in shipped.rglob('*.yml')) == sorted(p.name for p in (ROOT / 'options').rglob('*.yml'))
    models = Path(place).parent / 'inference' / 'pretrained'
    assert sorted(p.name for p in models.iterdir()) == sorted(
        p.name for p in (ROOT / 'facesr_ext' / 'inference' / 'pretrained').iterdir()
    )
    run_python(UNHOOKED, python=python, env={'FACESR_EXT_AUTOLOAD': '0'})
    pip(run_python, python, 'uninstall', '--yes', 'facesr_ext')
    assert sorted(path.name for path in folder.iterdir() if path.name != '__pycache__') == before
    run_python(UNHOOKED, python=python)
    return place


def build(run_python: RunPython, source: Path, kind: str, out: Path, **variables: str) -> Path:
    """Builds a 'wheel' or an 'sdist' with setuptools alone; returns the file."""
    code = 'import sys; from setuptools import build_meta as b; getattr(b, "build_" + sys.argv[1])(sys.argv[2])'
    run_python(['-c', code, kind, str(out)], cwd=source, env=variables)
    (file,) = out.iterdir()
    return file


def test_wheel(run_python: RunPython, source: Path, environment: Path, tmp_path: Path) -> None:
    wheel = build(run_python, source, 'wheel', tmp_path)
    place = install_and_remove(run_python, environment, str(wheel))
    assert Path(place).parent.parent == site_packages(environment)


def test_sdist(run_python: RunPython, source: Path, environment: Path, tmp_path: Path) -> None:
    sdist = build(run_python, source, 'sdist', tmp_path)
    place = install_and_remove(run_python, environment, str(sdist))
    assert Path(place).parent.parent == site_packages(environment)


@pytest.mark.parametrize('kind', ['wheel', 'sdist'])
def test_two_builds_are_one(run_python: RunPython, source: Path, tmp_path: Path, kind: str) -> None:
    """From copies of another time; an sdist also of those with other rights for the group."""
    built = []
    for number in range(2):
        copy = tmp_path / str(number) / 'facesr_ext'
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns('build', 'dist', '*.egg-info'))
        for path in copy.rglob('*'):
            os.utime(path, (1e9 + number, 1e9 + number))
            if kind == 'sdist':
                path.chmod(path.stat().st_mode & ~0o022 | (0o020 if number else 0))
        (tmp_path / f'out{number}').mkdir()
        built.append(build(run_python, copy, kind, tmp_path / f'out{number}', SOURCE_DATE_EPOCH='1700000000'))
    assert built[0].read_bytes() == built[1].read_bytes()


@pytest.mark.parametrize('mode', ['', 'strict', 'compat'])
def test_editable(run_python: RunPython, source: Path, environment: Path, mode: str) -> None:
    settings = ['--config-settings', f'editable_mode={mode}'] if mode else []
    place = install_and_remove(run_python, environment, *settings, '--editable', str(source), cwd=source.parent)
    assert site_packages(environment) not in Path(place).parents
