"""``facesr env`` looks at the machine: versions, devices, the start-up hook, weights, room on the disk.

Nothing here may need a whole environment: each line is looked up by itself, and what fails is one line that says so.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

import typer

import facesr_ext
from facesr_ext._threads import FEW, SPINS
from facesr_ext.cli.screen import COLOURS

Status = Literal['ok', 'note', 'broken']
_ROOM = 2 * 1024**3
_MANY_SPINS = 100_000  # looks of a waiting thread that take a millisecond
_PIP = {'OpenCV': 'opencv-python'}
_VGG = ('vgg16', 'vgg19')
_FACE_FILES = {
    'face detector': 'centerface.onnx',
    '68 landmarks': 'shape_predictor_68_face_landmarks.dat',
    'face identity': 'dlib_face_recognition_resnet_model_v1.dat',
}
_FACE_WEIGHTS = {
    'RetinaFace': 'detection_mobilenet0.25_Final.pth',
    'BiSeNet': 'parsing_bisenet.pth',
    'ParseNet': 'parsing_parsenet.pth',
}
_OPTIONAL = (
    ('tensorboard', 'use_tb_logger: true', 'tensorboard'),
    ('lmdb', 'LMDB data sets', 'lmdb'),
    ('dlib', '68 landmarks and the identity of faces', "'facesr_ext[faces]'"),
    ('facexlib', 'RetinaFace and masks of faces', "'facesr_ext[facexlib]'"),
    ('spandrel', 'networks of other programs', "'facesr_ext[export]'"),
    ('onnxruntime', 'networks as ONNX files', "'facesr_ext[export]'"),
    ('gradio', 'the page of facesr demo', "'facesr_ext[demo]'"),
    ('av', 'clips', "'facesr_ext[video]'"),
)
_MARKS: dict[Status, str] = {'ok': ' ', 'note': '-', 'broken': '!'}
_COLOURS: dict[Status, str | None] = {'ok': None, 'note': COLOURS['warning'], 'broken': COLOURS['error']}
_PROBE = """
import json, os, sys
said = {'hook': any(getattr(finder, 'facesr_ext_finder', False) for finder in sys.meta_path), 'error': ''}
try:
    import facesr_ext
    if not said['hook']:
        facesr_ext.register()
    import basicsr
    said['whole'] = facesr_ext.host_is_basicsr()
except Exception as err:
    said['error'] = f'{type(err).__name__}: {err}'
for name in ('basicsr', 'facesr_ext'):
    said[name] = getattr(sys.modules.get(name), '__file__', None)
