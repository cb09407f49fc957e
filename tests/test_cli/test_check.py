"""``facesr check``: findings about an option file, and what it costs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from facesr_ext.check.cost import Step, _saved_bytes, count_macs, measure_step
from facesr_ext.cli.main import main
from tests.support import OPTIONS, small_options, write_options


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    code = caught.value.code
    written = capsys.readouterr()
    return (code if isinstance(code, int) else 0), written.out + written.err


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---- an option file -----------------------------------------------------------------------------------------------


@pytest.fixture
def small(place: Path) -> Path:
    return write_options(small_options(OPTIONS / 'fsrgan.yml'), place / 'small.yml')


def test_file_and_its_step(capsys: pytest.CaptureFixture[str], small: Path, place: Path) -> None:
    code, text = run(capsys, 'check', '-opt', str(small), '--force_yml', 'challenge={max_params: 9000000}')
    assert code == 0 and '0 error(s), 0 warning(s)' in text
    for what in ('parameters of network_g', 'parameters of network_d', 'MACs of network_g', 'activations', 'images/s'):
        assert what in text
    assert 'budget' in text and 'left' in text and 'whole training' in text and 'are long' not in text
    assert [path.name for path in place.iterdir()] == ['small.yml']  # the run that was measured leaves nothing


def test_long_trainings_are_warned_of(
    capsys: pytest.CaptureFixture[str], small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seconds for two images, batches of two: a hundred thousand iterations are 55 hours."""
    step = Step(2, 2.0, 0, 0, 0, 'cpu')
    monkeypatch.setattr('facesr_ext.check.cost.measure_step', lambda *args: step)
    forced = ['--force_yml', 'train:scheduler:periods=[{0}]', 'train:total_iter={0}']
    for total, told in ((1000, 'about 33 min for 1,000 iterations'), (100_000, 'about 2 days for 100,000 iterations')):
        code, text = run(capsys, 'check', str(small), *(word.format(total) for word in forced))
        assert code == 0 and told in text
    assert '2 days are long: a GPU is many times faster' in text


def test_findings_with_status_2(capsys: pytest.CaptureFixture[str], small: Path) -> None:
    code, text = run(capsys, 'check', '-opt', str(small), '--force_yml', 'train:ema_dacay=0.9', 'name=a')
    assert code == 2 and 'did you mean ema_decay?' in text and '1 error(s)' in text and 'images/s' not in text


def test_dry_and_test_run_no_step(capsys: pytest.CaptureFixture[str], small: Path, place: Path) -> None:
    code, text = run(capsys, 'check', '-opt', str(small), '--dry')
    assert code == 0 and 'MACs' in text and 'images/s' not in text
    opt = small_options(OPTIONS / 'test' / 'esrgan_pretrained.yml')
    opt['path']['pretrain_network_g'] = 'small.yml'  # a file that is there
    code, text = run(capsys, 'check', '-opt', str(write_options(opt, place / 't.yml')), '--test')
    assert code == 0 and 'parameters of network_g' in text and 'images/s' not in text


@pytest.mark.parametrize(
    'words',
    [
        'small.yml --force_yml train:ema_dacay=0.9 name=a --dry',
        '--force_yml train:ema_dacay=0.9 name=a --dry small.yml',
        '-opt small.yml --force_yml name=a train:ema_dacay=0.9 --launcher none --auto_resume --debug --local_rank 0',
    ],
)
def test_one_file_in_either_spelling(words: str, capsys: pytest.CaptureFixture[str], small: Path) -> None:
    code, text = run(capsys, 'check', *words.split())
    assert code == 2 and 'did you mean ema_decay?' in text and 'small.yml: 1 error(s), 0 warning(s)' in text


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('', 'name an option file: facesr check FILE; facesr env looks at the machine'),
        ('a.yml b.yml', '2 files, 2 with errors'),
        ('-opt a.yml b.yml', '2 files, 2 with errors'),
        ('a.yml --forceyml x=1', 'No such option'),
    ],
)
def test_unfit_arguments(words: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = run(capsys, 'check', *words.split())
    assert code == 2 and message in text


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
