"""Several processes: the weights of one process at the same global batch, exact resuming, steps skipped together."""

from __future__ import annotations

import copy
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from facesr_ext.errors import OptionError
from facesr_ext.losses.adversarial_loss import GradientPenaltyLoss
from facesr_ext.models import device as device_module
from facesr_ext.models.device import choose_device, sharing, wrap_distributed
from tests.support import OPTIONS, child_environment, small_options, with_landmarks, write_options
from tests.training import run, weights

TORCHRUN = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2']
LAUNCHED = ('--launcher', 'pytorch')


def command(cwd: Path, opt: dict[str, Any], *more: str, entry: tuple[str, ...] = ('basicsr.train',)) -> list[str]:
    """A training of two processes."""
    cwd.mkdir(exist_ok=True)
    file = write_options(opt, cwd / 'opt.yml')
    return [*TORCHRUN, '-m', *entry, '-opt', str(file), *LAUNCHED, *more]


def options(recipe: str, batch: int, **train: Any) -> dict[str, Any]:
    """A shrunken recipe without BatchNorm, whose epochs of ten faces are three iterations long."""
    opt = small_options(OPTIONS / f'{recipe}.yml')
    opt['network_g']['norm'] = 'none'
    if recipe == 'quickstart':
        with_landmarks(opt)
    if 'network_d' in opt:
        opt['network_d'] = {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4}
    opt['train'].update(total_iter=8, **train)
    opt['train']['scheduler'].update(periods=[8])
    opt['datasets']['train'].update(num_faces=10, batch_size_per_gpu=batch)
    opt['logger']['save_checkpoint_freq'] = opt['val']['val_freq'] = 4
    return opt


@pytest.mark.slow
@pytest.mark.parametrize(('recipe', 'micro'), [('quickstart', 1), ('fsrgan', None)])
def test_two_processes_train_as_one_at_the_same_global_batch(recipe: str, micro: int | None, tmp_path: Path) -> None:
    average = {'ema_decay': 0} if micro else {}  # without one, validation runs the network that is trained
    one, two = options(recipe, 4, **average), options(recipe, 2, micro_batch=micro, **average)
    (tmp_path / 'one').mkdir()
    file = write_options(one, tmp_path / 'one' / 'opt.yml')
    run([sys.executable, '-m', 'basicsr.train', '-opt', str(file)], tmp_path / 'one')
    entry = ('basicsr.train',) if micro else ('facesr_ext', '--local-rank=0', 'train')  # as torch.distributed.launch
    said = run(command(tmp_path / 'two', two, entry=entry), tmp_path / 'two')
    assert said.count('Validation val') == 2, 'the first process alone validates, once each time'
    for label in ('net_g_latest', 'net_d_latest') if 'network_d' in one else ('net_g_latest',):
        alone, shared = (weights(tmp_path / name, opt, label) for name, opt in (('one', one), ('two', two)))
        assert alone.keys() == shared.keys()
        assert max(float((alone[key] - shared[key]).abs().max()) for key in alone) < 1e-6


@pytest.mark.slow
def test_two_processes_killed_and_resumed_give_the_same_weights(tmp_path: Path) -> None:
    """With BatchNorm in both networks: the first process's statistics are what is saved and what counts."""
    opt = small_options(OPTIONS / 'fsrgan.yml')
    opt['train'].update(total_iter=30)
    opt['train']['scheduler'].update(periods=[30])
    opt['datasets']['train'].update(num_faces=10, batch_size_per_gpu=2)
    opt['logger']['save_checkpoint_freq'], opt['val']['val_freq'] = 4, 15
    for place in ('unbroken', 'broken'):
        cwd = tmp_path / place
        words = command(cwd, opt)
        if place == 'unbroken':
            run(words, cwd)
            continue
        state = cwd / 'experiments' / opt['name'] / 'training_states' / '4.state'
        process = subprocess.Popen(
            words, cwd=cwd, env=child_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with process:
            while process.poll() is None and not state.exists():
                time.sleep(0.01)
            process.terminate()  # torchrun hands it on to its processes
        assert not state.with_name('28.state').exists(), 'it ended before it could be stopped'
        assert 'Resuming training from epoch' in run([*words, '--auto_resume'], cwd)
    for label in ('net_g_latest', 'net_d_latest'):
        unbroken, broken = (weights(tmp_path / place, opt, label) for place in ('unbroken', 'broken'))
        assert all(torch.equal(unbroken[key], broken[key]) for key in unbroken)


TOGETHER = """
import sys
import torch
from torch import distributed
import basicsr
from basicsr.models import build_model
from facesr_ext.cli.run import _leave_group
from facesr_ext.host.entry import read_options
from tests.test_models.test_training import _batch, _step, _weights

opt = read_options(sys.argv[1], launcher='pytorch')
opt['path']['visualization'] = opt['path']['models'] = opt['path']['training_states'] = '.'
model = build_model(opt)
rank = opt['rank']
_step(model, 1, _batch(seed=rank))
good, bad = _weights(model.net_g), _batch(seed=rank)
if rank == 1:
    bad['gt'][0, 0, 0, 0] = float('nan')
_step(model, 2, bad)
assert all(torch.equal(good[key], value) for key, value in model.net_g.state_dict().items())
assert model.steps['g'].guard.bad == 1
model.get_current_log()
_step(model, 3, _batch(seed=rank))
assert model.steps['g'].guard.bad == 0
for value in model.net_g.parameters():
    others = [torch.empty_like(value) for _ in range(2)]
    distributed.all_gather(others, value.detach())
    assert torch.equal(*others)
del model, others, value
_leave_group()
print('together', flush=True)
"""


@pytest.mark.slow
def test_a_step_that_is_not_finite_in_one_process_is_skipped_by_all(tmp_path: Path) -> None:
    (tmp_path / 'script.py').write_text(TOGETHER, encoding='utf-8')
    file = write_options(small_options(OPTIONS / 'fsrnet.yml'), tmp_path / 'opt.yml')
    root = str(Path(__file__).resolve().parents[2])
    words = [*TORCHRUN, str(tmp_path / 'script.py'), str(file)]
    done = subprocess.run(
        words, cwd=tmp_path, env=child_environment(PYTHONPATH=root), capture_output=True, text=True, timeout=300
    )
    assert done.stdout.count('together') == 2, done.stdout + done.stderr


# ---- one process ---------------------------------------------------------------------------------------------------


def test_device_is_chosen_by_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device({'num_gpu': 0}) == torch.device('cpu')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    assert choose_device({'num_gpu': 1, 'dist': False}) == torch.device('mps')
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    with pytest.raises(OptionError, match='num_gpu: is 1, but torch .* finds no GPU.* num_gpu: 0 or auto'):
        choose_device({'num_gpu': 1, 'dist': False})
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 4)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: 0)
    monkeypatch.setenv('LOCAL_RANK', '3')
    assert choose_device({'num_gpu': 4, 'dist': True}) == torch.device('cuda', 3)
    assert choose_device({'num_gpu': 1, 'dist': False}) == torch.device('cuda', 0)
    monkeypatch.setattr(device_module.distributed, 'is_initialized', lambda: True)
    monkeypatch.setattr(device_module.distributed, 'get_backend', lambda: 'nccl')
    with pytest.raises(OptionError, match='hide the GPUs: CUDA_VISIBLE_DEVICES='):
        choose_device({'num_gpu': 0, 'dist': True})


