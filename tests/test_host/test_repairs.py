"""Each repair of BasicSR, and the defect that it mends as the stock code shows it."""

from __future__ import annotations

import inspect
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from basicsr.archs import vgg_arch
from basicsr.data import build_dataloader, build_dataset
from basicsr.models.base_model import BaseModel
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.host import repairs, resume, vgg
from facesr_ext.host.patching import names_used
from facesr_ext.host.repairs import parts
from tests.support import OPTIONS, small_options, stock_copy, write_options

train = sys.modules['basicsr.train']
VGG_FILES = {'vgg16': 'vgg16-397923af.pth', 'vgg19': 'vgg19-dcbb9e9d.pth'}


@pytest.fixture
def run_folder(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Options of a run that has saved iterations 5, 10 and 15 of its two trained networks."""
    models, states = tmp_path / 'models', tmp_path / 'training_states'
    models.mkdir()
    states.mkdir()
    for iteration in (5, 10, 15):
        state: dict[str, Any] = {'epoch': 2, 'iter': iteration, 'optimizers': [], 'schedulers': [], 'manual_seed': 7}
        torch.save(state, states / f'{iteration}.state')
        for label in ('g', 'd'):
            torch.save({'params': {}}, models / f'net_{label}_{iteration}.pth')
    paths = {
        'resume_state': None,
        'models': str(models),
        'training_states': str(states),
        'experiments_root': str(tmp_path),
    }
    yield {
        'name': 'run',
        'auto_resume': True,
        'rank': 0,
        'manual_seed': 1,
        'path': paths,
        'network_g': {},
        'network_d': {},
        'network_prior': {},
    }


def states_of(opt: dict[str, Any]) -> Path:
    return Path(opt['path']['training_states'])


def cut(path: Path) -> None:
    """Leaves half a file, as a killed process does."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_applying_twice_changes_nothing() -> None:
    before = dict(vars(train))
    loaders = [sys.modules[f'basicsr.{kind}'].__spec__.loader for kind in ('train', 'test')]  # type: ignore[union-attr]
    optimizer, build_vgg = BaseModel.get_optimizer, vgg_arch.vgg
    repairs.apply_all()
    assert vars(train) == before
    assert loaders == [sys.modules[f'basicsr.{kind}'].__spec__.loader for kind in ('train', 'test')]  # type: ignore[union-attr]
    assert BaseModel.get_optimizer is optimizer and vgg_arch.vgg is build_vgg


# resuming


def test_stock_resume_misses_the_folder_and_asks_for_cuda(
    run_folder: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = stock_copy('train')
    if 'current_device' not in names_used(stock.load_resume_state):
        pytest.skip('mended upstream')
    monkeypatch.chdir(tmp_path)
    assert stock.load_resume_state(run_folder) is None
    if not torch.cuda.is_available():
        run_folder['auto_resume'] = False
        run_folder['path']['resume_state'] = str(states_of(run_folder) / '15.state')
        with pytest.raises((RuntimeError, AssertionError)):
            stock.load_resume_state(run_folder)


def test_resume_takes_the_newest_state_of_the_runs_own_folder(run_folder: dict[str, Any]) -> None:
    state = train.load_resume_state(run_folder)  # type: ignore[attr-defined]
    assert state['iter'] == run_folder['resume_iter'] == 15
    assert run_folder['path']['resume_state'] == str(states_of(run_folder) / '15.state')
    assert run_folder['path']['pretrain_network_g'].endswith('net_g_15.pth')


def test_resume_restores_the_seed(run_folder: dict[str, Any]) -> None:
    run_folder['rank'] = 2
    train.load_resume_state(run_folder)  # type: ignore[attr-defined]
    drawn = torch.rand(3)
    torch.manual_seed(7 + 2)
    assert run_folder['manual_seed'] == 7 and torch.equal(drawn, torch.rand(3))


@pytest.mark.parametrize(
    'damage', ['cut state', 'empty state', 'rubbish', 'other state', 'no net_g', 'cut net_d', 'empty net_g']
)
def test_resume_falls_back_to_the_last_whole_state(run_folder: dict[str, Any], damage: str) -> None:
    states, models = states_of(run_folder), Path(run_folder['path']['models'])
    {
        'cut state': lambda: cut(states / '15.state'),
        'empty state': lambda: (states / '15.state').write_bytes(b''),
        'rubbish': lambda: (states / '15.state').write_bytes(b'half a state'),
        'other state': lambda: torch.save({'params': {}}, states / '15.state'),
        'no net_g': lambda: (models / 'net_g_15.pth').unlink(),
        'cut net_d': lambda: cut(models / 'net_d_15.pth'),
        'empty net_g': lambda: (models / 'net_g_15.pth').write_bytes(b''),
    }[damage]()
    assert train.load_resume_state(run_folder)['iter'] == 10  # type: ignore[attr-defined]
    assert '15.state' in resume.FOUND.notes[0]
    assert resume.FOUND.notes[1:] == ['The run goes on with its manual_seed 7, not with 1']


def test_resume_needs_no_file_of_a_network_that_is_never_saved(run_folder: dict[str, Any]) -> None:
    for file in Path(run_folder['path']['models']).glob('net_d_*'):
        file.unlink()
    assert train.load_resume_state(run_folder)['iter'] == 15  # type: ignore[attr-defined]


def test_resume_from_nothing_and_from_rubbish(run_folder: dict[str, Any]) -> None:
    for file in states_of(run_folder).glob('*.state'):
        cut(file)
    with pytest.raises(CheckpointError, match=r'(?s)15\.state cannot be read.*5\.state cannot be read.*start afresh'):
        train.load_resume_state(run_folder)  # type: ignore[attr-defined]
    shutil.rmtree(states_of(run_folder))
    with pytest.raises(CheckpointError, match=r'has net_g_.*but no training state.*pretrain_network_g'):
        train.load_resume_state(run_folder)  # type: ignore[attr-defined]
    shutil.rmtree(run_folder['path']['models'])
    assert train.load_resume_state(run_folder) is None  # type: ignore[attr-defined]
    assert 'neither training state nor weights; it was put aside' in resume.FOUND.notes[0]
    run_folder['auto_resume'] = False
    assert train.load_resume_state(run_folder) is None and not resume.FOUND.notes  # type: ignore[attr-defined]


def test_resume_from_a_named_state_takes_that_one_or_none(run_folder: dict[str, Any]) -> None:
    run_folder['auto_resume'] = False
    assert train.load_resume_state(run_folder) is None  # type: ignore[attr-defined]
    run_folder['path']['resume_state'] = str(states_of(run_folder) / '5.state')
    assert train.load_resume_state(run_folder)['iter'] == 5  # type: ignore[attr-defined]
    run_folder['path']['resume_state'] = str(states_of(run_folder) / '6.state')
    with pytest.raises(CheckpointError, match='6.state .*does not exist'):
        train.load_resume_state(run_folder)  # type: ignore[attr-defined]


def test_resume_refuses_a_state_that_could_run_code(run_folder: dict[str, Any]) -> None:
    torch.save({'iter': 15, 'run': print}, states_of(run_folder) / '15.state')
    assert train.load_resume_state(run_folder)['iter'] == 10  # type: ignore[attr-defined]


# loaders


def test_prefetch_with_persistent_workers_is_refused() -> None:
    opt = {
        'phase': 'train',
        'batch_size_per_gpu': 1,
        'num_worker_per_gpu': 1,
        'prefetch_mode': 'cpu',
        'persistent_workers': True,
    }
    data: Any = [0, 1]
    assert build_dataloader is train.build_dataloader is sys.modules['basicsr.test'].build_dataloader  # type: ignore[attr-defined]
    with pytest.raises(OptionError, match='datasets:train: prefetch_mode: cpu and persistent_workers'):
        build_dataloader(data, opt)
    assert inspect.unwrap(build_dataloader)(data, opt).persistent_workers  # stock: builds what will hang
    assert build_dataloader(data, {**opt, 'persistent_workers': False}).num_prefetch_queue == 1
    assert build_dataloader(data, {**opt, 'prefetch_mode': None}).persistent_workers


# optimisers


def test_optimizers_of_torch_by_name() -> None:
    stock = BaseModel.get_optimizer.__wrapped__ if hasattr(BaseModel.get_optimizer, '__wrapped__') else None
    if stock is None:
        pytest.skip('mended upstream')
    params = [nn.Parameter(torch.zeros(1))]
    model = BaseModel({'num_gpu': 0, 'is_train': True})
    with pytest.raises(NotImplementedError):
        stock(model, 'NAdam', params, 1e-3)  # in no list of any release
    optimizer = model.get_optimizer('NAdam', params, 1e-3, momentum_decay=0.1)
    assert isinstance(optimizer, torch.optim.NAdam) and optimizer.param_groups[0]['momentum_decay'] == 0.1
    with pytest.raises(OptionError, match='did you mean RMSprop'):
        model.get_optimizer('RMSProp', params, 1e-3)
    with pytest.raises(OptionError, match='did you mean betas'):
        model.get_optimizer('Adam', params, 1e-3, beta=[0.9, 0.99])
    for name in ('Optimizer', 'lr_scheduler', None):
        with pytest.raises(OptionError):
            model.get_optimizer(name, params, 1e-3)


def test_a_longer_list_of_optimizers_is_still_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """BasicSR's later sources: a chain of ``if optim_type == ...`` up to Rprop, which has neither NAdam nor RAdam."""

    def listed(self: Any, optim_type: str, params: Any, lr: float, **kwargs: Any) -> Any:
        if optim_type in ('Adam', 'AdamW', 'Adamax', 'SGD', 'ASGD', 'RMSprop', 'Rprop'):
            return getattr(torch.optim, optim_type)(params, lr, **kwargs)
        raise NotImplementedError(f'optimizer {optim_type} is not supported yet.')

    def every(self: Any, optim_type: str, params: Any, lr: float, **kwargs: Any) -> Any:
        if 'betas' in kwargs:
            kwargs['betas'] = tuple(map(float, kwargs['betas']))
        return getattr(torch.optim, optim_type)(params, lr, **kwargs)

    monkeypatch.setattr(BaseModel, 'get_optimizer', listed)
    parts.repair_optimizers()
    params = [nn.Parameter(torch.zeros(1))]
    for name in ('NAdam', 'RAdam', 'RMSprop'):
        assert type(BaseModel.get_optimizer(None, name, params, 1e-3)).__name__ == name
    monkeypatch.setattr(BaseModel, 'get_optimizer', every)
    parts.repair_optimizers()
    assert BaseModel.get_optimizer is every


def test_whole_betas_are_read_as_numbers() -> None:
    params = [nn.Parameter(torch.zeros(1))]
    for name, betas in (('Adam', [0, 0.99]), ('AdamW', (0, 0.999)), ('NAdam', [0.9, 0.99])):
        group = BaseModel.get_optimizer(None, name, params, 1e-3, betas=betas).param_groups[0]
        assert group['betas'] == tuple(betas) and all(type(beta) is float for beta in group['betas'])


# VGG weights


class OneLayerVGG(nn.Module):
    """Stands in for a VGG network of half a gigabyte."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 1, 1, bias=False))


@pytest.fixture
def vgg_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weight files of VGG16 and VGG19, filled with 16s and 19s, where BasicSR looks for them."""
    folder = tmp_path / 'experiments' / 'pretrained_models'
    folder.mkdir(parents=True)
    for vgg_type, name in VGG_FILES.items():
        torch.save({'features.0.weight': torch.full((1, 3, 1, 1), float(vgg_type[3:]))}, folder / name)
    monkeypatch.chdir(tmp_path)


def first_weight(extractor: nn.Module) -> float:
    return next(extractor.parameters()).flatten()[0].item()


def test_stock_vgg16_takes_the_file_of_vgg19(vgg_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(vgg_arch.vgg, vgg.VGGBuilders):
        pytest.skip('mended upstream')
    monkeypatch.delitem(ARCH_REGISTRY._obj_map, 'VGGFeatureExtractor')
    stock = stock_copy('archs.vgg_arch')
    stock.vgg = SimpleNamespace(vgg16=lambda pretrained: OneLayerVGG())  # type: ignore[attr-defined]
    assert first_weight(stock.VGGFeatureExtractor(['conv1_1'], vgg_type='vgg16')) == 19


def test_each_vgg_type_takes_its_own_file(vgg_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    monkeypatch.setattr(models, 'get_model', lambda name, **options: OneLayerVGG())
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        for vgg_type in VGG_FILES:
            extractor = vgg_arch.VGGFeatureExtractor(['conv1_1'], vgg_type=vgg_type)
            assert first_weight(extractor) == float(vgg_type[3:])


def test_vgg_files_that_do_not_fit_and_types_that_are_none(vgg_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision import models

    monkeypatch.setattr(models, 'get_model', lambda name, **options: nn.Linear(1, 1))
    with pytest.raises(CheckpointError, match='vgg19-dcbb9e9d.pth does not hold the weights of vgg19'):
        vgg.build_vgg('vgg19', pretrained=True)
    with pytest.raises(OptionError, match='vgg20'):
        vgg.build_vgg('vgg20')


def test_a_message_names_a_test_set_by_the_key_that_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BasicSR tells a set its phase alone: what a message says after --force_yml would make another set."""
    opt = small_options(OPTIONS / 'test' / 'bicubic.yml')
    opt['datasets']['test_2'] = {'name': 'second', 'type': 'FaceDataset', 'dataroot_gt': 'builtin', 'image_size': -1}
    monkeypatch.setattr(sys, 'argv', ['x', '-opt', str(write_options(opt, tmp_path / 'x.yml'))])
    parsed, _ = sys.modules['basicsr.utils.options'].parse_options(str(tmp_path), is_train=False)
    assert parsed['datasets']['test_2']['phase'] == 'test'
    with pytest.raises(OptionError) as caught:
        build_dataset(parsed['datasets']['test_2'])
    assert caught.value.key == ('datasets', 'test_2', 'image_size')


# runs that were killed before their first state


@pytest.mark.parametrize(
    ('left', 'goes_on'),
    [
        (('net_g_2.pth',), True),  # killed in its first save
        (('net_g_best.pth',), True),  # after a validation before it
        (('net_g_4.pth',), False),  # its states were removed
        (('net_g_2.pth', 'net_g_latest.pth'), False),
    ],
)
def test_a_run_killed_before_its_first_state_starts_afresh(
    left: tuple[str, ...], goes_on: bool, run_folder: dict[str, Any]
) -> None:
    shutil.rmtree(states_of(run_folder))
    models = Path(run_folder['path']['models'])
    for path in models.iterdir():
        path.unlink()
    for name in left:
        (models / name).touch()
    run_folder['logger'] = {'save_checkpoint_freq': 2}
    if goes_on:
        assert train.load_resume_state(run_folder) is None  # type: ignore[attr-defined]
        assert 'had no training state yet; it was put aside' in resume.FOUND.notes[0]
    else:
        with pytest.raises(CheckpointError, match='but no training state to go on from'):
            train.load_resume_state(run_folder)  # type: ignore[attr-defined]
