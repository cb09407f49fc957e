"""The high-to-low network and its discriminator: published parameter counts, sizes, and what z does."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facesr_ext.archs.degradation_arch import DegradationDiscriminator, DegradationNet

VARIED: dict[str, Any] = {'noise': 'per_layer', 'norm': 'none', 'num_feat': 16}
CAMERA: dict[str, Any] = {'residual': True, 'blur': 5, 'grain': True, 'jpeg': True}


def _parameters(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_published_parameter_counts() -> None:
    """The authors' encoder-decoder has 1,336,518, three of them for noise of another kind; their plane has 266,816."""
    net = DegradationNet()
    assert net.plane is not None
    plane = _parameters(net.plane) + net.conv_first.weight[:, 3].numel()
    assert (_parameters(net) - plane, plane) == (1_336_518 - 3, 1_529_987 - 1_263_171)
    assert len(net.blocks) == 12
    assert _parameters(DegradationDiscriminator()) == 1_348_993
    assert _parameters(DegradationDiscriminator(num_down=4)) == 1_382_017


@pytest.mark.parametrize('norm', ['bn', 'instance', 'none'])
@pytest.mark.parametrize(('scale', 'fold', 'blocks'), [(4, 1, 12), (8, 1, 14), (8, 2, 12), (4, 4, 8), (8, 8, 8)])
def test_sizes_and_range(scale: int, fold: int, blocks: int, norm: str) -> None:
    for options, sides in (({'noise': 'plane'}, (16 * scale,) * 2), (VARIED, (16 * scale, 24 * scale))):
        net = DegradationNet(**{**options, 'scale': scale, 'fold': fold, 'norm': norm, 'num_feat': 4, 'residual': True})
        assert len(net.blocks) == blocks + 2
        hr = torch.rand(2, 3, *sides)
        lq = net(hr, torch.randn(2, net.z_size(*sides)))
        assert lq.shape == (2, 3, sides[0] // scale, sides[1] // scale)
        assert lq.min() >= 0 and lq.max() <= 1


@pytest.mark.parametrize('options', [{}, VARIED, {**VARIED, **CAMERA, 'norm': 'instance', 'fold': 2}])
def test_z_changes_the_result_and_everything_learns(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net = DegradationNet(**options)
    hr = torch.rand(2, 3, 64, 64)
    z, other = (torch.randn(2, net.z_size(64, 64)) for _ in range(2))
    out = net(hr, z)
    out.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    net.eval()
    assert torch.equal(net(hr, z), net(hr, z)) and not torch.equal(net(hr, z), net(hr, other))
    assert torch.equal(net(hr), net(hr, torch.zeros_like(z)))


def test_per_layer_results_vary_from_the_beginning() -> None:
    torch.manual_seed(0)
    net = DegradationNet(noise='per_layer', norm='none', residual=True).eval()
    with torch.no_grad():
        lq = net(torch.rand(1, 3, 64, 64).expand(16, -1, -1, -1), torch.randn(16, net.z_size(64, 64)))
    assert lq.std(0).mean() * 255 > 1


def test_residual_begins_near_the_average_and_noise_planes_stay_where_they_are() -> None:
    torch.manual_seed(0)
    net = DegradationNet(**VARIED, residual=True).eval()
    hr = torch.rand(1, 3, 64, 64) * 0.2 + 0.4
    assert (net(hr) - torch.nn.functional.avg_pool2d(hr, 4)).abs().max() < 0.1
    z = torch.zeros(1, net.z_size(64, 64))
    planes = z[:, -4 * 16 * 16 :].view(1, 4, 16, 16)  # the last ones have the LQ's size
    changed = z.clone()
    changed[:, -4 * 16 * 16 :].view_as(planes)[0, :, 8, 8] = 3
    moved = (net(hr, changed) - net(hr, z)).abs().amax(1)[0] > 0
    y, x = torch.nonzero(moved, as_tuple=True)
    assert (y.min(), y.max(), x.min(), x.max()) == (3, 13, 3, 13)  # two blocks and the last convolution on


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'scale': 2}, 'scale is one of 4, 8, not 2'),
        ({'noise': 'planes'}, "noise is one of plane, per_layer, not 'planes'"),
        ({'norm': 'gn'}, 'norm is one of bn, instance, none'),
        ({'fold': 3}, 'fold is one of 1, 2, 4, 8'),
        ({'fold': 8}, 'fold is at most the scale 4, not 8'),
        ({'size': 60}, 'size is a multiple of 16 for scale 4, not 60'),
        ({**VARIED, 'residual': True, 'blur': 4}, 'blur is 0, or odd, at least 3, .* not 4'),
        ({'blur': 5}, 'with noise: per_layer and residual: true'),
        ({'jpeg': True}, 'jpeg needs noise: per_layer'),
        ({**VARIED, 'grain': True}, 'grain needs noise: per_layer, residual: true and noise_planes of at least 4'),
        ({**VARIED, 'residual': True, 'noise_planes': 3, 'grain': True}, 'noise_planes of at least 4'),
    ],
)
def test_network_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DegradationNet(**options)


