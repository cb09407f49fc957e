"""What a resumed training takes from its state, the position and the moments, and what from its option file."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch.optim.lr_scheduler import LRScheduler

from facesr_ext.errors import KeyPath, OptionError, key_text
from facesr_ext.models.param_groups import HOW

_POSITION = ('last_epoch', 'base_lrs', 'cumulative_period', 'verbose')
"""Of a scheduler: where it is, and what follows from its settings."""
_OF_PARAMETER = ('exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer', 'square_avg', 'grad_avg', 'exp_inf')
"""Moments that have the shape of their parameter; Adafactor has others, too."""


def load_moments(optimizer: torch.optim.Optimizer, saved: Mapping[str, Any], key: KeyPath) -> list[str]:
    """Takes an optimiser's moments from its state; learning rate, betas and the like stay as the option file has them.

    Args:
        optimizer (Optimizer): As the option file has it, without a step so far.
        saved (Mapping): Its state dict in the training state.
        key (KeyPath): Its section.

    Returns:
        list[str]: The settings that differ from those of the state, as 'train:optim_g:betas: (0.9, 0.99) -> ...'.

    Raises:
        OptionError: if the moments are those of another optimiser, of other groups of parameters, or not finite.
    """
    fresh = optimizer.state_dict()['param_groups']
    sizes, own_sizes = ([len(group['params']) for group in groups] for groups in (saved['param_groups'], fresh))
    if sizes != own_sizes:
        raise OptionError(
            f'the training state has parameters in groups of {_listing(sizes)}, these options make groups of '
            f'{_listing(own_sizes)}; leave lr_scales and what is trained as they were, or start anew from the weights '
            '(path: pretrain_network_g)',
            key,
        )
    _require_whole(optimizer, saved['state'], key)
    for index, moments in list(saved['state'].items())[:1]:  # the others have the same
        _require_moments(optimizer, index, moments, key)
    differences = []
    for old, new in zip(saved['param_groups'], fresh, strict=True):
        differences += _differences(_settings_of(old), _settings_of(new), key)
    groups = [{**new, 'params': old['params']} for old, new in zip(saved['param_groups'], fresh, strict=True)]
    optimizer.load_state_dict({'state': saved['state'], 'param_groups': groups})
    _lay_out_moments(optimizer)
    return list(dict.fromkeys(differences))


def _require_moments(optimizer: torch.optim.Optimizer, index: int, moments: Mapping[str, Any], key: KeyPath) -> None:
    """Compares the moments of one parameter with those that the optimiser would have after a step."""
    group, parameter = [(group, p) for group in optimizer.param_groups for p in group['params']][index]
    known = inspect.signature(type(optimizer)).parameters
    arguments = {name: value for name, value in group.items() if name in known and name != 'params'}
    trial = torch.nn.Parameter(torch.zeros_like(parameter))
    trial.grad = torch.zeros_like(trial)
    probe = type(optimizer)([trial], **arguments)
    probe.step()
    names, needed = (
        [name for name, value in state.items() if value is not None] for state in (moments, probe.state[trial])
    )
    if set(names) != set(needed):
        raise OptionError(
            f'the training state has {_listing(names)} of each parameter, {type(optimizer).__name__} with these '
            f'settings has {_listing(needed)}; leave the optimiser as it was, or start anew from the '
            'weights (path: pretrain_network_g)',
            key,
        )


def _lay_out_moments(optimizer: torch.optim.Optimizer) -> None:
    """Gives moments the memory layout of their weights, which a fused step on a CPU takes for granted.

    They have another one where ``channels_last`` has changed since the state was saved.
    """
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            alike = isinstance(value, torch.Tensor) and value.shape == parameter.shape
            if alike and value.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def _require_whole(optimizer: torch.optim.Optimizer, moments: Mapping[int, Mapping[str, Any]], key: KeyPath) -> None:
    """Refuses moments that are not finite, or are of another shape than their parameter."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group['params']]
    for index, values in moments.items():
        if index not in range(len(parameters)):
            raise OptionError(f'the training state has moments of a parameter {index}, which is not there', key)
        for name, value in values.items():
            if not isinstance(value, torch.Tensor) or not value.is_floating_point():
                continue
            if name in _OF_PARAMETER and value.shape != parameters[index].shape:
                raise OptionError(
                    f'the training state has {name} of shape {tuple(value.shape)} for parameter {index}, which has '
                    f'{tuple(parameters[index].shape)}; leave the network as it was, or start anew from the weights '
                    '(path: pretrain_network_g)',
                    key,
                )
            if not value.isfinite().all():
                raise OptionError(
                    f'the training state has {name} of parameter {index} that is not finite; take an earlier state '
                    '(path: resume_state)',
                    key,
                )


def _settings_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """What the option file says of a group of parameters; its learning rate is that of the beginning.

    How a step is computed is no setting: states of older versions have no ``fused``.
    """
    settings = {name: value for name, value in group.items() if name not in ('params', 'initial_lr', *HOW)}
    return {**settings, 'lr': group.get('initial_lr', group['lr'])}


def scheduler_changes(scheduler: LRScheduler, saved: Mapping[str, Any]) -> list[str]:
    """The settings of a scheduler that differ from those of its state."""
    own = scheduler.state_dict()
    old, new = ({k: v for k, v in d.items() if k not in _POSITION and k[:1] != '_'} for d in (saved, own))
    return _differences(old, new, ('train', 'scheduler'))


def batch_of(opt: Mapping[str, Any]) -> dict[str, int]:
    """What decides which images an iteration sees, by the names of its options."""
    train_set = opt['datasets'].get('train', {})
    return {
        'datasets:train:batch_size_per_gpu': int(train_set.get('batch_size_per_gpu') or 1),
        'processes': int(opt.get('world_size') or 1),
    }


def batch_changes(saved: Any, own: Mapping[str, int]) -> list[str]:
    """What of `batch_of` is not as in the state; older states do not say it."""
    saved = saved if isinstance(saved, Mapping) else {}
    return [f'{name}: {saved[name]} -> {value}' for name, value in own.items() if saved.get(name, value) != value]


def tell_changes(changed: Iterable[str]) -> None:
    """Warns of the settings that differ from those of a state; says nothing where none do."""
    listing = '\n'.join(f'  {line}' for line in dict.fromkeys(changed))
    if listing:
        get_root_logger().warning(
            f'Settings that are not those of the training state, and hold from now on:\n{listing}'
        )


def move_to(position: int, update: Callable[[int], None]) -> None:
    """Goes through a schedule up to where a state was, so that the learning rate is that of the option file's schedule.

    Args:
        position (int): The state's ``last_epoch``: steps of the schedulers.
        update (Callable): BasicSR's ``update_learning_rate`` of an iteration.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', 'Detected call of `lr_scheduler.step', UserWarning)
        for iteration in range(1, position + 2):
            update(iteration)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], key: KeyPath) -> list[str]:
    """Settings that differ; a flag that one of the two does not have is off, as in states of other torch versions."""
    found = []
    for name in {**old, **new}:
        before, after = _plain(old.get(name)), _plain(new.get(name))
        if before != after and (before or after):
            found.append(f'{key_text((*key, name))}: {before} -> {after}')
    return found


def _plain(value: Any) -> Any:
    """A setting as option files write it."""
    if isinstance(value, Counter):  # milestones
        return sorted(value.elements())
    return list(value) if isinstance(value, tuple) else value


def _listing(values: Iterable[Any]) -> str:
    return ', '.join(map(str, values)) or 'nothing'
