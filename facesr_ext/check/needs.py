"""The option check's look at what a run needs beside its file: GT to compare with, packages and weights of others."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

from basicsr.utils.registry import LOSS_REGISTRY, METRIC_REGISTRY

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.check.data import quietly
from facesr_ext.check.report import Check, Part, arguments_of, first_line
from facesr_ext.errors import DependencyError, FaceSRError
from facesr_ext.host.lpips import lpips_files
from facesr_ext.host.vgg import find_vgg
from facesr_ext.host.weights import find_weights
from facesr_ext.host.workers import kept_streams
from facesr_ext.losses.identity_loss import IdentityLoss
from facesr_ext.losses.lpips_loss import LPIPSLoss
from facesr_ext.metrics.metric_info import missing_needs


def check_stock_sets(check: Check) -> None:
    """Builds each of BasicSR's own data sets and reads its first sample: it ends in a bare KeyError without a key."""
    for phase, section in check.section('datasets').items():
        part, place = check.part('datasets', phase), ('datasets', phase)
        stock = part is not None and str(getattr(part.target, '__module__', '')).startswith('basicsr.')
        if part is None or part.target is None or not stock or not check.clean(place):
            continue
        given = {'phase': phase.partition('_')[0], 'scale': check.opt.get('scale', 1), **deepcopy(section)}
        try:
            with quietly(), kept_streams():
                sample = part.target(given)[0]
        except KeyError as err:
            name = str(err.args[0])
            remedy = 'write {type: disk}' if name == 'io_backend' else 'write it'
            check.error((*place, name), f'is missing; {section["type"]} needs it: {remedy}')
        except Exception:  # it is other people's code, and its files may be found wanting: the run says how
            logging.getLogger('facesr_ext').debug('%s gives no sample', section['type'], exc_info=True)
        else:
            _check_gt(check, phase, sample)


def _check_gt(check: Check, phase: str, sample: Any) -> None:
    """Whether a set of one of our models has the GT that it is used for."""
    net, place = check.known.nets.get('network_g'), ('datasets', phase, 'type')
    if not check.our_model or not isinstance(sample, dict) or 'gt' in sample:
        return
    kind = check.section('datasets', phase)['type']
    if phase == 'train':
        check.error(place, f'{kind} gives no GT to train towards; take FaceDataset or PairedFaceDataset')
    elif net is not None and arch_info(net).input == 'hr':
        check.error(place, f'{kind} gives no GT, which network_g makes the LQ of; take UnpairedFaceDataset')
    elif check.train and check.section('logger').get('keep_best'):
        remedy = 'take PairedFaceDataset, or set logger: keep_best to false'
        check.error(place, f'{kind} gives no GT, by which the best network could be told; {remedy}')
    elif check.section('val', 'metrics'):
        check.warning(place, f'{kind} gives no GT: its results are saved, val: metrics cannot be measured on it')


def check_weights(check: Check) -> None:
    """Weights that losses load, and that are nowhere and may not be downloaded; files of users without a network."""
    for part in check.parts if check.train else ():
        if part.target is IdentityLoss and check.clean(part.path):
            _try_network(check, part)
    if os.environ.get('FACESR_OFFLINE') != '1':
        return  # the run downloads them, before anything is built
    for part, err in _weight_faults(check):
        check.error((*part.path, 'type'), err.message.replace('\n', ' '))


def _try_network(check: Check, part: Part) -> None:
    """Builds a loss by a network of the user's."""
    try:
        IdentityLoss(**arguments_of(part.section))
    except FaceSRError as err:
        check.error((*part.path, 'path'), err.message)
    except ValueError as err:
        check.error(part.path, first_line(err))


def fetch_weights(check: Check) -> None:
    """Finds or downloads the weights that the losses of a training load, before networks and data sets are built.

    Raises:
        DependencyError: They are nowhere and cannot be downloaded.
    """
    for _, err in _weight_faults(check):
        raise err


def _weight_faults(check: Check) -> Iterator[tuple[Part, FaceSRError]]:
    for part in check.parts if check.train else ():
        if part.registry is not LOSS_REGISTRY or part.target is None or not check.clean(part.path):
            continue
        try:
            _find_weights(part)
        except DependencyError as err:
            yield part, err
        except FaceSRError:
            continue  # of an unknown name other checks tell


def _find_weights(part: Part) -> None:
    vgg_type = _vgg_type(part)
    if vgg_type is not None:
        find_vgg(vgg_type)
    if part.target is LPIPSLoss and part.section.get('weights') is None:
        for file, url in lpips_files(part.section.get('net', 'vgg16')):
            find_weights(file, url)


def _vgg_type(part: Part) -> str | None:
    """Which VGG a loss loads, None for none."""
    if part.section.get('mode') == 'mse':
        return None
    parameter = inspect.signature(part.target).parameters.get('vgg_type')  # type: ignore[arg-type]
    return None if parameter is None else str(part.section.get('vgg_type', parameter.default))


def check_metric_needs(check: Check) -> None:
    """Packages and weights that metrics need: a run goes on without them, its column is NaN."""
    for part in check.parts:
        if part.registry is METRIC_REGISTRY and part.target is not None:
            for problem in missing_needs(part.section):
                check.warning((*part.path, 'type'), f'{problem}; without it the values are nan')


CHECKS: tuple[Callable[[Check], None], ...] = (check_stock_sets, check_weights, check_metric_needs)
