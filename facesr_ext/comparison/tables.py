"""The tables as Markdown, LaTeX (booktabs) and CSV. Labels and names of files come from strangers: all are escaped."""

from __future__ import annotations

import csv
import html
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence

from facesr_ext.comparison.figures import one_line
from facesr_ext.comparison.layout import TIED, Table, Text, gap_table, set_line, set_tables
from facesr_ext.comparison.results import Comparison
from facesr_ext.comparison.statistics import Interval
from facesr_ext.comparison.summary import SetTable, Summary

_MARKDOWN = re.compile(r'([\\`*\[\]|~])|((?<!\w)_|_(?!\w))')
_LATEX = {
    '\\': r'\textbackslash{}', '{': r'\{', '}': r'\}', '$': r'\$', '&': r'\&', '#': r'\#', '_': r'\_', '%': r'\%',
    '^': r'\textasciicircum{}', '~': r'\textasciitilde{}', '<': r'\textless{}', '>': r'\textgreater{}',
    '|': r'\textbar{}', '"': r'\textquotedbl{}', '↑': r'$\uparrow$', '↓': r'$\downarrow$', '−': r'$-$',
    '∞': r'$\infty$', '–': '--', 'µ': r'$\mu$', '…': r'\ldots{}', TIED: r'$\approx$',
}  # fmt: skip
_FORMULA = ('=', '+', '-', '@', '\t', '\r')
"""How a cell begins that a spreadsheet would work out."""


def markdown_text(text: str) -> str:
    """A text of others as Markdown that shows it as it is, on one line."""
    return html.escape(_MARKDOWN.sub(r'\\\1\2', one_line(text)), quote=False)


def markdown_table(table: Table) -> list[str]:
    """A table as lines of Markdown, with how to read it below."""
    lines = [
        '| ' + ' | '.join(map(markdown_text, table.head)) + ' |',
        '|---|' + ('---|' if table.of_words else '---:|') * (len(table.head) - 1),
        *('| ' + ' | '.join(map(_markdown_cell, row)) + ' |' for row in table.rows),
    ]
    return [*lines, *(['', f'{markdown_text("; ".join(table.below))}.'] if table.below else [])]


def _markdown_cell(cell: Text) -> str:
    text = markdown_text(cell.text)
    text = f'**{text}**' if cell.mark == 'best' else f'{text} {TIED}' if cell.mark == 'tied' else text
    return f'{text} {html.escape("; ".join(cell.more), quote=False)}' if cell.more else text


def latex_text(text: str) -> str:
    """A text of others as LaTeX that shows it as it is, on one line."""
    return ''.join(_LATEX.get(char, char) for char in one_line(text))


def latex_tables(summary: Summary) -> str:
    """All tables as a file to be read by ``\\input``: tables with booktabs' rules, a caption and a label each."""
    lines = [
        r'% \usepackage{booktabs} in the preamble; \input{tables} in the text.',
        rf'% {one_line(summary.name)}',
    ]
    for number, table in enumerate(summary.sets, 1):
        for item in set_tables(summary, table):
            lines += _latex_table(item, f'{table.facts.name}: {item.title}', f'tab:set{number}-{item.name}')
    for number, gap in enumerate(summary.gaps, 1):
        item = gap_table(summary, gap)
        lines += _latex_table(item, item.title, f'tab:gap{number}')
    return '\n'.join(lines) + '\n'


def _latex_table(table: Table, title: str, label: str) -> list[str]:
    caption = f'{title}. {"; ".join(table.below)}.' if table.below else f'{title}.'
    aligned = 'l' + ('l' if table.of_words else 'r') * (len(table.head) - 1)
    return [
        '',
        r'\begin{table}',
        r'\centering\small',
        rf'\caption{{{latex_text(caption)}}}',
        rf'\label{{{label}}}',
        rf'\begin{{tabular}}{{{aligned}}}',
        r'\toprule',
        _latex_row(map(latex_text, table.head)),
        r'\midrule',
        *(_latex_row(map(_latex_cell, row)) for row in table.rows),
        r'\bottomrule',
        r'\end{tabular}',
        r'\end{table}',
    ]


def _latex_row(cells: Iterable[str]) -> str:
    r"""Cells of a row; an empty group before a bracket, which ``\\`` would take as its argument."""
    return ' & '.join(cells).replace('[', '{[}') + r' \\'


def _latex_cell(cell: Text) -> str:
    text = latex_text(cell.text)
    text = rf'\textbf{{{text}}}' if cell.mark == 'best' else f'{text} $\\approx$' if cell.mark == 'tied' else text
    return f'{text} {{\\scriptsize {latex_text("; ".join(cell.more))}}}' if cell.more else text


def csv_text(text: str) -> str:
    """A text of others for a cell of a CSV file: what a spreadsheet would take for a formula gets a ``'`` before it.

    Bytes of a file's name that are no text are question marks.
    """
    text = text.encode('utf-8', 'replace').decode('utf-8')
    return f"'{text}" if text.lstrip(' ').startswith(_FORMULA) else text


def set_csv(table: SetTable) -> str:
    """A set as CSV, a row a method: raw numbers, empty where there is none."""
    head = ['method', 'label', 'images', 'parameters', 'macs', 'memory_bytes', 'seconds_median', 'seconds_low']
    head += ['seconds_high', 'quality_rank', 'speed_rank']
    parts = ('', '_low', '_high', '_n', '_difference', '_difference_low', '_difference_high', '_p', '_p_holm', '_mark')
    head += [csv_text(metric.name) + part for metric in table.metrics for part in parts]
    rows = []
    for row in table.rows:
        time = row.seconds or (math.nan,) * 3
        cells = [csv_text(row.method.name), csv_text(row.method.label), str(len(table.facts.images))]
        cells += [_raw(value) for value in (row.method.parameters, row.cost.macs, row.cost.memory)]
        cells += [_raw(value) for value in (time[1], time[0], time[2], row.quality, row.speed)]
        for metric in table.metrics:
            cell = row.cells[metric.name]
            cells += [*_interval(cell.figure), str(cell.figure.num), *_interval(cell.difference)]
            cells += [_raw(cell.p), _raw(cell.p_holm), cell.mark]
        rows.append(cells)
    return _csv([head, *rows])


def per_image_csv(found: Comparison, set_name: str) -> str:
    """A set as CSV, a row an image and method: the values that all figures come from."""
    facts = next(facts for facts in found.sets if facts.name == set_name)
    names = [metric.name for metric in found.metrics if not metric.whole_set]
    return _csv(_per_image(found, set_name, facts.images, names))


def _per_image(found: Comparison, set_name: str, images: Sequence[str], names: Sequence[str]) -> Iterator[list[str]]:
    yield ['image', 'method', *map(csv_text, names)]
    for i, image in enumerate(images):
        for method in found.ran(set_name):
            values = found.values[set_name][method.name]
            shown = [_raw(values[name][i]) if name in values else '' for name in names]
            yield [csv_text(image), csv_text(method.name), *shown]


def _interval(figure: Interval) -> list[str]:
    return [_raw(figure.mean), _raw(figure.low), _raw(figure.high)]


def _raw(value: float | int | None) -> str:
    """A number so that reading it gives it back; '' for none."""
    return '' if value is None or math.isnan(value) else repr(value)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()


def set_heading(table: SetTable) -> list[str]:
    """A set's heading and its line, as Markdown."""
    return ['', f'## {markdown_text(table.facts.name)}', '', f'{markdown_text(set_line(table.facts))}.']
