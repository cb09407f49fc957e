"""The report of a sweep: a table of the runs, main effects as numbers and picture, the optimum and its confirmation."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from facesr_ext.data.image_io import write_image
from facesr_ext.errors import DatasetError
from facesr_ext.runs.atomic import replaced_when_whole, write_text
from facesr_ext.sweeps.designs import Levels
from facesr_ext.sweeps.effects import Effects, effects_of, interactions
from facesr_ext.sweeps.plan import LOSS, Plan, Run
from facesr_ext.sweeps.trainings import Result

REPORT, TABLE, PICTURE = 'sweep.md', 'table.csv', 'effects.png'
FILES = (REPORT, TABLE, PICTURE)
_BASELINE = '_bicubic'
_PANEL = (3.0, 3.4)
"""Inches of a factor in the picture."""

Results = Mapping[str, Result]


def write_report(plan: Plan, results: Results, folder: Path) -> Path:
    """Writes ``sweep.md``, ``table.csv`` and ``effects.png`` by what is known so far.

    Args:
        plan (Plan): The sweep.
        results (Mapping): Of the runs that have ended, by name.
        folder (Path): Where to.

    Returns:
        Path: The report.

    Raises:
        DatasetError: if a file cannot be written.
    """
    effects = effects_of(plan, results)
    path = folder / REPORT
    try:
        _write_table(plan, results, effects, folder / TABLE)
        if effects is not None:
            write_image(folder / PICTURE, draw_effects(plan, effects, results))
        sections = [
            f'# {plan.name}: sweep',
            *_introduction(plan, results),
            *_runs(plan, results, effects),
            *(_effects(plan, effects) + _optimum(plan, effects, results) if effects is not None else []),
            *_interactions(plan, results),
            *_failed(plan, results, effects),
        ]
        write_text(path, '\n'.join(sections) + '\n')
    except OSError as err:
        raise DatasetError(f'cannot write into {folder}: {err.strerror or err}') from err
    return path


def _all_runs(plan: Plan, effects: Effects | None) -> list[Run]:
    """The runs of the design, and after them those of the predicted optimum where it is none of its points."""
    runs = plan.runs()
    return runs if effects is None else runs + [run for run in plan.runs([effects.optimum]) if run not in runs]


# ---- sections -----------------------------------------------------------------------------------------------------


def _introduction(plan: Plan, results: Results) -> list[str]:
    runs = plan.runs()
    ended = sum(run.name in results for run in runs)
    failed = sum(results[run.name].status != 'done' for run in runs if run.name in results)
    seeds = f' with {plan.seeds} seeds each' if plan.seeds > 1 else ''
    which = 'best' if plan.best else 'last'
    direction = 'higher' if plan.higher else 'lower'
    lines = [
        f'{len(runs) // plan.seeds} points of {len(plan.axes)} options (design {plan.design}){seeds}; option file '
        f'`{plan.opt}`{_forced(plan)}. Compared is {plan.metric} of the {which} validation on `{plan.set}`: '
        f'{direction} is better.',
    ]
    if ended < len(runs):
        lines.append(f'So far {ended} of {len(runs)} runs have ended; the same command goes on.')
    if failed:
        lines.append(
            f'Failed: {failed} of {len(runs)} runs. They are left out of all means, so levels are compared on unequal '
            'grounds, and one that fails often looks better than it is.'
        )
    return [line for text in lines for line in ('', text)]


def _forced(plan: Plan) -> str:
    return f' with `{" ".join(plan.forced)}`' if plan.forced else ''


def _runs(plan: Plan, results: Results, effects: Effects | None) -> list[str]:
    metrics = _metrics(plan, results)
    best = f'best {plan.metric} (iteration)'
    head = ['#', *(axis.name for axis in plan.axes), *metrics, best, 'parameters', 'time', 'run']
    rows = []
    for number, point in enumerate(dict.fromkeys(run.point for run in _all_runs(plan, effects)), 1):
        confirmation = point not in plan.points
        values = [axis.label(level) for axis, level in zip(plan.axes, point, strict=True)]
        ended = [results[run.name] for run in plan.runs([point]) if run.name in results]
        if not ended:
            continue
        name = plan.runs([point])[0].name + (' ...' if plan.seeds > 1 else '')
        rows.append(['confirmation' if confirmation else str(number), *values, *_outcome(plan, ended, metrics), name])
    base = next((result for result in results.values() if any(map(_is_baseline, result.figures))), None)
    if base is not None:
        figures = [_number(base.figures.get(metric + _BASELINE, math.nan)) for metric in metrics]
        rows.append(['bicubic', *[''] * len(plan.axes), *figures, '', '', '', ''])
    return _table('Runs', head, rows)


def _is_baseline(key: str) -> bool:
    return key.endswith(_BASELINE)


def _metrics(plan: Plan, results: Results) -> list[str]:
    """The metric that is compared, then the others; losses only where they are compared."""
    keys = dict.fromkeys(key for result in results.values() for key in result.figures)
    others = [key for key in keys if not _is_baseline(key) and not key.startswith(LOSS) and key != plan.metric]
    return [plan.metric, *others]


def _outcome(plan: Plan, ended: Sequence[Result], metrics: Sequence[str]) -> list[str]:
    """The cells of a point after its values: figures, best, parameters, time."""
    done = [result for result in ended if result.status == 'done']
    first = ended[0]
    size = '' if first.parameters is None else f'{first.parameters:,d}'
    seconds = [result.seconds for result in ended if math.isfinite(result.seconds)]
    time = f'{sum(seconds) / len(seconds):.0f} s' if seconds else ''
    if not done:
        return [first.status, *[''] * len(metrics), size, time]
    figures = [_mean_text([result.figures.get(metric, math.nan) for result in done]) for metric in metrics]
    if len(done) < plan.seeds:
        figures[0] += f' ({len(done)} of {plan.seeds})'
    iterations = ', '.join(str(result.best_iteration) for result in done)
    return [*figures, f'{_mean_text([result.best for result in done])} ({iterations})', size, time]


def _effects(plan: Plan, effects: Effects) -> list[str]:
    most = max(plan.sizes)
    rows = []
    for i in sorted(range(len(plan.axes)), key=lambda i: effects.factors[i].rank):
        axis, effect = plan.axes[i], effects.factors[i]
        cells = [
            f'{"**" * (level == effect.best)}{axis.label(level)}: {_number(mean)}{"**" * (level == effect.best)}'
            for level, mean in enumerate(effect.means)
        ]
        share = '' if math.isnan(effect.share) else f'{100 * effect.share:.0f} %'
        rows.append([str(effect.rank), axis.name, *cells, *[''] * (most - len(cells)), _number(effect.delta), share])
    head = ['rank', 'option', *(f'level {i + 1}' for i in range(most)), 'range', 'share']
    lines = _table('Main effects', head, rows)
    text = (
        f'Mean {plan.metric} of the runs of each level (of all: {_number(effects.mean)}). Share: of the sum of squares.'
    )
    if math.isnan(effects.spread):
        text += ' How far two seeds of one point lie apart, one run each cannot tell (`--seeds 3` does).'
    else:
        fewest = min(num for effect in effects.factors for num in effect.counts if num)
        chance = effects.spread * math.sqrt(2 / fewest)
        text += f' Runs of one point differ by {_number(effects.spread)} (standard deviation between seeds), so means '
        text += f'of {fewest} runs by {_number(chance)} for chance alone (standard error of their difference).'
    lines += ['', text]
    if not effects.balanced:
        lines += ['', 'Levels do not have as many runs each, so these means hold effects of the other options, too.']
    return [*lines, '', f'![Mean of each level, and the runs]({PICTURE})']


def _optimum(plan: Plan, effects: Effects, results: Results) -> list[str]:
    values = _values(plan, results, effects.optimum)
    lines = ['', '## Predicted optimum', '']
    lines.append(f'{plan.label(effects.optimum)}: {plan.metric} {_number(effects.predicted)} if the effects add up.')
    if values:
        where = 'a point of the design' if effects.optimum in plan.points else 'its confirmation run'
        difference = float(np.mean(values)) - effects.predicted
        lines.append(f'Measured ({where}): {_mean_text(values)}, {difference:+.4g} against the prediction.')
    elif any(run.name in results for run in plan.runs([effects.optimum])):
        lines.append('Its run has failed, see below.')
    else:
        lines.append('It has not been trained.')
    means = {point: float(np.mean(row)) for point in plan.points if (row := _values(plan, results, point))}
    best = (max if plan.higher else min)(means, key=lambda point: means[point])
    lines.append(f'Best point of the design: {plan.label(best)}, {_number(means[best])}.')
    if values and (means[best] - float(np.mean(values))) * (1 if plan.higher else -1) > 0:
        lines[-1] += ' It is better than the predicted optimum: effects do not add up, or are no larger than chance.'
    return lines


def _values(plan: Plan, results: Results, point: Levels) -> list[float]:
    """What is compared of the runs of a point, as far as they have not failed."""
    values = [_response(plan, results, run) for run in plan.runs([point])]
    return [value for value in values if math.isfinite(value)]


def _response(plan: Plan, results: Results, run: Run) -> float:
    return results[run.name].response(plan) if run.name in results else math.nan


def _interactions(plan: Plan, results: Results) -> list[str]:
    runs = plan.runs()
    responses = [_response(plan, results, run) for run in runs]
    if not any(map(math.isfinite, responses)):
        return []
    found = interactions([run.point for run in runs], responses, plan.sizes)
    if not found:
        return []
    rows = []
    for item in found:
        i, j = item.factors
        rows.append([f'{plan.axes[i].name} with {plan.axes[j].name}', f'{100 * item.share:.0f} %'])
    i, j = found[0].factors
    one, other = plan.axes[i], plan.axes[j]
    cells = [[one.label(a), *map(_number, found[0].cells[a])] for a in range(plan.sizes[i])]
    head = [f'{one.name} by {other.name}', *(other.label(b) for b in range(plan.sizes[j]))]
    return [*_table('Interactions', ('of', 'share'), rows), '', 'The strongest of them:', *_table('', head, cells)]


def _failed(plan: Plan, results: Results, effects: Effects | None) -> list[str]:
    lines: list[str] = []
    for run in _all_runs(plan, effects):
        result = results.get(run.name)
        if result is not None and result.status != 'done':
            log = f'logs/{run.name}.log'
            lines += ['', f'{plan.label(run.point)} ({result.status}, `{log}`):', '', '```', result.reason, '```']
    return ['', '## Failed', *lines] if lines else []


# ---- table and picture --------------------------------------------------------------------------------------------


def _write_table(plan: Plan, results: Results, effects: Effects | None, path: Path) -> None:
    """A row a run, with every figure."""
    runs = [run for run in _all_runs(plan, effects) if run.name in results]
    keys = list(dict.fromkeys(key for run in runs for key in results[run.name].figures))
    rows: list[dict[str, Any]] = []
    for run in runs:
        result = results[run.name]
        rows.append({
            'run': run.name, 'kind': 'design' if run.point in plan.points else 'confirmation', 'seed': run.repeat,
            **{axis.name: axis.label(level) for axis, level in zip(plan.axes, run.point, strict=True)},
            'status': result.status, 'iteration': result.iteration,
            **{key: result.figures.get(key, '') for key in keys},
            f'best {plan.metric}': result.best, 'best iteration': result.best_iteration,
            'parameters': result.parameters, 'seconds': result.seconds,
        })  # fmt: skip
    if not rows:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_when_whole(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw_effects(plan: Plan, effects: Effects, results: Results) -> np.ndarray:
    """The main effects: a panel for each option, the widest range first; the mean of each level, and its runs.

    Returns:
        ndarray: (H, W, 3), uint8, RGB.
    """
    runs = [(run.point, _response(plan, results, run)) for run in plan.runs()]
    shown = [(point, value) for point, value in runs if math.isfinite(value)]
    order = sorted(range(len(plan.axes)), key=lambda i: effects.factors[i].rank)
    figure = Figure(figsize=(_PANEL[0] * max(2, len(order)), _PANEL[1]), dpi=110, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    every = figure.subplots(1, len(order), sharey=True, squeeze=False)[0]
    for axes, i in zip(every, order, strict=True):
        effect, axis = effects.factors[i], plan.axes[i]
        axes.plot([p[i] for p, _ in shown], [v for _, v in shown], '.', color='0.65', markersize=5)
        axes.plot(range(len(effect.means)), effect.means, 'o-', color='tab:blue', linewidth=1.6, markersize=6)
        axes.plot(effect.best, effect.means[effect.best], 'o', color='tab:orange', markersize=9)
        axes.axhline(effects.mean, color='0.4', linestyle='--', linewidth=0.8)
        axes.set_xticks(range(len(effect.means)), [axis.label(level) for level in range(len(effect.means))], fontsize=8)
        axes.set_xlim(-0.4, len(effect.means) - 0.6)
        axes.set_title(f'{effect.rank}. {axis.name}\nrange {_number(effect.delta)}', fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    every[0].set_ylabel(f'{plan.metric} ({"higher" if plan.higher else "lower"} is better)', fontsize=9)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _number(value: float) -> str:
    return 'missing' if math.isnan(value) else f'{value:.5g}'


def _mean_text(values: Sequence[float]) -> str:
    """A value, or the mean of several and their standard deviation."""
    if len(values) == 1:
        return _number(values[0])
    return f'{_number(float(np.mean(values)))} ± {float(np.std(values, ddof=1)):.2g}'


def _table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A headline, where there is one, and a table; nothing where there are no rows."""
    lines = ['| ' + ' | '.join(text.replace('|', r'\|').replace('\n', ' ') for text in row) + ' |' for row in rows]
    if not lines:
        return []
    top = ['', f'## {title}'] if title else []
    return [*top, '', f'| {" | ".join(head)} |', '|' + '---|' * len(head), *lines]
