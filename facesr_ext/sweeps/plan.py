"""What is to be trained: the points of a design as runs of one option file, and what is compared of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from facesr_ext.errors import OptionError, hint
from facesr_ext.host.source import OptionFile
from facesr_ext.metrics.metric_info import higher_is_better
from facesr_ext.sweeps.designs import Axis, Levels, design_points, read_axes

LOSS = 'l_'
"""How the names of losses begin, in logs and tables."""

MAIN = ('psnr_rgb', 'psnr')
"""What is compared unless something else is asked for, where the file measures it."""


class Run(NamedTuple):
    """A training.

    Attributes:
        name (str): Its ``name:``, made of its options: another sweep has the same for the same training.
        point (Levels): Its levels.
        repeat (int): 0, 1, ...: what its seed is above the file's.
        forced (tuple[str, ...]): Its overrides, without the name.
    """

    name: str
    point: Levels
    repeat: int
    forced: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A sweep.

    Attributes:
        opt (str): The option file.
        forced (tuple[str, ...]): Overrides of all runs.
        axes (tuple[Axis, ...]): What is varied.
        design (str): 'full', 'L9', ...
        points (tuple[Levels, ...]): Of the design, in its order.
        seeds (int): Runs of each point.
        name (str): That of the option file.
        set (str): The validation set, by its name.
        metric (str): What is compared.
        higher (bool): Whether a larger value is a better one.
        best (bool): Whether the best validation of a run counts; the last one otherwise.
        seed (int): ``manual_seed`` of the file.
    """

    opt: str
    forced: tuple[str, ...]
    axes: tuple[Axis, ...]
    design: str
    points: tuple[Levels, ...]
    seeds: int
    name: str
    set: str
    metric: str
    higher: bool
    best: bool
    seed: int | None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Levels of each axis."""
        return tuple(len(axis.values) for axis in self.axes)

    def runs(self, points: Sequence[Levels] | None = None) -> list[Run]:
        """The runs of points; of those of the design by default. A point that comes twice is trained once."""
        chosen = dict.fromkeys(self.points if points is None else points)
        return [self._run(point, repeat) for point in chosen for repeat in range(self.seeds)]

    def _run(self, point: Levels, repeat: int) -> Run:
        forced = [*self.forced]
        for axis, level in zip(self.axes, point, strict=True):
            forced += axis.overrides(level)
        if repeat and self.seed is not None:
            forced.append(f'manual_seed={self.seed + repeat}')
        options = {key: value for key, value in OptionFile.read(self.opt, forced).options.items() if key != 'name'}
        digest = hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode()).hexdigest()[:8]
        return Run(f'{self.name}_sweep_{digest}', point, repeat, tuple(forced))

    def label(self, point: Levels) -> str:
        """A point in words: 'optim_g:lr=0.01, optim_g:type=Adam'."""
        return ', '.join(f'{axis.name}={axis.label(i)}' for axis, i in zip(self.axes, point, strict=True))


def make_plan(
    opt: str,
    axes: Sequence[str],
    design: str,
    forced: Sequence[str] = (),
    seeds: int = 1,
    metric: str | None = None,
    set_name: str | None = None,
    best: bool = False,
) -> Plan:
    """A plan by what the command line says.

    Args:
        opt (str): The option file of a training.
        axes (Sequence[str]): Each as `read_axes` takes it.
        design (str): As `design_points` takes it.
        forced (Sequence[str]): ``--force_yml`` of every run.
        seeds (int): Runs of each point, with ``manual_seed``, +1, +2, ...
        metric (str | None): A name of ``val: metrics``, or a loss of the validations' tables (``l_g_pix``). Default:
            psnr_rgb, or what the file has first.
        set_name (str | None): The validation set. Default: the file's first.
        best (bool): Compare the best validation of each run. Default: the last.

    Raises:
        OptionError: for a file that cannot be read, and an argument that does not fit it.
        DependencyError: if the design needs a package that is missing.
    """
    file = OptionFile.read(opt, forced)
    if not file.readable or file.unsafe:
        raise OptionError('\n'.join(map(str, file.problems)) or f'{opt} holds no options')
    if 'train' not in file.options:
        raise OptionError(f'{opt} trains nothing; name the option file of a training', ('-opt',))
    found = tuple(read_axes(axes))
    if 'name' in [key for axis in found for key in axis.keys]:
        raise OptionError('name is what tells the runs apart; vary something else', ('--axis',))
    seed = file.options.get('manual_seed')
    if seeds > 1 and not isinstance(seed, int):
        raise OptionError(f'{opt} has no manual_seed to count from; add one', ('--seeds',))
    chosen, higher = _metric(file.options, metric, opt)
    points = tuple(design_points(design, found))
    return Plan(
        opt, tuple(forced), found, design, points, seeds, str(file.options.get('name')),
        _set(file.options, set_name, opt), chosen, higher, best, seed if isinstance(seed, int) else None,
    )  # fmt: skip


def _metric(options: Mapping[str, Any], wanted: str | None, opt: str) -> tuple[str, bool]:
    """The metric to compare, and whether more is better."""
    val = options.get('val')
    sections = (val.get('metrics') if isinstance(val, dict) else None) or {}
    if wanted is not None and wanted.startswith(LOSS):
        return wanted, False
    if not sections:
        raise OptionError(f'{opt} measures nothing; add val: metrics', ('--metric',))
    name = wanted or next((main for main in MAIN if main in sections), next(iter(sections)))
    if name not in sections:
        raise OptionError(f'{opt} does not measure {name!r}; {hint(name, sections)}', ('--metric',))
    section = sections[name] if isinstance(sections[name], dict) else {}
    own = higher_is_better(str(section.get('type')))
    return name, section.get('better', 'higher') == 'higher' if own is None else own


def _set(options: Mapping[str, Any], wanted: str | None, opt: str) -> str:
    """The name of the validation set."""
    datasets = options.get('datasets')
    sections = datasets.items() if isinstance(datasets, dict) else ()
    names = [str(part.get('name')) for phase, part in sections if phase.startswith('val') and isinstance(part, dict)]
    if not names:
        raise OptionError(f'{opt} has no validation set; add datasets: val', ('--set',))
    if wanted is not None and wanted not in names:
        raise OptionError(f'{opt} has no validation set {wanted!r}; {hint(wanted, names)}', ('--set',))
    return wanted or names[0]
