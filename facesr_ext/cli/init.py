"""``facesr init``: lays the shipped option files out, where facesr_ext was installed without its repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import typer


def main(
    folder: Path = typer.Argument(..., help='Where to; options/ is made in it.'),
    force: bool = typer.Option(False, '--force', help='Overwrite option files that are there.'),
) -> None:
    """Write the shipped option files into DIR/options, ready to be edited."""
    from facesr_ext.errors import OptionError
    from facesr_ext.runs.atomic import require_free
    from facesr_ext.runs.recipes import shipped_options

    source, target = shipped_options(), folder / 'options'
    files = [path.relative_to(source) for path in sorted(source.rglob('*.yml'))]
    if target.resolve() == source.resolve():
        raise OptionError(f'{target} holds the shipped option files themselves; name another folder', ('FOLDER',))
    everything = [*files, Path('schema.json')]  # editors look for it beside them
    require_free([target / name for name in everything], force=force, key=('FOLDER',))
    for name in everything:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)
    typer.echo(f'{len(files)} option files; begin with: python -m basicsr.train -opt {target / "quickstart.yml"}')
