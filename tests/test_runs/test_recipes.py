from __future__ import annotations

from pathlib import Path

import pytest

from facesr_ext.runs.recipes import how_to_train, shipped_options


@pytest.mark.parametrize(
    'file',
    [
        'experiments/quickstart/models/net_g_latest.pth',
        'experiments\\quickstart\\models\\net_g_latest.pth',
        '/home/me/experiments/quickstart/training_states/20.state',
        'experiments/quickstart',
    ],
)
def test_the_recipe_of_a_run_s_file(file: str) -> None:
    recipe = shipped_options() / 'quickstart.yml'
    assert how_to_train(file) == f'train it first: python -m basicsr.train -opt {recipe}'


@pytest.mark.parametrize('file', ['quickstart/models/net_g.pth', 'experiments/no_recipe/models/a.pth', 'net_g.pth'])
def test_a_file_of_no_recipe(file: str) -> None:
    assert how_to_train(file) is None


def test_recipes_of_further_folders_come_first(tmp_path: Path) -> None:
    (tmp_path / 'own.yml').write_text('name: quickstart\ntrain:\n', encoding='utf-8')
    assert str(how_to_train('experiments/quickstart/models/a.pth', tmp_path)).endswith(str(tmp_path / 'own.yml'))
