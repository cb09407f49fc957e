"""The option check's look at classes and their arguments: names, keys and kinds of values, by what is registered."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Any

import torch
from basicsr.models import lr_scheduler
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, LOSS_REGISTRY, METRIC_REGISTRY, MODEL_REGISTRY
from torch import nn

from facesr_ext.check.examine import (
    Check,
    arguments_of,
    first_line,
    parameters_of,
    registered,
    strings_of,
    suggestion,
)
from facesr_ext.data.face_dataset import RUNNER_KEYS
from facesr_ext.degradations.presets import PRESETS, build_degradation
from facesr_ext.errors import FaceSRError, OptionError
from facesr_ext.host.parts import optimizer_class, registry_names
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.host.source import KeyPath

MODEL_TRAIN_KEYS = ('optim_g', 'scheduler', 'total_iter')
GAN_TRAIN_KEYS = ('gan_opt', 'optim_d')
SCHEDULERS = {
    'MultiStepLR': lr_scheduler.MultiStepRestartLR,
    'MultiStepRestartLR': lr_scheduler.MultiStepRestartLR,
    'CosineAnnealingRestartLR': lr_scheduler.CosineAnnealingRestartLR,
}
"""The names that BasicSR's ``setup_schedulers`` knows."""
_KINDS: dict[str, tuple[type, ...]] = {'int': (int,), 'float': (int, float), 'bool': (bool,), 'str': (str,)}


def check_types(check: Check) -> None:
    """Class names that are missing or unknown."""
    for part in check.parts:
        place = part.path if part.path == ('model_type',) else (*part.path, 'type')
        name = part.section.get('type')
        if name is None:
            check.unknown_keys(part.path, ('type',), near_only=True)  # 'typ:' is one fault, not two
            check.missing_keys(part.path, ('type',), 'name the class')
        elif part.target is None:
            check.error(place, f'{name!r} is unknown; {suggestion(name, registry_names(part.registry))}')


def check_arguments(check: Check) -> None:
    """Arguments of networks, losses, metrics and degradations that their signatures do not have, or need."""
    for part in check.parts:
        if part.target is None or part.registry in (MODEL_REGISTRY, DATASET_REGISTRY):
            continue
        given: Collection[str] = ('type',)
        if part.registry is METRIC_REGISTRY:
            given = ('type', 'img', 'img2', 'better')
        elif part.registry is DEGRADATION_REGISTRY:
            given = ('type', 'scale')
        compare(check, part.path, part.target, given)


def compare(check: Check, path: KeyPath, target: Callable[..., Any], given: Collection[str] = ('type',)) -> None:
    """Compares a section with the parameters of what it is for.

    Args:
        check (Check): Where to report.
        path (KeyPath): The section.
        target (Callable): A class or function.
        given (Collection[str]): Keys that the section may have beside the parameters; those of the same name as a
            parameter come from elsewhere.
    """
    parameters = parameters_of(target)
    takes_any = parameters.pop('**', None) is not None
    check.unknown_keys(path, {*parameters, *given}, near_only=takes_any)  # BasicSR's metrics swallow any key
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    check.missing_keys(path, [n for n in needed if n not in given], f'{target.__name__} needs it')
    for key, value in check.section(*path).items():
        if key in parameters and (message := _unfit(parameters[key], value)):
            check.error((*path, key), message)


def _unfit(parameter: inspect.Parameter, value: Any) -> str | None:
    """What is wrong with the kind of a value, by the parameter's annotation or the kind of its default."""
    stated = parameter.annotation
    name = stated if isinstance(stated, str) else getattr(stated, '__name__', '')
    kinds = _KINDS.get(name)
    if kinds is None and stated is parameter.empty and isinstance(parameter.default, (bool, int, float, str)):
        name = type(parameter.default).__name__
        kinds = _KINDS['float'] if name in ('int', 'float') else (*_KINDS[name], int)  # BasicSR's are not that exact
    if kinds is None or value is None and parameter.default is not parameter.empty:
        return None
    if isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds and int in kinds):
        return None
    return f'must be {"true or false" if name == "bool" else f"of type {name}"}, not {value!r}'


def check_datasets(check: Check) -> None:
    """Sets that the run does not know or lacks, and keys that their classes do not read."""
    sets, allowed = check.section('datasets'), ('train', 'val') if check.train else ('test', 'val')
    for phase, section in sets.items():
        place = ('datasets', phase)
        if phase.partition('_')[0] not in allowed:
            wrong_command = phase == 'train' or phase.startswith('test')
            remedy = 'use facesr train' if phase == 'train' else 'use facesr test' if wrong_command else 'rename it'
            names = ' and '.join('train' if name == 'train' else f'{name}, {name}_1 ...' for name in allowed)
            check.error(place, f'is no set of this run, which has {names}; {remedy}')
        elif not isinstance(section, dict):
            check.error(place, 'is empty; a data set needs a name, a type and its options')
        else:
            needed = ('name', 'batch_size_per_gpu', 'num_worker_per_gpu') if phase == 'train' else ('name',)
            _check_dataset_keys(check, place)
            check.missing_keys(place, needed, 'BasicSR reads it')
    if check.train and 'train' not in sets and sets:
        check.error(('datasets',), 'has no set called train')


def _check_dataset_keys(check: Check, place: KeyPath) -> None:
    part = check.part(*place)
    if part is None or part.target is None:
        return
    keys = getattr(part.target, 'KEYS', None)
    if keys is not None:
        check.unknown_keys(place, keys | RUNNER_KEYS)
        return
    read = strings_of(part.target) | RUNNER_KEYS  # of others' classes it is known only what they may read
    check.unknown_keys(place, read, 'warning', near_only=True)


