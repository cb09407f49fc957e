"""All files that a comparison is shown in: tables, pictures, Markdown and the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from facesr_ext.comparison.gallery import Shown
from facesr_ext.comparison.layout import Table, gap_table, method_table, set_tables
from facesr_ext.comparison.page import html_page
from facesr_ext.comparison.pictures import Picture, Pictures, draw_pictures
from facesr_ext.comparison.results import Comparison, ResultFolder
from facesr_ext.comparison.summary import Summary, summarise
from facesr_ext.comparison.tables import (
    latex_tables,
    markdown_table,
    markdown_text,
    per_image_csv,
    set_csv,
    set_heading,
)
from facesr_ext.errors import DatasetError
from facesr_ext.runs.atomic import write_text

__all__ = ['Shown', 'write_all']


def write_all(
    found: Comparison,
    folder: ResultFolder,
    shown: Shown,
    runs: Mapping[str, Path] | None = None,
    more: Iterable[Picture] = (),
) -> list[Path]:
    """Writes everything that a comparison is shown in.

    What cannot be shown - images that were not saved or cannot be read, runs without validations - is named in the
    notes of the report and costs nothing else.

    Args:
        found (Comparison): What was measured.
        folder (ResultFolder): Where its images lie, and where the files go.
        shown (Shown): Which faces are shown.
        runs (Mapping[str, Path] | None): Method -> folder of its training, for the curves. Default: none.
        more (Iterable[Picture]): Pictures that are written already. Default: none.

    Returns:
        list[Path]: The files, each there whole: page, report, tables, pictures.

    Raises:
        DatasetError: if a file cannot be written.
    """
    try:
        summary = summarise(found)
        pictures = draw_pictures(found, summary, folder, shown, runs or {})
        pictures.drawn.extend(more)
        page, notes = html_page(found, summary, folder, shown, pictures)
        texts = {
            folder.page: page,
            folder.report: _report(found, summary, folder, Pictures(pictures.drawn, [*pictures.notes, *notes])),
            folder.latex: latex_tables(summary),
        }
        for table in summary.sets:
            texts[folder.table(table.facts.name)] = set_csv(table)
            texts[folder.per_image(table.facts.name)] = per_image_csv(found, table.facts.name)
        for path, text in texts.items():
            write_text(path, text)
    except OSError as err:
        raise DatasetError(f'cannot write into {folder.root}: {err}; see to its rights and to free space') from err
    return [*texts, *(picture.path for picture in pictures.drawn)]


def _report(found: Comparison, summary: Summary, folder: ResultFolder, pictures: Pictures) -> str:
    """The comparison as Markdown, with its pictures."""
    lines = [f'# {markdown_text(found.name)}']
    for table in summary.sets:
        lines += set_heading(table)
        for item in set_tables(summary, table):
            lines += _titled(item)
        lines += _list([*(f'{label} could not be run here: {why}' for label, why in table.absent), *table.notes])
        lines += _shown(folder, pictures.of(table.facts.name))
    if summary.gaps:
        lines += ['', '## Training and test']
        for gap in summary.gaps:
            lines += _titled(gap_table(summary, gap))
    if curves := pictures.of(''):
        lines += ['', '## Curves', *_shown(folder, curves)]
    methods = method_table(found)
    lines += ['', f'## {methods.title}', '', *markdown_table(methods)]
    broken = [f'{what} could not be used: {why}' for what, why in summary.broken]
    if notes := _list([*broken, *found.notes, *pictures.notes]):
        lines += ['', '## Notes', *notes]
    if found.machine:
        lines += ['', '## Machine', *_list(f'{key}: {value}' for key, value in found.machine.items())]
    return '\n'.join(lines) + '\n'


def _titled(table: Table) -> list[str]:
    return ['', f'### {markdown_text(table.title)}', '', *markdown_table(table)]


def _list(items: Iterable[str]) -> list[str]:
    lines = [f'- {markdown_text(item)}' for item in items]
    return ['', *lines] if lines else []


def _shown(folder: ResultFolder, pictures: Iterable[Picture]) -> list[str]:
    lines = []
    for picture in pictures:
        place = quote(picture.path.relative_to(folder.root).as_posix())
        lines += ['', f'![{markdown_text(picture.title)}]({place})']
    return lines
