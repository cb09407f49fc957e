"""Where the shipped option files are: in the repository, or in the package where it was installed from a wheel."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path, PureWindowsPath

from facesr_ext.errors import DependencyError


def shipped_options() -> Path:
    """The folder of the shipped option files.

    Raises:
        DependencyError: There is none: the package was put together without them.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / 'option_files', package.parent / 'options'):  # setup.py copies the one to the other
        if folder.is_dir():
            return folder
    raise DependencyError(
        f'The option files are missing: neither {package / "option_files"} nor {package.parent / "options"} is there. '
        'Install facesr_ext again, from a wheel or with: pip install -e .'
    )


def recipe_named(name: str, *more: Path) -> Path | None:
    """The training file of a run, among the shipped ones and those of further folders.

    Args:
        name (str): The run's name.
        more (Path): Folders to look into first; the one above each is searched, too.

    Returns:
        Path | None: The file, None where no file has that name.
    """
    folders = [place for folder in more for place in (folder, folder.parent)]
    files = [file for folder in folders for file in sorted(folder.glob('*.yml'))]
    with contextlib.suppress(DependencyError):  # only a hint less
        files += sorted(shipped_options().rglob('*.yml'))
    for file in files:
        text = file.read_text(encoding='utf-8', errors='replace')
        if re.search(rf'^name: *{re.escape(name)} *(#.*)?$', text, re.M) and re.search('^train:', text, re.M):
            return file
    return None


def how_to_train(file: str, *more: Path) -> str | None:
    """The command that makes a file of a run, where a recipe has the run's name.

    Args:
        file (str): Its path, as experiments/NAME/models/net_g_latest.pth, or that of the run.
        more (Path): Folders of recipes, as for `recipe_named`.

    Returns:
        str | None: 'train it first: ...', None for a path outside ``experiments`` or a run without a recipe.
    """
    parts = PureWindowsPath(file).parts  # cut at slashes of either kind
    runs = [name for folder, name in zip(parts, parts[1:], strict=False) if folder == 'experiments']
    recipe = recipe_named(runs[-1], *more) if runs else None
    return f'train it first: python -m basicsr.train -opt {recipe}' if recipe else None
