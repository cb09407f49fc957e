"""Weights of other trainers, under their keys, prefixes and older names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.archs.rrdbnet_arch import RRDBNet
from basicsr.archs.srresnet_arch import MSRResNet
from safetensors.torch import save_file
from torch import nn

from facesr_ext import Restorer
from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.runs.checkpoints import META_KEY, load_network, read_weights

State = dict[str, torch.Tensor]
FIRST = {'conv_first': '0', 'conv_body': '1.sub.2', 'conv_up1': '3', 'conv_up2': '6', 'conv_hr': '8', 'conv_last': '10'}
LATER = {'conv_body': 'trunk_conv', 'conv_up1': 'upconv1', 'conv_up2': 'upconv2', 'conv_hr': 'HRconv'}


def _rrdb(seed: int = 0) -> RRDBNet:
    torch.manual_seed(seed)
    return RRDBNet(3, 3, num_feat=4, num_block=2, num_grow_ch=4)


def _first_names(state: State) -> State:
    """As in RRDB_ESRGAN_x4_old_arch.pth."""
    out = {}
    for key, value in state.items():
        part, _, rest = key.partition('.')
        if part == 'body':
            index, rdb, conv, kind = rest.split('.')
            out[f'model.1.sub.{index}.{rdb.upper()}.{conv}.0.{kind}'] = value
        else:
            out[f'model.{FIRST[part]}.{rest}'] = value
    return out


def _later_names(state: State) -> State:
    """As in RRDB_ESRGAN_x4.pth."""
    out = {}
    for key, value in state.items():
        part, _, rest = key.partition('.')
        name = f'RRDB_trunk.{rest}'.replace('rdb', 'RDB') if part == 'body' else f'{LATER.get(part, part)}.{rest}'
        out[name] = value
    return out


def _below(prefix: str) -> Callable[[State], State]:
    return lambda state: {f'{prefix}.{key}': value for key, value in state.items()}


@pytest.mark.parametrize(
    'write',
    [
        *(lambda s, key=key: {key: s, 'epoch': 3} for key in ('params-ema', 'net', 'model_state_dict', 'generator')),
        lambda s: {'weights_of_mine': s, 'optimizer': {'lr': 0.1}},
        lambda s: {'params': {k: v + 1 for k, v in s.items()}, 'ema': s},
        lambda s: {'generator': {'state_dict': _below('module')(s)}},
        _first_names,
        _later_names,
        lambda s: {'state_dict': _first_names(s)},
        _below('generator'),
        lambda s: {**_below('params')({k: v + 1 for k, v in s.items()}), **_below('params_ema')(s)},
        lambda s: {**_below('net_g')(s), 'net_d.weight': torch.ones(2)},
    ],
)
def test_weights_of_every_origin(write: Callable[[State], dict[str, Any]], tmp_path: Path) -> None:
    state = _rrdb(1).state_dict()
    torch.save(write(state), tmp_path / 'net.pth')
    net = _rrdb()
    load_network(net, [str(tmp_path / 'net.pth')])
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_older_names_of_msrresnet(tmp_path: Path) -> None:
    state = MSRResNet(num_feat=4, num_block=1).state_dict()
    old = {k.replace('body.', 'recon_trunk.').replace('conv_hr.', 'HRconv.'): v for k, v in state.items()}
    torch.save(old, tmp_path / 'net.pth')
    net = MSRResNet(num_feat=4, num_block=1)
    load_network(net, [str(tmp_path / 'net.pth')])
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize('metadata', [[1], 'text', 3, {'arch': 'HAT'}])
def test_safetensors_with_a_prefix_and_foreign_metadata(metadata: Any, tmp_path: Path) -> None:
    path = tmp_path / 'net.safetensors'
    save_file(_below('params_ema')(_rrdb(1).state_dict()), path, {META_KEY: json.dumps(metadata)})
    arch = {'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 2, 'num_grow_ch': 4}
    restorer = Restorer(path, arch=arch, device='cpu')
    assert restorer.scale == 4 and restorer.metadata == {}
    with pytest.raises(CheckpointError, match='does not say what network it holds'):
        Restorer(path, device='cpu')


def test_what_does_not_fit_is_told_with_the_names_of_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / 'net.pth')
    torch.save({'netA': {'a': torch.ones(1)}, 'netB': {'a': torch.ones(1)}}, path)
    with pytest.raises(CheckpointError, match='no weights under a key that is known, but netA, netB'):
        read_weights([path])
    assert read_weights([path], 'netB').state.keys() == {'a'}
    torch.save({'layers.0.weight': torch.ones(1), 'layers.1.weight': torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match=r'The file has 2 entries: layers\.0\.weight, layers\.1\.weight'):
        load_network(nn.Conv2d(3, 3, 3), [path])
    with pytest.raises(OptionError, match=r"'HAT' is unknown; install https://github.com/XPixelGroup/HAT and import"):
        Restorer(path, arch={'type': 'HAT'}, device='cpu')
