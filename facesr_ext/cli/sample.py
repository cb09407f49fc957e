"""``facesr sample``: writes drawn faces with their labels, in the layout that ``FaceDataset`` reads."""

from __future__ import annotations

from pathlib import Path

import typer


def main(
    folder: Path = typer.Argument(..., help='Where to; images/, masks/ and landmarks.json are made in it.'),
    num: int = typer.Option(100, min=1, help='How many faces.'),
    seed: int = typer.Option(0, min=0, help='Which faces: the same seed gives the same ones.'),
    size: int = typer.Option(256, min=32, help='Height and width, pixels.'),
    force: bool = typer.Option(False, '--force', help='Replace files that are there.'),
) -> None:
    """Write drawn faces with parsing masks (CelebAMask-HQ classes) and 68 landmarks."""
    from facesr_ext.inference.sampler import write_sample

    write_sample(folder, num, seed, size, force)
    typer.echo(f'{num} faces in {folder}: images/, masks/, landmarks.json')
