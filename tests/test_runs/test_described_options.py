"""A test file that leaves network, scale, degradation, size and name to the checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from facesr_ext.check.examine import check_file
from facesr_ext.cli.run import run_pipeline
from facesr_ext.errors import key_text
from facesr_ext.host.source import OptionFile
from facesr_ext.runs.checkpoints import load_checkpoint
from tests.support import OPTIONS, small_options, write_options

TEST = str(OPTIONS / 'test.yml')


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A finished training; the current directory is the one that it ran in."""
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / 'fsrnet_noprior.yml')
    run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'train.yml'))])
    return str(opt['name'])


def test_checkpoint_fills_in_what_the_file_leaves_out(run: str) -> None:
    options = OptionFile.read(TEST, [f'path:pretrain_network_g=experiments/{run}']).options
    trained = yaml.safe_load(Path('train.yml').read_text(encoding='utf-8'))
    for key in ('name', 'scale', 'network_g', 'degradation'):
        assert options[key] == trained[key]
    assert options['datasets']['test_1']['image_size'] == 64
    assert options['path']['pretrain_network_g'] == str(Path('experiments', run, 'models', 'net_g_latest.pth'))


def test_what_the_file_says_counts(run: str) -> None:
    forced = [f'path:pretrain_network_g=experiments/{run}/models/net_g_2.pth', 'name=mine', 'scale=4']
    forced += ['datasets:test_1:image_size=~', 'degradation={preset: bicubic_x4}']
    options = OptionFile.read(TEST, forced).options
    assert options['path']['pretrain_network_g'].endswith('net_g_2.pth')
    assert (options['name'], options['scale'], options['degradation']) == ('mine', 4, {'preset': 'bicubic_x4'})
    assert options['datasets']['test_1']['image_size'] is None


def test_a_run_without_checkpoints(run: str, tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    (found,) = check_file(TEST, 'test', ['path:pretrain_network_g=empty'])
    assert key_text(found.key) == 'path:pretrain_network_g' and 'holds no checkpoint of a run' in found.message


def test_a_checkpoint_that_does_not_say_what_it_holds(run: str, tmp_path: Path) -> None:
    content = load_checkpoint(Path('experiments', run, 'models', 'net_g_latest.pth'))
    torch.save({'params': content['params']}, tmp_path / 'stock.pth')  # as BasicSR writes it
    (found,) = check_file(TEST, 'test', ['path:pretrain_network_g=stock.pth'])
    assert key_text(found.key) == 'network_g' and 'copy the section' in found.message


def test_runs(run: str) -> None:
    forced = [f'path:pretrain_network_g=experiments/{run}', 'num_gpu=0', 'datasets:test_1:num_faces=2']
    run_pipeline('test', ['-opt', TEST, '--force_yml', *forced])
    lines = Path('results', run, 'visualization', 'faces.csv').read_text(encoding='utf-8').splitlines()
    assert len(lines) == 4 and lines[3].startswith('mean,') and lines[0].startswith('name,psnr_y,psnr_y_bicubic')
