"""Checkpoints of any origin: keys, prefixes, safetensors, partial loads."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from facesr_ext.errors import CheckpointError
from facesr_ext.runs.checkpoints import (
    META_KEY,
    canonical_names,
    described_network,
    load_checkpoint,
    load_weights,
    save_safetensors,
    select_params,
)


def _net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(OrderedDict(first=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), last=nn.Conv2d(4, 3, 3)))


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """BasicSR's logger does not propagate, so its records are caught at its own door."""
    logger = logging.getLogger('basicsr')
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def _prefixed(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    'wrap',
    [
        lambda s: s,
        lambda s: {'params': s},
        lambda s: {'params': {'other': torch.ones(1)}, 'params_ema': s},
        lambda s: {'state_dict': s, 'epoch': 3, 'optimizer': {'lr': 0.1}},
        lambda s: {'model': s},
        lambda s: {'model': {'state_dict': _prefixed(s, 'module.')}},
        lambda s: _prefixed(s, 'module.'),
        lambda s: {'params': _prefixed(s, '_orig_mod.')},
        lambda s: {'params': _prefixed(s, '_orig_mod.module.')},
        lambda s: {'params': _prefixed(s, 'module._orig_mod.')},
        lambda s: {'n_averaged': torch.tensor(5), **_prefixed(s, 'module.')},
        lambda s: {key.replace('first.', 'first._orig_mod.'): value for key, value in s.items()},
    ],
)
def test_weights_of_any_trainer_are_found(wrap: Any, tmp_path: Path) -> None:
    state = dict(_net().state_dict())
    torch.save(wrap(state), tmp_path / 'net.pth')
    found, _ = select_params(load_checkpoint(tmp_path / 'net.pth'), None, 'net.pth')
    assert _same(found, state)


def test_compiled_networks_give_the_same_names() -> None:
    net = _net()
    wrapped = torch.optim.swa_utils.AveragedModel(torch.compile(net, backend='eager'))
    assert _same(canonical_names(wrapped.state_dict()), dict(net.state_dict()))


def test_a_part_called_module_keeps_its_name() -> None:
    state = {'module.weight': torch.ones(1), 'head.weight': torch.ones(1)}
    assert canonical_names(state).keys() == state.keys()
    assert select_params({'model.0.weight': torch.ones(1)}, None, 'x')[0].keys() == {'model.0.weight'}


def test_a_key_that_is_not_there_is_named() -> None:
    with pytest.raises(CheckpointError, match=r"has no 'params_ema'; it has state_dict\. Set path: param_key_g"):
        select_params({'state_dict': {}}, 'params_ema', 'x.pth')
    assert select_params({'params': {'a': torch.ones(1)}}, 'params_ema', 'x')[1] == 'params'  # as BasicSR does


def test_safetensors_hold_weights_and_metadata(tmp_path: Path) -> None:
    net = _net().to(memory_format=torch.channels_last)
    net.last.bias = nn.Parameter(net.get_parameter('norm.bias')[:3])  # a view: safetensors alone would refuse it
    path = tmp_path / 'net.safetensors'
    save_safetensors(net.state_dict(), path, {'arch': {'type': 'Net'}, 'scale': 8})
    content = load_checkpoint(path)
    assert content[META_KEY] == {'arch': {'type': 'Net'}, 'scale': 8}
    state, used = select_params(content, None, str(path))
    assert used == 'params' and _same(state, dict(net.state_dict()))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match='cannot read'):
        load_checkpoint(path)
    with pytest.raises(CheckpointError, match='there is no checkpoint'):
        load_checkpoint(tmp_path / 'none.safetensors')
    assert [p.name for p in tmp_path.iterdir()] == ['net.safetensors']


def test_safetensors_of_others_need_no_metadata(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({'a': torch.ones(2)}, tmp_path / 'a.safetensors')
    assert load_checkpoint(tmp_path / 'a.safetensors')[META_KEY] == {}


def test_partial_load_only_when_asked_and_told(told: pytest.LogCaptureFixture) -> None:
    net, state = _net(), dict(_net().state_dict())
    old = net.last.weight.clone()
    state['first.weight'] = torch.full_like(state['first.weight'], 7)
    state['last.weight'] = torch.ones(5, 4, 3, 3)
    state.update({f'more.{i:02d}': torch.ones(1) for i in range(20)})
    with pytest.raises(
        CheckpointError, match=r'(?s)1 of 9 entries.*20 too many.*more\.08.*strict_load_g: false'
    ) as err:
        load_weights(net, state, 'other.pth', True)
    assert 'more.09' not in str(err.value)  # ten differences
    load_weights(net, state, 'other.pth', False)
    assert (net.first.weight == 7).all() and torch.equal(net.get_parameter('last.weight'), old)
    text = told.records[-1].getMessage()
    values = sum(v.numel() for v in net.state_dict().values())
    assert f'{100 * (values - old.numel()) / values:.1f} % of the values of Sequential come from other.pth' in text
    assert 'last.weight: net (3, 4, 3, 3), file (5, 4, 3, 3)' in text and len(text.splitlines()) == 11
    with pytest.raises(CheckpointError, match='does not fit'):
        load_weights(net, {'else': torch.ones(1)}, 'x', False)
    load_weights(net, _net().state_dict(), 'x', False)
    assert len(told.records) == 1


def test_what_would_fit_is_told() -> None:
    """A warm start from another network: which one the file is of, as a section to be copied."""
    described = described_network({'arch': {'type': 'SRResNet', 'scale': 4, 'num_block': 16}})
    assert described == '{type: SRResNet, scale: 4, num_block: 16}'
    state = {'first.weight': torch.ones(8, 3, 3, 3)}
    with pytest.raises(CheckpointError, match=r'The file is of this network: \{type: SRResNet, .*num_block: 16\}'):
        load_weights(_net(), state, 'psnr.pth', True, described)
    assert described_network({}) is None
    with pytest.raises(CheckpointError, match='9 of 9 entries missing') as err:
        load_weights(_net(), state, 'foreign.pth', True)
    assert 'this network' not in str(err.value)


def test_missing_weights_that_others_have_published_are_named(tmp_path: Path) -> None:
    name = 'ESRGAN_SRx4_DF2KOST_official-ff704c30.pth'
    with pytest.raises(
        CheckpointError, match=f'get it from https://github.com/xinntao/.*{name} and save it as .*{name}'
    ):
        load_checkpoint(tmp_path / name)