said['waiting'] = {name: os.environ[name] for name in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY') if name in os.environ}
said['registered'] = getattr(sys.modules.get('facesr_ext.host.plugin'), '_state', '') == 'done'
print('\\n' + json.dumps(said))
"""
"""What `python -m basicsr.train` would meet: -c and -m put the current folder first, the command `facesr` does not."""


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
        typer.secho(f'{_MARKS[line.status]} {line.what:16} {line.text}', fg=_COLOURS[line.status])
    typer.echo('\nLines with ! have to be mended.' if broken else '\nNothing is broken.')
    raise typer.Exit(int(broken))


def report() -> Iterator[Line]:
    """Looks at everything, one after the other."""
    _ask_fresh_process.cache_clear()
    looks = (_python, _torch, _torchvision, _basicsr, _hook, _registration)
    for look in (*looks, _packages, _devices, _processor, _loading, _weights, _face_files, _place):
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


@functools.cache
def _ask_fresh_process() -> dict[str, Any]:
    """What another Python, started in the current folder as BasicSR's commands are, says of basicsr and facesr_ext.

    Returns:
        dict: ``hook`` and ``registered`` (bool), ``basicsr`` and ``facesr_ext`` (file or None), ``error`` (text),
        ``waiting`` (variables), and ``whole`` (bool) where basicsr could be imported.
    """
    done = subprocess.run([sys.executable, '-c', _PROBE], capture_output=True, text=True, check=False)
    said: dict[str, Any] = json.loads((done.stdout.splitlines() or ['null'])[-1]) or {}
    if not said:
        raise RuntimeError(f'Python ended with status {done.returncode}: {done.stderr.strip()[-300:]}')
    told = [line for line in done.stderr.splitlines() if line.startswith('facesr_ext: ')]
    said['error'] = said['error'] or '; '.join(told)
    return said


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
    """Which basicsr a process imports that starts in the current folder, and which others lie on the path."""
    said = _ask_fresh_process()
    if said['basicsr'] is None:
        missing = 'is not installed; pip install "basicsr>=1.4.2" (see the README for Python 3.13)'
        there = importlib.util.find_spec('basicsr') is not None
        yield Line('broken', 'basicsr', f'cannot be imported ({said["error"]})' if there else missing)
        return
    first = Path(said['basicsr']).resolve().parent
    if not said.get('whole'):
        text = f'{first} is a cut-down copy without runners or registries, and comes before any other; '
        yield Line('broken', 'basicsr', f'{text}start elsewhere, or take it off PYTHONPATH')
    else:
        yield Line('ok', 'basicsr', str(first))
    entries = [Path.cwd(), *(Path(entry or '.') for entry in sys.path)]
    copies = [(entry / 'basicsr').resolve() for entry in entries if (entry / 'basicsr' / '__init__.py').is_file()]
    for folder in dict.fromkeys(copies):
        if folder != first:
            yield Line('note', 'basicsr', f'{folder} is hidden by {first}; uninstall one of them if that is not meant')


def _hook() -> Iterator[Line]:
    if _ask_fresh_process()['hook']:
        yield Line('ok', 'start-up hook', 'read: python -m basicsr.train and basicsr.test know facesr_ext')
        return
    switched = 'FACESR_EXT_AUTOLOAD' in os.environ
    reason = 'FACESR_EXT_AUTOLOAD switches it off' if switched else 'this Python reads no .pth'
    text = f'not read ({reason}): use facesr train and facesr test, or install again'
    yield Line('note', 'start-up hook', text)


def _registration() -> Iterator[Line]:
    """Whether ``import basicsr`` in the current folder brings the parts of facesr_ext."""
    said = _ask_fresh_process()
    if said['registered']:
        place = Path(said['facesr_ext']).parent
        yield Line('ok', 'facesr_ext', f'{facesr_ext.__version__}, registered ({place})')
    else:
        reason = said['error'] or 'this basicsr is left alone'
        yield Line('broken', 'facesr_ext', f'not registered in {Path.cwd()}: {reason}')


def _packages() -> Iterator[Line]:
    names = {'OpenCV': 'cv2', 'numpy': 'numpy', 'PyYAML': 'yaml'}
    for what, name in names.items():
        module = _import(name)
        if isinstance(module, str):
            yield Line('broken', what, f'cannot be imported ({module}); pip install {_PIP.get(what, what.lower())}')
        else:
            yield Line('ok', what, str(getattr(module, '__version__', 'there')))
    for name, use, package in _OPTIONAL:
        if importlib.util.find_spec(name) is None:
            yield Line('note', name, f'is not installed; needed for {use}: pip install {package}')


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

    from facesr_ext.models.precision import cpu_computes_in_bf16

    capability = torch.backends.cpu.get_cpu_capability()
    bf16 = f'precision: auto is {"bf16" if cpu_computes_in_bf16() else "fp32"} here'
    threads = f'{torch.get_num_threads()} of {os.cpu_count()} threads (OMP_NUM_THREADS)'
    yield Line('ok', 'CPU', f'{capability}, {threads}, {bf16}')
    yield from _waiting(torch.get_num_threads())


def _loading() -> Iterator[Line]:
    """What ``num_worker_per_gpu: auto`` is."""
    import torch

    from facesr_ext.host.loading import automatic_workers

    devices = {'CPU': 0, 'GPU': 1} if torch.cuda.is_available() or torch.backends.mps.is_available() else {'CPU': 0}
    for what, num_gpu in devices.items():
        number, why = automatic_workers(num_gpu, several=False)
        yield Line('ok', f'loading for {what}', f'num_worker_per_gpu: auto is {number} ({why})')


def _waiting(threads: int) -> Iterator[Line]:
    """What becomes of several threads where other programs want the cores, too."""
    from facesr_ext.models.device import busy_note

    said = _ask_fresh_process()['waiting']
    spins = said.get('GOMP_SPINCOUNT', '0' if said.get('OMP_WAIT_POLICY', '').upper() == 'PASSIVE' else '')
    if threads > 1 and sys.platform.startswith('linux'):
        how = ', '.join(f'{name}={value}' for name, value in said.items())
        slow = f'spin for milliseconds, which is slow where other programs compute, too; {SPINS}={FEW} ends that'
        told = spins.isdecimal() and int(spins) < _MANY_SPINS
        yield Line('ok' if told else 'note', 'waiting threads', f'sleep soon ({how})' if told else slow)
    note = busy_note()
    if note is not None:
        yield Line('note', 'load', note)


def _weights() -> Iterator[Line]:
    """Files that perceptual losses need; the places are those of `host.weights`."""
    from torchvision import models

    from facesr_ext.host.weights import how_to_install, installed_weights, is_weight_file, search_places

    for name in _VGG:
        url = models.get_model_weights(name)['IMAGENET1K_V1'].url
        file = url.rsplit('/', 1)[-1]
        found, remedy = installed_weights(file), f'get {url} and put it to {search_places(file)[1]}'
        missing = f'missing (perceptual losses need it); fetched when needed, or {remedy}{how_to_install(file)}'
        if found and not is_weight_file(found):
            text = f'{found} is damaged: a web page, or a pointer to a file; delete it, then: {missing}'
            yield Line('broken', f'weights {name}', text)
        else:
            yield Line('ok' if found else 'note', f'weights {name}', str(found) if found else missing)


def _face_files() -> Iterator[Line]:
    """What `facesr prepare` finds and marks faces with."""
    from facesr_ext.host.packaged import PACKAGED, find_packaged
    from facesr_ext.host.weights import installed_weights

    for what, file in _FACE_FILES.items():
        found = find_packaged(file)
        missing = f'missing (facesr prepare needs it); run: {PACKAGED[file].command}'
        yield Line('ok' if found else 'note', what, str(found) if found else missing)
    for what, file in _FACE_WEIGHTS.items():
        found = installed_weights(file)
        yield Line('ok' if found else 'note', what, str(found) if found else f'{file} is missing; fetched when needed')


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
