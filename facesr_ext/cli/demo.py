"""``facesr demo``: a page in the browser that restores photographs."""

from __future__ import annotations

import typer

from facesr_ext.cli.screen import tell_warning


def main(
    model: list[str] = typer.Option(
        ['default', 'sharp'],
        '--model',
        help='What may be chosen, as of restore; may be given again. The first is usual.',
    ),
    host: str = typer.Option('127.0.0.1', help='The address to listen at. Default: this machine alone.'),
    port: int = typer.Option(7860, min=0, max=65535, help='0 takes any that is free.'),
    max_mb: int = typer.Option(20, min=1, help='Of a file, megabytes.'),
    max_megapixels: float = typer.Option(25.0, min=0.1, max=178.0, help='Of a photograph, million pixels.'),
    max_seconds: int = typer.Option(120, min=1, help='For the restoring of a photograph.'),
    max_waiting: int = typer.Option(20, min=1, help='Visitors that wait for their turn.'),
    max_disk_mb: int = typer.Option(2000, min=1, help='Of all that visitors have on the disk, megabytes.'),
    keep_minutes: int = typer.Option(15, min=1, help='A photograph that nobody touches is deleted after so long.'),
    device: str | None = typer.Option(None, help='cpu, cuda, cuda:1 or mps. Default: a GPU where there is one.'),
) -> None:
    """Show a page in the browser: drop a photograph, choose faces, compare, download (extra: demo). Ctrl-C ends it."""
    from facesr_ext.demo.guard import is_loopback
    from facesr_ext.demo.limits import Limits
    from facesr_ext.demo.serve import serve

    if not is_loopback(host):
        tell_warning(
            f'--host {host}: whoever reaches this machine over the network can use the page, without a password, and '
            'what they send is not encrypted. Beyond a network you trust, put a server with TLS and a login before it.'
        )
    limits = Limits(max_mb, max_megapixels, max_seconds, max_waiting, keep_minutes, max_disk_mb)

    def tell(address: str) -> None:
        typer.echo(f'{address} (Ctrl-C ends it)')

    serve(host, port, model, limits, device, tell)
