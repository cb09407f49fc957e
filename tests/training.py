"""What tests of trainings share: a model as BasicSR's runner builds it, and a run that is killed and resumed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.models import build_model

from facesr_ext.host.entry import read_options
from facesr_ext.runs.checkpoints import load_checkpoint
from tests.support import child_environment, write_options


def parse(opt: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Options as BasicSR's runner hands them to a model; its folders are there."""
    parsed = read_options(str(write_options(opt, folder / 'opt.yml')), (), folder)
    for key in ('models', 'training_states', 'visualization'):
        Path(parsed['path'][key]).mkdir(parents=True, exist_ok=True)
    return parsed


def parsed_model(opt: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The model of these options, its weights those of seed 0."""
    parsed = parse(opt, folder, monkeypatch)
    torch.manual_seed(0)
    return build_model(parsed)


def run(words: list[str], cwd: Path, status: int = 0) -> str:
    """Runs a command on CPUs; returns what it wrote."""
    done = subprocess.run(words, cwd=cwd, env=child_environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def weights(cwd: Path, opt: dict[str, Any], label: str = 'net_g_latest') -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint."""
    content = load_checkpoint(cwd / 'experiments' / opt['name'] / 'models' / f'{label}.pth')
    return {f'{key}.{n}': t for key in ('params', 'params_ema') for n, t in content.get(key, {}).items()}


def assert_same_after_kill(opt: dict[str, Any], folder: Path, first_state: int, labels: tuple[str, ...]) -> None:
    """Trains twice, in unbroken/ and in broken/; asserts that these checkpoints are equal bit for bit.

    Args:
        opt (dict): The options of the training.
        folder (Path): An empty folder.
        first_state (int): The second run is killed (kill -9) as soon as the state of this iteration is there, and
            resumed.
        labels (tuple): ``net_g_latest``, ``net_d_latest``, ...
    """
    words = [sys.executable, '-m', 'basicsr.train', '-opt', str(write_options(opt, folder / 'opt.yml'))]
    for place in ('unbroken', 'broken'):
        (folder / place).mkdir()
    run(words, folder / 'unbroken')
    experiment = folder / 'broken' / 'experiments' / opt['name']
    state = experiment / 'training_states' / f'{first_state}.state'
    quiet: dict[str, Any] = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL, 'env': child_environment()}
    with subprocess.Popen(words, cwd=folder / 'broken', **quiet) as process:
        while process.poll() is None and not state.exists():
            time.sleep(0.02)
        process.kill()
    assert not (experiment / 'models' / 'net_g_latest.pth').exists(), 'it ended before it could be killed'
    assert 'Resuming training from epoch' in run([*words, '--auto_resume'], folder / 'broken')
    for label in labels:
        unbroken, broken = (weights(folder / place, opt, label) for place in ('unbroken', 'broken'))
        assert unbroken.keys() == broken.keys()
        assert all(torch.equal(unbroken[key], broken[key]) for key in unbroken), label
