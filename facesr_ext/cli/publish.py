"""``facesr publish``: a checkpoint for others: averaged weights alone, no training state, no path of this machine."""

from __future__ import annotations

from pathlib import Path

import typer


def main(
    checkpoint: Path = typer.Argument(..., help='A checkpoint, or a run: its latest.'),
    output: Path = typer.Option(..., '-o', '--output', help='The file, .safetensors or .pth.'),
    half: bool = typer.Option(False, '--half', help='16 bits a weight: half the size.'),
    average_last: int | None = typer.Option(None, min=1, help='The mean of so many numbered checkpoints of the run.'),
    least_face: int | None = typer.Option(
        None, min=1, help='Enlarge faces of photographs to so many pixels. Default: the least of the training.'
    ),
    force: bool = typer.Option(False, '--force', help='Replace a file that is there.'),
) -> None:
    """Write a trained network for others to use; prints the size and SHA-256 of the file."""
    from facesr_ext.inference.publication import publish

    made = publish(checkpoint, output, half=half, average_last=average_last, least_face=least_face, force=force)
    typer.echo(f'{made.path}: {made.size:,} bytes, {made.weights}, sha256 {made.sha256}')
