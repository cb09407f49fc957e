"""``facesr degrade``: writes LQ images, to look at or to train on, by a named degradation."""

from __future__ import annotations

from pathlib import Path

import typer


def main(
    source: Path = typer.Argument(..., help='An image, or a folder of images.'),
    output: Path = typer.Option(..., '-o', '--output', help='Folder for the LQ images, named as the originals.'),
    preset: str = typer.Option('realesrgan', help='A named degradation: facesr_ext/degradations/presets.py.'),
    scale: int = typer.Option(4, min=1, max=16, help='HR-to-LR factor, where the preset leaves it open.'),
    seed: int = typer.Option(0, min=0, help='The same seed gives the same LQ for an image of the same name.'),
    grid: Path | None = typer.Option(None, help='Also write a contact sheet of the first images here.'),
    force: bool = typer.Option(False, '--force', help='Replace files that are there.'),
) -> None:
    """Degrade images by a preset, reproducibly."""
    from facesr_ext.inference.degrader import degrade_folder

    count = degrade_folder(source, output, preset, scale, seed, grid, force)
    typer.echo(f'{count} LQ images in {output}')
