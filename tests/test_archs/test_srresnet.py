"""SRResNet: parameter counts, sizes, and that ICNR begins without checkerboards."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from facesr_ext.archs.srresnet_arch import SRResNet


@pytest.mark.parametrize(('blocks', 'count'), [(16, 1_549_462), (8, 956_558)])
def test_parameter_counts(blocks: int, count: int) -> None:
    assert sum(p.numel() for p in SRResNet(num_block=blocks).parameters()) == count


@pytest.mark.parametrize('scale', [2, 4, 8])
def test_icnr_begins_as_nearest_neighbour(scale: int) -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 4, 5, 7)

    def is_blocky(net: SRResNet) -> bool:
        """Whether the features, before the convolution at full size, are one value a square."""
        up = net.upsample(x)
        return torch.allclose(up, F.interpolate(up[..., ::2, ::2], scale_factor=2, mode='nearest'), atol=1e-6)

    assert is_blocky(SRResNet(scale, num_feat=4, num_block=1, icnr=True))
    assert not is_blocky(SRResNet(scale, num_feat=4, num_block=1))


@pytest.mark.parametrize('scale', [2, 4, 8])
def test_sizes(scale: int) -> None:
    net = SRResNet(scale, num_feat=4, num_block=1)
    assert net(torch.rand(1, 3, 7, 9)).shape == (1, 3, 7 * scale, 9 * scale)


def test_refuses_other_scales() -> None:
    with pytest.raises(ValueError, match='^SRResNet: scale is one of 2, 4, 8, not 3$'):
        SRResNet(3)
