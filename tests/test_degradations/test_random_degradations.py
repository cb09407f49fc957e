"""First and second order: steps equal to BasicSR's, reproducible, and as varied as they should be."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from basicsr.data import degradations as stock
from basicsr.utils import DiffJPEG, USMSharp
from basicsr.utils.img_process_util import filter2D

from facesr_ext.degradations import jpeg, kernels, noise, ops
from facesr_ext.degradations.draws import Draws
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.degradations.steps import Blur, Group, Jpeg, Noise
from facesr_ext.errors import DatasetError, OptionError
from facesr_ext.faces.drawn.face import DrawnFaces

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
RANDOM = ('realesrgan', 'ai6126_2023', 'ai6126_2024', 'report_s4', 'report_s4_twice')


def _draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed))


def _blur(sigma: tuple[float, float] = (0.2, 3.0)) -> Blur:
    return Blur((7, 21), kernels.KINDS, (1.0,) * 6, 0.3 if sigma[0] else 0.0, sigma, (0.5, 4.0), (1.0, 2.0))


@pytest.fixture(scope='module')
def faces() -> torch.Tensor:
    drawn = DrawnFaces(8, 3, 128)
    images = np.stack([drawn[i].image for i in range(8)])
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


# ---- steps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('size', [7, 13, 21])
@pytest.mark.parametrize('kind', kernels.KINDS)
def test_kernels_equal_basicsr(kind: str, size: int) -> None:
    sigma_x, sigma_y, theta, beta = 2.1, 0.7, 0.6, 1.7
    isotropic = not kind.endswith('aniso')
    one = torch.ones(1)
    ours = kernels.blur_kernels(
        21,
        torch.tensor([size]),
        sigma_x * one,
        (sigma_x if isotropic else sigma_y) * one,
        (0.0 if isotropic else theta) * one,
        (beta if kind.startswith(('gen', 'plateau')) else 1.0) * one,
        torch.tensor([kind.startswith('plateau')]),
    )[0]
    arguments: dict[str, Any] = {'isotropic': isotropic}
    if kind.startswith('generalized'):
        expected = stock.bivariate_generalized_Gaussian(size, sigma_x, sigma_y, theta, beta, **arguments)
    elif kind.startswith('plateau'):
        expected = stock.bivariate_plateau(size, sigma_x, sigma_y, theta, beta, **arguments)
    else:
        expected = stock.bivariate_Gaussian(size, sigma_x, sigma_y, theta, **arguments)
    assert np.abs(ours.numpy() - np.pad(expected, (21 - size) // 2)).max() < 1e-6


@pytest.mark.parametrize('size', [7, 21])
def test_sinc_kernels_equal_basicsr(size: int) -> None:
    ours = kernels.sinc_kernels(21, torch.tensor([size]), torch.tensor([1.3]))[0]
    assert np.abs(ours.numpy() - stock.circular_lowpass_kernel(1.3, size, pad_to=21)).max() < 1e-6


def test_drawn_kernels_sum_to_one_and_vary() -> None:
    (drawn,) = _blur().draw(400, _draws())
    assert drawn.shape == (400, 21, 21) and torch.allclose(drawn.sum((1, 2)), torch.ones(400), atol=1e-5)
    small = drawn[:, 0].abs().sum(1) == 0
    assert 0.35 < small.float().mean() < 0.75
    sinc = (drawn < -1e-6).flatten(1).any(1).float().mean()
    assert 0.2 < sinc < 0.4


@pytest.mark.parametrize('size', [(128, 128), (100, 37), (26, 128)])
def test_usm_by_matrices_equals_basicsr(faces: torch.Tensor, size: tuple[int, int]) -> None:
    part = faces[..., : size[0], : size[1]]
    ours, reference = ops.usm_sharpen(part), USMSharp()(part.contiguous())
    assert (ours - reference).abs().max() < 1e-3 and (ours - reference).abs().mean() < 1e-6
    with pytest.raises(DatasetError, match='20 px a side is too small for USM'):
        ops.usm_sharpen(faces[:, :, :20, :20])


@pytest.mark.parametrize('size', [(128, 128), (97, 61), (11, 30)])
def test_blur_equals_basicsr(faces: torch.Tensor, size: tuple[int, int]) -> None:
    part = faces[..., : size[0], : size[1]].contiguous()
    (drawn,) = _blur().draw(len(part), _draws())
    assert (ops.blur(part, drawn) - filter2D(part, drawn)).abs().max() < 3e-6


def test_sigma_of_0_is_a_pulse() -> None:
    (drawn,) = _blur((0.0, 0.0)).draw(100, _draws())  # every kind and size
    assert torch.equal(drawn, kernels.pulse(21).expand_as(drawn))


def test_blur_cuts_kernels_to_a_small_image(faces: torch.Tensor) -> None:
    (drawn,) = Blur((21,), ('iso',), (1.0,), 0.0, (2.0, 2.0), (0.5, 4.0), (1.0, 2.0)).draw(8, _draws())
    flat = torch.full((8, 3, 9, 6), 0.3)
    assert torch.allclose(ops.blur(flat, drawn), flat, atol=1e-6)
    assert ops.blur(faces[..., :1, :1], drawn).shape == (8, 3, 1, 1)


@pytest.mark.parametrize('mode', ops.RESIZE_MODES)
@pytest.mark.parametrize('size', [(50, 37), (300, 200), (32, 32), (1, 1)])
def test_resize_equals_opencv(faces: torch.Tensor, size: tuple[int, int], mode: str) -> None:
    interpolation = {'area': cv2.INTER_AREA, 'bilinear': cv2.INTER_LINEAR, 'bicubic': cv2.INTER_CUBIC}[mode]
    expected = cv2.resize(faces[0].permute(1, 2, 0).numpy(), size[::-1], interpolation=interpolation)
    ours = ops.resize_by_opencv(faces[:1], size, mode)[0].permute(1, 2, 0)
    assert np.abs(ours.numpy() - expected).max() < 1e-4


def test_level_count_equals_unique(faces: torch.Tensor) -> None:
    levels = (faces * 255).round()
    assert noise.count_levels(levels).tolist() == [len(torch.unique(image)) for image in levels]


def test_noise_has_the_strength_asked_for() -> None:
    img = torch.full((2, 3, 256, 256), 0.5)
    normal, grey, sigma = torch.tensor([True, True]), torch.tensor([False, True]), torch.tensor([5.0, 20.0]) / 255
    out = noise.add_noise(img, normal, grey, sigma, _draws()) - img
    assert out.flatten(1).std(1).tolist() == pytest.approx([5 / 255, 20 / 255], rel=0.02)
    assert torch.allclose(out[1, 0], out[1, 1]) and not torch.allclose(out[0, 0], out[0, 1], atol=1e-3)


def test_shot_noise_equals_basicsr_in_distribution(faces: torch.Tensor) -> None:
    scale, flags = torch.full((8,), 1.5), torch.arange(8) % 2 == 0
    ours = noise.add_noise(faces, torch.zeros(8, dtype=torch.bool), flags, scale, _draws()) - faces
    torch.manual_seed(0)
    theirs = stock.add_poisson_noise_pt(faces, scale, gray_noise=flags.float()) - faces
    assert ours.flatten(1).std(1).tolist() == pytest.approx(theirs.flatten(1).std(1).tolist(), rel=0.03)


def test_noise_is_drawn_as_asked_for() -> None:
    gaussian, grey, strength = Noise(0.7, (10.0, 20.0), (1.0, 2.0), 0.4).draw(4000, _draws())
    assert float(gaussian.float().mean()) == pytest.approx(0.7, abs=0.03)
    assert float(grey.float().mean()) == pytest.approx(0.4, abs=0.03)
    normal, shot = strength[gaussian] * 255, strength[~gaussian]
    for values, low, high in ((normal, 10, 20), (shot, 1, 2)):
        assert low <= values.min() < low + 0.1 * low and high - 0.1 * low < values.max() <= high


def test_a_group_has_what_its_own_images_have_drawn() -> None:
    noise_step, jpeg_step, draws = Noise(0.5, (0.0, 9.0), (1.0, 2.0), 0.5), Jpeg((30, 95), 'libjpeg'), _draws()
    whole = Group({step: step.draw(10, draws) for step in (noise_step, jpeg_step)}, draws)
    groups = whole.split([3, 3, 4])
    for step, drawn in whole.drawn.items():
        parts = [group.drawn[step] for group in groups]
        assert [len(part[0]) for part in parts] == [3, 3, 4]
        assert all(torch.equal(torch.cat(values), of) for *values, of in zip(*parts, drawn, strict=True))


@pytest.mark.parametrize('size', [(128, 128), (97, 61), (5, 16)])
def test_jpeg_equals_basicsr(faces: torch.Tensor, size: tuple[int, int]) -> None:
    part, quality = faces[..., : size[0], : size[1]], torch.tensor([5.0, 20, 49.5, 50, 70, 80, 95, 99])
    theirs = DiffJPEG(differentiable=False)(part, quality=quality.clone())
    ours = jpeg.compress(part, quality, 'diffjpeg')
    difference = (ours - theirs).abs()  # a frequency that lies between two steps may be rounded either way
    assert ours.shape == part.shape and difference.mean() < 1e-5 and (difference > 1e-5).float().mean() < 1e-3


@pytest.mark.parametrize('size', [(128, 128), (97, 61)])
@pytest.mark.parametrize('quality', [5, 20, 50, 75, 95])
def test_jpeg_gives_what_a_file_holds(faces: torch.Tensor, quality: int, size: tuple[int, int]) -> None:
    part = faces[..., : size[0], : size[1]]
    images = part.mul(255).byte().permute(0, 2, 3, 1).flip(-1).numpy()
    files = [cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for image in images]
    read = np.stack([np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR)) for file in files])
    expected = torch.from_numpy(read).flip(-1).permute(0, 3, 1, 2) / 255
    error = (jpeg.compress(part, torch.full((8,), float(quality)), 'libjpeg') - expected).square().mean()
    assert -10 * math.log10(error) > (44 if quality > 5 else 39)  # where steps are wide, a tie costs more


@pytest.mark.parametrize('codec', jpeg.CODECS)
def test_jpeg_worsens_with_lower_quality(faces: torch.Tensor, codec: str) -> None:
    outs = [jpeg.compress(faces, torch.full((8,), q), codec) for q in (100.0, 95.0, 60.0, 10.0)]
    errors = [(out - faces).square().mean() for out in outs]
    assert errors == sorted(errors) and errors[1] < 2e-3


# ---- whole ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('preset', RANDOM)
def test_reproducible_and_varied(preset: str, faces: torch.Tensor) -> None:
    degradation = build_degradation({'preset': preset}, 4)
    outs = [degradation(faces, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert outs[0].shape == (8, 3, 32, 32) and torch.isfinite(outs[0]).all()
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])
    levels = outs[0] * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4) and levels.min() >= 0 and levels.max() <= 255
    alike = degradation(faces[:1].repeat(8, 1, 1, 1), torch.Generator().manual_seed(1))
    assert (alike - alike[0]).abs().flatten(1).mean(1)[1:].min() > 1e-3  # each image has draws of its own
    small = torch.nn.functional.interpolate(faces, size=(32, 32), mode='area')
    error = -10 * math.log10((outs[0] - small).square().mean())
    assert 14 < error < 40


def test_a_batch_is_not_all_alike_in_its_size_draws(faces: torch.Tensor) -> None:
    """Sharpness of one face, degraded without noise and JPEG loss: one group gives one factor, four give several."""
    quiet = {
        'noise_range': [0, 0], 'noise_range2': [0, 0], 'gaussian_noise_prob': 1, 'gaussian_noise_prob2': 1,
        'jpeg_range': [99, 99], 'jpeg_range2': [99, 99], 'blur_sigma': [0.2, 0.21], 'blur_sigma2': [0.2, 0.21],
        'sinc_prob': 0, 'sinc_prob2': 0, 'final_sinc_prob': 0, 'kernel_prob': [1, 0, 0, 0, 0, 0],
        'kernel_prob2': [1, 0, 0, 0, 0, 0], 'usm_lq': False,
    }  # fmt: skip
    same = faces[:1].repeat(8, 1, 1, 1)
    spread = []
    for groups in (1, 4):
        degradation = build_degradation({'preset': 'realesrgan', 'groups': groups, **quiet}, 4)
        out = degradation(same, torch.Generator().manual_seed(5))
        spread.append(float(out.std(0).mean()))
    assert spread[0] < 2e-3 < spread[1]


@pytest.mark.parametrize('preset', ['realesrgan', 'ai6126_2023'])
def test_blur_can_be_switched_off(preset: str, faces: torch.Tensor) -> None:
    second = {'blur_sigma2': [0, 0], 'sinc_prob2': 0} if preset == 'realesrgan' else {}
    degradation: Any = build_degradation({'preset': preset, 'blur_sigma': [0, 0], 'sinc_prob': 0, **second}, 4)
    assert torch.isfinite(degradation(faces, torch.Generator().manual_seed(0))).all()
    kept = degradation.blur.apply(faces, degradation.blur.draw(8, _draws()), _draws())
    assert torch.allclose(kept, faces, atol=1e-6)


def test_usm_of_source_and_target_apart(faces: torch.Tensor) -> None:
    plain = build_degradation({'preset': 'realesrgan', 'usm_lq': False, 'usm_target': False}, 4)
    source = build_degradation({'preset': 'realesrgan', 'usm_lq': True, 'usm_target': False}, 4)
    target = build_degradation({'preset': 'realesrgan', 'usm_lq': False, 'usm_target': True}, 4)
    lqs = [d(faces, torch.Generator().manual_seed(0)) for d in (plain, source, target)]
    assert torch.equal(lqs[0], lqs[2]) and not torch.equal(lqs[0], lqs[1])
    targets = [d.pair(faces, torch.Generator().manual_seed(0))[1] for d in (source, target)]
    assert torch.equal(targets[0], faces) and torch.equal(targets[1], ops.usm_sharpen(faces))


def _levels_apart(one: torch.Tensor, two: torch.Tensor) -> float:
    """Share of values that are more than one of 255 levels apart."""
    return float(((one - two).abs() > 1.5 / 255).float().mean())


@pytest.mark.parametrize('preset', RANDOM)
def test_rounding_changes_a_pixel_alone(preset: str, faces: torch.Tensor) -> None:
    """Devices round differently. What a batch draws must not hang on that, or all of its noise would be another."""
    degradation = build_degradation({'preset': preset}, 4)
    for seed in range(4):
        rounded = (faces + 2e-7 * torch.randn(faces.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)
        outs = [degradation(batch, torch.Generator().manual_seed(seed)) for batch in (faces, rounded)]
        assert _levels_apart(*outs) < 1e-4


@pytest.mark.parametrize('preset', RANDOM)
def test_nothing_waits_for_the_device(preset: str) -> None:
    """A meta tensor has no values: whatever reads one back fails here, where it would make a GPU's batch wait."""
    degradation = build_degradation({'preset': preset, 'usm_lq': True}, 4)
    for seed in range(8):  # every kind of noise, resize and order
        lq, target = degradation.pair(torch.empty(8, 3, 96, 96, device='meta'), torch.Generator().manual_seed(seed))
        assert lq.shape == (8, 3, 24, 24) and lq.is_meta and target.is_meta


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize('preset', RANDOM)
def test_nothing_waits_for_a_gpu(preset: str, faces: torch.Tensor) -> None:
    degradation, generator = build_degradation({'preset': preset}, 4), torch.Generator('cuda').manual_seed(0)
    gt = faces.to('cuda')
    for mode in ('default', 'error'):  # the first batch brings the tables to the device
        torch.cuda.set_sync_debug_mode(mode)
        try:
            for _ in range(8):
                degradation.pair(gt, generator)
        finally:
            torch.cuda.set_sync_debug_mode('default')


