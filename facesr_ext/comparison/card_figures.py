"""The figures of a model card: means with their 95 % interval over images, from tests, trainings and comparisons."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from facesr_ext.comparison.results import FILE, Comparison
from facesr_ext.comparison.statistics import mean_interval
from facesr_ext.errors import OptionError
from facesr_ext.reports.model_facts import Figure, ModelFacts
from facesr_ext.runs.folder import RunFolder
from facesr_ext.runs.tables import read_columns

_BASELINE, _LOSS, _BICUBIC = '_bicubic', 'l_', 'bicubic'


def card_figures(facts: ModelFacts, sources: Sequence[Path] = ()) -> list[Figure]:
    """The figures of a checkpoint.

    Args:
        facts (ModelFacts): Of the checkpoint.
        sources (Sequence[Path]): Where it was measured: a CSV of ``facesr test``, its folder ``results/NAME``,
            ``comparison.json`` or the folder of a comparison. Default: its training's validations then.

    Raises:
        OptionError: for a source that is none of these, or a comparison without this file.
        DatasetError: if a file cannot be read.
    """
    if sources:
        return [figure for source in sources for figure in _read(facts, source)]
    if facts.folder is None or facts.iteration is None:
        return []
    tables = [(name, path) for name, iteration, path in facts.folder.tables() if iteration == facts.iteration]
    return [figure for name, path in tables for figure in _of_table(name, path, 'validation of the training')]


def _read(facts: ModelFacts, source: Path) -> Iterable[Figure]:
    path = source / FILE if (source / FILE).is_file() else source
    if path.suffix == '.json' and path.is_file():
        return _of_comparison(facts, path)
    tables = [path] if path.suffix == '.csv' and path.is_file() else sorted(RunFolder(path).visualization.glob('*.csv'))
    if not tables:
        message = f'{source} holds no figures; name results/NAME of facesr test, a CSV of it, or {FILE} of a comparison'
        raise OptionError(message, ('--results',))
    return [figure for table in tables for figure in _of_table(table.stem, table, f'test, {table.name}')]


def _of_table(name: str, path: Path, source: str) -> list[Figure]:
    columns = read_columns(path)
    return [
        _figure(name, metric, values, columns.get(metric + _BASELINE, ()), source)
        for metric, values in columns.items()
        if not metric.endswith(_BASELINE) and not metric.startswith(_LOSS)
    ]


def _of_comparison(facts: ModelFacts, path: Path) -> list[Figure]:
    """The figures of the method whose one file is the checkpoint."""
    found = Comparison.read(path)
    method = next((one for one in found.methods if one.sha256 == facts.sha256 and len(one.files) == 1), None)
    if method is None:
        have = ', '.join(file for one in found.methods for file in one.files) or 'none'
        raise OptionError(f'{path} has no figures of {facts.path} (SHA-256); it has: {have}', ('--results',))
    figures = []
    for name, methods in found.values.items():
        seeds = len(next(iter(found.seeds.get(name, {}).get(method.name, {}).values()), ()))
        source = f'comparison {found.name}' + (f', mean of {seeds} trainings' if seeds > 1 else '')
        base: Mapping[str, list[float]] = methods.get(_BICUBIC, {})
        for metric, values in methods.get(method.name, {}).items():
            figures.append(_figure(name, metric, values, base.get(metric, ()), source))
    return figures


def _figure(name: str, metric: str, values: Sequence[float], base: Sequence[float], source: str) -> Figure:
    interval = mean_interval(values)
    baseline = mean_interval(base).mean if len(base) else math.nan
    return Figure(name, metric, *interval, baseline, source)
