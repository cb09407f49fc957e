"""``facesr interpolate``: a network between two, such as one trained for PSNR and one trained by a GAN."""

from __future__ import annotations

from pathlib import Path

import typer


def main(
    first: Path = typer.Argument(..., help='Network of alpha 0, such as the one trained for PSNR.'),
    second: Path = typer.Argument(..., help='Network of alpha 1, such as the GAN that was trained on from it.'),
    alpha: float = typer.Option(0.8, help='Share of the second network, 0 to 1.'),
    output: Path = typer.Option(..., '-o', '--output', help='The new network, .pth or .safetensors.'),
    force: bool = typer.Option(False, '--force', help='Replace a file that is there.'),
) -> None:
    """Write the network (1 - alpha) * FIRST + alpha * SECOND."""
    from facesr_ext.inference.interpolation import interpolate_files

    used = interpolate_files(first, second, alpha, output, force)
    typer.echo(f'{output}: {1 - alpha:g} x {first} + {alpha:g} x {second} [{used}]')
