"""The option check's look at what BasicSR's runner needs: paths, logging, devices and loaders."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

import torch

from facesr_ext.check.report import Check
from facesr_ext.errors import KeyPath, hint
from facesr_ext.host.weights import where_to_get
from facesr_ext.places import user_path
from facesr_ext.runs.folder import RunFolder
from facesr_ext.runs.recipes import how_to_train
from facesr_ext.settings import top
from facesr_ext.settings.reading import names_of

_FOLDERS = ('experiments_root', 'results_root', 'models', 'training_states', 'log', 'visualization')
"""Keys of ``path:`` that the runner sets itself."""


_LONGEST_NAME = 200
"""Bytes: file systems allow 255, and the names of logs and of archived runs add to a run's name."""


def check_names(check: Check) -> None:
    """Texts that become names of files and folders: of the run, of its sets, and what is put behind results' names."""
    places: list[KeyPath] = [('name',), ('val', 'suffix')]
    places += [('datasets', phase, 'name') for phase in check.section('datasets')]
    for place in places:
        value = check.file.get(place)
        if isinstance(value, str) and (fault := _fault_of_name(value, place[-1] == 'suffix')):
            check.error(place, fault)
        elif isinstance(value, str) and (_NOT_ON_WINDOWS.search(value) or _RESERVED.fullmatch(value)):
            check.warning(place, f'{value!r} cannot be the name of a file on Windows; without : * ? " < > | it can')


_NOT_ON_WINDOWS = re.compile(r'[:*?"<>|]|[. ]$')
_RESERVED = re.compile(r'(con|prn|aux|nul|com\d|lpt\d)(\..*)?', re.IGNORECASE)


def _fault_of_name(value: str, part: bool) -> str:
    """Why no file or folder can be called so, '' for nothing; ``part``: it is only put behind another name."""
    if '/' in value or '\\' in value:
        return f'{value!r} is a path; it becomes part of file names, so write it without / and \\'
    if not part and value.strip() in ('', '.', '..'):
        return f'{value!r} names no folder; write a name such as fsrnet_1'
    if not part and value[:1] in ('.', '-', '~', ' '):
        return f'{value!r} begins with {value[:1]!r}, which hides a folder or is no name in a command; leave it out'
    if not value.isprintable():
        return f'{value!r} has characters that cannot be seen, such as line breaks; remove them'
    if len(value.encode('utf-8', 'replace')) > _LONGEST_NAME:
        return (
            f'is longer than {_LONGEST_NAME} bytes, too long for names of files: {value[:20]}...; write a shorter one'
        )
    return ''


def check_phases(check: Check) -> None:
    """Names of sets that BasicSR's runner of trainings does not know; a test takes any."""
    for phase in check.section('datasets') if check.train else ():
        if phase != 'train' and phase.split('_')[0] != 'val':
            message = 'a training has one set train and any number of val, val_1, val_2 ...'
            if phase.startswith('train'):
                message += '; put the images of both into one set'
            check.error(('datasets', phase), message)


def check_path(check: Check) -> None:
    """Keys of ``path:``, of each of which BasicSR makes a folder unless it knows it, and the files that they name."""
    known = _path_keys(check)
    for key, value in check.section('path').items():
        if key.startswith('strict_load_') and not isinstance(value, bool):
            check.error(('path', key), f'must be true or false, not {value!r}')
        if key in known or value is None:
            continue
        if re.match('(pretrain_network|strict_load|param_key)_', key):
            label = key.rpartition('_')[2]
            check.warning(('path', key), f'is for a network_{label}, which the file does not have; remove one of them')
        else:
            message = f'unknown key, of which BasicSR would make a folder {value!r}; {hint(key, known)}'
            check.error(('path', key), message)
    resumed = check.auto_resume and _has_states(check)
    for key, value in check.section('path').items():
        if value is None or not (key == 'resume_state' or key.startswith('pretrain_network_')):
            continue
        if not isinstance(value, str):
            check.error(('path', key), f'must be the path of a file, not {value!r}')
        elif key == 'resume_state' or not (resumed or check.section('path').get('resume_state')):
            _check_weights(check, key, value)


