"""SRCNN and ESPCN: parameter counts, sizes, what becomes of chroma where they work on luma, what they refuse."""

from __future__ import annotations

import pytest
import torch
from basicsr.utils.color_util import rgb2ycbcr_pt
from torch import nn

from facesr_ext.archs.espcn_arch import ESPCN
from facesr_ext.archs.srcnn_arch import SRCNN
from facesr_ext.imaging import imresize


def _parameters(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ('sizes', 'luma', 'count'),
    [
        ((9, 1, 5), True, 8_032 + 97),
        ((9, 3, 5), True, 24_416 + 97),
        ((9, 5, 5), True, 57_184 + 97),
        ((9, 1, 5), False, 20_099),
    ],
)
def test_srcnn_parameter_counts(sizes: tuple[int, ...], luma: bool, count: int) -> None:
    assert _parameters(SRCNN(sizes, luma=luma)) == count


@pytest.mark.parametrize(
    ('scale', 'luma', 'count'),
    [
        (2, True, 21_284),
        (3, True, 22_729),
        (4, True, 24_752),
        (2, False, 26_796),
        (3, False, 31_131),
        (4, False, 37_200),
    ],
)
def test_espcn_parameter_counts(scale: int, luma: bool, count: int) -> None:
    assert _parameters(ESPCN(scale, luma=luma)) == count


def test_srcnn_keeps_any_size_and_begins_small_if_told() -> None:
    x = torch.rand(2, 3, 17, 23)
    assert SRCNN(num_feat=4)(x).shape == x.shape
    torch.manual_seed(0)
    paper = SRCNN(init_std=0.001)
    assert paper.extract.weight.detach().std().item() == pytest.approx(0.001, rel=0.1)
    assert 0.1 < (SRCNN()(x).std() / x.std()).item() < 10  # by the fan in: about the spread of its input


@pytest.mark.parametrize('scale', [2, 3, 4, 8])
@pytest.mark.parametrize('activation', ['tanh', 'relu'])
def test_espcn_sizes(scale: int, activation: str) -> None:
    net = ESPCN(scale, num_feat=4, activation=activation)
    assert net(torch.rand(2, 3, 7, 9)).shape == (2, 3, 7 * scale, 9 * scale)
    assert net.info.scale == scale and net.info.input == 'small'


@pytest.mark.parametrize('net', [SRCNN(num_feat=8, luma=True), ESPCN(3, num_feat=8, luma=True)], ids=['srcnn', 'espcn'])
def test_luma_networks_leave_chroma_to_bicubic(net: nn.Module) -> None:
    torch.manual_seed(0)
    lq = torch.rand(2, 3, 12, 10)
    out = net(lq)
    size = (out.shape[-2], out.shape[-1])
    expected = rgb2ycbcr_pt(imresize(lq, size) if size != (12, 10) else lq)
    assert torch.allclose(rgb2ycbcr_pt(out)[:, 1:], expected[:, 1:], atol=1e-5)
    assert (rgb2ycbcr_pt(out)[:, 0] - expected[:, 0]).abs().max() > 0.01
    grey = net(lq[:, :1].expand(-1, 3, -1, -1))
    assert torch.allclose(grey, grey.mean(1, keepdim=True).expand_as(grey), atol=1e-5)


def test_they_refuse() -> None:
    with pytest.raises(ValueError, match=r'SRCNN: kernel_sizes are three odd numbers as \[9, 1, 5\], not \[9, 2, 5\]'):
        SRCNN([9, 2, 5])
    with pytest.raises(ValueError, match=r'not \[9, 5\]'):
        SRCNN([9, 5])
    with pytest.raises(ValueError, match='ESPCN: scale is one of 2, 3, 4, 8, not 5'):
        ESPCN(5)
    with pytest.raises(ValueError, match="ESPCN: activation is one of tanh, relu, not 'elu'"):
        ESPCN(activation='elu')
