"""The commands that README and docs/ tell their readers, and which of them the tests run.

A block of commands is run by tests/test_docs/test_commands.py unless ``<!-- by hand: REASON -->`` stands before it,
which readers do not see. Every command is parsed, those by hand too.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support import ROOT

PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
_BLOCK = re.compile(r'(?:<!-- by hand: ([^>]*) -->\n\n)?```bash\n(.*?)```', re.DOTALL)


class Command(NamedTuple):
    """One line of a block of commands.

    Attributes:
        page (str): The page's name.
        words (tuple[str, ...]): Without comments, variables of the environment, pipes and the files that they end in.
        by_hand (str): Why no test runs it, '' where one does.
        text (str): As it stands there, in one line.
    """

    page: str
    words: tuple[str, ...]
    by_hand: str
    text: str


def commands(path: Path) -> list[Command]:
    """Every command of a page, in order; several in a line (``&&``) are several."""
    found = []
    for why, block in _BLOCK.findall(path.read_text(encoding='utf-8')):
        for line in block.replace('\\\n', ' ').splitlines():
            found += [Command(path.name, words, why, line.strip()) for words in _parts(line)]
    return found


def _parts(line: str) -> Iterator[tuple[str, ...]]:
    for text in re.split(r'\s&&\s', line):
        words = shlex.split(text, comments=True)
        if '|' in words:
            words = words[words.index('|') + 1 :]  # what reads the pipe is the command
        if '>' in words:
            words = words[: words.index('>')]
        while words and re.fullmatch(r'[A-Z_]+=\w+', words[0]):
            words = words[1:]
        if words:
            yield tuple(words)
