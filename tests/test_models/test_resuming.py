"""A resumed training takes position and moments from its state, every setting from its option file."""

from __future__ import annotations

import copy
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.models import build_model

from facesr_ext.cli.run import run_pipeline
from facesr_ext.errors import FaceSRError, OptionError
from facesr_ext.models.resuming import load_moments
from tests.support import OPTIONS, small_options, write_options
from tests.training import parse

COSINE = {'type': 'CosineAnnealingRestartLR', 'periods': [8], 'restart_weights': [1], 'eta_min': 1.0e-7}
STEPS = {'type': 'MultiStepLR', 'milestones': [2, 3], 'gamma': 0.5}
ADAM = {'type': 'Adam', 'lr': 1.0e-3, 'betas': [0.9, 0.99]}


def _options(folder: Path, monkeypatch: pytest.MonkeyPatch, **train: Any) -> dict[str, Any]:
    opt = small_options(OPTIONS / 'srresnet.yml')
    usual = {'total_iter': 8, 'scheduler': COSINE, 'optim_g': ADAM, 'warmup_iter': -1}
    opt['train'].update({**usual, **train})
    return parse(opt, folder, monkeypatch)


def _built(opt: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    return build_model(copy.deepcopy(opt))


def _step(model: Any, iterations: range) -> list[float]:
    """Trains; the learning rate of each iteration."""
    rates = []
    for iteration in iterations:
        model.update_learning_rate(iteration, model.opt['train']['warmup_iter'])
        model.feed_data({'gt': torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(iteration))})
        model.optimize_parameters(iteration)
        rates += [model.get_current_learning_rate()[0]]
    return rates


def _resumed(opt: dict[str, Any], iteration: int) -> Any:
    opt = copy.deepcopy(opt)
    path = opt['path']
    path['resume_state'] = str(Path(path['training_states']) / f'{iteration}.state')
    path['pretrain_network_g'] = str(Path(path['models']) / f'net_g_{iteration}.pth')
    model = build_model(opt)
    model.resume_training(torch.load(path['resume_state'], map_location='cpu', weights_only=True))
    return model


def _warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'warning', told.append)
    return told


