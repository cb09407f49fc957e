"""``facesr export``: a network as a file for other engines and programs."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from facesr_ext.errors import OptionError


def main(
    model: str = typer.Argument(..., help='default, sharp, a run, or a checkpoint, as facesr restore takes it.'),
    to: str = typer.Option('onnx', help='onnx, pt2 (torch.export), or safetensors (programs on spandrel open it).'),
    output: Path | None = typer.Option(None, '-o', '--output', help="The file. Default: the model's name, here."),
    fp16: bool = typer.Option(False, '--fp16', help='Compute in fp16, and still take and give fp32; half the size.'),
    size: str | None = typer.Option(None, metavar='HxW', help='The one size of its input. Default: any.'),
    opset: int | None = typer.Option(None, help="Version of ONNX's operators. Default: the exporter's."),
    licence: str | None = typer.Option(None, help='Of the weights, noted inside. Default: what the model says.'),
    force: bool = typer.Option(False, '--force', help='Replace a file that is there.'),
) -> None:
    """Export a network; the file is written when it makes of faces what PyTorch does, and the difference is told."""
    from facesr_ext.inference.export import export

    sides = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', size) if size else None
    if size and sides is None:
        raise OptionError(f'{size!r} is no size; say height x width in pixels, as 512x512', ('--size',))
    asked = (int(sides[1]), int(sides[2])) if sides else None
    made = export(model, output, to=to, half=fp16, size=asked, opset=opset, licence=licence, force=force)
    told = f'{made.path}: {made.size:,} bytes, {made.takes}'
    of = '' if made.share == 1 else f', but for one value in {1 / (1 - made.share):.0f}'
    typer.echo(f'{told}; differs from PyTorch by at most {made.difference:.1e} of [0, 1]{of}; sha256 {made.sha256}')