def test_z_of_another_size_is_refused() -> None:
    net = DegradationNet(**VARIED)
    with pytest.raises(ValueError, match=r'z has shape \(1, 64\), expected \(1, 1408\)'):
        net(torch.rand(1, 3, 64, 64), torch.randn(1, 64))


def test_discriminator_judges_packs_of_neighbours() -> None:
    torch.manual_seed(0)
    img = torch.rand(6, 3, 16, 16)
    net = DegradationDiscriminator(num_feat=8, packed=2).eval()
    verdict = net(img)
    assert verdict.shape == (3, 1)
    assert torch.allclose(net(img[2:4])[0], verdict[1], atol=1e-6)
    filled = net(img[:5])  # the last pack: number five, and the first again
    assert torch.allclose(filled[2], net(img[[4, 0]])[0], atol=1e-6)
    assert net(img[:1]).shape == (1, 1)
    with pytest.raises(ValueError, match='num_down at most num_block, not num_block 2, num_down 3'):
        DegradationDiscriminator(num_block=2, num_down=3)


def test_a_camera_blurs_without_moving_or_lighting_the_picture() -> None:
    torch.manual_seed(0)
    net = DegradationNet(**VARIED, residual=True, blur=5)
    assert net.blur is not None
    with torch.no_grad():
        last = net.blur.kernel[-1]
        assert isinstance(last, torch.nn.Linear)
        last.weight[:-4].mul_(20)  # far from where it begins
        camera = torch.randn(4, net.z_dim)
        flat = torch.full((4, 3, 36, 36), 0.3)
        assert torch.allclose(net.blur(flat, camera), flat[..., :9, :9], atol=1e-4)
        point = torch.zeros(4, 3, 36, 36)
        point[:, :, 16:20, 16:20] = 1  # a cell
        kernels = net.blur(point, camera)
    assert torch.allclose(kernels, kernels.flip(2, 3), atol=1e-5)
    assert torch.allclose(kernels.sum((2, 3)), torch.ones(4, 3), atol=1e-4)
    assert kernels.std(0).max() > 0.1  # each picture has its own


