"""The start-up hook: every order of imports, worker processes, switching off, strangers left alone."""

from __future__ import annotations

import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import _facesr_ext_boot
import facesr_ext

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']
ROOT = Path(_facesr_ext_boot.__file__).parent

# Runs each snippet in a fork of a process that has imported what is slow and nothing of BasicSR or facesr_ext. The
# finder is there or not from the interpreter's start on, as in a fresh process.
FORK_EACH = """
import json, os, sys, traceback
import cv2, torch, torchvision.models, torch.utils.data
assert not [name for name in sys.modules if name.split('.')[0] in ('basicsr', 'facesr_ext')]
readers = {}
for name, code in json.loads(sys.argv[1]).items():
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            exec(code, {'__name__': '__main__'})
            said = 'ok'
        except BaseException:
            said = traceback.format_exc()[-3000:]
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    readers[name] = os.fdopen(reader)
print(json.dumps({name: reader.read() for name, reader in readers.items()}))
"""
WHOLE = """
import sys
from facesr_ext.host import plugin, repairs
import facesr_ext.host.samplers
from basicsr.utils.registry import ARCH_REGISTRY
assert plugin._state == 'done', plugin._state
assert sys.modules['basicsr.train'].EnlargedSampler is facesr_ext.host.samplers.ResumableSampler
for room, ending in plugin.ROOMS.items():
    assert set(plugin.component_modules(room, ending)) <= set(sys.modules), room
before = set(ARCH_REGISTRY.keys())
create = sys.modules['basicsr.train'].create_train_val_dataloader
plugin.register()
plugin._state = 'idle'
plugin.register()
assert set(ARCH_REGISTRY.keys()) == before
assert sys.modules['basicsr.train'].create_train_val_dataloader is create
assert sum(getattr(f, 'facesr_ext_finder', False) for f in sys.meta_path) == 1
"""
# A spawned worker knows nothing but the name of the class that it unpickles.
WORKERS = """
import os
from torch.utils.data import DataLoader
from facesr_ext.host.samplers import EpochIndex
for method in ('fork', 'spawn') if hasattr(os, 'fork') else ('spawn',):
    loader = DataLoader([EpochIndex(1, 2, 3)], None, num_workers=1, collate_fn=vars, multiprocessing_context=method)
    assert list(loader) == [{'epoch': 2, 'draw': 3}], method
"""
FIRST_IMPORTS = (
    'import facesr_ext.host.samplers',
    'import facesr_ext.archs',
    'import facesr_ext.host.registry',
    'import facesr_ext; facesr_ext.register(); facesr_ext.register()',
)


def run_forks(run_python: RunPython, snippets: dict[str, str], autoload: str) -> dict[str, str]:
    """Runs each snippet in a process of its own; gives 'ok' or the traceback of each."""
    if hasattr(os, 'fork'):
        done = run_python(['-c', FORK_EACH, json.dumps(snippets)], env={'FACESR_EXT_AUTOLOAD': autoload})
        return dict(json.loads(done.stdout.splitlines()[-1]))
    results = {}
    for name, code in snippets.items():
        process = run_python(code, env={'FACESR_EXT_AUTOLOAD': autoload}, check=False)
        results[name] = 'ok' if process.returncode == 0 else process.stderr
    return results


def test_every_order_of_imports_with_the_hook(run_python: RunPython) -> None:
    snippets = {first: first + WHOLE for first in ('import basicsr', 'from basicsr.archs import build_network')}
    snippets.update({first: first + WHOLE for first in FIRST_IMPORTS})
    snippets['reload'] = 'import importlib, basicsr, facesr_ext\nimportlib.reload(facesr_ext)\n' + WHOLE
    snippets['reload host'] = 'import importlib, basicsr\nimportlib.reload(basicsr)\n' + WHOLE
    snippets['stock parts'] = 'from basicsr.data.degradations import random_mixed_kernels\n' + WHOLE
    snippets['workers'] = WORKERS
    assert run_forks(run_python, snippets, '1') == dict.fromkeys(snippets, 'ok')


def test_every_order_of_imports_without_the_hook(run_python: RunPython) -> None:
    snippets = {first: first + WHOLE for first in FIRST_IMPORTS}
    snippets['workers'] = WORKERS
    snippets['stock'] = """
import sys
assert not any(getattr(f, 'facesr_ext_finder', False) for f in sys.meta_path)
try:
    import basicsr
except ModuleNotFoundError as err:
    assert err.name == 'torchvision.transforms.functional_tensor'
assert 'facesr_ext' not in sys.modules
"""
    assert run_forks(run_python, snippets, 'off') == dict.fromkeys(snippets, 'ok')


def test_a_folder_of_our_name_does_not_hide_us(run_python: RunPython, tmp_path: Path) -> None:
    """In the folder above the clone, where the installation is an editable one whose finder comes last."""
    (tmp_path / 'facesr_ext' / 'facesr_ext').mkdir(parents=True)
    unseen = f'import sys\nsys.path[:] = [p for p in sys.path if p != {str(ROOT)!r}]\n'
    namespace = 'import importlib.machinery as m\nassert m.PathFinder.find_spec("facesr_ext").origin is None\n'
    run_python(f'{unseen}{namespace}import basicsr{WHOLE}', cwd=tmp_path)
    run_python(f'{unseen}import facesr_ext.errors\nassert facesr_ext.__file__', cwd=tmp_path)


