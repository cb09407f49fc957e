"""BasicSR's own commands from end to end, with nothing but BasicSR's parts in the option file."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.utils import get_root_logger
from PIL import Image

from facesr_ext.cli import run as runner
from facesr_ext.errors import OptionError
from facesr_ext.host import entry

RunPython = Callable[..., 'subprocess.CompletedProcess[str]']

# Whole images and no flips: BasicSR's data set draws these from streams that no state holds.
PAIRS = """
    name: pairs
    type: PairedImageDataset
    dataroot_gt: gt
    dataroot_lq: lq
    io_backend: {type: disk}
"""
OPTIONS = f"""
name: whole
model_type: SRModel
scale: 4
num_gpu: 0
manual_seed: 0
datasets:
  train: {PAIRS}
    gt_size: 32
    use_hflip: false
    use_rot: false
    num_worker_per_gpu: 0
    batch_size_per_gpu: 4
  val: {PAIRS}
network_g: {{type: MSRResNet, num_in_ch: 3, num_out_ch: 3, num_feat: 4, num_block: 1, upscale: 4}}
path: {{pretrain_network_g: ~, strict_load_g: true, resume_state: ~}}
train:
  optim_g: {{type: AdamW, lr: !!float 1e-3}}
  scheduler: {{type: MultiStepLR, milestones: [100], gamma: 0.5}}
  total_iter: 20
  warmup_iter: -1
  pixel_opt: {{type: L1Loss, loss_weight: 1.0, reduction: mean}}
val:
  val_freq: 100
  save_img: true
  suffix: ~
  metrics: {{psnr: {{type: calculate_psnr, crop_border: 4, test_y_channel: false}}}}
logger: {{print_freq: 5, save_checkpoint_freq: 5, use_tb_logger: false, wandb: {{project: ~, resume_id: ~}}}}
"""
TEST_OPTIONS = OPTIONS.replace('  train: \n', '  test_1:\n').replace('  val: \n', '  test_2:\n')


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """An empty place to work in: seven pairs of images and two option files."""
    for name, size in (('gt', 32), ('lq', 8)):
        (tmp_path / name).mkdir()
        for i in range(7):
            pixels = np.random.default_rng(i).integers(0, 256, (size, size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f'{i}.png')
    (tmp_path / 'train.yml').write_text(OPTIONS, encoding='utf-8')
    (tmp_path / 'test.yml').write_text(TEST_OPTIONS, encoding='utf-8')
    return tmp_path


DRAWN = """
import random, numpy, torch
from basicsr.data.paired_image_dataset import PairedImageDataset
real = PairedImageDataset.__getitem__
def noisy(self, index):
    sample = real(self, index)
    sample['lq'] = sample['lq'] + random.random() + float(numpy.random.rand()) + torch.rand(())
    return sample
