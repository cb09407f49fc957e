"""The pages as a whole: links, the generated ones, the example, the diffs, the picture of the rooms."""

from __future__ import annotations

import re
import subprocess
import sys
import xml.dom.minidom
from pathlib import Path

import pytest
import yaml

import facesr_ext
from docs import rooms
from facesr_ext.cli.main import COMMANDS, GROUPS
from tests.documented import PAGES, commands
from tests.support import ROOT, child_environment

DOCS = ROOT / 'docs'
_LINK = re.compile(r'\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)')
_FILE = re.compile(r'```\w+ title="([\w.]+)"\n(.*?)```', re.DOTALL)
_DIFF = re.compile(r'^( *)```diff\n(.*?)^ *```', re.DOTALL | re.MULTILINE)


def _anchors(path: Path) -> set[str]:
    heads = re.findall(r'^#+ (.*)$', path.read_text(encoding='utf-8'), re.MULTILINE)
    return {'#' + re.sub(r'[^\w\- ]', '', head.lower()).replace(' ', '-') for head in heads}


@pytest.mark.parametrize('page', [*PAGES, ROOT / 'datasets' / 'README.md'], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """As GitHub shows them; MkDocs looks at those of the site when it builds."""
    for target, anchor in _LINK.findall(page.read_text(encoding='utf-8')):
        path = (page.parent / target).resolve() if target else page
        assert path.is_file(), f'{page.name}: {target}'
        assert not anchor or anchor in _anchors(path), f'{page.name}: {target}{anchor}'


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    listed = set(re.findall(r': (\w+\.md)$', text, re.MULTILINE))
    assert {page.name for page in DOCS.glob('*.md')} <= listed
    assert yaml.safe_load(text)['strict'] is True


def test_generated_pages_name_every_command_and_part() -> None:
    pytest.importorskip('mkdocs')
    from docs import pages

    made = pages.generated_pages()
    assert all(f'## facesr {name}' in made['cli.md'] for name in (*COMMANDS, *GROUPS))
    assert '::: facesr_ext.archs.nafsr_arch.NAFSR' in made['networks.md'] and '| `RRDBNet` |' in made['networks.md']
    assert '::: facesr_ext.losses.prior_loss.ParsingLoss' in made['losses.md']
    assert '::: facesr_ext.degradations.mixture.MixtureDegradation' in made['degradations.md']
    assert pages.on_page_markdown('[a](docs/b.md#c) [d](../CONTRIBUTING.md)') == '[a](b.md#c) [d](contributing.md)'


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / 'CITATION.cff').read_text(encoding='utf-8'))
    assert cited['version'] == facesr_ext.__version__
    assert f'version = {{{facesr_ext.__version__}}}' in (ROOT / 'README.md').read_text(encoding='utf-8')


def test_the_example_of_own_parts_trains(tmp_path: Path) -> None:
    page = DOCS / 'extending.md'
    for name, text in _FILE.findall(page.read_text(encoding='utf-8')):
        (tmp_path / name).write_text(text, encoding='utf-8')
    (command,) = [one.words for one in commands(page) if one.words[0] == 'python']
    done = subprocess.run(
        [sys.executable, *command[1:]],
        cwd=tmp_path,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '# worst: ' in done.stdout + done.stderr
    assert (tmp_path / 'experiments/tiny/models/net_g_latest.pth').is_file()


def test_diffs_are_of_the_code_as_it_is() -> None:
    """What a diff takes away or keeps stands in the file, in that order."""
    seen = 0
    for indent, diff in _DIFF.findall((ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')):
        file = ''
        for line in [line.removeprefix(indent) for line in diff.splitlines()]:
            if line.startswith('--- '):
                file = '' if line.endswith('/dev/null') else (ROOT / line[6:]).read_text(encoding='utf-8')
            elif line.startswith((' ', '-')) and file:
                assert f'{line[1:]}\n' in file, line
                seen += 1
    assert seen >= 5


def test_the_picture_of_the_rooms_is_of_the_imports_as_they_are() -> None:
    text = rooms.PICTURE.read_text(encoding='utf-8')
    assert text == rooms.draw(), 'draw it anew: python -m docs.rooms'
    dots = xml.dom.minidom.parseString(text).getElementsByTagName('circle')
    assert len(dots) == len(rooms.imports()) > 50
