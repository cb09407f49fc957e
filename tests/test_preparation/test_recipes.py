"""The lines of docs/data.md: each is one that the command and the option files take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from facesr_ext.cli.main import main
from facesr_ext.preparation import run
from facesr_ext.preparation.plan import Plan
from tests.support import OPTIONS, ROOT

PAGE = (ROOT / 'docs' / 'data.md').read_text(encoding='utf-8')
LINES = re.findall(r'^facesr prepare .*$', PAGE, re.MULTILINE)
RECIPES = sorted(set(re.findall(r'`(?:options/)?([\w/]+\.yml)`', PAGE)))


@pytest.mark.parametrize('line', LINES)
def test_lines_are_plans(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Plan] = []

    def noted(sources: list[Path], target: Path, plan: Plan) -> run.Result:
        seen.append(plan)
        return run.Result(None, target)

    monkeypatch.setattr(run, 'prepare', noted)
    with pytest.raises(SystemExit) as caught:
        main(shlex.split(line, comments=True)[1:])
    assert caught.value.code in (0, None) and len(seen) == 1


def test_every_set_has_its_line() -> None:
    assert len(LINES) == 9
    for name in ('CelebA', 'CelebA-HQ', 'CelebAMask-HQ', 'FFHQ', 'Helen', 'WIDER FACE', 'DIV2K', 'AI6126'):
        assert f'| {name} |' in PAGE


@pytest.mark.parametrize('recipe', RECIPES)
def test_recipes_that_it_names_are_there(recipe: str) -> None:
    assert (OPTIONS / recipe).is_file()
