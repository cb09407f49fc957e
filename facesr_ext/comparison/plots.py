"""Drawn figures: quality against cost, curves of all runs in one figure, and the colours of error maps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colorbar import ColorbarBase
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from facesr_ext.comparison.figures import one_line, shortened
from facesr_ext.comparison.layout import metric_head
from facesr_ext.comparison.results import MetricFacts
from facesr_ext.comparison.summary import Row, SetTable
from facesr_ext.reports.curves import Curve, Panel, draw_curves
from facesr_ext.runs.folder import RunFolder
from facesr_ext.runs.run_log import read_validations

COLOURS = 'inferno'
"""Of error maps: from black, which is no error, to light yellow."""
_MARKERS = 'osD^vP*Xph'
_DPI = 100
_WEIGHTLESS = 1e4  # parameters up to which the axis is linear, so that it can show 0
_PANELS = 6
_LABEL = 32  # letters of a name in a legend
_BASELINE, _LOSS = '_bicubic', 'l_'  # columns of a validation's table that are no metric of the result


def plot_text(text: str) -> str:
    """A text of others as matplotlib shows it as it is: no formula, and no name that a legend leaves out."""
    text = one_line(text).replace('$', r'\$')
    return f' {text}' if text.startswith('_') else text


def error_colours(error: np.ndarray, largest: float) -> np.ndarray:
    """Colours of an error map.

    Args:
        error (ndarray): (H, W), levels of 0 ... 255.
        largest (float): What has the lightest colour, as all above it.

    Returns:
        ndarray: (H, W, 3), uint8, RGB.
    """
    shares = np.clip(error / max(largest, 1e-9), 0, 1)
    table = matplotlib.colormaps[COLOURS](np.arange(256), bytes=True)[:, :3]
    return np.asarray(table[np.round(shares * 255).astype(np.uint8)], np.uint8)


def colour_bar(largest: float, width: int) -> np.ndarray:
    """The scale of error maps, ``width`` pixels wide, as (H, W, 3) uint8 RGB."""
    figure = Figure(figsize=(width / _DPI, 0.6), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.04, 0.55, 0.92, 0.3))
    bar = ColorbarBase(axes, cmap=COLOURS, norm=Normalize(0, largest), orientation='horizontal')
    bar.set_label('mean absolute difference to the GT, levels of 255', fontsize=8, labelpad=1)
    axes.tick_params(labelsize=7, pad=1)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def draw_cost(table: SetTable, metric: MetricFacts, level: float) -> np.ndarray | None:
    """Quality against seconds and against parameters, each method a mark with the metric's interval.

    Args:
        table (SetTable): The set.
        metric (MetricFacts): What quality is measured by.
        level (float): Of the intervals.

    Returns:
        ndarray | None: (H, W, 3), uint8, RGB; None where fewer than two methods have a cost.
    """
    rows = [row for row in table.rows if math.isfinite(row.cells[metric.name].figure.mean)]
    timed = [row for row in rows if row.seconds is not None]
    sized = [row for row in rows if row.method.parameters is not None]
    wanted = [part for part in (timed, sized) if len(part) > 1]
    if not wanted:
        return None
    figure = Figure(
        figsize=(4.6 * len(wanted) + 0.4, 3.9 + 0.2 * math.ceil(len(rows) / 3)), dpi=_DPI, layout='constrained'
    )
    canvas = FigureCanvasAgg(figure)
    styles = {row.method.name: (f'C{i % 10}', _MARKERS[i % len(_MARKERS)]) for i, row in enumerate(table.rows)}
    panels = figure.subplots(1, len(wanted), sharey=True, squeeze=False)[0]
    for axes, part in zip(panels, wanted, strict=True):
        if part is timed:
            _by_seconds(axes, part, metric, styles)
        else:
            _by_parameters(axes, part, metric, styles)
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=8)
    panels[0].set_ylabel(f'{plot_text(metric_head(metric))}, with {level:.0%} interval', fontsize=8)
    shown = max(wanted, key=len)
    handles = [_mark(panels[wanted.index(shown)], row, math.nan, metric, styles) for row in shown]
    figure.legend(handles=handles, loc='outside lower center', ncols=min(3, len(shown)), fontsize=8, frameon=False)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


Styles = Mapping[str, tuple[str, str]]
"""Method -> colour and marker."""


def _by_seconds(axes: Axes, rows: Sequence[Row], metric: MetricFacts, styles: Styles) -> None:
    for row in rows:
        if row.seconds is not None:
            low, median, high = row.seconds
            _mark(axes, row, median, metric, styles)
            figure = row.cells[metric.name].figure
            axes.hlines(figure.mean, low, high, colors=styles[row.method.name][0], linewidth=1)
    axes.set_xscale('log')
    axes.set_xlabel('seconds per image (median, quartiles)', fontsize=8)


def _by_parameters(axes: Axes, rows: Sequence[Row], metric: MetricFacts, styles: Styles) -> None:
    for row in rows:
        _mark(axes, row, float(row.method.parameters or 0), metric, styles)
    axes.set_xscale('symlog', linthresh=_WEIGHTLESS)
    axes.set_xlim(left=-_WEIGHTLESS / 10)
    axes.set_xlabel('parameters', fontsize=8)


def _mark(axes: Axes, row: Row, x: float, metric: MetricFacts, styles: Styles) -> object:
    """A method's mark with its interval; its handle for a legend."""
    figure, (colour, marker) = row.cells[metric.name].figure, styles[row.method.name]
    ends = [[figure.mean - figure.low], [figure.high - figure.mean]] if math.isfinite(figure.low) else None
    return axes.errorbar(
        [x], [figure.mean], yerr=ends, color=colour, marker=marker, markersize=6, capsize=2, linestyle='none',
        linewidth=1, label=plot_text(shortened(row.method.label, _LABEL)),
    )  # fmt: skip


def draw_run_curves(runs: Mapping[str, Path]) -> tuple[np.ndarray | None, list[str]]:
    """The validations of several trainings in one figure, a panel a metric.

    Args:
        runs (Mapping[str, Path]): Label -> folder of the training, ``experiments/NAME``.

    Returns:
        tuple: (H, W, 3) uint8 RGB, or None where no run has a validation; and what to tell of runs without one.
    """
    panels: dict[str, list[Curve]] = {}
    notes = []
    for label, folder in runs.items():
        try:
            validations = read_validations(RunFolder(folder))
        except (OSError, ValueError) as err:
            notes.append(f'curves: the validations of {label} in {folder} cannot be read ({err})')
            continue
        if not validations:
            notes.append(f'curves: {label}: {folder} holds no table of a validation')
        for set_name, means in validations.items():
            own = shortened(label, _LABEL)
            name = plot_text(own if len(validations) == 1 else f'{own}, {set_name}')
            for metric in dict.fromkeys(key for figures in means.values() for key in figures):
                if not metric.endswith(_BASELINE) and not metric.startswith(_LOSS):
                    points = {i: figures[metric] for i, figures in means.items() if metric in figures}
                    panels.setdefault(metric, []).append(Curve(name, list(points), list(points.values())))
    if not panels:
        return None, notes
    if len(panels) > _PANELS:
        notes.append(f'curves: the first {_PANELS} of {len(panels)} metrics are shown')
    shown = [Panel(plot_text(metric), curves) for metric, curves in list(panels.items())[:_PANELS]]
    return draw_curves(shown), notes