@pytest.mark.parametrize(
    ('changes', 'names'),
    [
        ({'scheduler': {**COSINE, 'periods': [16]}, 'total_iter': 16}, ['train:scheduler:periods: [8] -> [16]']),
        (
            {'scheduler': {**COSINE, 'periods': [4, 12], 'restart_weights': [1, 0.5]}, 'total_iter': 16},
            ['train:scheduler:periods: [8] -> [4, 12]', 'train:scheduler:restart_weights: [1] -> [1, 0.5]'],
        ),
        ({'scheduler': STEPS}, ['train:scheduler:milestones: None -> [2, 3]', 'train:scheduler:periods: [8] -> None']),
        ({'optim_g': {**ADAM, 'lr': 5.0e-4}}, ['train:optim_g:lr: 0.001 -> 0.0005']),
        (
            {'optim_g': {**ADAM, 'betas': [0.5, 0.9], 'weight_decay': 0.1}},
            ['train:optim_g:betas: [0.9, 0.99] -> [0.5, 0.9]', 'train:optim_g:weight_decay: 0 -> 0.1'],
        ),
        ({'warmup_iter': 6}, []),
        ({'warmup_iter': 3, 'scheduler': STEPS}, ['train:scheduler:gamma: None -> 0.5']),
        ({}, []),
    ],
    ids=('longer', 'other periods', 'other scheduler', 'lr', 'betas', 'warm-up', 'warm-up and steps', 'unchanged'),
)
def test_rates_after_a_resumption_are_those_of_the_file(
    changes: dict[str, Any], names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _built(_options(tmp_path, monkeypatch))
    _step(first, range(1, 6))
    first.save(0, 5)
    opt, told = _options(tmp_path, monkeypatch, **changes), _warnings(monkeypatch)
    expected = _step(_built(opt), range(1, 9))
    model = _resumed(opt, 5)
    for group in model.optimizer_g.param_groups:
        assert list(group['betas']) == list(opt['train']['optim_g']['betas'])
        assert group['weight_decay'] == opt['train']['optim_g'].get('weight_decay', 0)
    moments = zip(model.optimizer_g.state.values(), first.optimizer_g.state.values(), strict=True)
    assert all(torch.equal(a[key], b[key]) for a, b in moments for key in ('exp_avg', 'exp_avg_sq', 'step'))
    assert _step(model, range(6, 9)) == expected[5:]
    listed = [line for text in told if 'not those of the training state' in text for line in text.splitlines()[1:]]
    assert all(f'  {name}' in listed for name in names) and bool(listed) == bool(names)


@pytest.mark.parametrize(
    ('optimizer', 'message'),
    [
        ({'type': 'SGD', 'lr': 0.1}, 'has step, exp_avg, .* SGD with these settings has nothing'),
        ({**ADAM, 'amsgrad': True}, 'Adam with these settings has .*max_exp_avg_sq'),
        ({**ADAM, 'lr_scales': {'body': 0.1}}, 'groups of .*leave lr_scales'),
    ],
)
def test_moments_of_another_optimiser_are_refused(
    optimizer: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _built(_options(tmp_path, monkeypatch))
    _step(first, range(1, 3))
    first.save(0, 2)
    with pytest.raises(OptionError, match=message) as err:
        _resumed(_options(tmp_path, monkeypatch, optim_g=optimizer), 2)
    assert err.value.key == ('train', 'optim_g')


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (lambda state: state[1]['exp_avg'].fill_(float('nan')), 'exp_avg of parameter 1 that is not finite; take an'),
        (lambda state: state[0]['exp_avg_sq'].fill_(float('inf')), 'exp_avg_sq of parameter 0 that is not finite'),
        (lambda state: state[0].update(exp_avg=torch.zeros(3)), r'exp_avg of shape \(3,\) for parameter 0, which has'),
        (lambda state: state.update({7: state[0]}), 'moments of a parameter 7, which is not there'),
    ],
)
def test_moments_that_would_spoil_the_weights_are_refused(damage: Callable[[Any], Any], message: str) -> None:
    net = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    fresh = torch.optim.Adam(net.parameters())
    assert load_moments(fresh, copy.deepcopy(saved), ('train', 'optim_g')) == []
    damage(saved['state'])
    with pytest.raises(OptionError, match=message):
        load_moments(torch.optim.Adam(net.parameters()), saved, ('train', 'optim_g'))


def test_a_run_ends_with_a_state_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two checkpoints; the longer run is the one that was never broken off."""
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / 'srresnet.yml')
    opt['logger']['save_checkpoint_freq'] = 5000
    for name, lengths in (('whole', [5]), ('parts', [3, 5])):
        for length in lengths:
            opt.update(name=name)
            opt['train'].update(total_iter=length, scheduler={**COSINE, 'periods': [5]})
            run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'opt.yml')), '--auto_resume'])
    files = [
        sorted(p.stem for p in (tmp_path / f'experiments/parts/{sub}').iterdir())
        for sub in ('training_states', 'models')
    ]
    assert files == [['3', '5'], ['net_g_3', 'net_g_5', 'net_g_latest']]
    assert [path.name for path in (tmp_path / 'experiments').iterdir() if 'archived' in path.name] == []
    states = [
        torch.load(tmp_path / f'experiments/{name}/models/net_g_latest.pth', weights_only=True)['params']
        for name in ('whole', 'parts')
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


# ---- what is found in the folder of a run ----------------------------------------------------------------------------


@pytest.fixture(scope='module')
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four iterations with states of 2 and 4."""
    folder = tmp_path_factory.mktemp('finished')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_pipeline('train', ['-opt', str(write_options(_toy(), folder / 'opt.yml'))])
    return folder / 'experiments'


def _toy(total: int = 4, **changes: Any) -> dict[str, Any]:
    opt = {**small_options(OPTIONS / 'srresnet.yml'), 'name': 'toy', **changes}
    opt['train'].update(total_iter=total, scheduler=COSINE, optim_g=ADAM, warmup_iter=-1)
    opt['logger']['save_checkpoint_freq'] = 2
    return opt


