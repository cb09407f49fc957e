"""``facesr degrade``: writes LQ images, to look at or to train on, by a preset, an option file or a trained network."""

from __future__ import annotations

from pathlib import Path

import typer


def main(
    source: Path = typer.Argument(..., help='An image, or a folder of images.'),
    output: Path = typer.Option(..., '-o', '--output', help='Folder for the LQ images, named as the originals.'),
    preset: str | None = typer.Option(
        None, help='A named degradation: facesr list presets. [default: realesrgan]', show_default=False
    ),
    opt: Path | None = typer.Option(None, '-opt', metavar='FILE', help='The degradation and scale of an option file.'),
    checkpoint: Path | None = typer.Option(
        None, metavar='NET', help='A trained degradation network: its run, or a checkpoint.'
    ),
    changes: list[str] = typer.Option(
        [], '--set', metavar='KEY=VALUE', help='What is to differ, as blur_sigma=[0.2,3]. Can be given several times.'
    ),
    scale: int | None = typer.Option(
        None, min=1, max=16, help='HR-to-LR factor, where nothing else states one. [default: 4]', show_default=False
    ),
    image_size: int | None = typer.Option(
        None, min=1, help='First cut the middle square out of each image and resize it to so many pixels.'
    ),
    seed: int = typer.Option(0, min=0, help='The same seed gives the same LQ for an image of the same name.'),
    grid: Path | None = typer.Option(None, help='Also write a contact sheet of the first images here.'),
    force: bool = typer.Option(False, '--force', help='Replace files that are there.'),
) -> None:
    """Degrade images by a preset, an option file or a trained network, reproducibly."""
    from facesr_ext.inference.chosen_degradation import chosen_degradation
    from facesr_ext.inference.degrader import degrade_folder

    degradation = chosen_degradation(preset, opt, checkpoint, scale, changes)
    count = degrade_folder(source, output, degradation, seed, grid, image_size, force)
    typer.echo(f'{count} LQ images in {output}')
