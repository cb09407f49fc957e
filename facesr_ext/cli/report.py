"""``facesr report``: a training in one Markdown file, or a checkpoint's model card."""

from __future__ import annotations

from pathlib import Path

import typer

from facesr_ext.cli.screen import tell_warning
from facesr_ext.errors import OptionError


def main(
    run: Path = typer.Argument(..., help='Folder of the training: experiments/<name>; with --card also a checkpoint.'),
    output: Path = typer.Option(..., '-o', '--output', help='Folder for report.md and its images, or for the card.'),
    lq: Path | None = typer.Option(None, help='Folder of LQ images to restore and show.'),
    beside: list[Path] = typer.Option([], help='Another run or checkpoint to show beside; as often as you like.'),
    card: bool = typer.Option(False, '--card', help='Model card (README.md) and OpenModelDB record of a checkpoint.'),
    results: list[Path] = typer.Option(
        [], help="With --card: results/NAME of facesr test, its CSV, or comparison.json. Default: the training's own."
    ),
    data: str = typer.Option('', help='With --card: what it was trained on, and on which terms.'),
    licence: str = typer.Option('', help='With --card: of the weights, as Apache-2.0.'),
    author: str = typer.Option('', help='With --card: whose weights they are.'),
    url: str = typer.Option('', help='With --card: where they can be had.'),
    force: bool = typer.Option(False, '--force', help='Replace files that are not of a report of this run.'),
) -> None:
    """Write a report of a training from its folder alone, or the model card of a checkpoint."""
    if card:
        if lq or beside:
            raise OptionError('a model card shows no images; leave out --card, or these', ('--lq',))
        _write_card(run, output, results, (data, licence, author, url), force)
        return
    if results or data or licence or author or url:
        raise OptionError('only a model card takes --results, --data, --licence, --author, --url; add it', ('--card',))
    from facesr_ext.reports.run_report import write_report

    typer.echo(write_report(run, output, lq, beside, force))


def _write_card(source: Path, output: Path, results: list[Path], told: tuple[str, str, str, str], force: bool) -> None:
    """Writes card and record, and says what OpenModelDB would ask for beyond."""
    import json

    from facesr_ext.comparison.card_figures import card_figures
    from facesr_ext.reports.model_card import write_card
    from facesr_ext.reports.model_facts import Told, read_facts
    from facesr_ext.reports.open_model_db import faults

    facts = read_facts(source, Told(*told))
    card, record = write_card(facts, card_figures(facts, results), output, force)
    typer.echo(card)
    typer.echo(record)
    for fault in faults(json.loads(record.read_text(encoding='utf-8')), record.stem):
        tell_warning(f'OpenModelDB: {fault}')
