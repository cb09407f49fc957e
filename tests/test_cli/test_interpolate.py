from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.archs.srresnet_arch import MSRResNet
from basicsr.models.sr_model import SRModel

from facesr_ext.cli.main import main
from facesr_ext.inference.interpolation import interpolate
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint

ARCH = {'type': 'MSRResNet', 'num_feat': 4, 'num_block': 1}
META = {
    'version': '0',
    'arch': ARCH,
    'scale': 4,
    'input': 'small',
    'value_range': [0.0, 1.0],
    'degradation': {'preset': 'bicubic_x4'},
    'trained_on': {'name': 'faces', 'dataroot_gt': 'DIR'},
    'iteration': 5,
}


def _state(seed: int, **arch: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    net = MSRResNet(**{'num_feat': 4, 'num_block': 1, **arch})
    return dict(net.state_dict())


def _run(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['interpolate', *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """A network with averaged weights beside its own, and a second one trained otherwise."""
    paths = tmp_path / 'psnr.pth', tmp_path / 'gan.pth'
    for seed, path in enumerate(paths):
        trained_on = {'name': path.stem, 'dataroot_gt': 'DIR', 'image_size': 128}
        meta = {**META, 'iteration': seed, 'trained_on': trained_on}
        torch.save({'params': _state(seed), 'params_ema': _state(10 + seed), META_KEY: meta}, path)
    return paths


def test_the_averaged_weights_on_the_line_between(
    two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'new' / 'between.pth'
    assert _run(*two, '--alpha', 0.8, '-o', out) == 0
    assert '[params_ema]' in capsys.readouterr().out
    made, a, b = load_checkpoint(out), _state(10), _state(11)
    assert set(made) == {'params', META_KEY}
    assert all(torch.allclose(made['params'][k], 0.2 * a[k] + 0.8 * b[k], atol=1e-7) for k in a)
    assert [p.name for p in out.parent.iterdir()] == ['between.pth']


def test_the_ends_are_the_two_networks_exactly(two: tuple[Path, Path], tmp_path: Path) -> None:
    for alpha, seed in ((0, 10), (1, 11)):
        assert _run(*two, '--alpha', alpha, '-o', tmp_path / 'end.pth', '--force') == 0
        made, wanted = load_checkpoint(tmp_path / 'end.pth')['params'], _state(seed)
        assert all(torch.equal(made[key], wanted[key]) for key in wanted)


def test_the_file_says_what_it_is_and_what_it_is_made_of(two: tuple[Path, Path], tmp_path: Path) -> None:
    for out in (tmp_path / 'a.pth', tmp_path / 'a.safetensors'):
        assert _run(*two, '--alpha', 0.25, '-o', out) == 0
        meta = load_checkpoint(out)[META_KEY]
        assert meta['arch'] == ARCH and meta['scale'] == 4 and meta['degradation'] == {'preset': 'bicubic_x4'}
        assert 'iteration' not in meta and meta['trained_on'] == {'dataroot_gt': 'DIR', 'image_size': 128}
        made_of = meta['interpolation']
        assert made_of['alpha'] == 0.25 and made_of['weights'] == 'params_ema'
        assert [(p['file'], p['iteration']) for p in made_of['parents']] == [
            (two[0].as_posix(), 0),
            (two[1].as_posix(), 1),
        ]


def test_plain_weights_where_one_has_no_average(two: tuple[Path, Path], tmp_path: Path) -> None:
    """Another trainer's file, which says nothing of itself: the network's description is the other one's."""
    torch.save({'params': _state(3)}, tmp_path / 'foreign.pth')
    assert _run(two[0], tmp_path / 'foreign.pth', '--alpha', 0.5, '-o', tmp_path / 'out.pth') == 0
    made, a, b = load_checkpoint(tmp_path / 'out.pth'), _state(0), _state(3)
    assert made[META_KEY]['arch'] == ARCH and made[META_KEY]['interpolation']['weights'] == 'params'
    assert all(torch.allclose(made['params'][k], (a[k] + b[k]) / 2, atol=1e-7) for k in a)


def test_stock_basicsr_loads_it(two: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / 'out.pth'
    assert _run(*two, '-o', out) == 0
    opt = {
        'num_gpu': 0, 'is_train': False, 'dist': False, 'network_g': copy.deepcopy(ARCH),
        'path': {'pretrain_network_g': str(out), 'param_key_g': 'params_ema', 'strict_load_g': True},
    }  # fmt: skip
    loaded = SRModel(opt).net_g.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in load_checkpoint(out)['params'].items())


def test_integers_are_the_first_network_s_and_types_stay() -> None:
    a = {'w': torch.tensor([1.0, 3.0], dtype=torch.bfloat16), 'running_mean': torch.tensor(0.0), 'n': torch.tensor(5)}
    b = {'w': torch.tensor([2.0, 5.0], dtype=torch.bfloat16), 'running_mean': torch.tensor(4.0), 'n': torch.tensor(9)}
    made = interpolate(a, b, 0.5)
    assert made['w'].dtype == torch.bfloat16 and made['w'].tolist() == [1.5, 4.0]
    assert made['running_mean'] == 2.0 and made['n'] == 5


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'params': _state(0), META_KEY: {**META, 'arch': {**ARCH, 'num_block': 2}}}, 'num_block: 1 and 2'),
        ({'params': _state(0), META_KEY: {**META, 'arch': {'type': 'RRDBNet'}}}, "type: 'MSRResNet' and 'RRDBNet'"),
        ({'params': _state(0), META_KEY: {**META, 'scale': 2}}, 'scale: 4 and 2'),
        ({'params': _state(0, num_feat=8)}, r'conv_first\.weight: \(4, 3, 3, 3\) and \(8, 3, 3, 3\)'),
        ({'params': _state(0, num_block=2)}, r'body\.1\.conv1\.weight: missing and \(4, 4, 3, 3\)'),
    ],
)
def test_two_networks_that_differ(
    content: dict[str, Any], message: str, two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(content, tmp_path / 'other.pth')
    assert _run(two[0], tmp_path / 'other.pth', '-o', tmp_path / 'out.pth') == 2
    told = capsys.readouterr().err
    assert 'not of one network. The first differences:' in told
    assert re.search(message, told), told
    assert not (tmp_path / 'out.pth').exists()


def test_arguments_left_out_are_their_defaults(two: tuple[Path, Path], tmp_path: Path) -> None:
    stated = {**META, 'arch': {**ARCH, 'num_in_ch': 3, 'upscale': 4}}
    torch.save({'params': _state(0), META_KEY: stated}, tmp_path / 'stated.pth')
    assert _run(two[0], tmp_path / 'stated.pth', '-o', tmp_path / 'out.pth') == 0


def test_refused_arguments(two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for alpha in (-0.1, 1.2):
        assert _run(*two, '--alpha', alpha, '-o', tmp_path / 'out.pth') == 2
        assert f'must be from 0 (the first network) to 1 (the second), not {alpha}' in capsys.readouterr().err
    assert _run(*two, '-o', two[1]) == 2
    assert 'is read, too' in capsys.readouterr().err
    (tmp_path / 'there.pth').write_bytes(b'another')
    assert _run(*two, '-o', tmp_path / 'there.pth') == 2
    assert '--force' in capsys.readouterr().err and (tmp_path / 'there.pth').read_bytes() == b'another'
    assert _run(two[0], tmp_path / 'none.pth', '-o', tmp_path / 'out.pth') == 2
    text = capsys.readouterr().err
    assert 'there is no checkpoint' in text and 'option file' not in text
