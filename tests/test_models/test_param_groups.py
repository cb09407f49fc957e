"""Learning rates of parts of a network."""

from __future__ import annotations

import pytest
import torch

from facesr_ext.archs.srcnn_arch import SRCNN
from facesr_ext.errors import OptionError
from facesr_ext.models.param_groups import parameter_groups


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
