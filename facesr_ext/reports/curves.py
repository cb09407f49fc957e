"""Curves as images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_MANY = 40


class Curve(NamedTuple):
    """A line and its name in the legend; dashed for what others are compared with."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


class Panel(NamedTuple):
    """Curves of one kind under a title; ``log`` asks for a logarithmic y axis, which shows values above 0 alone."""

    title: str
    curves: Sequence[Curve]
    log: bool = False


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
        axes.legend(fontsize=8)
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
