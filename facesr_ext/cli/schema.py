"""``facesr schema``: what an option file may say, for editors and validators, or as tables to read."""

from __future__ import annotations

from pathlib import Path

import typer


def main(
    output: Path | None = typer.Option(None, '-o', '--output', help='Where to. Default: the screen.'),
    tables: bool = typer.Option(False, '--tables', help='Markdown tables of every option.'),
) -> None:
    """Write the JSON schema of option files, which their first line names, or tables of every option."""
    import json

    from facesr_ext import register

    register()
    from facesr_ext.degradations.presets import PRESETS
    from facesr_ext.settings.schema import option_schema, option_tables

    text = option_tables() if tables else json.dumps(option_schema(PRESETS), indent=1) + '\n'
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding='utf-8')
