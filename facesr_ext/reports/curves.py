"""Curves as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Curve = tuple[Sequence[float], Sequence[float]]
_MANY = 40


def draw_curves(panels: Mapping[str, Mapping[str, Curve]], x_label: str = 'iteration') -> np.ndarray:
    """Draws panels side by side, two in a row.

    Args:
        panels (Mapping): Title -> name of each curve -> its x and y. A title that ends in '(log)' asks for a
            logarithmic axis; a curve whose name begins with 'bicubic' is dashed. One of many points is drawn faintly,
            with its running mean over a thirtieth of them.
        x_label (str): Below each panel. Default: iteration.

    Returns:
        ndarray: (H, W, 3), uint8, RGB.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.5 * columns, 3.2 * rows), dpi=100, layout='constrained')
    canvas = FigureCanvasAgg(figure)
    for number, (title, curves) in enumerate(panels.items(), 1):
        axes = figure.add_subplot(rows, columns, number)
        for name, (x, y) in curves.items():
            _draw(axes, name, x, y)
        axes.set_title(title.removesuffix(' (log)'), fontsize=10)
        axes.set_xlabel(x_label, fontsize=8)
        axes.set_yscale('log' if title.endswith('(log)') else 'linear')
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def _draw(axes: Axes, name: str, x: Sequence[float], y: Sequence[float]) -> None:
    """One curve."""
    style = '--' if name.startswith('bicubic') else '-'
    if len(x) < _MANY:
        axes.plot(x, y, style, label=name, linewidth=1.2, marker='.')
        return
    (faint,) = axes.plot(x, y, style, linewidth=0.6, alpha=0.35)
    window = max(2, len(x) // 30)
    mean = np.convolve(y, np.full(window, 1 / window), 'valid')
    middle = slice((window - 1) // 2, (window - 1) // 2 + len(mean))
    axes.plot(x[middle], mean, style, label=name, linewidth=1.4, color=faint.get_color())
