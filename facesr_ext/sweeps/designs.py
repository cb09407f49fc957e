"""Axes, and which of their levels are tried together: every combination, or the rows of an orthogonal array.

In an orthogonal array each level of one factor meets each level of another equally often, so the mean over the runs of
a level is the effect of that level alone, as far as effects add up. The arrays are those of the package pyDOE3.

Source: Taguchi, System of Experimental Design, 1987; report S1 tunes by L9.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import yaml

from facesr_ext.errors import DependencyError, OptionError, hint
from facesr_ext.host.source import override_value

FULL = 'full'
MOST_POINTS = 1000
"""More points than anybody trains: an axis was meant differently."""
_AXIS, _DESIGN = ('--axis',), ('--design',)

Levels = tuple[int, ...]
"""A point: the number of the level of each axis, from 0."""


class Axis(NamedTuple):
    """An option, or several that change together, and the values that are tried.

    Attributes:
        keys (tuple[str, ...]): As ``--force_yml`` names them: 'train:optim_g:lr'.
        values (tuple[tuple[str, ...], ...]): By level: the value of each key, as it is written there.
    """

    keys: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """What tables call it: 'optim_g:lr'."""
        return ', '.join(':'.join(key.split(':')[-2:]) for key in self.keys)

    def label(self, level: int) -> str:
        """What tables call a level: its values."""
        return ', '.join(self.values[level])

    def overrides(self, level: int) -> list[str]:
        """What sets it to a level: ``key=value`` each."""
        return [f'{key}={value}' for key, value in zip(self.keys, self.values[level], strict=True)]


def read_axes(texts: Sequence[str]) -> list[Axis]:
    """Axes as the command line has them.

    Args:
        texts (Sequence[str]): ``KEY=a,b,c``; ``KEY=a,b;OTHER=c,d`` changes two keys together. Commas within brackets,
            braces and quotes belong to a value.

    Raises:
        OptionError: for what is no such text, a value that ``--force_yml`` would not take, an axis of one level, levels
            that are the same, and a key that stands on two axes.
    """
    axes = [_read_axis(text) for text in texts]
    if not axes:
        raise OptionError('name at least one: --axis train:optim_g:lr=1e-3,1e-4', _AXIS)
    counts = Counter(key for axis in axes for key in axis.keys)
    twice = [key for key, num in counts.items() if num > 1]
    if twice:
        raise OptionError(f'{twice[0]} is set twice; give it one axis', _AXIS)
    return axes


def _read_axis(text: str) -> Axis:
    parts = [part.partition('=') for part in _cut(text, ';')]
    if not all(equals and key.strip() and values.strip() for key, equals, values in parts):
        raise OptionError(f'{text!r} is no axis; write KEY=a,b,c, without spaces', _AXIS)
    keys = tuple(key.strip() for key, _, _ in parts)
    columns = [[value.strip() for value in _cut(values, ',')] for _, _, values in parts]
    if len({len(column) for column in columns}) > 1:
        raise OptionError(f'{text!r}: keys that change together need as many values each', _AXIS)
    values = tuple(zip(*columns, strict=True))
    if len(values) < 2:
        raise OptionError(f'{text!r} has one level; an axis needs two or more', _AXIS)
    read = [tuple(map(_read_value, level)) for level in values]
    for i, level in enumerate(read):
        if level in read[:i]:
            raise OptionError(f'{text!r}: level {i + 1} is the same as level {read.index(level) + 1}', _AXIS)
    return Axis(keys, values)


def _read_value(text: str) -> object:
    if not text:
        raise OptionError('a value is empty; write ~ for none', _AXIS)
    try:
        return override_value(text)
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        reason = str(err).split('\n')[0]
        raise OptionError(f'{text[:200]!r} is no value: {reason}; it was not executed', _AXIS) from err


def _cut(text: str, separator: str) -> list[str]:
    """Cuts at a character that is in no brackets, braces or quotes."""
    pattern = rf"""((?:\[[^\]]*\]|\{{[^}}]*\}}|"[^"]*"|'[^']*'|[^{separator}])*)(?:{separator}|$)"""
    parts = [found[1] for found in re.finditer(pattern, text)]
    return parts[:-1] if len(parts) > 1 and not text.endswith(separator) and not parts[-1] else parts