def test_interpreter_start_imports_nothing(run_python: RunPython) -> None:
    code = (
        'import sys; names = {n.split(".")[0] for n in sys.modules}; '
        'assert any(getattr(f, "facesr_ext_finder", False) for f in sys.meta_path), sys.meta_path; '
        'assert not names & {"torch", "torchvision", "basicsr", "facesr_ext", "numpy", "cv2"}, names'
    )
    run_python(code)
    run_python(['-P', '-O', '-c', code] if sys.version_info >= (3, 11) else ['-O', '-c', code])


@pytest.mark.parametrize('value', ['0', 'false', 'OFF', ' no '])
def test_switched_off(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setattr(sys, 'meta_path', [])
    monkeypatch.setenv('FACESR_EXT_AUTOLOAD', value)
    _facesr_ext_boot.autoload()
    assert sys.meta_path == []


def test_loaded_twice_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'meta_path', [])
    monkeypatch.delenv('FACESR_EXT_AUTOLOAD', raising=False)
    (entry,) = [line for line in (ROOT / 'facesr_ext.start').read_text().splitlines() if line and line[0] != '#']
    pkgutil.resolve_name(entry)()
    exec((ROOT / 'facesr_ext.pth').read_text())
    assert len(sys.meta_path) == 1


def test_pth_is_one_import_line_and_survives_a_missing_module(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = (ROOT / 'facesr_ext.pth').read_text().splitlines()
    assert line.startswith('import ')  # what site executes
    monkeypatch.setitem(sys.modules, '_facesr_ext_boot', None)
    exec(line)


def make_package(folder: Path, files: dict[str, str]) -> dict[str, str]:
    """Writes a package called basicsr; returns the environment that finds it first."""
    for name, text in files.items():
        path = folder / 'basicsr' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    return {'PYTHONPATH': str(folder)}


def test_foreign_basicsr_is_left_alone(run_python: RunPython, tmp_path: Path) -> None:
    train = 'def train_pipeline(root): ...\n'
    env = make_package(tmp_path, {'__init__.py': 'from . import train\n', 'train.py': train})
    done = run_python(
        'import sys, basicsr; assert basicsr.train; '
        'assert "facesr_ext.host" not in sys.modules and "torch" not in sys.modules\n'
        'from facesr_ext import register\n'
        'from facesr_ext.errors import DependencyError\n'
        'try:\n    register()\n'
        'except DependencyError as err:\n    assert basicsr.__file__ in str(err)\n'
        'else:\n    raise AssertionError\n',
        env=env,
    )
    assert done.stderr == ''


def test_folder_called_basicsr_is_left_alone(run_python: RunPython, tmp_path: Path) -> None:
    (tmp_path / 'basicsr').mkdir()
    code = 'import sys; sys.path.insert(0, sys.argv[1]); sys.path[1:] = [p for p in sys.path if "-packages" not in p]\n'
    done = run_python(['-c', code + 'import basicsr; assert basicsr.__file__ is None', str(tmp_path)])
    assert done.stderr == ''


def test_failed_registration_is_told_and_harms_nobody(run_python: RunPython, tmp_path: Path) -> None:
    registries = ''.join(f'{kind}_REGISTRY = 0\n' for kind in ('ARCH', 'DATASET', 'LOSS', 'METRIC', 'MODEL'))
    env = make_package(
        tmp_path,
        {
            '__init__.py': 'from . import test, train\nfrom .utils import registry\nvalue = 7\n'
            + ''.join(f'import {name}\n' for name in facesr_ext._PARTS),
            'train.py': 'def train_pipeline(root): ...\n',
            'test.py': 'def test_pipeline(root): ...\n',
            'utils/__init__.py': '',
            'utils/registry.py': registries,
            **dict.fromkeys(
                ('archs/__init__.py', 'losses/__init__.py', 'models/__init__.py', 'metrics/__init__.py'), ''
            ),
            **{f'{name.removeprefix("basicsr.").replace(".", "/")}.py': '' for name in facesr_ext._PARTS},
        },
    )
    code = 'import facesr_ext; facesr_ext.register = lambda: 1 / 0\nimport basicsr; assert basicsr.value == 7'
    done = run_python(code, env=env)
    assert 'not registered' in done.stderr and 'ZeroDivisionError' in done.stderr
    strict = run_python(code, env={**env, 'FACESR_EXT_STRICT': '1'}, check=False)
    assert strict.returncode == 1 and 'ZeroDivisionError' in strict.stderr.splitlines()[-1]


def test_failed_component_leaves_nothing_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from basicsr.utils.registry import ARCH_REGISTRY

    from facesr_ext.host import plugin

    (tmp_path / 'broken_arch_of_a_test.py').write_text(
        'from basicsr.utils.registry import ARCH_REGISTRY\n'
        'ARCH_REGISTRY.register(type("HalfRegistered", (), {"__module__": __name__}))\n'
        'raise RuntimeError("second half missing")\n',
        encoding='utf-8',
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for _ in range(2):
        with pytest.raises(RuntimeError, match='second half missing'):
            plugin._import_component('broken_arch_of_a_test')
        assert 'HalfRegistered' not in ARCH_REGISTRY


def test_packages_on_basicsr_import_again(run_python: RunPython) -> None:
    """Real-ESRGAN and GFPGAN, where they are installed (``pip install --no-deps``), stand on the hook."""
    if not all(importlib.util.find_spec(name) for name in ('realesrgan', 'gfpgan')):
        pytest.skip('realesrgan and gfpgan are not installed')
    code = 'import realesrgan, gfpgan; from realesrgan import RealESRGANer; from gfpgan import GFPGANer'
    run_python(code)
    off = run_python(code, env={'FACESR_EXT_AUTOLOAD': '0'}, check=False)
    assert off.returncode != 0 and 'functional_tensor' in off.stderr
