"""The option check's look at BasicSR's own sections: keys, kinds of values, paths, logging, devices and loaders."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from facesr_ext.check.examine import Check, strings_of, suggestion
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import leaves, refuse_text_numbers
from facesr_ext.host.source import KeyPath
from facesr_ext.host.weights import where_to_get
from facesr_ext.runs.recipes import recipe_named

KEYS: dict[str, frozenset[str]] = {
    '': frozenset((
        'name', 'model_type', 'scale', 'num_gpu', 'manual_seed', 'datasets', 'path', 'train', 'val', 'logger',
        'dist_params', 'find_unused_parameters', 'degradation', 'precision', 'channels_last', 'compile', 'tf32',
        'challenge',
    )),
    'val': frozenset((
        'val_freq', 'save_img', 'suffix', 'metrics', 'pbar', 'max_images', 'batch_size', 'tile', 'self_ensemble',
        'average_last',
    )),
    'logger': frozenset((
        'print_freq', 'save_checkpoint_freq', 'use_tb_logger', 'wandb', 'keep_last', 'keep_best', 'keep_every',
    )),
    'challenge': frozenset(('max_params',)),
}  # fmt: skip
"""The keys of each section ('' is the top) beside networks and what a model's own code reads."""
PATH_KEYS = (
    'resume_state', 'ignore_resume_networks', 'experiments_root', 'results_root', 'models', 'training_states', 'log',
    'visualization',
)  # fmt: skip
REQUIRED = {
    True: ('name', 'model_type', 'num_gpu', 'datasets', 'path', 'train', 'logger'),
    False: ('name', 'model_type', 'num_gpu', 'datasets', 'path', 'val'),
}
WHOLE, NUMBER, SWITCH, TEXT = 'a whole number', 'a number', 'true or false', 'text'
SCALARS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(('scale', 'batch_size_per_gpu', 'image_size', 'gt_size', 'num_faces', 'micro_batch'), (WHOLE, 1)),
    **dict.fromkeys(('num_prefetch_queue', 'nonfinite_patience', 'num_landmark', 'max_params'), (WHOLE, 1)),
    'average_last': (WHOLE, 1),
    **dict.fromkeys(('manual_seed', 'num_worker_per_gpu', 'seed'), (WHOLE, 0)),
    **dict.fromkeys(('total_iter', 'val_freq', 'print_freq', 'save_checkpoint_freq', 'net_d_iters'), (NUMBER, 1)),
    **dict.fromkeys(('ema_decay', 'net_d_init_iters', 'grad_clip', 'dataset_enlarge_ratio'), (NUMBER, 0)),
    'warmup_iter': (NUMBER, -1),
    **dict.fromkeys(('use_hflip', 'use_rot', 'skip_bad_files', 'lq_enlarged', 'save_img', 'pbar'), (SWITCH, 0)),
    **dict.fromkeys(('persistent_workers', 'pin_memory', 'use_tb_logger', 'channels_last'), (SWITCH, 0)),
    'self_ensemble': (SWITCH, 0),
    **dict.fromkeys(('name', 'model_type', 'suffix', 'filename_tmpl'), (TEXT, 0)),
}
"""Kind and least value of the plain options, by their names, which mean the same wherever they stand."""
_TEXTS = re.compile(
    r'name|type|suffix|project|resume_id|resume_state|meta_info|.*_file|filename_tmpl|(dataroot|pretrain|param_key)_.*'
)


def check_text_numbers(check: Check) -> None:
    """``1e-3`` and Python's ``None``, which YAML reads as text."""
    for key, value in ((k, v) for top, inner in check.opt.items() for k, v in leaves(top, inner)):
        path = tuple(key.split(':'))
        if value == 'None':
            check.error(path, f'{value} is text to YAML; for no value write ~ (or null)')
        if isinstance(value, str) and not _TEXTS.fullmatch(path[-1]):
            try:
                refuse_text_numbers('', {path[-1]: value})
            except OptionError as err:
                check.error(path, err.message)


def check_scalars(check: Check) -> None:
    """Plain options of the wrong kind, or too small."""
    places: list[KeyPath] = [(), ('train',), ('val',), ('logger',), ('challenge',)]
    places += [('datasets', phase) for phase in check.section('datasets')]
    for place in places:
        for key, value in check.section(*place).items():
            if key in SCALARS and value is not None:
                kind, least = SCALARS[key]
                if not _is(kind, value):
                    check.error((*place, key), f'must be {kind}, not {value!r}')
                elif kind in (WHOLE, NUMBER) and value < least:
                    check.error((*place, key), f'must be at least {least:g}, not {value!r}')


def _is(kind: str, value: Any) -> bool:
    if kind == SWITCH:
        return isinstance(value, bool)
    if kind == TEXT:
        return isinstance(value, str)
    return isinstance(value, int if kind == WHOLE else (int, float)) and not isinstance(value, bool)


