"""Losses of the high-to-low network: bounded diversity, low-pass content, and BasicSR's hinge as the papers have it."""

from __future__ import annotations

import pytest
import torch
from basicsr.losses import build_loss

from facesr_ext.losses.diversity_loss import DiversityLoss, LowPassLoss, StatisticsLoss, picture_figures


def test_diversity_is_bounded_and_asks_for_no_more_than_tau() -> None:
    loss = DiversityLoss(loss_weight=2.0, tau=0.1)
    z = torch.zeros(2, 8), torch.ones(2, 8)  # one apart
    first = torch.full((2, 3, 4, 4), 0.5, requires_grad=True)
    same = loss(first, first.detach(), *z)
    assert same.item() == pytest.approx(0.2)
    for apart, left in ((0.05, 0.05), (0.1, 0.0), (0.3, 0.0)):
        first.grad = None
        value = loss(first, first.detach() - apart, *z)
        value.backward()
        assert value.item() == pytest.approx(2 * left, abs=1e-6)
        if apart != 0.1:
            assert first.grad is not None and bool(first.grad.any()) == (left > 0)
    assert first.grad is not None and not first.grad.any()


def test_diversity_wants_pictures_apart_as_their_z_are_each_for_itself() -> None:
    first = torch.zeros(2, 3, 4, 4)
    second = torch.stack([torch.full((3, 4, 4), 0.2), torch.zeros(3, 4, 4)])
    z = torch.zeros(2, 8), torch.full((2, 8), 2.0)
    assert DiversityLoss(tau=0.3)(first, second, *z).item() == pytest.approx((0.2 + 0.3) / 2)
    with pytest.raises(ValueError, match='tau is above 0, not 0'):
        DiversityLoss(tau=0)


def test_patterns_of_single_pixels_are_no_diversity_where_a_window_is_set() -> None:
    z = torch.zeros(1, 8), torch.ones(1, 8)
    checker = ((torch.arange(16)[:, None] + torch.arange(16)) % 2 * 0.2 - 0.1).expand(1, 3, -1, -1)
    flat = torch.zeros(1, 3, 16, 16)
    assert DiversityLoss(tau=0.1)(checker, flat, *z).item() == pytest.approx(0.0, abs=1e-6)
    assert DiversityLoss(tau=0.1, kernel_size=3)(checker, flat, *z) > 0.085
    assert DiversityLoss(tau=0.1, kernel_size=3)(flat + 0.06, flat, *z).item() == pytest.approx(0.04, abs=1e-6)
    with pytest.raises(ValueError, match='kernel_size is odd, not 2'):
        DiversityLoss(kernel_size=2)


def test_a_tint_is_no_diversity_where_pictures_are_centred() -> None:
    z = torch.zeros(1, 8), torch.ones(1, 8)
    flat, slope = torch.zeros(1, 3, 16, 16), torch.linspace(-0.1, 0.1, 16).expand(1, 3, 16, 16)
    tint = torch.tensor([0.1, -0.1, 0.1]).view(1, 3, 1, 1)
    assert DiversityLoss(tau=0.1)(flat + tint, flat, *z).item() == pytest.approx(0.0, abs=1e-6)
    assert DiversityLoss(tau=0.1, centred=True)(flat + tint, flat, *z).item() == pytest.approx(0.1, abs=1e-6)
    left = 0.1 - slope.abs().mean().item()
    assert DiversityLoss(tau=0.1, centred=True)(slope + tint, flat, *z).item() == pytest.approx(left, abs=1e-6)


def test_low_pass_holds_colour_and_lets_texture_go() -> None:
    loss, img = LowPassLoss(), torch.rand(1, 3, 16, 16)
    assert loss(img, img + 0.1).item() == pytest.approx(0.1, abs=1e-6)
    checker = ((torch.arange(16)[:, None] + torch.arange(16)) % 2 * 0.2 - 0.1).expand(1, 3, -1, -1)
    assert loss(img + checker, img) < 0.06 * checker.abs().mean()
    assert LowPassLoss(loss_weight=3.0)(img, img + 0.1).item() == pytest.approx(0.3, abs=1e-6)
    assert LowPassLoss(margin=0.04)(img, img + 0.1).item() == pytest.approx(0.06, abs=1e-6)
    assert LowPassLoss(margin=0.2)(img, img + 0.1).item() == 0
    with pytest.raises(ValueError, match='kernel_size is odd and at least 3, not 4'):
        LowPassLoss(kernel_size=4)
    with pytest.raises(ValueError, match='margin is at least 0, not -0.1'):
        LowPassLoss(margin=-0.1)


def test_statistics_compare_how_sharpness_and_noise_are_spread() -> None:
    torch.manual_seed(0)
    base = torch.rand(16, 3, 1, 1).expand(-1, -1, 16, 16)
    strengths = torch.linspace(0.01, 0.1, 16).view(16, 1, 1, 1)
    noisy = base + strengths * torch.randn(16, 3, 16, 16)
    loss = StatisticsLoss()
    assert float(loss(noisy, noisy[torch.randperm(16)])) == pytest.approx(0, abs=1e-6)  # whose they are does not count
    again = base.flip(0) + strengths * torch.randn(16, 3, 16, 16)
    middling = base + 0.055 * torch.randn(16, 3, 16, 16)  # as noisy on average, but none more than others
    assert float(loss(again, noisy)) < 0.1 < 0.3 < float(loss(middling, noisy))
    assert float(loss(noisy, noisy[::2])) < 0.1  # batches of other sizes


def test_statistics_are_logarithms_of_differences() -> None:
    flat, grey = torch.full((1, 3, 8, 8), 0.5), 0.2 * torch.randn(1, 1, 64, 64).expand(-1, 3, -1, -1)
    least = torch.tensor(0.25 / 255).log()
    assert torch.allclose(picture_figures(flat)[:3], least) and picture_figures(flat)[3].item() == 0
    figures, twice = picture_figures(grey), picture_figures(2 * grey)
    assert torch.allclose(twice[:2] - figures[:2], torch.tensor(2.0).log(), atol=1e-2)
    assert torch.allclose(figures[2], least, atol=1e-3)  # grey noise has no colours
    assert torch.allclose(twice[3], figures[3], atol=1e-2)  # as much of it is noise


def test_hinge_has_the_signs_of_the_paper() -> None:
    """max(0, 1 - D(real)) + max(0, 1 + D(fake)) for the discriminator, -D(fake) for the generator."""
    hinge = build_loss({'type': 'GANLoss', 'gan_type': 'hinge', 'loss_weight': 0.05})
    verdict = torch.tensor([-2.0, 0.5, 3.0])
    assert hinge(verdict, True, is_disc=True).item() == pytest.approx((3 + 0.5 + 0) / 3)
    assert hinge(verdict, False, is_disc=True).item() == pytest.approx((0 + 1.5 + 4) / 3)
    assert hinge(verdict, True, is_disc=False).item() == pytest.approx(-0.05 * 0.5)
