"""What README and docs have their readers do leaves a clone clean."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.support import ROOT

PAGES = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
_COMMAND = re.compile(r'^(?:facesr|python).*?$', re.MULTILINE)
_WRITTEN = re.compile(r'(?:-o|--output|--grid|wheel -w|-w) ([\w./-]+)')


def _written() -> set[str]:
    """What the commands of the pages write beside what the project itself keeps there."""
    commands = [command for page in PAGES for command in _COMMAND.findall(page.read_text(encoding='utf-8'))]
    found = {name for command in commands for name in _WRITTEN.findall(command)}
    return {name for name in found if not (ROOT / name).is_file()} | {'experiments/x', 'results/x', 'tb_logger/x'}


@pytest.mark.skipif(not (ROOT / '.git').exists() or shutil.which('git') is None, reason='no clone')
def test_git_passes_over_what_the_commands_write() -> None:
    names = _written()
    assert {'mix.pth', 'submission.zip', 'report', 'LQ', 'sheet.png'} <= names
    files = [name if '.' in name or '/' in name else f'{name}/file.png' for name in sorted(names)]
    seen = subprocess.run(['git', 'check-ignore', *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert sorted(seen.stdout.split()) == sorted(files)