def check_train(check: Check) -> None:
    """Keys of ``train:``, optimisers and schedulers."""
    model = check.part('model_type')
    if not check.train or model is None or model.target is None or not check.section('train'):
        return
    keys = getattr(model.target, 'TRAIN_KEYS', None)
    if keys is not None:
        check.unknown_keys(('train',), keys)
        needed = MODEL_TRAIN_KEYS + (GAN_TRAIN_KEYS if keys.issuperset(GAN_TRAIN_KEYS) else ())
        check.missing_keys(('train',), needed, f'{check.opt["model_type"]} needs it')
        if keys.issuperset(GAN_TRAIN_KEYS):
            check.missing_keys((), ('network_d',), f'{check.opt["model_type"]} needs it')
    else:
        check.unknown_keys(('train',), strings_of(model.target) | {'total_iter', 'warmup_iter'}, 'warning')
    decay = check.section('train').get('ema_decay')
    if isinstance(decay, (int, float)) and decay >= 1:
        check.error(('train', 'ema_decay'), f'must be below 1, as 0.999, not {decay!r}: the average would never move')
    for key, section in check.section('train').items():
        if key.startswith('optim_') and isinstance(section, dict):
            _check_optimizer(check, ('train', key), section, ('lr_scales',) if keys is not None else ())
    if isinstance(check.section('train').get('scheduler'), dict):
        _check_scheduler(check, ('train', 'scheduler'), check.section('train', 'scheduler'))


def _check_optimizer(check: Check, path: KeyPath, section: dict[str, Any], own: tuple[str, ...]) -> None:
    """An optimiser's section; ``own`` are the keys that the model reads by itself."""
    check.missing_keys(path, ('type',), 'name an optimiser of torch.optim')
    if 'type' not in section:
        return
    try:
        target = optimizer_class(section['type'], (*path, 'type'))
    except OptionError as err:
        check.problem(path, err)
        return
    compare(check, path, target, ('type', 'params', *own))
    check.missing_keys(path, ('lr',), 'state the learning rate')
    lr = section.get('lr')
    if not check.clean(path):
        return
    if isinstance(lr, bool) or not isinstance(lr, (int, float)) or lr <= 0:
        check.error((*path, 'lr'), f'must be a number above 0, not {lr!r}')
    else:
        _try(check, path, target, [nn.Parameter(torch.zeros(1))], own)


def _check_scheduler(check: Check, path: KeyPath, section: dict[str, Any]) -> None:
    name = section.get('type')
    target = SCHEDULERS.get(str(name))
    if target is None:
        message = f'{name!r} is unknown; {suggestion(name, SCHEDULERS)}' if name else 'is missing; name the scheduler'
        check.error((*path, 'type'), message)
        return
    compare(check, path, target, ('type', 'optimizer', 'last_epoch'))
    if name == 'CosineAnnealingRestartLR' and check.clean((*path, 'periods'), ('train', 'total_iter')):
        _check_periods(check, path, section)
    if check.clean(path):
        _try(check, path, target, torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0))


def _check_periods(check: Check, path: KeyPath, section: dict[str, Any]) -> None:
    """Whether the periods have weights and last as long as the training."""
    total, periods = check.section('train').get('total_iter'), section.get('periods')
    if not isinstance(periods, list) or not all(isinstance(p, (int, float)) for p in periods):
        check.error((*path, 'periods'), f'must be a list of iterations as [{total}], not {periods!r}')
        return
    weights = section.get('restart_weights', (1,))
    if isinstance(weights, list) and len(weights) != len(periods):
        message = f'has {len(weights)} value(s) for {len(periods)} period(s); give one a period'
        check.error((*path, 'restart_weights'), message)
    if total is not None and sum(periods) < total - 1:  # the last step is taken before the last iteration
        message = f'end at iteration {sum(periods)}, total_iter is {total}: training would crash there; '
        check.error((*path, 'periods'), f'{message}make their sum at least {total}')


def _try(check: Check, path: KeyPath, target: Callable[..., Any], first: Any, without: Collection[str] = ()) -> None:
    """Builds an optimiser or a scheduler for a single number: what it refuses there, it would refuse in the run."""
    arguments = arguments_of(check.section(*path))
    try:
        target(first, **{key: value for key, value in arguments.items() if key not in without})
    except (TypeError, ValueError, AssertionError, AttributeError, LookupError) as err:
        name = check.section(*path)['type']
        check.problem(path, OptionError(f'{name} refuses these options: {first_line(err)}'))


def check_degradation(check: Check) -> None:
    """``degradation:``, also where it is given by a preset."""
    section, path = check.section('degradation'), ('degradation',)
    if not section:
        return
    preset = section.get('preset')
    if preset is not None:
        if hint := suggestion(preset, PRESETS):
            check.error((*path, 'preset'), f'{preset!r} is unknown; {hint}')
            return
        target = registered(DEGRADATION_REGISTRY, section.get('type', PRESETS[preset]['type']))
        if target is not None:
            compare(check, path, target, ('type', 'preset', 'scale', *PRESETS[preset]))
    scale = check.opt.get('scale')
    if check.clean(path, ('scale',)) and isinstance(scale, int):
        try:
            check.shared['degradation'] = build_degradation(section, scale)
        except FaceSRError as err:
            check.problem(path, err)


CHECKS: tuple[Callable[[Check], None], ...] = (
    check_types,
    check_arguments,
    check_datasets,
    check_train,
    check_degradation,
)
PART_REGISTRIES = {
    'archs': ARCH_REGISTRY,
    'losses': LOSS_REGISTRY,
    'models': MODEL_REGISTRY,
    'datasets': DATASET_REGISTRY,
    'metrics': METRIC_REGISTRY,
    'degradations': DEGRADATION_REGISTRY,
}
"""Every kind of part and where it is registered, under the names of ``facesr list``."""
