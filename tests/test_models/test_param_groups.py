"""Learning rates of parts of a network."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from facesr_ext.archs.srcnn_arch import SRCNN
from facesr_ext.errors import OptionError
from facesr_ext.models.param_groups import build_optimizer, parameter_groups
from facesr_ext.models.resuming import load_moments


def test_parts_have_rates_of_their_own_and_nothing_is_left_out() -> None:
    net = SRCNN(num_feat=4)
    net.map.weight.requires_grad_(False)
    groups = parameter_groups(net, 1e-2, {'reconstruct': 0.1, 'extract.bias': 0})
    assert [(len(group['params']), group['lr']) for group in groups] == [(2, 1e-2), (2, pytest.approx(1e-3)), (1, 0)]
    assert groups[1]['params'][0] is net.reconstruct.weight
    before = {name: p.clone() for name, p in net.named_parameters()}
    optimizer = torch.optim.SGD(groups, lr=1e-2)
    net(torch.rand(1, 3, 8, 8)).mean().backward()
    optimizer.step()
    moved = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {'extract.weight', 'map.bias', 'reconstruct.weight', 'reconstruct.bias'}


def test_without_parts_one_group_and_none_without_parameters() -> None:
    net = SRCNN(num_feat=4)
    (group,) = parameter_groups(net, 1e-2, None)
    assert group['params'] == list(net.parameters())
    assert parameter_groups(torch.nn.Identity(), 1e-2, None) == []


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(OptionError, match="SRCNN has no part 'recon' to train; its parts are extract, map") as err:
        parameter_groups(SRCNN(num_feat=4), 1e-2, {'recon': 0.1})
    assert err.value.key == ('lr_scales', 'recon')


def _build(net: SRCNN, **section: Any) -> torch.optim.Optimizer:
    def build(name: str, groups: Any, **arguments: Any) -> torch.optim.Optimizer:
        optimizer: torch.optim.Optimizer = getattr(torch.optim, name)(groups, **arguments)
        return optimizer

    return build_optimizer(net, {'type': 'Adam', 'lr': 1e-2, **section}, ('train', 'optim_g'), build)


def _steps(net: SRCNN, optimizer: torch.optim.Optimizer, seeds: range) -> dict[str, torch.Tensor]:
    for seed in seeds:
        img = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
        optimizer.zero_grad()
        (net(img) - img).square().mean().backward()
        optimizer.step()
    return {name: value.clone() for name, value in net.state_dict().items()}


def _net(layout: torch.memory_format = torch.contiguous_format) -> SRCNN:
    torch.manual_seed(0)
    return SRCNN(num_feat=4).to(memory_format=layout)  # type: ignore[call-overload, no-any-return]


def test_a_step_is_fused_unless_the_file_says_how_and_computes_the_same() -> None:
    fused, plain = _net(), _net()
    optimizers = _build(fused, lr_scales={'extract': 0.1}), _build(plain, fused=False, lr_scales={'extract': 0.1})
    assert [optimizer.param_groups[0]['fused'] for optimizer in optimizers] == [True, False]
    made, wanted = _steps(fused, optimizers[0], range(5)), _steps(plain, optimizers[1], range(5))
    assert all(torch.allclose(made[name], wanted[name], atol=1e-6) for name in wanted)
    assert not _build(_net(), foreach=True).param_groups[0]['fused']
    assert not _build(_net(), type='RMSprop').param_groups[0].get('fused')


def test_moments_of_another_memory_layout_go_on_as_they_were() -> None:
    unbroken = _net()
    optimizer = _build(unbroken)
    half = _steps(unbroken, optimizer, range(3))
    saved = deepcopy(optimizer.state_dict())  # as it is read from a file
    resumed = _net(torch.channels_last)
    resumed.load_state_dict(half)
    going_on = _build(resumed)
    assert load_moments(going_on, saved, ('train', 'optim_g')) == []
    wanted, made = _steps(unbroken, optimizer, range(3, 6)), _steps(resumed, going_on, range(3, 6))
    assert all(torch.allclose(made[name], wanted[name], atol=1e-5) for name in wanted)


def test_a_state_without_fused_steps_goes_on_and_nothing_is_told() -> None:
    before = _net()
    optimizer = _build(before, fused=False)
    half = _steps(before, optimizer, range(2))
    after = _net()
    after.load_state_dict(half)
    going_on = _build(after)
    assert load_moments(going_on, deepcopy(optimizer.state_dict()), ('train', 'optim_g')) == []
    assert going_on.param_groups[0]['fused']
    wanted, made = _steps(before, optimizer, range(2, 4)), _steps(after, going_on, range(2, 4))
    assert all(torch.allclose(made[name], wanted[name], atol=1e-6) for name in wanted)
