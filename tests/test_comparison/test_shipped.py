"""The shipped files of comparisons: in order, and so is every training that they name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from facesr_ext.check.examine import examine
from facesr_ext.comparison.examine import findings, of_degradations, read_comparison, read_degradations
from facesr_ext.comparison.methods import Training, open_methods, trainings
from facesr_ext.comparison.open_degradations import network_trainings, open_degradations, open_hr_sets
from facesr_ext.comparison.sets import open_sets
from facesr_ext.host.source import OptionFile
from tests.support import OPTIONS, option_files

FILES = [path for path in option_files('compare') if not of_degradations(OptionFile.read(str(path)))]
DEGRADATIONS = [path for path in option_files('compare') if path not in FILES]
REPORTS = ('s0', 's1', 's2', 's3', 's4', 'priors')


def test_there_is_one_for_each_report() -> None:
    assert set(REPORTS) <= {path.stem for path in FILES}


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.stem)
def test_it_is_in_order(path: Path) -> None:
    source = OptionFile.read(str(path))
    assert [str(finding) for finding in findings(source) if finding.level == 'error'] == []
    file = read_comparison(source)
    for one in open_sets(file):
        if 'train it first: python -m basicsr.train' in one.facts.problem:
            continue
        assert not one.facts.problem and len(one) > 1
        first = next(one.pairs([]))
        assert first.gt is None or first.gt.shape[0] == first.lq.shape[0] * (1 if one.enlarged else one.facts.scale)


@pytest.mark.parametrize('path', FILES, ids=lambda p: p.stem)
def test_its_methods_are_there_or_say_how_to_train_them(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # without runs
    for method in open_methods(read_comparison(OptionFile.read(str(path))), torch.device('cpu')):
        problem = method.facts.problem
        assert not problem or 'python -m basicsr.train -opt options/' in problem or 'get it from' in problem


TRAININGS = [
    (path, training)
    for path in FILES
    for training in trainings(read_comparison(OptionFile.read(str(path))))
    if training.force_yml and 'seed' not in training.run.name
]


TRAININGS += [
    (path, training)
    for path in DEGRADATIONS
    for training in network_trainings(read_degradations(OptionFile.read(str(path))))
    if training.force_yml
]


@pytest.mark.parametrize('path', DEGRADATIONS, ids=lambda p: p.stem)
def test_degradations_are_in_order_and_say_how_to_train_networks(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = read_degradations(OptionFile.read(str(path)))
    monkeypatch.chdir(tmp_path)  # without runs
    assert all(not one.facts.problem and len(one) == 200 for one in open_hr_sets(file))
    for one in open_degradations(file):
        assert not one.facts.problem or 'python -m basicsr.train -opt options/' in one.facts.problem
    runs = [training.run for training in network_trainings(file)]
    assert len(set(runs)) == len(runs) == len(file.degradations)


@pytest.mark.parametrize(('path', 'training'), TRAININGS, ids=lambda value: getattr(value, 'stem', ''))
def test_a_changed_recipe_is_in_order(path: Path, training: Training) -> None:
    """But for weights that another run of the file makes."""
    found = examine(str(training.opt), 'train', training.force_yml).findings()
    errors = [str(finding) for finding in found if finding.level == 'error']
    assert [error for error in errors if 'there is no file experiments/' not in error] == []


def test_seeds_are_runs_of_their_own() -> None:
    asked = read_comparison(OptionFile.read(str(OPTIONS / 'compare' / 'priors.yml')))
    found = trainings(asked)
    trained = sum(method.seeds for method in asked.methods.values() if method.opt)
    assert len({training.run for training in found}) == len(found) == trained > 3
    assert 'manual_seed=2' in found[2].force_yml and found[2].run.name == 'priors_none_seed2'
