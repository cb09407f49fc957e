"""Curves as images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_MANY = 40
_RIGHT = ('tab:red', 'tab:purple', 'tab:brown', 'tab:pink', 'tab:olive')  # the left has not begun with them


class Curve(NamedTuple):
    """A line and its name in the legend; dashed for what others are compared with."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


class Panel(NamedTuple):
    """Curves of one kind under a title.

    Attributes:
        title (str): Above it.
        curves (Sequence[Curve]): By the y axis on the left.
        log (bool): A logarithmic one, which shows values above 0 alone.
        right (Sequence[Curve]): Curves of another unit, by an axis of their own on the right.
    """

    title: str
    curves: Sequence[Curve]
    log: bool = False
    right: Sequence[Curve] = ()


def draw_curves(panels: Sequence[Panel], x_label: str = 'iteration') -> np.ndarray:
    """Draws panels side by side, two in a row.

    Args:
        panels (Sequence[Panel]): One or more. A curve of many points is drawn faintly, with its running mean over a
            thirtieth of them.
        x_label (str): Below each panel. Default: iteration.

    Returns:
        ndarray: (H, W, 3), uint8, RGB.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.5 * columns, 3.2 * rows), dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(rows, columns, number)
        for curve in panel.curves:
            _draw(axes, curve)
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel(x_label, fontsize=8)
        axes.set_yscale('log' if panel.log else 'linear')
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        lines = list(axes.get_lines())
        if panel.right:
            other = axes.twinx()
            other.set_prop_cycle(color=_RIGHT)
            for curve in panel.right:
                _draw(other, curve)
            other.tick_params(labelsize=8)
            lines += other.get_lines()
        axes.legend(handles=[line for line in lines if not str(line.get_label()).startswith('_')], fontsize=8)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _draw(axes: Axes, curve: Curve) -> None:
    style = '--' if curve.dashed else '-'
    if len(curve.x) < _MANY:
        axes.plot(curve.x, curve.y, style, label=curve.name, linewidth=1.2, marker='.')
        return
    (faint,) = axes.plot(curve.x, curve.y, style, linewidth=0.6, alpha=0.35)
    window = max(2, len(curve.x) // 30)
    mean = np.convolve(curve.y, np.full(window, 1 / window), 'valid')
    middle = slice((window - 1) // 2, (window - 1) // 2 + len(mean))
    axes.plot(curve.x[middle], mean, style, label=curve.name, linewidth=1.4, color=faint.get_color())