PairedImageDataset.__getitem__ = noisy
import basicsr.train
basicsr.train.train_pipeline('.')
"""


def weights_at(folder: Path, iteration: int) -> dict[str, Any]:
    return dict(torch.load(folder / 'models' / f'net_g_{iteration}.pth', weights_only=True)['params'])


def test_a_set_of_basicsrs_goes_on_in_mid_epoch_with_the_same_draws(run_python: RunPython, workplace: Path) -> None:
    """Crops, flips and noise of the three global streams; the same run with any number of workers."""
    (workplace / 'drawn.py').write_text(DRAWN, encoding='utf-8')
    drawn = ['datasets:train:gt_size=16', 'datasets:train:use_hflip=true', 'datasets:train:use_rot=true', 'val=~']
    words = ['drawn.py', '-opt', 'train.yml', '--auto_resume', '--force_yml', *drawn, 'logger:save_checkpoint_freq=3']
    for workers in (0, 2):
        names = [f'name={name}{workers}' for name in ('straight', 'cut')]
        more = [f'datasets:train:num_worker_per_gpu={workers}']
        run_python([*words, *more, names[0], 'train:total_iter=6'], cwd=workplace)
        run_python([*words, *more, names[1], 'train:total_iter=3'], cwd=workplace)
        done = run_python([*words, *more, names[1], 'train:total_iter=6'], cwd=workplace)
        assert 'Resuming inside an epoch: 1 of its 2 batches' in done.stderr
    runs = [weights_at(workplace / 'experiments' / name, 6) for name in ('straight0', 'cut0', 'straight2', 'cut2')]
    for other in runs[1:]:
        assert all(torch.equal(other[key], value) for key, value in runs[0].items())


def test_train_resume_and_test_with_basicsrs_own_commands(run_python: RunPython, workplace: Path) -> None:
    """Seven images, batch four, train all 20 iterations; a run cut off in mid-epoch ends with the same weights."""
    train = ['-m', 'basicsr.train', '-opt', 'train.yml']
    done = run_python(train, cwd=workplace)
    assert f'current directory, {workplace}' in '\n'.join(done.stderr.splitlines()[:3])
    whole = workplace / 'experiments' / 'whole'
    states = sorted(int(p.stem) for p in (whole / 'training_states').iterdir())
    assert states == [5, 10, 15, 20], 'the stock loader drops every second batch and ends after 11 iterations'
    assert 'RuntimeWarning' not in done.stderr and 'Traceback' not in done.stderr

    cut = workplace / 'experiments' / 'cut'
    shutil.copytree(whole, cut)
    for iteration in (15, 20):
        (cut / 'training_states' / f'{iteration}.state').unlink()
    (cut / 'training_states' / '10.state').write_bytes(b'half a state')
    options = ['--auto_resume', '--local-rank=0', '--force_yml', 'name=cut', 'train:total_iter=23']
    done = run_python([*train, *options], cwd=workplace)
    assert 'Resuming training from epoch: 2, iter: 5' in done.stderr
    assert 'Passed over while resuming' in done.stderr and '10.state' in done.stderr
    assert 'Resuming inside an epoch: 1 of its 2 batches' in done.stderr
    for iteration in (10, 20):
        ours, theirs = weights_at(cut, iteration), weights_at(whole, iteration)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)

    run_python(['-m', 'basicsr.test', '-opt', 'test.yml'], cwd=workplace)
    assert len(list((workplace / 'results' / 'whole' / 'visualization' / 'pairs').glob('*.png'))) == 7
    assert not (Path(str(sys.modules['basicsr'].__file__)).parents[1] / 'experiments').exists()


def test_command_shows_a_users_error_without_a_traceback(run_python: RunPython, workplace: Path) -> None:
    option = 'train:optim_g:type=RMSProp'
    done = run_python(
        ['-m', 'facesr_ext', 'train', '-opt', 'train.yml', '--force_yml', option],
        cwd=workplace,
        env={'FACESR_EXT_AUTOLOAD': '0'},
        check=False,
    )
    assert done.returncode == 2
    assert 'did you mean RMSprop' in done.stderr and 'Traceback' not in done.stderr


def test_runs_land_under_the_current_directory_beside_a_clone_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def pipeline(root: str) -> None:
        sys.modules['basicsr.test'].get_root_logger()  # type: ignore[attr-defined]
        seen.append(root)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.modules['basicsr.test'], '__file__', str(tmp_path / 'clone' / 'basicsr' / 'test.py'))
    monkeypatch.setattr(sys.modules['basicsr.test'], 'test_pipeline', pipeline)
    get_root_logger()  # opened for the first time it stops propagating
    monkeypatch.setattr(logging.getLogger('basicsr'), 'propagate', True)
    caplog.set_level(logging.INFO)
    runner.run_pipeline('test', [])
    assert seen == [str(tmp_path)] and f'current directory, {tmp_path}' in caplog.messages[0]


def test_arguments_reach_basicsr_and_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(sys, 'argv', ['program', 'own'])
    monkeypatch.setattr(runner, '_check_options', lambda kind, argv: [])
    monkeypatch.setattr(sys.modules['basicsr.test'], 'test_pipeline', lambda root: seen.append(list(sys.argv)))
    runner.run('test', ['-opt', 'x.yml', '--local-rank=1', '--local-rank', '2', '--force_yml', 'a=--local-rank'])
    expected = ['-opt', 'x.yml', '--local_rank=1', '--local_rank', '2', '--force_yml', 'a=--local-rank']
    assert seen == [['program', *expected]]
    runner.run('test')
    assert seen[1] == sys.argv == ['program', 'own']


def test_users_error_ends_a_process_with_status_2(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(root: str) -> None:
        raise OptionError('x.yml: scale is missing')

    monkeypatch.setattr(sys.modules['basicsr.test'], 'test_pipeline', fail)
    get_root_logger()  # opened for the first time it stops propagating
    monkeypatch.setattr(logging.getLogger('basicsr'), 'propagate', True)
    with pytest.raises(OptionError):
        runner.run_pipeline('test', [])
    with pytest.raises(SystemExit) as caught:
        runner.run('test', [])
    assert caught.value.code == 2
    assert 'scale is missing' in caplog.text


def test_runpy_is_given_the_runner_and_workers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(runner, 'run', seen.append)
    for kind in ('train', 'test'):
        spec = sys.modules[f'basicsr.{kind}'].__spec__
        assert spec is not None and isinstance(spec.loader, entry.RunnerLoader)
        code = spec.loader.get_code(f'basicsr.{kind}')
        exec(code, {'__name__': '__mp_main__'})
        exec(code, {'__name__': '__main__'})
        assert spec.loader.get_source(f'basicsr.{kind}').startswith('import')
    assert seen == ['train', 'test']


@pytest.mark.parametrize('changed', ['', 'own_option = 1\n'], ids=['as it is', 'changed'])
def test_a_runner_that_is_a_file_trains_as_the_module_does(
    run_python: RunPython, workplace: Path, changed: str
) -> None:
    """``python basicsr/train.py``, as BasicSR documents it, and a train.py that another package has made of it."""
    for kind in ('train', 'test'):
        stock = Path(str(sys.modules[f'basicsr.{kind}'].__file__)).read_text(encoding='utf-8')
        program = workplace / 'clone' / 'basicsr' / f'{kind}.py'
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(stock.replace("if __name__ == '__main__'", f"{changed}if __name__ == '__main__'"))
    root = workplace / 'clone' if changed else workplace
    words = ['clone/basicsr/train.py', '-opt', 'train.yml']
    run_python(words, cwd=workplace)
    whole = root / 'experiments' / 'whole'
    assert sorted(int(p.stem) for p in (whole / 'training_states').iterdir()) == [5, 10, 15, 20]
    for iteration in (15, 20):
        (whole / 'training_states' / f'{iteration}.state').unlink()
    expected = weights_at(whole, 20)
    done = run_python([*words, '--auto_resume', '--force_yml', 'train:optim_g:lr=1e-3'], cwd=workplace)
    assert 'Resuming training from epoch: 5, iter: 10' in done.stderr
    assert all(torch.equal(value, expected[key]) for key, value in weights_at(whole, 20).items())
    done = run_python([*words, '--force_yml', 'network_g={type: SRCNN, num_fet: 4}'], cwd=workplace, check=False)
    assert done.returncode == 2 and 'did you mean num_feat' in done.stderr and 'Traceback' not in done.stderr
    if not changed:
        run_python(['clone/basicsr/test.py', '-opt', 'test.yml'], cwd=workplace)
        assert (workplace / 'results' / 'whole').is_dir() and not (workplace / 'clone' / 'results').exists()
