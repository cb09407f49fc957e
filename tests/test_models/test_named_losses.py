"""``train: losses``: several of a kind, what each reads, what the log calls it, and what cannot be served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.models import build_model

from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.check.examine import check_file
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import OptionError
from facesr_ext.faces.regions import regions_of_landmarks, regions_of_masks
from facesr_ext.host import weights
from facesr_ext.imaging import imresize, quantize
from facesr_ext.models.recycling import Recycler
from tests.support import OPTIONS, small_options, write_options
from tests.training import assert_same_after_kill, parse

L1 = {'type': 'L1Loss', 'loss_weight': 1.0}


def _options(name: str = 'srresnet', losses: Any = None, **train: Any) -> dict[str, Any]:
    opt = small_options(OPTIONS / f'{name}.yml')
    opt['train'].update(train, losses=losses)
    return opt


def _model(opt: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    parsed = parse(opt, folder, monkeypatch)
    torch.manual_seed(0)
    return build_model(parsed)


def _batch(size: int = 4, side: int = 64) -> dict[str, Any]:
    g = torch.Generator().manual_seed(0)
    return {
        'gt': torch.rand(size, 3, side, side, generator=g),
        'parsing': torch.randint(0, 19, (size, side, side), generator=g),
        'landmarks': torch.rand(size, 68, 2, generator=g) * side,
        'gt_path': [f'{i}.png' for i in range(size)],
    }


def _step(model: Any, iteration: int = 1) -> dict[str, float]:
    model.update_learning_rate(iteration)
    model.feed_data(_batch())
    model.optimize_parameters(iteration)
    return dict(model.get_current_log())


def test_several_of_a_kind_are_logged_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = {
        'charbonnier': {'type': 'CharbonnierLoss', 'loss_weight': 1.0, 'eps': 1e-6},
        'l1_again': {**L1, 'loss_weight': 0.5},
        'fft': {'type': 'FFTLoss', 'loss_weight': 0.01},
        'structure': {'type': 'MSSSIMLoss', 'loss_weight': 0.1},
        'eyes': {'type': 'RegionLoss', 'regions': ['eyes']},
        'mouth': {'type': 'RegionLoss', 'regions': ['mouth'], 'by': 'landmarks'},
        'small': {'type': 'LRConsistencyLoss'},
        'cycle': {'type': 'CycleLoss', 'loss_weight': 0.1},
    }
    model = _model(_options(losses=losses, pixel_opt=L1), tmp_path, monkeypatch)
    made: list[torch.Tensor] = []
    model.net_g.register_forward_hook(lambda net, inputs, out: made.append(out.detach()))
    log = _step(model)
    names = {*losses, 'fft_amplitude', 'fft_phase'} - {'fft'}
    assert set(log) == {f'l_{name}' for name in names} | {'l_pix', 'psnr', 'grad_norm_g'}
    assert log['l_l1_again'] == pytest.approx(log['l_pix'] / 2, rel=1e-5)
    assert all(value > 0 for value in log.values())
    data = _batch()
    error = (made[0] - data['gt']).abs()
    inside = ((data['parsing'] == 4) | (data['parsing'] == 5))[:, None].expand_as(error)
    assert log['l_eyes'] == pytest.approx(float(error[inside].mean()), rel=1e-4)
    size = (16, 16)
    reduced = (quantize(imresize(made[0].clamp(0, 1), size)) - quantize(imresize(data['gt'], size))).abs().mean()
    assert log['l_small'] == pytest.approx(float(reduced), rel=1e-3)
    assert len(made) == 2 and log['l_cycle'] == pytest.approx(
        0.1 * float((made[1] - data['gt']).abs().mean()), rel=1e-4
    )


@pytest.mark.parametrize('reads', [{'type': 'LRConsistencyLoss'}, {'type': 'CycleLoss'}, {'type': 'FFTLoss'}])
def test_micro_batches_add_up(reads: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grads = []
    for micro in (None, 2):
        opt = _options('fsrnet_fast', {'more': reads}, micro_batch=micro)
        if reads['type'] == 'FFTLoss':
            opt['train']['losses']['more']['mode'] = 'complex'  # phases count by how many are heard in a micro-batch
        model = _model(opt, tmp_path, monkeypatch)
        _step(model)
        grads.append([p.grad.clone() for p in model.net_g.parameters() if p.grad is not None])
    assert all(torch.allclose(a, b, atol=1e-6, rtol=1e-3) for a, b in zip(*grads, strict=True))


def test_the_consistency_gradient_is_that_of_the_reduction() -> None:
    """Exactly, but for rounding, with bicubic; with noise by the same draws the noise is no difference."""
    gt = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    sr = (gt * 0.9).requires_grad_()
    recycler = Recycler({'reduced'}, build_degradation({'preset': 'bicubic_x4'}, 4), 4, ArchInfo(4))
    small = recycler.degraded(sr, 5)
    assert torch.equal(small, quantize(imresize(sr.detach(), (8, 8))))
    (grad,) = torch.autograd.grad(small.sum(), sr)
    (wanted,) = torch.autograd.grad(imresize(sr, (8, 8)).sum(), sr)
    assert torch.allclose(grad, wanted)
    noisy = Recycler({'reduced'}, build_degradation({'preset': 'ai6126_2023'}, 4), 4, ArchInfo(4))
    assert torch.equal(noisy.degraded(gt, 5), noisy.degraded(gt, 5))
    assert not torch.equal(noisy.degraded(gt, 5), noisy.degraded(gt, 6))
    enlarged = Recycler({'reduced'}, build_degradation({'preset': 'fsrnet_x8'}, 8), 8, ArchInfo(4))
    assert enlarged.degraded(gt, 5).shape == gt.shape
    assert Recycler({'reduced'}, None, 4, ArchInfo(4)).degraded(gt, 5).shape == (2, 3, 8, 8)


def test_regions_of_masks_and_landmarks() -> None:
    masks = torch.tensor([[[0, 4, 5], [255, 11, 13]]])
    assert regions_of_masks(masks, ['eyes', 'mouth'])[0, 0].tolist() == [[0, 1, 1], [0, 1, 0]]
    points = torch.full((2, 5, 2), float('nan'))
    points[0] = torch.tensor([[8.0, 10.0], [24.0, 10.0], [16.0, 16.0], [10.0, 24.0], [22.0, 24.0]])
    inside = regions_of_landmarks(points, ['eyes'], (32, 32))
    rows, columns = inside[0, 0].nonzero(as_tuple=True)
    assert inside.shape == (2, 1, 32, 32) and not inside[1].any()
    assert sorted(set(rows.tolist())) == [8, 9, 10, 11, 12]  # an eighth of 16 px
    assert sorted(set(columns.tolist())) == [*range(6, 11), *range(22, 27)]


@pytest.mark.parametrize(
    ('name', 'losses', 'dataset', 'message'),
    [
        ('srresnet', {'lm': {'type': 'LandmarkLoss'}}, {}, 'losses:lm: network_g predicts no landmarks'),
        ('srresnet', {'r': {'type': 'RegionLoss'}}, {'dataroot_gt': 'x'}, 'losses:r: .*no dataroot_parsing'),
        (
            'srresnet',
            {'r': {'type': 'RegionLoss', 'by': 'landmarks', 'regions': ['brows']}},
            {'num_landmark': 5},
            'losses:r: regions are known of so many landmarks: 5 .eyes, nose, mouth.*not all of 5',
        ),
        ('srpggan_x4', {'c': {'type': 'CycleLoss'}}, {}, 'losses:c: the model gives it nothing to compare .again'),
        ('srresnet', {'FFT': {'type': 'FFTLoss'}}, {}, "losses:FFT.*must be a word of a to z.*'FFT'"),
        ('fsrgan', {'gan': {'type': 'FFTLoss'}}, {}, 'losses:gan.*what the log calls another loss'),
        ('srresnet', {'fft': {'type': 'FFTLos'}}, {}, 'losses:fft:type: .*did you mean FFTLoss'),
        ('srresnet', {'fft': {'type': 'FFTLoss', 'mode': 'wave'}}, {}, 'losses:fft.*polar, complex'),
    ],
)
def test_what_cannot_be_served_is_told_by_check_and_model(
    name: str, losses: Any, dataset: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = _options(name, losses)
    if name == 'srpggan_x4':
        opt['train']['content_opt'].update(mode='mse')
    opt['datasets']['train'].update(dataset)
    with pytest.raises(OptionError, match=f'train:{message}'):
        _model(opt, tmp_path, monkeypatch)
    if opt['datasets']['train']['dataroot_gt'] != 'builtin':
        (tmp_path / 'x').mkdir()
        monkeypatch.chdir(tmp_path)
        opt['datasets']['train']['dataroot_gt'] = 'x'
        return  # the check tells of the empty folder first
    found = check_file(str(write_options(opt, tmp_path / 'checked.yml')), 'train')
    assert [f for f in found if f.level == 'error' and f.key[:3] == ('train', 'losses', next(iter(losses)))], found


def test_heads_may_be_taught_by_named_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _options('fsrnet_fast', {'maps': {'type': 'ParsingLoss', 'criterion': 'ce'}}, parsing_opt=None)
    log = _step(_model(opt, tmp_path, monkeypatch))
    assert log['l_maps'] > 0 and 'l_parsing' not in log
    opt['train'].update(losses={'only': L1}, pixel_opt=None, coarse_opt=None)
    opt['network_g'].update(prior=False)
    assert set(_step(_model(opt, tmp_path, monkeypatch))) == {'l_only', 'psnr', 'grad_norm_g'}
    opt['train'].update(losses={})
    with pytest.raises(OptionError, match='there is no loss; add one of pixel_opt, .*losses'):
        _model(opt, tmp_path, monkeypatch)


def test_losses_that_look_again_resume_exactly(tmp_path: Path) -> None:
    """Random degradation, labels, augmentation and a schedule of ours; killed in mid-epoch."""
    losses = {'small': {'type': 'LRConsistencyLoss'}, 'cycle': {'type': 'CycleLoss'}, 'fft': {'type': 'FFTLoss'}}
    opt = _options('realesrfsr_msrresnet', losses, total_iter=30, augment={'mixup': 0.5, 'colours': 0.5})
    opt['train']['scheduler'] = {'type': 'WarmupStableDecayLR', 'decay_iter': 8}
    opt['datasets']['train'].update(num_faces=10, batch_size_per_gpu=4)
    opt['logger']['save_checkpoint_freq'] = 4
    opt['val']['val_freq'] = 30
    assert_same_after_kill(opt, tmp_path, 4, ('net_g_latest', 'net_g_28'))


def test_weights_and_networks_that_losses_load_are_told_before_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ('FACESR_HOME', 'TORCH_HOME'):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    monkeypatch.setattr(weights, 'find_packaged', lambda filename: None)
    monkeypatch.chdir(tmp_path)
    losses = {'look': {'type': 'LPIPSLoss', 'net': 'alexnet'}, 'person': {'type': 'IdentityLoss', 'path': 'no.pt2'}}
    found = check_file(str(write_options(_options(losses=losses), tmp_path / 'opt.yml')), 'train')
    told = {f.key: f.message for f in found if f.level == 'error'}
    assert set(told) == {('train', 'losses', 'look', 'type'), ('train', 'losses', 'person', 'path')}
    assert 'The weight file alexnet-owt-7be5be79.pth is missing' in told['train', 'losses', 'look', 'type']
    assert 'there is no file no.pt2' in told['train', 'losses', 'person', 'path']
    with pytest.raises(OptionError, match=r'train:losses:person.*there is no file no.pt2'):
        _model(_options(losses={'person': losses['person']}), tmp_path, monkeypatch)
