from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from facesr_ext.losses.adversarial_loss import GradientPenaltyLoss, RelativisticGANLoss

SHAPE = (3, 8, 8)


class LinearCritic(nn.Module):
    """The product with a fixed image: its gradient is that image, everywhere."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        weight = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(norm * weight / weight.norm())

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        return (img * self.weight).flatten(1).sum(1, keepdim=True)


def _batch(size: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    real, fake = (torch.rand(size, *SHAPE, generator=g) for _ in range(2))
    return real, fake, torch.rand(size, 1, 1, 1, generator=g)


def test_a_critic_of_unit_gradient_pays_nothing() -> None:
    assert float(GradientPenaltyLoss()(lambda img: img[:, 0, 0, :1], *_batch())) == 0


@pytest.mark.parametrize('norm', [0.5, 1.0, 3.0])
def test_a_linear_critic_pays_for_its_norm(norm: float) -> None:
    value = GradientPenaltyLoss(loss_weight=7.0)(LinearCritic(norm), *_batch())
    assert value.item() == pytest.approx(7 * (norm - 1) ** 2, abs=1e-5)


def test_the_norm_is_over_a_whole_sample_and_the_mean_over_a_map_of_verdicts() -> None:
    """A map that gives each pixel's red channel: the mean of 64 verdicts has a gradient of norm 1 / 8."""
    value = GradientPenaltyLoss(loss_weight=1.0)(lambda img: img[:, :1], *_batch())
    assert value.item() == pytest.approx((1 - 1 / 8) ** 2)


def test_its_gradient_reaches_the_critic_alone() -> None:
    real, fake, mix = _batch()
    fake.requires_grad_()
    critic = LinearCritic(3.0)
    GradientPenaltyLoss()(critic, real, fake, mix).backward()
    assert fake.grad is None
    direction = critic.weight.detach() / 3
    assert critic.weight.grad is not None
    assert torch.allclose(critic.weight.grad, 10 * 2 * (3 - 1) * direction, atol=1e-5)


def test_the_point_lies_between_real_and_fake() -> None:
    real, fake, mix = _batch(2)
    mix[:] = torch.tensor([1.0, 0.25]).view(2, 1, 1, 1)
    seen = []

    def critic(img: torch.Tensor) -> torch.Tensor:
        seen.append(img.detach())
        return img.flatten(1).sum(1, keepdim=True)

    GradientPenaltyLoss()(critic, real, fake, mix)
    assert torch.allclose(seen[0][0], real[0])
    assert torch.allclose(seen[0][1], 0.25 * real[1] + 0.75 * fake[1])


def test_fp32_inside_autocast() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(144, 1))
    plain = GradientPenaltyLoss()(net, *_batch())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(GradientPenaltyLoss()(net, *_batch()), plain)


def test_a_critic_learns_the_slope_that_the_penalty_allows() -> None:
    """For pairs at distance d the best slope s is where s d - 10 (s - 1)^2 is largest: at 1 + d / 20."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.5, 0.9))
    penalty, (fake, _, mix) = GradientPenaltyLoss(), _batch(16)
    real = fake + 0.5
    values = []
    for _ in range(300):
        optimizer.zero_grad()
        value = penalty(net, real, fake, mix)
        (net(fake).mean() - net(real).mean() + value).backward()
        optimizer.step()
        values.append(value.item())
    distance = 0.5 * 192**0.5
    assert values[0] > 5
    assert values[-1] == pytest.approx(10 * (distance / 20) ** 2, rel=0.15)
    assert (net(real) - net(fake)).mean().item() == pytest.approx(distance * (1 + distance / 20), rel=0.1)


def test_micro_batches_add_up() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(144, 1))
    penalty, batch = GradientPenaltyLoss(), _batch(4)
    whole = penalty(net, *batch)
    parts = [penalty(net, *(t[i : i + 1] for t in batch)) for i in range(4)]
    assert torch.allclose(torch.stack(parts).mean(), whole)


def test_drift() -> None:
    pred = torch.tensor([[1.0], [-3.0]])
    assert float(GradientPenaltyLoss(drift_weight=1e-3).drift(pred)) == pytest.approx(5e-3)


def test_relativistic_vanilla_is_esrgan_s() -> None:
    """-log D(r, f) and -log(1 - D(f, r)) with D(a, b) = sigmoid(C(a) - mean C(b)), averaged."""
    real, fake = torch.tensor([[2.0], [0.0]]), torch.tensor([[-1.0], [0.5]])
    loss = RelativisticGANLoss('vanilla', loss_weight=5e-3)
    real_than_fake, fake_than_real = torch.sigmoid(real + 0.25), torch.sigmoid(fake - 1.0)
    wanted = [-real_than_fake.log().mean() / 2, -(1 - fake_than_real).log().mean() / 2]
    assert all(torch.allclose(a, b) for a, b in zip(loss.critic(real, fake), wanted, strict=True))
    symmetric = -((1 - real_than_fake).log().mean() + fake_than_real.log().mean()) / 2
    assert torch.allclose(loss.generator(fake, real), 5e-3 * symmetric)


def test_relativistic_hinge_and_lsgan() -> None:
    real, fake = torch.tensor([3.0, -1.0]), torch.tensor([0.0, 1.0])
    a, b = real - 0.5, fake - 1.0
    l_real, l_fake = RelativisticGANLoss('hinge').critic(real, fake)
    assert torch.allclose(l_real, F.relu(1 - a).mean() / 2) and torch.allclose(l_fake, F.relu(1 + b).mean() / 2)
    generator = RelativisticGANLoss('hinge', loss_weight=2.0).generator(fake, real)
    assert torch.allclose(generator, F.relu(1 - b).mean() + F.relu(1 + a).mean())
    l_real, l_fake = RelativisticGANLoss('lsgan').critic(real, fake)
    assert torch.allclose(l_real, (a - 1).square().mean() / 2)
    assert torch.allclose(l_fake, (b + 1).square().mean() / 2)


@pytest.mark.parametrize('gan_type', ['vanilla', 'lsgan', 'hinge'])
def test_relativistic_losses_pull_verdicts_apart_and_together(gan_type: str) -> None:
    loss = RelativisticGANLoss(gan_type)
    real, fake = (torch.zeros(4, 1, requires_grad=True) for _ in range(2))
    to_real, to_fake = torch.autograd.grad(torch.stack(loss.critic(real, fake)).sum(), (real, fake))
    assert (to_real < 0).all() and (to_fake > 0).all()  # the critic raises the real one's
    (to_fake,) = torch.autograd.grad(loss.generator(fake, real.detach()), fake)
    assert (to_fake < 0).all()


def test_relativistic_types() -> None:
    with pytest.raises(ValueError, match="gan_type is one of vanilla, lsgan, hinge, not 'wgan'"):
        RelativisticGANLoss('wgan')
