"""NAFSR: parameter counts, any size, and that it begins as what it is added to."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo, Sizes
from facesr_ext.archs.nafsr_arch import NAFSR, LayerNorm2d, NAFBlock
from facesr_ext.imaging import imresize, mirror, with_coordinates
from tests.support import SMALL_NETS

SMALL = SMALL_NETS['NAFSR']


@pytest.mark.parametrize(
    ('options', 'count'),
    [
        ({}, 2_187_795),
        ({'enc_blocks': (4, 4), 'mid_blocks': 4, 'dec_blocks': (4, 4)}, 2_094_195),
        ({'num_feat': 64, 'enc_blocks': (2, 2), 'mid_blocks': 2, 'dec_blocks': (2, 2)}, 2_160_195),
        ({'num_feat': 40, 'enc_blocks': (4, 4), 'mid_blocks': 6, 'dec_blocks': (4, 4)}, 1_832_523),
    ],
)
def test_parameter_counts(options: dict[str, Any], count: int) -> None:
    assert sum(p.numel() for p in NAFSR(**options).parameters()) == count


@pytest.mark.parametrize('channels', [4, 48])
def test_block_has_7_c_squared_and_33_c_and_begins_as_the_identity(channels: int) -> None:
    block = NAFBlock(channels)
    assert sum(p.numel() for p in block.parameters()) == 7 * channels**2 + 33 * channels
    x = torch.rand(2, channels, 6, 5)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize('scale', [2, 4, 8])
@pytest.mark.parametrize('skip', ['bicubic', 'bilinear', 'none'])
def test_any_size_and_what_it_is_added_to(scale: int, skip: str) -> None:
    torch.manual_seed(0)
    net = NAFSR(scale, **SMALL, skip=skip)
    lq = torch.rand(2, 3, 13, 6)
    size = (13 * scale, 6 * scale)
    assert net(lq).shape == (2, 3, *size)
    with torch.no_grad():
        for parameter in net.tail[-1].parameters():
            parameter.zero_()
    base = {
        'bicubic': imresize(lq, size),
        'bilinear': F.interpolate(lq, size, mode='bilinear', align_corners=False),
        'none': torch.zeros(2, 3, *size),
    }
    assert torch.equal(net(lq), base[skip])


def test_sizes_that_the_levels_do_not_divide_are_padded_by_repeating_the_border() -> None:
    torch.manual_seed(0)
    net = NAFSR(**SMALL, skip='none')
    lq = torch.rand(1, 3, 7, 6)
    padded = F.pad(lq, (0, 2, 0, 1), mode='replicate')
    assert torch.allclose(net(lq), net(padded)[..., :28, :24], atol=1e-6)


def test_layer_norm_is_over_the_channels_of_each_place() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 6, 5, 4) * 3 + 1
    out = LayerNorm2d(6, eps=1e-6)(x)
    assert torch.allclose(out.mean(1), torch.zeros(2, 5, 4), atol=1e-5)
    assert torch.allclose(out.var(1, correction=0), torch.ones(2, 5, 4), atol=1e-3)
    channels_last = x.contiguous(memory_format=torch.channels_last)
    assert LayerNorm2d(6)(channels_last).is_contiguous(memory_format=torch.channels_last)


def test_refuses() -> None:
    with pytest.raises(ValueError, match='NAFSR: scale is one of 1, 2, 4, 8, not 3'):
        NAFSR(3)
    with pytest.raises(ValueError, match="NAFSR: skip is one of bicubic, bilinear, none, not 'nearest'"):
        NAFSR(skip='nearest')
    with pytest.raises(ValueError, match='enc_blocks and dec_blocks have one number a level, not 3 and 2'):
        NAFSR(enc_blocks=(1, 1, 1))


def test_coordinates_are_those_of_the_pixels_centres() -> None:
    img = torch.rand(2, 3, 2, 4)
    whole = with_coordinates(img)
    assert torch.equal(whole[:, :3], img)
    assert torch.equal(whole[:, 3], torch.tensor([-0.75, -0.25, 0.25, 0.75]).expand(2, 2, 4))
    assert torch.equal(whole[:, 4], torch.tensor([[-0.5], [0.5]]).expand(2, 2, 4))
    boxes = torch.tensor([[0.5, 0.0, 1.0, 1.0], [0.0, 0.5, 0.5, 1.0]])
    parts = with_coordinates(img[..., :2, :2], boxes)
    assert torch.equal(parts[0, 3:], whole[0, 3:, :, 2:])
    assert torch.equal(parts[1, 3, 0], torch.tensor([-0.75, -0.25]))
    assert torch.equal(parts[1, 4, :, 0], torch.tensor([0.25, 0.75]))
    assert torch.equal(mirror(whole), with_coordinates(img.flip(-1)))
    assert torch.equal(mirror(img), img.flip(-1))


def test_a_network_with_coordinates_takes_a_picture_for_a_whole_face() -> None:
    torch.manual_seed(0)
    net = NAFSR(**SMALL, coords=True)
    assert sum(p.numel() for p in net.head.parameters()) == 5 * 9 * SMALL['num_feat'] + SMALL['num_feat']
    lq = torch.rand(1, 3, 8, 8)
    assert torch.equal(net(lq), net(with_coordinates(lq)))
    left = with_coordinates(lq, torch.tensor([[0.0, 0.0, 0.5, 0.5]]))
    assert not torch.allclose(net(lq), net(left))


@pytest.mark.parametrize('fold', [1, 2, 4])
def test_a_face_at_its_final_size_is_what_the_result_is_added_to(fold: Literal[1, 2, 4]) -> None:
    torch.manual_seed(0)
    net = NAFSR(1, **SMALL, fold=fold)
    assert net.info == ArchInfo(1, 'enlarged', Sizes(fold * 4))
    assert (net.head.in_channels, net.tail[-1].out_channels) == (3 * fold**2,) * 2
    face = torch.rand(2, 3, 33, 50)
    out = net(face)
    assert out.shape == face.shape and not torch.allclose(out, face)
    out.square().mean().backward()
    assert all(p.grad is not None for p in net.parameters())
    with torch.no_grad():
        for parameter in net.tail[-1].parameters():
            parameter.zero_()
    assert torch.equal(net(face), face)


def test_the_fold_keeps_pixels_in_their_place() -> None:
    torch.manual_seed(0)
    net = NAFSR(1, **SMALL, fold=4, skip='none')
    face = torch.rand(1, 3, 64, 64)
    other = face.clone()
    other[..., 32, 32] = 1 - other[..., 32, 32]
    with torch.no_grad():  # no attention, which sees everything: only then a change stays near its pixel
        for block in (m for m in net.modules() if isinstance(m, NAFBlock)):
            block.mix[4].weigh.weight.zero_()
        changed = (net(other) - net(face)).abs().amax(1)[0] > 1e-7
    rows, cols = changed.nonzero().T
    assert changed[32, 32] and rows.min() > 8 and rows.max() < 56 and cols.min() > 8 and cols.max() < 56


def test_a_fold_is_for_faces_at_their_final_size() -> None:
    assert sum(p.numel() for p in NAFSR(1, fold=4).parameters()) == 2_060_448
    with pytest.raises(ValueError, match='NAFSR: fold 4 is for scale 1, not 4'):
        NAFSR(fold=4)
    with pytest.raises(ValueError, match='NAFSR: fold is one of 1, 2, 4, not 8'):
        NAFSR(1, fold=8)  # type: ignore[arg-type]
