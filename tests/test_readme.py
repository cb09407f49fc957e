"""What README and docs have their readers do leaves a clone clean."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from facesr_ext.check.examine import check_file
from tests.documented import PAGES, commands
from tests.support import OPTIONS, ROOT, small_options, write_options

CONTRIBUTING = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
_PREPARED = re.compile(r'facesr prepare \S+ (\S+)')
_WRITTEN = re.compile(r'(?:-o|--output|--grid|wheel -w|-w) ([\w./-]+)')


def _written() -> set[str]:
    """What the commands of the pages write beside what the project itself keeps there."""
    texts = [command.text for page in PAGES for command in commands(page)]
    found = {name for text in texts for name in (*_WRITTEN.findall(text), *_PREPARED.findall(text))}
    return {name for name in found if not (ROOT / name).is_file()} | {'experiments/x', 'results/x', 'tb_logger/x'}


@pytest.mark.skipif(not (ROOT / '.git').exists() or shutil.which('git') is None, reason='no clone')
def test_git_passes_over_what_the_commands_write() -> None:
    names = _written()
    assert {'mix.pth', 'submission.zip', 'report', 'LQ', 'sheet.png', 'datasets/faces'} <= names
    files = [name if '.' in name or '/' in name else f'{name}/file.png' for name in sorted(names)]
    seen = subprocess.run(['git', 'check-ignore', *files], cwd=ROOT, capture_output=True, text=True, check=False)
    assert sorted(seen.stdout.split()) == sorted(files)


@pytest.mark.parametrize(('start', 'net'), [('srresnet', 'ESPCN'), ('fsrnet_noprior', 'SRCNN')])
def test_a_new_network_begins_with_the_file_that_contributing_names(start: str, net: str, tmp_path: Path) -> None:
    """The sections of the network and its own losses are the only ones that change."""
    assert f'`options/{start}.yml` where it takes the' in CONTRIBUTING
    opt = small_options(OPTIONS / f'{start}.yml')
    opt['network_g'] = {'type': net, 'scale': opt['scale']} if net == 'ESPCN' else {'type': net}
    opt['train'].pop('coarse_opt', None)
    assert not [f for f in check_file(str(write_options(opt, tmp_path / 'new.yml')), 'train') if f.level == 'error']
