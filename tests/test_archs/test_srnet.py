"""SR-NET: parameter counts, TensorFlow's padding, and what the tuning runs change."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from facesr_ext.archs.srnet_arch import SRNet, _down, _up


def test_parameter_counts_are_those_of_the_keras_model() -> None:
    net = SRNet()
    levels = [sum(p.numel() for p in part.parameters()) for part in (*net.down, *net.up, net.tail)]
    assert levels == [
        3_584, 147_584, 295_168 + 512, 1_180_160 + 1_024, 2_359_808 + 1_024,
        2_359_808, 2_359_552, 589_952, 295_040, 6_915, 75,
    ]  # fmt: skip
    assert sum(levels) == 9_600_206
    statistics = sum(b.numel() for name, b in net.named_buffers() if 'running' in name)
    assert sum(levels) + statistics == 9_602_766
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 3 and all((norm.eps, norm.momentum) == (1e-3, 0.01) for norm in norms)


def test_padding_below_and_on_the_right_and_the_transpose_of_it() -> None:
    """TensorFlow defines the transposed convolution as the gradient of the strided one."""
    down = _down(1, 1, norm=False, activation=nn.Identity)
    up = _up(1, 1, dropout=0.0, activation=nn.Identity)
    strided, transposed = down[1], up[0]
    with torch.no_grad():
        strided.weight.fill_(1.0)
        strided.bias.zero_()
    ones = down(torch.ones(1, 1, 6, 6))[0, 0]
    assert ones.tolist() == [[9, 9, 6], [9, 9, 6], [6, 6, 4]]

    torch.manual_seed(0)
    with torch.no_grad():
        strided.weight.copy_(torch.randn_like(strided.weight))
        transposed.weight.copy_(strided.weight)
        transposed.bias.zero_()
    x, y = torch.rand(1, 1, 8, 6, requires_grad=True), torch.rand(1, 1, 4, 3)
    (gradient,) = torch.autograd.grad((down(x) * y).sum(), x)
    assert torch.allclose(up(y), gradient, atol=1e-5)


@pytest.mark.parametrize('activation', ['leaky_relu', 'relu', 'tanh', 'sigmoid', 'elu'])
def test_tuning_runs(activation: str) -> None:
    torch.manual_seed(0)
    net = SRNet(num_feat=4, activation=activation, dropout=0.2)
    x = torch.rand(2, 3, 64, 32)
    assert net(x).shape == x.shape and not torch.equal(net(x), net(x))  # dropout draws
    net.eval()
    assert torch.equal(net(x), net(x))
    assert net.info.input == 'enlarged' and net.info.sizes.multiple_of == 32


def test_refuses() -> None:
    with pytest.raises(ValueError, match="SRNet: activation is one of leaky_relu, relu, .*, not 'gelu'"):
        SRNet(activation='gelu')
    with pytest.raises(ValueError, match='SRNet: dropout is a share from 0 to below 1, not 1.5'):
        SRNet(dropout=1.5)