@pytest.mark.gpu
@needs_cuda
def test_jpeg_stays_where_it_was_built(faces: torch.Tensor) -> None:
    """BasicSR's codecs share their tables: the first that is brought to a GPU takes those of all along."""
    quality = torch.full((8,), 40.0)
    before = jpeg.compress(faces, quality)
    DiffJPEG(differentiable=False).to('cuda')
    try:
        on_gpu, again = jpeg.compress(faces.to('cuda'), quality).cpu(), jpeg.compress(faces, quality)
    finally:
        DiffJPEG(differentiable=False).to('cpu')
    assert torch.equal(before, again) and (on_gpu - before).abs().mean() < 1e-4


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize('preset', RANDOM)
def test_close_on_two_devices(preset: str, faces: torch.Tensor) -> None:
    degradation = build_degradation({'preset': preset}, 4)
    outs = [degradation(faces.to(device), torch.Generator().manual_seed(0)).cpu() for device in ('cpu', 'cuda')]
    assert _levels_apart(*outs) < 1e-3


def test_mixture_by_probability(faces: torch.Tensor) -> None:
    parts = [{'preset': 'bicubic_x4', 'probability': 3}, {'preset': 'realesrgan', 'usm_target': True}]
    mixture = build_degradation({'type': 'MixtureDegradation', 'parts': parts}, 4)
    batch = faces.repeat(25, 1, 1, 1)[..., :64, :64]
    lq, target = mixture.pair(batch, torch.Generator().manual_seed(0))
    again = mixture(batch, torch.Generator().manual_seed(0))
    plain = build_degradation({'preset': 'bicubic_x4'}, 4)(batch, torch.Generator())
    by_bicubic = (lq == plain).flatten(1).all(1)
    assert torch.equal(lq, again) and 0.65 < by_bicubic.float().mean() < 0.85
    sharpened = (target != batch).flatten(1).any(1)
    assert torch.equal(sharpened, ~by_bicubic)