# ---- designs ------------------------------------------------------------------------------------------------------


def design_points(design: str, axes: Sequence[Axis]) -> list[Levels]:
    """The points of a design, in its order.

    Args:
        design (str): 'full', every combination; or an orthogonal array by its number of runs: 'L4', 'L8', 'L9', 'L16',
            'L18', 'L27', ... Of its columns those are taken that make most points different.
        axes (Sequence[Axis]): What is varied.

    Raises:
        OptionError: if there is no such design, it has no columns for these axes, or it has very many points.
        DependencyError: if the package of the arrays is missing.
    """
    sizes = [len(axis.values) for axis in axes]
    if design == FULL:
        if (num := int(np.prod(sizes))) > MOST_POINTS:
            raise OptionError(f'every combination: that are {num} points; take fewer levels, or L9, L27', _DESIGN)
        return list(itertools.product(*map(range, sizes)))
    arrays = _arrays()
    named = [array for name, array in arrays.items() if name.partition('(')[0] == design]
    if not named:
        known = sorted({name.partition('(')[0] for name in arrays}, key=lambda name: int(name[1:]))
        raise OptionError(f'there is no design {design!r}; {hint(design, [FULL, *known])}', _DESIGN)
    found = next((points for points in (_fitted(array, sizes) for array in named) if points is not None), None)
    if found is None:
        fitting = [name for name, array in arrays.items() if _fitted(array, sizes) is not None]
        other = f'{fitting[0].partition("(")[0]} has, and so has {FULL}' if fitting else f'take {FULL}'
        levels = ', '.join(map(str, sizes))
        raise OptionError(f'{design} has no columns for axes of {levels} levels; {other}', _DESIGN)
    return found


def _arrays() -> dict[str, np.ndarray]:
    """The orthogonal arrays of the library by their names, 'L9(3^4)', the smallest first: (runs, factors) from 0."""
    if importlib.util.find_spec('pyDOE3') is None:
        raise DependencyError("orthogonal arrays need pyDOE3; pip install 'facesr_ext[sweep]', or --design full")
    import pyDOE3

    arrays = {name: np.asarray(pyDOE3.get_orthogonal_array(name)) for name in pyDOE3.list_orthogonal_arrays()}
    return dict(sorted(arrays.items(), key=lambda item: len(item[1])))


def _fitted(array: np.ndarray, sizes: Sequence[int]) -> list[Levels] | None:
    """The columns of an array for axes of these numbers of levels, None where it has too few."""
    levels = [int(column.max()) + 1 for column in array.T]
    if any(levels.count(size) < num for size, num in Counter(sizes).items()):
        return None
    best: tuple[int, list[Levels]] = (0, [])
    for columns in _choices(levels, sizes):
        points = [tuple(int(level) for level in row) for row in array[:, columns]]
        if not is_orthogonal(points):
            continue  # the library's L64 of two levels has such columns
        if (num := len(set(points))) > best[0]:
            best = (num, points)
        if num == len(array) or num == int(np.prod(sizes)):
            break
    return best[1] or None


def _choices(levels: Sequence[int], sizes: Sequence[int]) -> Iterable[list[int]]:
    """Ways to give each axis a column of its number of levels, the first columns first."""
    kinds = sorted(set(sizes))
    fitting = {kind: [i for i, num in enumerate(levels) if num == kind] for kind in kinds}
    of_kind = [itertools.combinations(fitting[kind], sizes.count(kind)) for kind in kinds]
    for chosen in itertools.islice(itertools.product(*of_kind), 2000):
        waiting = {kind: iter(columns) for kind, columns in zip(kinds, chosen, strict=True)}
        yield [next(waiting[size]) for size in sizes]


def is_orthogonal(points: Sequence[Levels]) -> bool:
    """Whether each two axes have every pair of their levels equally often."""
    array = np.asarray(points)
    for i, j in itertools.combinations(range(array.shape[1]), 2):
        pairs = Counter(zip(array[:, i].tolist(), array[:, j].tolist(), strict=True))
        if len(set(pairs.values())) > 1 or len(pairs) < len(set(array[:, i])) * len(set(array[:, j])):
            return False
    return True