def check_keys(check: Check) -> None:
    """Sections and keys that are missing, or that nothing reads."""
    model = check.part('model_type')
    target = model.target if model else None
    read = strings_of(target) | {key for key in check.opt if key.startswith('network_')}
    if target is not None:
        check.unknown_keys((), KEYS[''] | read | {'network_g'})
        check.unknown_keys(('val',), KEYS['val'] | strings_of(target))
    for section in ('logger', 'challenge'):
        check.unknown_keys((section,), KEYS[section])
    reason = f'BasicSR cannot {"train" if check.train else "test"} without it'
    required = REQUIRED[check.train] + (('network_g',) if hasattr(target, 'TRAIN_KEYS') else ())
    check.missing_keys((), required, reason)
    for path in _section_places(check):
        value = check.file.get(path)
        if not isinstance(value, dict) and (value is not None or path[:2] == ('val', 'metrics') and path[2:]):
            check.error(path, f'must be a section (indented key: value lines), not {value!r}')
    if check.train and isinstance(check.opt.get('logger'), dict):
        check.missing_keys(('logger',), ('print_freq', 'save_checkpoint_freq', 'use_tb_logger'), 'BasicSR reads it')
    if check.train and check.section('val').get('average_last') is not None:
        message = 'is for tests, which read checkpoints; training has the averaged weights of ema_decay: remove it'
        check.error(('val', 'average_last'), message)
    if isinstance(check.opt.get('val'), dict):
        wanted = ('save_img', 'val_freq') if check.train else ('save_img',)
        check.missing_keys(('val',), wanted, 'BasicSR reads it')


def _section_places(check: Check) -> list[KeyPath]:
    """Everything that has keys of its own."""
    named = ('datasets', 'path', 'train', 'val', 'logger', 'degradation', 'challenge')
    places: list[KeyPath] = [(key,) for key in check.opt if key in named or key.startswith('network_')]
    inner = re.compile(r'.*_opt|optim_.*|scheduler|prior_targets')
    places += [('train', key) for key in check.section('train') if inner.fullmatch(key)]
    places += [('datasets', phase) for phase in check.section('datasets')]
    places += [('val', 'metrics', key) for key in check.section('val', 'metrics')]
    return [*places, ('logger', 'wandb'), ('val', 'metrics')]


def check_path(check: Check) -> None:
    """Keys of ``path:``, of each of which BasicSR makes a folder unless it knows it, and the files that they name."""
    networks = {key for key in check.opt if key.startswith('network_')} | {path[-1] for path in check.meant}
    known = {*PATH_KEYS, *(f'pretrain_{n}' for n in networks)}
    known |= {f'{what}_{n.removeprefix("network_")}' for n in networks for what in ('strict_load', 'param_key')}
    for key, value in check.section('path').items():
        if key.startswith('strict_load_') and not isinstance(value, bool):
            check.error(('path', key), f'must be true or false, not {value!r}')
        if key in known or value is None:
            continue
        if re.match('(pretrain_network|strict_load|param_key)_', key):
            label = key.rpartition('_')[2]
            check.warning(('path', key), f'is for a network_{label}, which the file does not have; remove one of them')
        else:
            hint = suggestion(key, known)
            check.error(('path', key), f'unknown key, of which BasicSR would make a folder {value!r}; {hint}')
    resumed = check.auto_resume and _has_states(check)
    for key, value in check.section('path').items():
        if value is None or not (key == 'resume_state' or key.startswith('pretrain_network_')):
            continue
        if not isinstance(value, str):
            check.error(('path', key), f'must be the path of a file, not {value!r}')
        elif key == 'resume_state' or not (resumed or check.section('path').get('resume_state')):
            _check_weights(check, key, value)


def _has_states(check: Check) -> bool:
    return any(Path('experiments', str(check.opt.get('name')), 'training_states').glob('*.state'))


def _check_weights(check: Check, key: str, value: str) -> None:
    path = Path(value).expanduser()
    if path.is_file():
        return
    run = re.search(r'experiments[/\\]([^/\\]+)[/\\]', value)
    recipe = recipe_named(run.group(1), Path(check.file.name).parent) if run else None
    train = f'train it first: python -m basicsr.train -opt {recipe}' if recipe else None
    remedy = where_to_get(path) or train or 'correct the path, or write ~'
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
    if asked is None:
        return
    if asked != 'auto' and (not isinstance(asked, int) or isinstance(asked, bool) or asked < 0):
        check.error(('num_gpu',), f'must be auto, 0 (the CPU) or a number of GPUs, not {asked!r}')
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
        if mode not in (None, 'cpu', 'cuda'):
            check.error((*place, 'prefetch_mode'), f'is cpu, cuda or ~, not {mode!r}')
        if mode == 'cuda' and phase == 'train':
            if not torch.cuda.is_available():
                check.error((*place, 'prefetch_mode'), 'cuda needs a GPU, and there is none; write ~ or cpu')
            elif section.get('pin_memory') is not True:
                check.error((*place, 'prefetch_mode'), 'cuda needs pin_memory: true beside it')


CHECKS: tuple[Callable[[Check], None], ...] = (
    check_text_numbers,
    check_scalars,
    check_keys,
    check_path,
    check_logging,
    check_devices,
    check_loaders,
)
