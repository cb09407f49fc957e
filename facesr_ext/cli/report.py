"""``facesr report``: a training's curves, figures, settings and images in one Markdown file."""

from __future__ import annotations

from pathlib import Path

import typer


def main(
    run: Path = typer.Argument(..., help='Folder of the training: experiments/<name>.'),
    output: Path = typer.Option(..., '-o', '--output', help='Folder for report.md and its images.'),
    lq: Path | None = typer.Option(None, help='Folder of LQ images to restore and show.'),
    beside: list[Path] = typer.Option([], help='Another run or checkpoint to show beside; as often as you like.'),
    force: bool = typer.Option(False, '--force', help='Replace files that are not of a report of this run.'),
) -> None:
    """Write a report of a training from its folder alone."""
    from facesr_ext.reports.run_report import write_report

    typer.echo(write_report(run, output, lq, beside, force))
