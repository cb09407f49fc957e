"""The generated pages of the site: README, CONTRIBUTING and CHANGELOG, the commands, and the parts by their docstrings.

A hook of MkDocs (``hooks`` in mkdocs.yml), which runs at each build.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
COPIES = {
    'index.md': 'README.md',
    'results.md': 'RESULTS.md',
    'contributing.md': 'CONTRIBUTING.md',
    'changelog.md': 'CHANGELOG.md',
}
"""Pages that GitHub shows, too, and that lie outside of docs/."""
PARTS = {
    'networks.md': ('Networks', ('archs',), 'for `network_g:`, `network_d:` and `network_h2l:`'),
    'losses.md': ('Losses', ('losses',), 'for the sections `..._opt:` of `train:`'),
    'degradations.md': (
        'Degradations',
        ('degradations',),
        'for `degradation:`; [Degradation](degradation.md) tells how',
    ),
    'datasets.md': ('Data sets and models', ('datasets', 'models'), 'for `datasets:` and `model_type`'),
}
"""Page -> its title, the registries that it shows, and what their names are for."""
_LINK = re.compile(r'(\]\()(?!https?:|#)([^)#]+)(#[^)]*)?\)')

_ROLE = re.compile(r':(?:class|func|meth|data|mod|attr):<code>~?(?:[\w.]*\.)?(\w+)</code>')


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages."""
    for name, text in generated_pages().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to the files of the repository's root become links to their copies."""
    return _LINK.sub(lambda link: f'{link[1]}{_page_of(link[2])}{link[3] or ""})', markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Roles of docstrings, such as :class:`~facesr_ext.imaging.luma`, become plain names."""
    return _ROLE.sub(r'<code>\1</code>', html)


def generated_pages() -> dict[str, str]:
    """Name -> Markdown of every page that is not written by hand."""
    pages = {page: (ROOT / source).read_text(encoding='utf-8') for page, source in COPIES.items()}
    pages |= {page: '\n'.join(_parts(*about)) for page, about in PARTS.items()}
    return pages | {'cli.md': _commands()}


def _page_of(target: str) -> str:
    """A link of README, 'docs/data.md', or of a page, '../CONTRIBUTING.md', as one between the pages of the site."""
    name = target.removeprefix('../').removeprefix('docs/')
    return {source: page for page, source in COPIES.items()}.get(name, name)


def _parts(title: str, kinds: tuple[str, ...], what: str) -> Iterator[str]:
    """The parts of a registry: ours with signature and docstring, BasicSR's by their first lines."""
    import facesr_ext

    facesr_ext.register()
    from facesr_ext.host.registry import PART_REGISTRIES

    yield f'# {title}\n\nThese names are {what}. Their arguments are options of the section.\n'
    for kind in kinds:
        parts = {
            name.removesuffix('_basicsr'): target for name, target in sorted(dict(iter(PART_REGISTRIES[kind])).items())
        }
        ours = {name: target for name, target in parts.items() if _is_ours(target)}
        if len(kinds) > 1:
            yield f'## {kind.capitalize()}\n'
        for target in ours.values():
            yield f'::: {target.__module__}.{target.__qualname__}\n    options: {{members: false}}\n'
        theirs = sorted(parts.keys() - ours.keys())
        if theirs:
            yield "## BasicSR's\n" if len(kinds) == 1 else f"### BasicSR's {kind}\n"
            yield '| name | what |\n|---|---|'
        for name in theirs:
            yield f'| `{name}` | {_first_line(parts[name])} |'
        yield ''


def _is_ours(target: Any) -> bool:
    return bool(target.__module__.startswith('facesr_ext.'))


def _first_line(target: Any) -> str:
    text = inspect.cleandoc(vars(target).get('__doc__') or '').split('\n')[0]
    return text.replace('|', '\\|').replace('<', '&lt;')


def _commands() -> str:
    """Every command, its arguments and options, as typer documents them."""
    import typer.cli
    import typer.main

    from facesr_ext.cli.main import build_app

    command = typer.main.get_command(build_app())
    context = typer.Context(command, info_name='facesr')  # type: ignore[arg-type]
    text = typer.cli.get_docs_for_click(obj=command, ctx=context, name='facesr', title='Commands')
    text = re.sub(r'^(#+) `(.*)`$', r'\1 \2', text, flags=re.MULTILINE)
    return re.sub(r'^\*\*Commands\*\*:\n\n(?:\* .*\n)+\n', '', text, flags=re.MULTILINE)  # cut off; headings follow
