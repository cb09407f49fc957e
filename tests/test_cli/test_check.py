"""``facesr check``: the environment, and what an option file costs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from facesr_ext.check.cost import _saved_bytes, count_macs, measure_step
from facesr_ext.cli import environment
from facesr_ext.cli.main import main
from tests.support import OPTIONS, small_options, write_options, write_vgg


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    code = caught.value.code
    written = capsys.readouterr()
    return (code if isinstance(code, int) else 0), written.out + written.err


def lines_of(text: str) -> dict[str, str]:
    return {line[2:18].strip(): line[19:] for line in text.splitlines() if line[:2] in ('  ', '- ', '! ')}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- the environment ----------------------------------------------------------------------------------------------


def test_environment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    (place / 'home').mkdir()
    file = write_vgg(place / 'home')
    monkeypatch.setenv('FACESR_HOME', str(place / 'home'))
    code, text = run(capsys, 'check')
    lines = lines_of(text)
    assert code == 0 and 'Nothing is broken' in text
    assert lines['torch'].startswith(torch.__version__) and lines['weights vgg16'] == str(file)
    assert 'https://' in lines['weights vgg19'] and str(place / 'home') in lines['weights vgg19']
    wanted = (
        'Python',
        'torchvision',
        'basicsr',
        'start-up hook',
        'facexlib',
        'OpenCV',
        'CPU',
        'disk',
        'current folder',
    )
    assert set(wanted) <= set(lines)


def test_what_is_broken_is_told_with_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> Any:
        return 'RuntimeError: operator torchvision::nms does not exist' if name == 'torchvision' else sys.modules[name]

    monkeypatch.setattr(environment, '_import', broken)
    code, text = run(capsys, 'check')
    assert code == 1 and 'have to be mended' in text
    assert '! torchvision' in text and 'pip install torch' in lines_of(text)['torchvision']


def test_a_vendored_basicsr_and_a_hidden_one_are_seen(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = place / 'basicsr'
    own.mkdir()
    (own / '__init__.py').touch()
    first, *others = environment._basicsr()
    assert first.status == 'broken' and str(own) in first.text and 'cut-down' in first.text
    for name in ('train.py', 'test.py'):
        (own / name).touch()
    first, *others = environment._basicsr()
    assert first == environment.Line('ok', 'basicsr', str(own)) and all('is hidden by' in line.text for line in others)
    assert others


def test_pairs_of_torch_and_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, '_torch_wanted', lambda: '1.0.0')
    (line,) = environment._torchvision()
    assert line.status == 'note' and 'built for torch 1.0.0' in line.text and 'pip install torch==1.0.0' in line.text


def test_hook_that_was_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'meta_path', [])
    assert environment._hook().status == 'note'


def test_a_look_that_fails_is_one_line() -> None:
    def _thing() -> Any:
        raise OSError('libcuda.so is missing\nlong story')
        yield

    (line,) = environment._careful(_thing)
    assert line == environment.Line('broken', 'thing', 'OSError: libcuda.so is missing')


# ---- an option file -----------------------------------------------------------------------------------------------


@pytest.fixture
def small(place: Path) -> Path:
    return write_options(small_options(OPTIONS / 'fsrgan.yml'), place / 'small.yml')


def test_file_and_its_step(capsys: pytest.CaptureFixture[str], small: Path, place: Path) -> None:
    code, text = run(capsys, 'check', '-opt', str(small), '--force_yml', 'challenge={max_params: 9000000}')
    assert code == 0 and '0 error(s), 0 warning(s)' in text
    for what in ('parameters of network_g', 'parameters of network_d', 'MACs of network_g', 'activations', 'images/s'):
        assert what in text
    assert 'budget' in text and 'left' in text
    assert [path.name for path in place.iterdir()] == ['small.yml']  # the run that was measured leaves nothing


def test_findings_with_status_2(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    code, text = run(capsys, 'check', '-opt', str(small), '--force_yml', 'train:ema_dacay=0.9', 'name=a')
    assert code == 2 and 'did you mean ema_decay?' in text and '1 error(s)' in text and 'images/s' not in text


def test_dry_and_test_run_no_step(capsys: pytest.CaptureFixture[str], small: Path, place: Path) -> None:
    code, text = run(capsys, 'check', '-opt', str(small), '--dry')
    assert code == 0 and 'MACs' in text and 'images/s' not in text
    opt = small_options(OPTIONS / 'test' / 'fsrgan.yml')
    opt['path']['pretrain_network_g'] = 'small.yml'  # a file that is there
    code, text = run(capsys, 'check', '-opt', str(write_options(opt, place / 't.yml')), '--test')
    assert code == 0 and 'parameters of network_g' in text and 'images/s' not in text


def test_unknown_argument(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, 'check', 'options.yml')
    assert code == 2 and '-opt FILE' in text


# ---- the figures --------------------------------------------------------------------------------------------------


def test_macs_of_a_convolution() -> None:
    with torch.device('meta'):
        net = nn.Conv2d(3, 8, 3, padding=1)
    assert count_macs(net, (16, 20)) == 16 * 20 * 8 * 3 * 9


def test_saved_bytes_of_a_chain() -> None:
    """exp keeps its result, and two layers' results wait at the same time; the weights do not count."""
    x, weight = torch.zeros(256, requires_grad=True), torch.ones(256, requires_grad=True)
    with _saved_bytes([weight, x]) as saved:
        y = (x * weight).exp().exp()
        assert saved.peak == 2 * 1024
        y.sum().backward()
        del y
        (x * weight).exp().sum().backward()
    assert saved.peak == 2 * 1024


def test_step_holds_weights_gradients_and_state(place: Path) -> None:
    opt = small_options(OPTIONS / 'fsrnet_noprior.yml')
    opt['train']['ema_decay'] = 0.9
    opt['network_g']['norm'] = 'none'
    step = measure_step(str(write_options(opt, place / 'n.yml')), [], 2)
    from basicsr.utils.registry import ARCH_REGISTRY

    settings = {k: v for k, v in opt['network_g'].items() if k != 'type'}
    num = sum(p.numel() for p in ARCH_REGISTRY.get(opt['network_g']['type'])(**settings).parameters())
    assert 5 * 4 * num <= step.weights < 5 * 4 * num + 4096  # weights, average, gradients, two moments of Adam
    assert step.batch == 2 and step.activations > 0 and step.whole == step.activations


def test_batch_shrinks_until_a_step_fits(place: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def step(model: Any, dataset: Any, batch: int, iteration: int) -> tuple[float, int]:
        seen.append(batch)
        if batch > 5:
            raise torch.OutOfMemoryError
        return 0.01, 1000 * batch

    monkeypatch.setattr('facesr_ext.check.cost._run', step)
    monkeypatch.setattr('facesr_ext.check.cost.build_model', lambda opt: SimpleNamespace(optimizers=[], device='cpu'))
    found = measure_step(str(small), ['train:micro_batch=4'], 16)
    assert seen == [1, 1, 16, 8, 4] and found.batch == 4
    assert found.whole == found.activations  # four at once, whatever the batch
