"""The option check's look at the data: folders, lists, labels, pairs, and the first sample of each set."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from basicsr.utils import logger as basicsr_logger

from facesr_ext.check.report import Check
from facesr_ext.data.image_io import list_images, read_lines
from facesr_ext.data.sources import BUILTIN
from facesr_ext.errors import DatasetError, FaceSRError, KeyPath
from facesr_ext.metrics.metric_info import size_problem
from facesr_ext.places import user_path

_FILES = ('meta_info_file', 'meta_info', 'landmark_file')


def check_folders(check: Check) -> None:
    """Folders and files of the data sets that are missing or empty."""
    for phase, section in check.section('datasets').items():
        for key, value in section.items() if isinstance(section, dict) else ():
            place = ('datasets', phase, key)
            if key.startswith('dataroot_') and value is not None and value != BUILTIN:
                for folder in value if isinstance(value, list) else [value]:
                    _check_folder(check, place, folder)
            elif key in _FILES and value is not None:
                _check_file(check, place, value)


def _check_folder(check: Check, place: KeyPath, value: Any) -> None:
    if not isinstance(value, str):
        check.error(place, f'must be the path of a folder, not {value!r}')
        return
    path = user_path(value)
    if not os.path.exists(path):  # False also of names that are too long, for which pathlib raises
        check.error(place, f'there is no folder {path} (looked for from {Path.cwd()}); correct the path')
    elif path.is_dir() and not any(os.scandir(path)):
        check.error(place, f'the folder {path} is empty; put the pictures there or correct the path')
    elif path.is_dir() and check.ours and path.suffix != '.lmdb' and 'io_backend' not in check.section(*place[:-1]):
        try:
            list_images(path)
        except DatasetError as err:
            check.error(place, err.message)


def _check_file(check: Check, place: KeyPath, value: Any) -> None:
    if not isinstance(value, str):
        check.error(place, f'must be the path of a file, not {value!r}')
        return
    path = user_path(value)
    if not os.path.isfile(path):
        check.error(place, f'there is no file {path} (looked for from {Path.cwd()}); correct the path or write ~')
    elif place[-1] != 'landmark_file':
        try:
            read_lines(path)
        except DatasetError as err:
            check.error(place, err.message)


def check_counts(check: Check) -> None:
    """As many LQ as GT pictures in BasicSR's own paired sets, which stop without a word of where."""
    for phase, section in check.section('datasets').items():
        place = ('datasets', phase)
        if not isinstance(section, dict) or section.get('type') != 'PairedImageDataset' or not check.clean(place):
            continue
        folders = [user_path(str(section.get(f'dataroot_{kind}'))) for kind in ('gt', 'lq')]
        if section.get('meta_info_file') is None and all(os.path.isdir(f) and f.suffix != '.lmdb' for f in folders):
            gt, lq = (sum(entry.is_file() for entry in os.scandir(folder)) for folder in folders)
            if gt != lq:
                check.error((*place, 'dataroot_lq'), f'has {lq} pictures for {gt} of dataroot_gt; they must be pairs')


def check_samples(check: Check) -> None:
    """Builds each of our data sets and reads its first picture: what it refuses, it would refuse in the run."""
    if not check.train and check.our_model and 'network_g' not in check.opt:
        return  # it is to be taken from a checkpoint that is missing: half a file
    for phase, section in check.section('datasets').items():
        part, place = check.part('datasets', phase), ('datasets', phase)
        ours = part is not None and getattr(part.target, '__module__', '').startswith('facesr_ext.')
        if part is None or part.target is None or not ours or not check.clean(place, ('scale',)):
            continue
        opt = {'phase': phase.partition('_')[0], 'manual_seed': 0, **section, 'scale': check.opt.get('scale')}
        if section.get('degrade_in_workers'):
            opt['degradation'] = check.opt.get('degradation')
        try:
            with quietly():
                data: Any = part.target(opt)
                check.known.samples[phase] = data[0]
        except FaceSRError as err:
            check.problem(err, place)
        except (TypeError, ValueError) as err:
            check.error((*place, 'type'), f'gives no picture with these options: {err}; correct them')
        else:
            _check_crop(check, place, section)
            if data.enlarged:
                check.warning((*place, 'image_size'), data.enlarged)


def _check_crop(check: Check, place: KeyPath, section: dict[str, Any]) -> None:
    """Whether the pictures of a batch have one size."""
    whole = section.get('image_size') is None and section.get('gt_size') is None
    if place[1] == 'train' and whole and (section.get('batch_size_per_gpu') or 1) > 1:
        message = 'neither image_size nor gt_size is set: pictures of different sizes make no batch; set one of them'
        check.warning((*place, 'batch_size_per_gpu'), message)


def check_metrics(check: Check) -> None:
    """Metrics that have no value on the images of a set: nothing is left of these, or too little."""
    for phase, sample in check.known.samples.items() if check.our_model else ():
        size = tuple(sample['gt'].shape[-2:]) if 'gt' in sample and phase != 'train' else ()
        for name, section in check.section('val', 'metrics').items() if size else ():
            place = ('val', 'metrics', name)
            if isinstance(section, dict) and check.clean(place):
                problem = size_problem(str(section.get('type')), size, section.get('crop_border'))
                key = 'crop_border' if section.get('crop_border') else 'type'
                if problem:
                    check.error((*place, key), f'{problem} (datasets:{phase}); take larger ones or remove the metric')


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Lets parts be built on trial: they must not open BasicSR's log, which would then never get its file."""
    logger = logging.getLogger('basicsr')
    opened, handlers, disabled = dict(basicsr_logger.initialized_logger), list(logger.handlers), logger.disabled
    propagate, logger.disabled = logger.propagate, True
    try:
        yield
    finally:
        logger.disabled, logger.propagate, logger.handlers = disabled, propagate, handlers
        basicsr_logger.initialized_logger.clear()
        basicsr_logger.initialized_logger.update(opened)


def check_names(check: Check) -> None:
    """Two sets of one name, of which the second would overwrite the results of the first."""
    names: dict[str, str] = {}
    for phase, section in check.section('datasets').items():
        name = section.get('name') if isinstance(section, dict) and phase != 'train' else None
        if isinstance(name, str) and (first := names.setdefault(name, phase)) != phase:
            check.error(('datasets', phase, 'name'), f'{name} is what {first} is called, too; give it another one')


CHECKS: tuple[Callable[[Check], None], ...] = (check_folders, check_counts, check_names, check_samples, check_metrics)
