"""What a metric says of itself: the direction in which it is better, what it needs, what it refuses."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from basicsr.metrics import calculate_metric
from basicsr.utils import get_root_logger
from basicsr.utils.registry import METRIC_REGISTRY

from facesr_ext.errors import CheckpointError, DatasetError, DependencyError, OptionError
from facesr_ext.metrics.needs import Need, NoValue

Function = TypeVar('Function', bound=Callable[..., float])

LOWER = frozenset(('calculate_niqe', 'calculate_fid'))
"""Metrics of BasicSR that fall where an image gets better; the others rise."""
LEAST = {'calculate_ssim': 11}
"""The shorter side that metrics of BasicSR need, pixels, where that is more than one."""
_told: set[str] = set()


def register_metric(
    higher_is_better: bool,
    least: int = 1,
    unit: str = '',
    needs: tuple[Need, ...] = (),
    refuse: Callable[..., None] | None = None,
) -> Callable[[Function], Function]:
    """Registers a metric under its name, with its direction.

    BasicSR's models hand on every key of a metric's section, ``better`` too, and a GT, which a metric of ours need not
    have.
    Where something that it needs is missing (DependencyError), broken (CheckpointError), or a pair cannot be measured
    (:class:`~needs.NoValue`), the value is NaN and the log says why, once.

    Args:
        higher_is_better (bool): Whether a larger value is a better one.
        least (int): The shorter side that an image needs, pixels, once ``crop_border`` is cut off. Default: 1.
        unit (str): 'dB', 'px' or '%', for tables. Default: none.
        needs (tuple[Need, ...]): What it needs beside this package, so that lists and checks can tell it before a run.
        refuse (Callable | None): Called with the arguments of a section before a run; raises OptionError, with the
            argument as its key, for those that do not go together.
    """

    def register(function: Function) -> Function:
        takes_reference = 'img2' in inspect.signature(function).parameters

        @functools.wraps(function)
        def called(*args: Any, better: str | None = None, **kwargs: Any) -> float:
            images = [image for image in (*args, *kwargs.values()) if isinstance(image, np.ndarray)]
            if images and images[0].shape != images[-1].shape:
                raise DatasetError(_sizes(images[0], images[-1]))
            if images and (problem := size_problem(function.__name__, images[-1].shape[:2], kwargs.get('crop_border'))):
                warn_once(problem)
                return math.nan
            if not takes_reference:
                kwargs.pop('img2', None)
            try:
                return function(*args, **kwargs)
            except (DependencyError, CheckpointError, NoValue) as err:
                warn_once(f'{function.__name__}: {err}')
                return math.nan

        called.higher_is_better, called.least, called.unit = higher_is_better, least, unit  # type: ignore[attr-defined]
        called.needs, called.refuse = needs, refuse  # type: ignore[attr-defined]
        METRIC_REGISTRY.register()(called)
        return called  # type: ignore[return-value]

    return register


def higher_is_better(type_name: str) -> bool | None:
    """Whether a larger value of a metric is a better one.

    Args:
        type_name (str): ``type`` of its section.

    Returns:
        bool | None: None for a metric of others that does not say so by an attribute ``higher_is_better``.
    """
    target = dict(iter(METRIC_REGISTRY)).get(type_name)
    stated = getattr(target, 'higher_is_better', None)
    if stated is None and getattr(target, '__module__', '').partition('.')[0] == 'basicsr':
        return type_name not in LOWER
    return stated


def unit(type_name: str) -> str:
    """The unit of a metric, '' for none; of one of others that does not state it, dB where psnr is in its name.

    Args:
        type_name (str): ``type`` of its section.
    """
    target = dict(iter(METRIC_REGISTRY)).get(type_name)
    return str(getattr(target, 'unit', 'dB' if 'psnr' in type_name.split('_') else ''))


def needs_reference(type_name: str) -> bool:
    """Whether a metric compares with a GT; one of the result alone, as NIQE, does not."""
    target = dict(iter(METRIC_REGISTRY)).get(type_name)
    return target is None or is_set_metric(type_name) or 'img2' in inspect.signature(target).parameters


def is_set_metric(type_name: str) -> bool:
    """Whether a metric has one value for a whole set, as KID has, and none for an image."""
    return hasattr(dict(iter(METRIC_REGISTRY)).get(type_name), 'set_value')


def size_problem(type_name: str, size: tuple[int, ...], crop_border: Any = None) -> str:
    """Why a metric cannot be measured on images of a size; '' where it can.

    Args:
        type_name (str): ``type`` of its section.
        size (tuple[int, ...]): Height and width of the images, pixels.
        crop_border (Any): What is cut off at each side, pixels; None for nothing.
    """
    least = getattr(dict(iter(METRIC_REGISTRY)).get(type_name), 'least', LEAST.get(type_name, 1))
    border = crop_border if isinstance(crop_border, int) else 0
    if min(size) - 2 * border >= least:
        return ''
    cut = f' less a crop_border of {border} px' if border else ''
    return f'{type_name} needs {least} px a side, and an image has {size[1]}x{size[0]} px{cut}'


def warn_once(problem: str) -> None:
    """Logs why a metric gives NaN, once for each metric and reason."""
    if problem not in _told:
        _told.add(problem)
        get_root_logger().warning(f'{problem}: nan')


def _sizes(img: np.ndarray, img2: np.ndarray) -> str:
    return (
        f'the result is {img.shape[1]}x{img.shape[0]} px, its GT {img2.shape[1]}x{img2.shape[0]} px: '
        'scale, lq_enlarged and the network do not fit each other'
    )


def missing_needs(section: Mapping[str, Any]) -> list[str]:
    """What a section's metric needs and is not there: for each why, and how to get it.

    Args:
        section (Mapping): ``type`` and arguments; ``type`` alone asks for what the defaults need.
    """
    target = dict(iter(METRIC_REGISTRY)).get(str(section.get('type')))
    found = []
    for need in getattr(target, 'needs', ()):
        if need.only is not None:
            argument, value = need.only
            default = inspect.signature(target).parameters[argument].default  # type: ignore[arg-type]
            if section.get(argument, default) != value:
                continue
        found.append(need.missing())
    return [problem for problem in found if problem]


def argument_conflicts(metrics: Mapping[str, Any]) -> Iterator[OptionError]:
    """Sections of ``val: metrics`` whose arguments do not go together.

    Args:
        metrics (Mapping): Name -> section.

    Yields:
        OptionError: One for each, with its key.
    """
    for name, section in metrics.items():
        refuse = getattr(dict(iter(METRIC_REGISTRY)).get(str(section.get('type'))), 'refuse', None)
        arguments = {key: value for key, value in section.items() if key not in ('type', 'better')}
        try:
            if refuse is not None:
                refuse(**arguments)
        except OptionError as err:
            yield OptionError(err.message, ('val', 'metrics', name, *err.key))
        except TypeError:
            continue  # an argument is missing, or of another kind: other checks tell


def direction_faults(metrics: Mapping[str, Any]) -> Iterator[OptionError]:
    """Sections of ``val: metrics`` whose ``better`` is not the metric's own direction, or none at all.

    Args:
        metrics (Mapping): Name -> section.

    Yields:
        OptionError: One for each, with its key.
    """
    for name, section in metrics.items():
        stated, own = section.get('better'), higher_is_better(str(section.get('type')))
        wanted = {None: ('higher', 'lower'), True: ('higher',), False: ('lower',)}[own]
        if stated is not None and stated not in wanted:
            kind = 'is higher or lower' if own is None else f'{section.get("type")} is better where it is {wanted[0]}'
            yield OptionError(f'{kind}, not {stated!r}; remove this key', ('val', 'metrics', name, 'better'))


class Metrics:
    """The metrics of ``val: metrics``, by their names in logs and files.

    Args:
        sections (Mapping): Name -> section (``type`` and arguments).

    Raises:
        OptionError: for a direction that is not the metric's own, or arguments that do not go together.
    """

    def __init__(self, sections: Mapping[str, Mapping[str, Any]]) -> None:
        for err in (*direction_faults(sections), *argument_conflicts(sections)):
            raise err
        self._higher = {name: _higher(section) for name, section in sections.items()}
        self._sections = {
            name: {key: value for key, value in section.items() if key != 'better'}
            for name, section in sections.items()
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)

    @property
    def set_metrics(self) -> list[str]:
        """Names of those that have one value for a whole set."""
        return [name for name, section in self._sections.items() if is_set_metric(str(section.get('type')))]

    def features(self, name: str, img: np.ndarray) -> np.ndarray:
        """What a metric of whole sets needs to know of one image.

        Args:
            name (str): One of :attr:`set_metrics`.
            img (ndarray): (H, W, 3) RGB uint8.

        Returns:
            ndarray: (D,) float32; NaN, and a warning, where weights are missing or the image is too small.
        """
        section = self._sections[name]
        arguments = {key: value for key, value in section.items() if key != 'type'}
        found: np.ndarray = _target(section).features(np.ascontiguousarray(img[..., ::-1]), **arguments)
        return found

    def set_value(self, name: str, result: np.ndarray, gt: np.ndarray) -> float:
        """The value of a metric of whole sets.

        Args:
            name (str): One of :attr:`set_metrics`.
            result, gt (ndarray): Features of results (N, D) and of GTs (M, D); rows of NaN do not count.

        Returns:
            float: NaN, and a warning, where fewer than two of either are known.
        """
        return float(_target(self._sections[name]).set_value(result, gt))

    def higher_is_better(self, name: str) -> bool:
        """Whether a larger value of this metric is a better one; of one that does not say so, as its section says."""
        return self._higher[name]

    def measure(self, img: np.ndarray, gt: np.ndarray, names: Collection[str] | None = None) -> dict[str, float]:
        """Each metric of a result but those of whole sets; NaN, and a warning, where it cannot be measured.

        Args:
            img, gt (ndarray): Result and ground truth, (H, W, 3) RGB uint8.
            names (Collection[str] | None): These alone. Default: all.

        Raises:
            DatasetError: if the two differ in size.
            OptionError: for an argument that a metric does not take.
        """
        images = {'img': np.ascontiguousarray(img[..., ::-1]), 'img2': np.ascontiguousarray(gt[..., ::-1])}
        found: dict[str, float] = {}
        whole = self.set_metrics
        for name, section in self._sections.items():
            if name in whole or names is not None and name not in names:
                continue
            problem = size_problem(str(section.get('type')), gt.shape[:2], section.get('crop_border'))
            if problem and img.shape == gt.shape:
                warn_once(problem)
                found[name] = math.nan
                continue
            try:
                found[name] = float(calculate_metric(images, section))
            except (KeyError, TypeError) as err:
                raise OptionError(str(err), ('val', 'metrics', name)) from err
        return found


def _target(section: Mapping[str, Any]) -> Any:
    return dict(iter(METRIC_REGISTRY))[section['type']]


def _higher(section: Mapping[str, Any]) -> bool:
    own = higher_is_better(str(section.get('type')))
    return section.get('better', 'higher') == 'higher' if own is None else own