def test_the_first_order_preset_is_the_organisers(faces: torch.Tensor) -> None:
    """Their file: blur 0.2 to 5 of 41 px, noise 0 to 25 of which none is grey, JPEG 50 to 95, sizes 1/16 to 1."""
    made: Any = build_degradation({'preset': 'ai6126_2023'}, 4)
    assert (made.noise.gaussian, made.noise.sigma, made.noise.grey) == (1.0, (0.0, 25.0), 0.0)
    assert (made.blur.sizes, made.blur.sigma, made.blur.sinc_prob) == ([41], (0.2, 5.0), 0.0)
    assert made.jpeg.quality == (50.0, 95.0) and made.downscale_range == (0.0625, 1.0)
    _, grey, _ = made.noise.draw(1000, _draws())
    assert not grey.any()


@pytest.mark.parametrize('preset', ['report_s4', 'report_s4_twice'])
def test_s4_blurs_alike_in_all_directions_with_one_noise(preset: str) -> None:
    """S4 gives one sigma, 0.2 to 3, one noise of 15 and JPEG 5 to 50; its text has all of it a second time."""
    made: Any = build_degradation({'preset': preset}, 4)
    twice = preset.endswith('twice')
    for blur in [made.blur, made.blur2] if twice else [made.blur]:
        (drawn,) = blur.draw(200, _draws())
        assert torch.allclose(drawn, drawn.mT, atol=1e-7) and torch.allclose(drawn, drawn.flip(-1), atol=1e-7)
        assert blur.sigma == (0.2, 3.0) and blur.sizes == list(range(7, 22, 2)) and blur.prob in (None, 1.0)
    for step in [made.noise, made.noise2] if twice else [made.noise]:
        assert (step.gaussian, step.sigma, step.grey) == (1.0, (15.0, 15.0), 0.0)
    for step in [made.jpeg, made.jpeg2] if twice else [made.jpeg]:
        assert step.quality == (5.0, 50.0) and step.codec == 'libjpeg'
    if twice:
        assert made.resize.weights == made.resize2.weights == [0.0, 0.0, 1.0] and made.sinc.prob == 0


