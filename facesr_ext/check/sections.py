"""The option check's look at the sections: what settings/ states of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from facesr_ext.check.report import Check, strings_of
from facesr_ext.errors import KeyPath, OptionError, closest, hint
from facesr_ext.settings import datasets, logger, top, train, val
from facesr_ext.settings.reading import SECTION, Fault, Section, faults, names_of, text_number

_TEXTS = re.compile(
    r'name|type|suffix|project|resume_id|resume_state|meta_info|.*_file|filename_tmpl|(dataroot|pretrain|param_key)_.*'
)
"""Options that are text, even where it looks like a number."""


def check_texts(check: Check) -> None:
    """``1e-3`` and Python's ``None``, which YAML reads as text, wherever they stand."""
    for path, value in _leaves((), check.opt):
        if value == 'None':
            check.error(path, 'None is text to YAML; for no value write ~ (or null)')
        name = next((part for part in reversed(path) if not part.isdecimal()), '')
        if isinstance(value, str) and not _TEXTS.fullmatch(name) and (message := text_number(value)):
            check.error(path, message)


def _leaves(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    """Every value inside a section, with its key; entries of a list are '0', '1', ..."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves((*path, str(key)), inner)
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from _leaves((*path, str(number)), inner)
    else:
        yield path, value


def check_top(check: Check) -> None:
    """The top of the file."""
    model = _file_model(check)
    allowed = {key for key in check.opt if key.startswith('network_')} - set(names_of(model))
    if not check.our_model:
        allowed |= strings_of(check.model) - set(names_of(model))
    given = {key: value for key, value in check.opt.items() if key not in allowed}
    reason = str(check.opt['model_type']) if check.our_model else 'BasicSR'
    found = faults(model, given, (), reason)
    ours = names_of(top.FaceTrainFile) if check.model is not None else ()
    own = [fault for fault in found if fault.kind == 'unknown' and fault.key[0] in ours]
    for fault in own:
        check.error(fault.key, f'{check.opt.get("model_type")} does not read it; FaceSRModel does')
    check.take([fault for fault in found if fault not in own], near_only=check.model is None)
    if not check.train and 'network_g' in check.opt:  # else the checkpoint gives a name, or is missed itself
        check.missing_keys((), ('name',), 'results are written to results/<name>')
    if check.our_model:
        for key in sorted(allowed):
            check.warning((key,), f'{check.opt["model_type"]} has no such network, nothing reads it; remove it')


def _file_model(check: Check) -> type[Section]:
    """What the top of the file may have."""
    if not check.our_model:
        return top.TrainFile if check.train else top.TestFile
    if not check.train:
        return top.FaceTestFile
    return top.FaceGANTrainFile if issubclass(check.model.SETTINGS, train.GANTrain) else top.FaceTrainFile


def check_sections(check: Check) -> None:
    """``train:``, ``val:`` and ``logger:``."""
    if check.train and check.section('train'):
        _check_train(check)
    if isinstance(check.opt.get('val'), dict):
        given = _without(check.section('val'), set() if check.our_model else strings_of(check.model))
        check.take(faults(val.TrainVal if check.train else val.Val, given, ('val',)), check.model is None)
    if check.train and isinstance(check.opt.get('logger'), dict):
        check.take(faults(logger.Logger, check.section('logger'), ('logger',)))
        _check_best(check)


def _without(section: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """A section without the keys that somebody else's model may read, as far as we do not state them ourselves."""
    return {key: value for key, value in section.items() if key not in names - set(names_of(val.TrainVal))}


def _check_train(check: Check) -> None:
    section, place = check.section('train'), ('train',)
    if check.our_model:
        foreign = train.keys_of_heirs(check.model.SETTINGS, section)
        for key in foreign:
            check.warning((*place, key), f'{check.opt["model_type"]} does not read it, nothing else does; remove it')
        own = {key: value for key, value in section.items() if key not in foreign}
        check.take(faults(check.model.SETTINGS, own, place, check.opt['model_type']))
    elif check.model is not None:
        known = strings_of(check.model) | {'total_iter', 'warmup_iter'}
        check.take(_unknown(section, known, place))
        check.take(fault for fault in faults(train.GANTrain, section, place) if fault.kind == 'value')


def _unknown(section: dict[str, Any], known: set[str], place: KeyPath) -> Iterator[Fault]:
    """Keys that are not among those of somebody else's class."""
    for key in section:
        if key not in known:
            message = f'unknown key, nothing reads it; {hint(key, known)}'
            yield Fault((*place, key), message, 'unknown', closest(key, known))


def _check_best(check: Check) -> None:
    """``keep_best`` and the metrics that it can go by."""
    value = check.section('logger').get('keep_best')
    if not check.our_model or not value or not check.clean(('logger', 'keep_best'), ('val', 'metrics')):
        return
    has_set = any(phase.startswith('val') for phase in check.section('datasets'))
    try:
        logger.Logger.model_construct(keep_best=value).best_metric(check.section('val', 'metrics'), has_set)
    except OptionError as err:
        check.problem(err)


def check_inner_sections(check: Check) -> None:
    """What must be a section, in files whose models we do not know."""
    inner = re.compile(r'.*_opt|optim_.*|scheduler')
    places: list[KeyPath] = [(key,) for key in check.opt if key.startswith('network_')]
    places += [('train', key) for key in check.section('train') if inner.fullmatch(key)]
    for path in places:
        value = check.file.get(path)
        if value is not None and not isinstance(value, dict):
            check.error(path, f'{SECTION}, not {value!r}')


def check_datasets(check: Check) -> None:
    """Sets that the run does not know or lacks, and what their sections say."""
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
            _check_set(check, place, section)
    if check.train and 'train' not in sets and sets:
        check.error(('datasets',), 'has no set called train')


def _check_set(check: Check, place: KeyPath, section: dict[str, Any]) -> None:
    part = check.part(*place)
    target = part.target if part is not None else None
    settings = getattr(target, 'SETTINGS', None)
    if settings is not None:
        check.take(faults(settings, section, place, target.__name__))  # type: ignore[union-attr]
    else:
        known = strings_of(target) | set(names_of(datasets.Loader)) | {'type'}
        given = {key: value for key, value in section.items() if key in names_of(datasets.Loader)}
        found = faults(datasets.Loader, given, place, 'BasicSR')
        if target is not None:
            for fault in _unknown(section, known, place):
                if fault.meant:
                    found.append(fault)
        check.take(found, near_only=True)
    if place[-1] == 'train':
        check.missing_keys(place, ('batch_size_per_gpu', 'num_worker_per_gpu'), 'BasicSR reads it')


CHECKS: tuple[Callable[[Check], None], ...] = (
    check_texts,
    check_top,
    check_inner_sections,
    check_sections,
    check_datasets,
)
