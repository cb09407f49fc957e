"""``facesr env`` looks at the machine: versions, devices, the start-up hook, weights, room on the disk.

Nothing here may need a whole environment: each line is looked up by itself, and what fails is one line that says so.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal, NamedTuple

import typer

import facesr_ext
from facesr_ext.errors import FaceSRError

Status = Literal['ok', 'note', 'broken']
_ROOM = 2 * 1024**3
_PIP = {'OpenCV': 'opencv-python'}
_VGG = ('vgg16', 'vgg19')
_MARKS: dict[Status, str] = {'ok': ' ', 'note': '-', 'broken': '!'}


class Line(NamedTuple):
    """One line of the report: 'broken' is what has to be mended, 'note' what may surprise."""

    status: Status
    what: str
    text: str


def main() -> None:
    """Look at the machine: versions that do not match, devices, weights and where to put them, room on the disk."""
    broken = False
    for line in report():
        broken |= line.status == 'broken'
        typer.echo(f'{_MARKS[line.status]} {line.what:16} {line.text}')
    typer.echo('\nLines with ! have to be mended.' if broken else '\nNothing is broken.')
    raise typer.Exit(int(broken))


def report() -> Iterator[Line]:
    """Looks at everything, one after the other."""
    hook = _hook()  # before anything of ours puts it there
    for look in (_python, _torch, _torchvision, _basicsr):
        yield from _careful(look)
    yield hook
    for look in (_registration, _packages, _devices, _processor, _weights, _place):
        yield from _careful(look)


def _careful(look: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    try:
        yield from look()
    except Exception as err:  # noqa: BLE001 - a broken environment raises anything; the rest is to be told all the same
        yield Line('broken', look.__name__.strip('_'), _reason(err))


def _reason(err: Exception) -> str:
    lines = str(err).strip().splitlines()
    return f'{type(err).__name__}: {lines[0] if lines else "no reason given"}'


def _import(name: str) -> ModuleType | str:
    """A module, or why it cannot be imported."""
    try:
        return importlib.import_module(name)
    except Exception as err:  # noqa: BLE001 - ImportError, OSError of a missing library, RuntimeError of a wrong one
        return _reason(err)


def _python() -> Iterator[Line]:
    right = sys.version_info[:2] >= (3, 10)
    text = f'{platform.python_version()} at {sys.executable} on {platform.platform()}'
    yield Line('ok' if right else 'broken', 'Python', text if right else f'{text}; 3.10 or later is needed')


def _torch() -> Iterator[Line]:
    torch = importlib.import_module('torch')
    yield Line('ok', 'torch', f'{torch.__version__} ({Path(str(torch.__file__)).parent})')


def _torchvision() -> Iterator[Line]:
    """torchvision states the one torch that it was built for."""
    torch = importlib.import_module('torch')
    wanted = _torch_wanted()
    fits = wanted is None or torch.__version__.partition('+')[0] == wanted
    remedy = f'install the pair from one place, as: pip install torch{f"=={wanted}" if wanted else ""} torchvision'
    torchvision = _import('torchvision')
    if isinstance(torchvision, str):  # operator torchvision::nms does not exist
        yield Line('broken', 'torchvision', f'cannot be imported ({torchvision}): it does not fit torch; {remedy}')
        return
    text = str(torchvision.__version__)
    if not fits:
        text += f', built for torch {wanted}, not {torch.__version__}; {remedy}'
    yield Line('ok' if fits else 'note', 'torchvision', text)


def _torch_wanted() -> str | None:
    from packaging.requirements import Requirement

    for text in importlib.metadata.requires('torchvision') or ():
        requirement = Requirement(text)
        versions = [s.version for s in requirement.specifier if s.operator == '==']
        if requirement.name == 'torch' and versions:
            return versions[0].partition('+')[0]
    return None


def _basicsr() -> Iterator[Line]:
    """Which basicsr is imported, and which others lie on the path."""
    copies = [folder for entry in sys.path if (folder := Path(entry or '.') / 'basicsr' / '__init__.py').is_file()]
    copies = list(dict.fromkeys(folder.resolve().parent for folder in copies))
    here = Path.cwd() / 'basicsr'
    if (here / '__init__.py').is_file() and here.resolve() not in copies[:1]:
        copies.insert(0, here.resolve())  # `python -m` looks here first
    whole = [folder for folder in copies if (folder / 'train.py').is_file() and (folder / 'test.py').is_file()]
    if not copies:
        yield Line(
            'broken', 'basicsr', 'is not installed; pip install "basicsr>=1.4.2" (see the README for Python 3.13)'
        )
        return
    first = copies[0]
    if first not in whole:
        text = f'{first} is a cut-down copy without train.py and test.py, and comes before any other; '
        yield Line('broken', 'basicsr', f'{text}start elsewhere, or take it off PYTHONPATH')
    else:
        yield Line('ok', 'basicsr', str(first))
    for folder in copies[1:]:
        yield Line('note', 'basicsr', f'{folder} is hidden by {first}; uninstall one of them if that is not meant')


def _hook() -> Line:
    if any(getattr(finder, 'facesr_ext_finder', False) for finder in sys.meta_path):
        return Line('ok', 'start-up hook', 'read: python -m basicsr.train and basicsr.test know facesr_ext')
    reason = (
        'FACESR_EXT_AUTOLOAD switches it off' if 'FACESR_EXT_AUTOLOAD' in os.environ else 'this Python reads no .pth'
    )
    return Line('note', 'start-up hook', f'not read ({reason}): use facesr train and facesr test, or install again')


def _registration() -> Iterator[Line]:
    try:
        facesr_ext.register()
    except FaceSRError as err:
        yield Line('broken', 'facesr_ext', str(err))
    else:
        yield Line('ok', 'facesr_ext', f'{facesr_ext.__version__}, registered ({Path(facesr_ext.__file__).parent})')


def _packages() -> Iterator[Line]:
    names = {'facexlib': 'facexlib', 'OpenCV': 'cv2', 'numpy': 'numpy', 'PyYAML': 'yaml'}
    for what, name in names.items():
        module = _import(name)
        if isinstance(module, str):
            yield Line('broken', what, f'cannot be imported ({module}); pip install {_PIP.get(what, what.lower())}')
        else:
            yield Line('ok', what, str(getattr(module, '__version__', 'there')))
    for name, use in (('tensorboard', 'use_tb_logger: true'), ('lmdb', 'LMDB data sets')):
        if importlib.util.find_spec(name) is None:
            yield Line('note', name, f'is not installed; needed for {use}: pip install {name}')


def _devices() -> Iterator[Line]:
    import torch

    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        bf16 = 'bf16' if torch.cuda.is_bf16_supported() else 'no bf16'
        yield Line('ok', f'cuda:{index}', f'{device.name}, {device.total_memory / 1024**3:.1f} GiB, {bf16}')
    if not torch.cuda.is_available():
        built = 'torch is built for the CPU alone' if torch.version.cuda is None else 'no driver or no GPU'
        yield Line('note', 'CUDA', f'not available ({built}): training runs on the CPU')
    if torch.backends.mps.is_available():
        yield Line('ok', 'MPS', 'available')


def _processor() -> Iterator[Line]:
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    supported: Callable[[], bool] | None = getattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported', None)
    bf16 = 'precision: bf16 is fast here' if supported is not None and supported() else 'no fast bf16'
    threads = f'{torch.get_num_threads()} of {os.cpu_count()} threads (OMP_NUM_THREADS)'
    yield Line('ok', 'CPU', f'{capability}, {threads}, {bf16}')


def _weights() -> Iterator[Line]:
    """Files that perceptual losses need; the places are those of `host.weights`."""
    from torchvision import models

    from facesr_ext.host.weights import search_places

    for name in _VGG:
        url = models.get_model_weights(name)['IMAGENET1K_V1'].url
        places = search_places(url.rsplit('/', 1)[-1])
        found = next((path for path in places if path.is_file()), None)
        missing = f'missing (perceptual losses need it); fetched when needed, or get {url} and put it to {places[1]}'
        yield Line('ok' if found else 'note', f'weights {name}', str(found) if found else missing)


def _place() -> Iterator[Line]:
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    room = f'{free / 1024**3:.1f} GiB free in {here}'
    yield Line('ok' if free > _ROOM else 'note', 'disk', room if free > _ROOM else f'{room}: checkpoints may fill it')
    writable = os.access(here, os.W_OK)
    yield Line(
        'ok' if writable else 'broken',
        'current folder',
        'writable: runs land below it'
        if writable
        else f'{here} cannot be written to, where runs land; start elsewhere',
    )