@pytest.mark.parametrize('mode', ops.RESIZE_MODES)
@pytest.mark.parametrize('factor', [0.31, 0.77, 1.0, 1.43])
def test_resizing_by_the_factor_is_real_esrgan_s(faces: torch.Tensor, factor: float, mode: str) -> None:
    part = faces[..., :97, :61]
    expected = torch.nn.functional.interpolate(part, scale_factor=factor, mode=mode)
    assert torch.equal(ops.resize_by_factor(part, factor, mode), expected)
    assert expected.shape[-2:] == (int(97 * factor), int(61 * factor))
    assert ops.resize_by_factor(part[..., :2, :3], 0.3, mode).shape[-2:] == (1, 1)


@pytest.mark.parametrize(('resize_by', 'low', 'high'), [('size', -0.04, 0.04), ('scale_factor', 0.2, 0.45)])
def test_where_the_lq_lies(resize_by: str, low: float, high: float) -> None:
    """On a slope, by its level: Real-ESRGAN's LQ lies beside the GT, by about 0.3 of the GT's pixels."""
    quiet = {
        'noise_range': [0, 0], 'noise_range2': [0, 0], 'gaussian_noise_prob': 1, 'gaussian_noise_prob2': 1,
        'jpeg_range': [100, 100], 'jpeg_range2': [100, 100], 'blur_sigma': [0, 0], 'blur_sigma2': [0, 0],
        'sinc_prob': 0, 'sinc_prob2': 0, 'final_sinc_prob': 0, 'usm_lq': False, 'jpeg_codec': 'libjpeg',
    }  # fmt: skip
    degradation = build_degradation({'preset': 'ai6126_2024', 'groups': 32, 'resize_by': resize_by, **quiet}, 4)
    slope = torch.linspace(0.1, 0.9, 128).expand(32, 3, 128, 128)
    lqs = torch.cat([degradation(way, torch.Generator().manual_seed(0)) for way in (slope, slope.mT)])
    inner = lqs[..., 4:-4, 4:-4].mean((1, 2, 3))
    shift = (0.5 - inner) / (0.8 / 127)
    assert low < float(shift.mean()) < high


def test_what_made_the_challenge_s_files_resizes_by_the_factor() -> None:
    made: list[Any] = [build_degradation({'preset': name}, 4) for name in ('ai6126_2024', 'realesrgan')]
    assert [degradation.resize.by for degradation in made] == ['scale_factor', 'size']
    assert [degradation.resize2.by for degradation in made] == ['size', 'size']  # there, too, it is by size
    with pytest.raises(OptionError, match='scale_factor'):
        build_degradation({'preset': 'realesrgan', 'resize_by': 'factor'}, 4)