def _path_keys(check: Check) -> set[str]:
    """The keys of ``path:``: those that settings/ states of network_g, for each network of the file."""
    networks = {key for key in check.opt if key.startswith('network_')} | {path[-1] for path in check.meant}
    labels = {name.removeprefix('network_') for name in networks} | ({'g'} if check.our_model else set())
    stated = names_of(top.Path)
    own = {f'{key[:-1]}{label}' for key in stated if key.endswith('_g') for label in labels}
    own |= {f'pretrain_network_{label}' for label in labels}
    return {*_FOLDERS, *own, *(key for key in stated if not key.endswith('_g'))}


def _has_states(check: Check) -> bool:
    return bool(RunFolder(Path('experiments', str(check.opt.get('name')))).states())


def _check_weights(check: Check, key: str, value: str) -> None:
    path = user_path(value)
    if path.is_file() or path.is_dir() and not check.train:
        return
    remedy = where_to_get(path) or how_to_train(value, Path(check.file.name).parent) or 'correct the path, or write ~'
    check.error(('path', key), f'there is no file {path} (looked for from {Path.cwd()}); {remedy}')


def check_logging(check: Check) -> None:
    """TensorBoard and Weights & Biases that are asked for but not installed."""
    logger = check.section('logger')
    if not check.train or 'debug' in str(check.opt.get('name')):
        return
    if logger.get('use_tb_logger') is True and importlib.util.find_spec('tensorboard') is None:
        check.error(
            ('logger', 'use_tb_logger'), 'tensorboard is not installed; pip install tensorboard, or set it to false'
        )
    if check.section('logger', 'wandb').get('project') is not None:
        if logger.get('use_tb_logger') is False:
            check.error(('logger', 'wandb', 'project'), 'Weights & Biases needs use_tb_logger: true as well')
        elif importlib.util.find_spec('wandb') is None:
            check.error(('logger', 'wandb', 'project'), 'wandb is not installed; pip install wandb, or write ~')


def check_devices(check: Check) -> None:
    """More GPUs than there are, or several without a launcher."""
    asked, there = check.opt.get('num_gpu'), torch.cuda.device_count()
    if asked is None or not check.clean(('num_gpu',)):
        return
    num = there if asked == 'auto' else asked
    single = check.launcher == 'none'
    if num > there and (single or not there):
        check.error(('num_gpu',), f'asks for {num} GPU(s), but there are {there}; write auto, or 0 for the CPU')
    elif num > 1 and single and check.train:
        report = check.warning if asked == 'auto' else check.error
        report(('num_gpu',), f'{num} GPUs without a launcher are slow (DataParallel); {_torchrun(check, num)}')


def _torchrun(check: Check, num: int) -> str:
    line = f'torchrun --nproc_per_node={num} -m basicsr.train -opt {check.file.name} --launcher pytorch'
    return f'start with: {line}   (or num_gpu: 1)'


def check_loaders(check: Check) -> None:
    """Settings of the data loaders that crash or hang."""
    for phase, section in check.section('datasets').items():
        if not isinstance(section, dict):
            continue
        place, mode = ('datasets', phase), section.get('prefetch_mode')
        if section.get('persistent_workers') is True:
            if phase != 'train':
                check.error((*place, 'persistent_workers'), 'only the training set has workers; remove it here')
            elif section.get('num_worker_per_gpu') == 0:
                check.error((*place, 'persistent_workers'), 'needs num_worker_per_gpu above 0; remove it, or set that')
            elif mode == 'cpu':
                message = 'prefetch_mode: cpu and persistent_workers: true hang BasicSR together; remove this one'
                check.error((*place, 'prefetch_mode'), message)
        if section.get('timeout') and section.get('num_worker_per_gpu') == 0:
            check.error((*place, 'timeout'), 'needs workers: set num_worker_per_gpu above 0, or remove it')
        if mode == 'cuda' and phase == 'train':
            if not torch.cuda.is_available():
                check.error((*place, 'prefetch_mode'), 'cuda needs a GPU, and there is none; write ~ or cpu')
            elif section.get('pin_memory') is not True:
                check.error((*place, 'prefetch_mode'), 'cuda needs pin_memory: true beside it')


CHECKS: tuple[Callable[[Check], None], ...] = (
    check_names,
    check_phases,
    check_path,
    check_logging,
    check_devices,
    check_loaders,
)
