"""The option check's look at classes and their arguments: names, keys and kinds of values, by what is registered."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Collection
from typing import Any

import torch
from basicsr.utils.registry import DATASET_REGISTRY, METRIC_REGISTRY, MODEL_REGISTRY
from torch import nn

from facesr_ext.check.report import Check, arguments_of, first_line, registered
from facesr_ext.degradations.presets import PRESETS, build_degradation
from facesr_ext.errors import FaceSRError, KeyPath, OptionError, closest, hint
from facesr_ext.host.names import SUFFIX, taken_by
from facesr_ext.host.parts import optimizer_class, registry_names, unknown
from facesr_ext.host.registry import DEGRADATION_REGISTRY
from facesr_ext.metrics.metric_info import argument_conflicts, direction_faults
from facesr_ext.models.schedules import SCHEDULERS
from facesr_ext.settings.signatures import argument_faults, takes_any

BASICSR_SCHEDULERS = ('MultiStepLR', 'MultiStepRestartLR', 'CosineAnnealingRestartLR')
"""The names that BasicSR's ``setup_schedulers`` knows."""


def check_types(check: Check) -> None:
    """Class names that are missing or unknown."""
    for part in check.parts:
        place = part.path if part.path == ('model_type',) else (*part.path, 'type')
        name = part.section.get('type')
        if name is None:
            near = [key for key in part.section if closest(key, ('type',))]
            if near:  # 'typ:' is one fault, not two
                check.error((*part.path, near[0]), 'unknown key, nothing reads it; did you mean type?')
            else:
                check.error(place, 'is missing; name the class')
        elif part.target is None:
            check.error(place, unknown(name, registry_names(part.registry)))
        elif taken_by(part.registry, name) is not None:
            module = taken_by(part.registry, name)
            check.warning(place, f'{name} is that of {module} here; write {name}{SUFFIX} for the one of facesr_ext')


def check_arguments(check: Check) -> None:
    """Arguments of networks, losses, metrics and degradations that their signatures do not have, or need."""
    for part in check.parts:
        if part.target is None or part.registry in (MODEL_REGISTRY, DATASET_REGISTRY):
            continue
        given: tuple[str, ...] = ()
        if part.registry is METRIC_REGISTRY:
            given = ('img', 'img2', 'better')
        elif part.registry is DEGRADATION_REGISTRY:
            given = ('scale',)
        _compare(check, part.path, part.target, given)


def check_metrics(check: Check) -> None:
    """``better`` of metrics, which have a direction of their own, and arguments that do not go together."""
    sections = {name: section for name, section in check.section('val', 'metrics').items() if isinstance(section, dict)}
    for err in direction_faults(sections):
        check.problem(err)
    clean = {name: section for name, section in sections.items() if check.clean(('val', 'metrics', name))}
    for err in argument_conflicts(clean):
        check.problem(err)


def _compare(check: Check, path: KeyPath, target: Callable[..., Any], given: tuple[str, ...] = ()) -> None:
    """Compares a section with the signature of what it is for; ``given`` as in `section_of`."""
    check.take(argument_faults(target, check.section(*path), path, given), near_only=takes_any(target))


def check_optimisers(check: Check) -> None:
    """Optimisers and schedulers."""
    if check.model is None or not check.train:
        return
    for key, section in check.section('train').items():
        if key.startswith('optim_') and isinstance(section, dict):
            _check_optimizer(check, ('train', key), section)
    if isinstance(check.section('train').get('scheduler'), dict):
        _check_scheduler(check, ('train', 'scheduler'), check.section('train', 'scheduler'))


def _check_optimizer(check: Check, path: KeyPath, section: dict[str, Any]) -> None:
    own = ('lr_scales',) if check.our_model else ()
    check.missing_keys(path, ('type',), 'name an optimiser of torch.optim')
    if 'type' not in section:
        return
    try:
        target = optimizer_class(section['type'], (*path, 'type'))
    except OptionError as err:
        check.problem(err)
        return
    _compare(check, path, target, ('params', *own))
    check.missing_keys(path, ('lr',), 'state the learning rate')
    if check.clean(path):
        number = nn.Parameter(torch.zeros(1))
        number.grad = torch.zeros(1)
        _try(check, path, target, [number], own)


def _check_scheduler(check: Check, path: KeyPath, section: dict[str, Any]) -> None:
    name = section.get('type')
    known = {key: SCHEDULERS[key] for key in (SCHEDULERS if check.our_model else BASICSR_SCHEDULERS)}
    target = known.get(str(name))
    if target is None:
        message = f'{name!r} is unknown; {hint(name, known)}' if name else 'is missing; name the scheduler'
        check.error((*path, 'type'), message)
        return
    ours, total = name not in BASICSR_SCHEDULERS, check.section('train').get('total_iter')
    if ours and 'total_iter' in section:
        check.error((*path, 'total_iter'), 'is that of train; remove it')
    _compare(check, path, target, ('optimizer', 'last_epoch', *(('total_iter',) if ours else ())))
    if name == 'CosineAnnealingRestartLR' and check.clean((*path, 'periods'), ('train', 'total_iter')):
        _check_periods(check, path, section)
    if check.clean(path, ('train', 'total_iter')) and (total is not None or not ours):
        build = functools.partial(target, total_iter=total) if ours else target
        _try(check, path, build, torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0))


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
    """Lets an optimiser or a scheduler of a single number take a step: what it refuses there, it would in the run."""
    arguments = arguments_of(check.section(*path))
    try:
        built = target(first, **{key: value for key, value in arguments.items() if key not in without})
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # a schedule without steps of its optimiser
            built.step()
        for name, value in arguments.items() if isinstance(built, torch.optim.Optimizer) else ():
            taken = built.param_groups[0].get(name)
            if isinstance(value, list) and isinstance(taken, (list, tuple)) and len(taken) != len(value):
                check.error((*path, name), f'must be {len(taken)} numbers, not {value!r}')
    except (TypeError, ValueError, AssertionError, AttributeError, LookupError) as err:
        name = check.section(*path)['type']
        check.error(path, f'{name} refuses these options: {first_line(err)}')


def check_degradation(check: Check) -> None:
    """``degradation:``, also where it is given by a preset."""
    section, path = check.section('degradation'), ('degradation',)
    if not section:
        return
    preset = section.get('preset')
    if preset is not None:
        if preset not in PRESETS:
            check.error((*path, 'preset'), f'{preset!r} is unknown; {hint(preset, PRESETS)}')
            return
        settings = PRESETS[preset]
        target = registered(DEGRADATION_REGISTRY, section.get('type', settings['type']))
        if target is not None:
            whole = {**settings, **section}
            faults = argument_faults(target, whole, path, ('preset', 'scale'))
            check.take(fault for fault in faults if fault.kind != 'missing')
    scale = check.opt.get('scale')
    if check.clean(path, ('scale',)) and isinstance(scale, int):
        try:
            check.known.degradation = build_degradation(section, scale)
        except FaceSRError as err:
            check.problem(err, path)


CHECKS: tuple[Callable[[Check], None], ...] = (
    check_types,
    check_arguments,
    check_metrics,
    check_optimisers,
    check_degradation,
)