def test_a_camera_may_look_at_the_middle_of_a_cell_alone() -> None:
    torch.manual_seed(0)
    net = DegradationNet(**VARIED, residual=True, blur=3)
    assert net.blur is not None
    hr = torch.rand(1, 3, 32, 32)
    last = net.blur.kernel[-1]
    assert isinstance(last, torch.nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        last.bias[-4:] = torch.tensor([4.0, 0.0, 1.0, 1.0])  # a wide Gaussian; all of the detail stays
        assert torch.allclose(net.blur(hr, torch.zeros(1, net.z_dim)), F.avg_pool2d(hr, 4), atol=1e-3)
        last.bias[-4] = -4
        middle = F.avg_pool2d(hr[..., 1:-1, 1:-1], 2, stride=4)
        assert torch.allclose(net.blur(hr, torch.zeros(1, net.z_dim)), middle, atol=1e-3)


def test_a_camera_is_as_noisy_as_it_says() -> None:
    torch.manual_seed(0)
    net = DegradationNet(**VARIED, residual=True, grain=True)
    assert net.grain is not None
    with torch.no_grad():
        net.grain.levels[-1].weight.zero_()
        net.grain.levels[-1].bias.copy_(torch.tensor([-3.0, -4.0, -20.0]))  # noise of single pixels
        camera, flat = torch.randn(2, net.z_dim), torch.zeros(2, 3, 64, 64)
        noise = torch.randn(2, 4, 64, 64)
        added = net.grain(flat, noise, camera)
        grey, colours = added.mean(1), added - added.mean(1, keepdim=True)
        net.grain.levels[-1].bias[2] = 20.0
        smeared = net.grain(flat, noise, camera)
    assert grey.std().item() == pytest.approx((math.exp(-6) + math.exp(-8) / 3) ** 0.5, rel=0.05)
    assert colours.std().item() == pytest.approx(math.exp(-4) * (2 / 3) ** 0.5, rel=0.05)
    assert smeared.std().item() == pytest.approx(added.std().item(), rel=0.1)  # as strong
    assert (smeared[..., 1:] - smeared[..., :-1]).std() < 0.7 * (added[..., 1:] - added[..., :-1]).std()


@pytest.mark.parametrize('quality', [20, 50, 80])
def test_a_camera_compresses_as_jpeg_files_do(quality: int) -> None:
    net = DegradationNet(**VARIED, jpeg=True)
    assert net.jpeg is not None
    img = np.random.default_rng(0).integers(0, 256, (40, 56, 3)).astype(np.uint8)
    img = (cv2.GaussianBlur(img, (0, 0), 2).astype(np.float64) * 3 - 255).clip(0, 255).astype(np.uint8)
    with torch.no_grad():
        last = net.jpeg.strength[-1]
        last.weight.zero_()
        last.bias.fill_(math.log(50 / quality if quality < 50 else 2 - quality / 50))
        rgb = torch.from_numpy(img[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
        made = net.jpeg(rgb, torch.zeros(1, net.z_dim))[0].permute(1, 2, 0).numpy()[..., ::-1] * 255
    codec = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
    read = cv2.imdecode(cv2.imencode('.jpg', img, codec)[1], cv2.IMREAD_COLOR)
    assert np.abs(made - read).mean() < 0.3 * np.abs(read - img.astype(np.float64)).mean()


def test_several_generators_are_chosen_by_z_and_all_learn() -> None:
    torch.manual_seed(0)
    net = DegradationNet(**VARIED, generators=3)
    one = DegradationNet(**VARIED)
    assert _parameters(net) == 3 * _parameters(one) and net.z_size(64, 64) == one.z_size(64, 64)
    hr, z = torch.rand(6, 3, 64, 64), torch.randn(6, net.z_size(64, 64))
    z[:, 0] = torch.tensor([-2.0, 0.0, 2.0, -1.0, 1.0, -0.1])  # a third of all z lies below -0.43
    assert net.generator_of(z).tolist() == [0, 1, 2, 0, 2, 1]
    out = net(hr, z)
    for i, number in enumerate([0, 1, 2, 0, 2, 1]):
        own = net.others[number - 1] if number else net
        one.load_state_dict({name: own.state_dict()[name] for name in one.state_dict()})
        assert torch.allclose(one(hr[i : i + 1], z[i : i + 1]), out[i : i + 1], atol=1e-6)
    share = net.generator_of(torch.randn(6000, 1)).bincount() / 6000
    assert share.sub(1 / 3).abs().max() < 0.03
    net(hr[:1], z[:1]).sum().backward()  # of one picture: the others' gradients are there, and 0
    assert all(p.grad is not None for p in net.parameters())
    assert all(p.grad is not None and not p.grad.any() for other in net.others for p in other.parameters())
    with pytest.raises(ValueError, match='generators is at least 1'):
        DegradationNet(generators=0)


def test_z_is_guessed_from_what_can_be_seen_of_it() -> None:
    torch.manual_seed(0)
    net = DegradationNet(**VARIED, z_dim=4, regress_z=True)
    lq = torch.rand(2, 3, 16, 24, requires_grad=True)
    guess = net.regress(lq)
    assert guess.shape == (2, 4)
    guess.sum().backward()
    assert lq.grad is not None and lq.grad.abs().sum() > 0
    torch.manual_seed(0)
    plain = DegradationNet(**VARIED, z_dim=4)  # the rest is as it is without
    assert all(torch.equal(p, net.state_dict()[name]) for name, p in plain.state_dict().items())
    with pytest.raises(ValueError, match='regress_z'):
        plain.regress(lq)


def test_a_discriminator_of_noise_does_not_see_colour() -> None:
    torch.manual_seed(0)
    img = torch.rand(4, 3, 16, 16) * 0.2
    for window, sees in ((0, True), (5, False)):
        net = DegradationDiscriminator(num_feat=8, high_pass=window).eval()
        same = torch.allclose(net(img), net(img + 0.3), atol=1e-5)
        assert same is not sees
        assert not torch.allclose(net(img), net(img.flip(0) * 0.5), atol=1e-5)
    with pytest.raises(ValueError, match='high_pass is odd'):
        DegradationDiscriminator(high_pass=4)