def _go_on(finished: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, opt: dict[str, Any]) -> list[str]:
    """Goes on with what is in the folder; what was warned of."""
    monkeypatch.chdir(folder)
    told = _warnings(monkeypatch)
    run_pipeline('train', ['-opt', str(write_options(opt, folder / 'opt.yml')), '--auto_resume'])
    return told


@pytest.fixture
def left(finished: Path, tmp_path: Path) -> Path:
    """The folder of the run, to be changed."""
    shutil.copytree(finished, tmp_path / 'experiments')
    return tmp_path / 'experiments' / 'toy'


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize(
    ('damage', 'said'),
    [
        (lambda run: _cut(run / 'training_states/4.state'), 'cannot be read'),
        (lambda run: (run / 'training_states/4.state').write_bytes(b''), 'cannot be read'),
        (lambda run: (run / 'training_states/4.state').unlink(), ''),
        (lambda run: (run / 'models/net_g_4.pth').unlink(), 'missing or cut off'),
        (lambda run: _cut(run / 'models/net_g_4.pth'), 'missing or cut off'),
        (lambda run: (run / 'models/net_g_latest.pth').unlink(), ''),
        (lambda run: shutil.copy(run / 'training_states/4.state', run / 'training_states/10.state'), 'another name'),
        (lambda run: (run / 'training_states/best.state').write_bytes(b'mine'), ''),
    ],
    ids=('cut', 'empty', 'deleted', 'no network', 'cut network', 'no latest', 'copied', 'stray'),
)
def test_a_run_goes_on_from_the_newest_whole_state(
    damage: Any, said: str, left: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(left)
    told = _go_on(finished, left.parent.parent, monkeypatch, _toy(5))
    assert [said in text for text in told if 'Passed over' in text] == ([True] if said else [])
    assert (left / 'training_states' / '5.state').is_file() and [path.name for path in left.parent.iterdir()] == ['toy']


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'total': 2}, 'is of iteration 4, total_iter is 2: nothing is left to train'),
        ({'total': 4}, 'is of iteration 4, total_iter is 4: nothing is left to train'),
        ({'total': 5, 'manual_seed': 7}, 'goes on with its manual_seed 0, not with 7'),
    ],
)
def test_what_a_run_goes_on_with_is_said(
    changes: dict[str, Any], said: str, left: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = _go_on(finished, left.parent.parent, monkeypatch, _toy(**changes))
    assert [said in text for text in told].count(True) == 1
    assert (left / 'training_states' / '4.state').is_file()


def test_a_run_goes_on_with_another_batch(left: Path, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _toy(5)
    opt['datasets']['train']['batch_size_per_gpu'] = 1
    _go_on(finished, left.parent.parent, monkeypatch, opt)
    assert (left / 'training_states' / '5.state').is_file()


def _all_states(run: Path) -> None:
    for path in (run / 'training_states').iterdir():
        path.unlink()


def _cut_all(run: Path) -> None:
    for path in (run / 'training_states').iterdir():
        _cut(path)


@pytest.mark.parametrize(
    ('damage', 'change', 'message'),
    [
        (_all_states, {}, 'no training state to go on from'),
        (lambda run: shutil.rmtree(run / 'training_states'), {}, 'no training state to go on from'),
        (_cut_all, {}, 'No training state can be'),
        (lambda run: None, {'num_feat': 6}, 'does not fit SRResNet'),
    ],
    ids=('no states', 'no folder', 'all cut', 'other width'),
)
def test_a_run_that_cannot_go_on_is_left_as_it_is(
    damage: Any, change: dict[str, Any], message: str, left: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(left)
    before = {path: path.read_bytes() for path in (left / 'models').iterdir()}
    opt = _toy(5)
    opt['network_g'].update(change)
    with pytest.raises(FaceSRError, match=message):
        _go_on(finished, left.parent.parent, monkeypatch, opt)
    assert {path: path.read_bytes() for path in (left / 'models').iterdir()} == before
    assert [path.name for path in left.parent.iterdir()] == ['toy']