@pytest.fixture
def group_of_one(tmp_path: Path) -> Any:
    """A process group of this process alone."""
    store = torch.distributed.FileStore(str(tmp_path / 'store'), 1)
    torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_gradients_are_sent_with_the_last_micro_batch_only(group_of_one: None) -> None:
    sent = []

    def hook(state: None, bucket: Any) -> torch.futures.Future[torch.Tensor]:
        sent.append(1)
        done: torch.futures.Future[torch.Tensor] = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    # torch looks at the annotations themselves, which here are text.
    hook.__annotations__ = {'bucket': torch.distributed.GradBucket, 'return': torch.futures.Future[torch.Tensor]}
    net: Any = wrap_distributed(nn.Linear(2, 1), torch.device('cpu'), False)
    net.register_comm_hook(None, hook)
    for number in (1, 2, 3):
        with sharing(net, last=number == 3):
            net(torch.ones(4, 2)).sum().backward()
    assert len(sent) == 1 and torch.equal(net.module.weight.grad, torch.full((1, 2), 12.0))


def test_a_penalty_on_the_bare_critic_is_shared_too(group_of_one: None) -> None:
    """What is sent is the whole gradient: where the processes' average is twice it, so is what each one gets."""

    def doubled(state: None, bucket: Any) -> torch.futures.Future[torch.Tensor]:
        done: torch.futures.Future[torch.Tensor] = torch.futures.Future()
        done.set_result(2 * bucket.buffer())
        return done

    doubled.__annotations__ = {'bucket': torch.distributed.GradBucket, 'return': torch.futures.Future[torch.Tensor]}
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(144, 1))
    net: Any = wrap_distributed(copy.deepcopy(plain), torch.device('cpu'), False)
    net.register_comm_hook(None, doubled)
    real, fake, mix, penalty = (
        torch.rand(2, 3, 8, 8),
        torch.rand(2, 3, 8, 8),
        torch.rand(2, 1, 1, 1),
        GradientPenaltyLoss(),
    )
    for judge, bare in ((plain, plain), (net, net.module)):
        (judge(fake).mean() - judge(real).mean() + penalty(bare, real, fake, mix)).backward()
    assert all(
        torch.equal(2 * a.grad, b.grad) for a, b in zip(plain.parameters(), net.module.parameters(), strict=True)
    )


def test_a_network_without_weights_stays_as_it_is(group_of_one: None) -> None:
    net = nn.PixelShuffle(2)
    assert wrap_distributed(net, torch.device('cpu'), False) is net


def test_buffers_are_not_sent_between_two_passes(group_of_one: None) -> None:
    """Some versions of torch refuse the backward pass where BatchNorm's buffers are written to in between."""
    net: Any = wrap_distributed(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), torch.device('cpu'), False)
    before = net.module[1].running_mean._version
    (net(torch.rand(2, 3, 4, 4)) - net(torch.rand(2, 3, 4, 4))).square().sum().backward()
    assert not net.will_sync_module_buffers() and net.module[1].running_mean._version - before <= 2
