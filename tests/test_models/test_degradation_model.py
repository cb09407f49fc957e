"""Training a high-to-low network without pairs: what its losses see, validation by spread, exact resume, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.data import build_dataloader, build_dataset
from torch.nn import functional as F

from facesr_ext.data.image_io import read_image
from facesr_ext.errors import OptionError
from facesr_ext.metrics.diversity import spread
from tests.support import OPTIONS, read_table, small_options
from tests.training import assert_same_after_kill, parsed_model

LATENT = {'type': 'L1Loss', 'loss_weight': 0.5}


def _model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str = 'degradation_net', **changes: Any) -> Any:
    opt = small_options(OPTIONS / f'{name}.yml')
    for key, value in changes.items():
        section, _, inner = key.partition('__')
        opt[section] = {**opt[section], inner: value} if inner else value
    return parsed_model(opt, tmp_path, monkeypatch)


def _batch(size: int = 4, side: int = 64, scale: int = 8) -> dict[str, Any]:
    g = torch.Generator().manual_seed(0)
    lq = torch.rand(size, 3, side // scale, side // scale, generator=g)
    return {'gt': torch.rand(size, 3, side, side, generator=g), 'lq': lq, 'gt_path': ['a.png'] * size}


def _step(model: Any, iteration: int, data: dict[str, Any]) -> None:
    model.update_learning_rate(iteration)
    model.feed_data(data)
    model.optimize_parameters(iteration)


def test_what_each_loss_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixel loss the averaged HR face, the discriminator the real LR faces, the diversity loss two results."""
    model, data = _model(tmp_path, monkeypatch, train__diversity_opt={'type': 'DiversityLoss'}), _batch()
    seen: dict[str, Any] = {}
    model.losses['pixel_opt'].criterion.register_forward_pre_hook(lambda _, inputs: seen.update(pixel=inputs))
    model.cri_diversity.register_forward_pre_hook(lambda _, inputs: seen.update(diversity=inputs))
    judged: list[torch.Tensor] = []
    model.net_d.register_forward_pre_hook(lambda _, inputs: judged.append(inputs[0]))
    _step(model, 1, data)
    assert torch.equal(seen['pixel'][1], F.avg_pool2d(data['gt'], 8))
    first, second, z, other = seen['diversity']
    assert torch.equal(first, seen['pixel'][0]) and not torch.equal(first, second)
    batch = model.batch  # two cameras, the same noise
    assert torch.equal(z, batch.z[:, :8]) and torch.equal(other, batch.other_z[:, :8]) and not torch.equal(z, other)
    assert torch.equal(batch.z[:, 8:], batch.other_z[:, 8:])
    assert [t.shape for t in judged] == [first.shape] * 3
    assert torch.equal(judged[0], first) and torch.equal(judged[1], data['lq']) and torch.equal(judged[2], first)
    names = {'l_g_pix', 'l_g_gan', 'l_g_diversity', 'l_d_real', 'l_d_fake', 'psnr', 'grad_norm_g', 'grad_norm_d'}
    assert names <= set(model.get_current_log())
    sheet = read_image(Path(model.opt['path']['visualization']) / 'first_batch.png')
    assert sheet.shape[1] == 3 * (64 + 2)  # HR | averaged | real LR


def test_z_is_a_function_of_seed_and_iteration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path, monkeypatch)
    drawn = []
    for iteration in (1, 2, 1):
        model.update_learning_rate(iteration)
        model.feed_data(_batch())
        drawn.append(model.batch.z)
    assert torch.equal(drawn[0], drawn[2]) and not torch.equal(drawn[0], drawn[1])


def test_the_published_recipe_steps_the_generator_every_fifth_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = _model(tmp_path, monkeypatch, 'degradation_net_paper')
    moved = []
    for iteration in range(1, 11):
        before = model.net_g.conv_last.weight.clone()
        _step(model, iteration, _batch(scale=4))
        moved.append(not torch.equal(before, model.net_g.conv_last.weight))
    assert moved == [False, False, False, False, True] * 2
    assert model.cri_diversity is None and not hasattr(model, 'net_g_ema')
    assert all(g['lr'] == 1e-4 for o in model.optimizers for g in o.param_groups)


def test_validation_measures_the_spread_of_ten_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path, monkeypatch)
    opt = {
        'name': 'val', 'type': 'UnpairedFaceDataset', 'phase': 'val', 'scale': 8, 'dataroot_gt': 'builtin',
        'dataroot_lq': 'builtin', 'image_size': 64, 'num_faces': 2,
    }  # fmt: skip
    data = build_dataset(opt)
    scalars: dict[str, float] = {}

    class Board:
        def add_scalar(self, name: str, value: float, step: int) -> None:
            scalars[name] = value

    model.validation(build_dataloader(data, opt), 0, Board())
    folder = Path(model.opt['path']['visualization'])
    rows = read_table(folder / 'val_0.csv')
    assert [row['name'] for row in rows] == [Path(p).stem for p in data.paths]
    draws = model.draws(data[0]['gt'][None], data[0]['gt_path'], 10)
    assert float(rows[0]['std_z']) == pytest.approx(spread(draws), rel=1e-5) and spread(draws) > 0
    assert scalars['metrics/val/std_z'] == pytest.approx(sum(float(row['std_z']) for row in rows) / 2, rel=1e-5)
    assert read_image(folder / 'val_0.png').shape[1] == 12 * (64 + 2)  # HR | averaged | ten results


def test_latent_regression_asks_the_result_for_its_camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is that of the guess, and both the guesser and the generator learn by it."""
    net = {**small_options(OPTIONS / 'degradation_net.yml')['network_g'], 'regress_z': True, 'generators': 2}
    model = _model(tmp_path, monkeypatch, network_g=net, train__latent_opt=LATENT)
    before = [p.clone() for p in model.net_g.regressor.parameters()]
    seen: dict[str, Any] = {}
    model.cri_latent.register_forward_pre_hook(lambda _, inputs: seen.update(latent=inputs))
    _step(model, 1, _batch())
    guess, camera = seen['latent']
    assert torch.equal(camera, model.batch.z[:, :8]) and guess.shape == camera.shape
    log = model.get_current_log()
    assert log['l_g_latent'] == pytest.approx(0.5 * float((guess - camera).abs().mean()), rel=1e-5)
    assert all(not torch.equal(a, b) for a, b in zip(before, model.net_g.regressor.parameters(), strict=True))


def test_statistics_compare_results_with_the_real_lr_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path, monkeypatch, train__statistics_opt={'type': 'StatisticsLoss', 'loss_weight': 0.5})
    seen: dict[str, Any] = {}
    model.cri_statistics.register_forward_hook(lambda _, inputs, result: seen.update(inputs=inputs, result=result))
    _step(model, 1, _batch())
    made, real = seen['inputs']
    assert torch.equal(real, model.batch.unpaired) and made.shape == real.shape
    assert model.get_current_log()['l_g_statistics'] == pytest.approx(float(seen['result']), rel=1e-5)


def test_spread_is_in_8_bit_units() -> None:
    levels = torch.tensor([100.0, 102.0, 104.0]).view(3, 1, 1, 1).expand(3, 3, 4, 4) / 255
    assert spread(levels) == pytest.approx(2.0)
    assert spread(levels + 0.3 / 255) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'degradation': {'preset': 'bicubic_x8'}}, 'degradation: is what DegradationModel is to learn'),
        ({'network_g': {'type': 'FSRNet', 'num_feat': 4}}, 'network_g: DegradationModel trains a DegradationNet'),
        ({'train__pixel_opt': None}, 'there is no loss'),
        ({'train__diversity_opt': {'type': 'DiversityLoss', 'tau': -1}}, 'train:diversity_opt: .*tau is above 0'),
        ({'train__latent_opt': LATENT}, 'network_g: needs regress_z: true'),
    ],
)
def test_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        _model(tmp_path, monkeypatch, **changes)


def test_data_that_do_not_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path, monkeypatch, 'degradation_net_paper')
    for data, message in (
        ({'gt': torch.rand(2, 3, 64, 64)}, 'needs HR and real LR faces; take UnpairedFaceDataset'),
        (_batch(2, 64, 8), 'LR faces have 8x8 px, expected 16x16 px'),
        (_batch(2, 128, 4), 'takes HR faces of 64x64 px, not 128x128; set its size, or image_size'),
        (_batch(2, 72, 4), 'must be a multiple of 16'),
    ):
        model.update_learning_rate(1)
        with pytest.raises(OptionError, match=message):
            model.feed_data(data)


def test_validation_refuses_what_has_no_meaning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value, message in (
        ('metrics', {'psnr': {'type': 'psnr_y', 'crop_border': 0}}, 'there is no true LR to compare with'),
        ('tile', {'size': 64, 'overlap': 0}, 'takes whole faces'),
    ):
        with pytest.raises(OptionError, match=f'val:{key}: .*{message}'):
            _model(tmp_path, monkeypatch, **{f'val__{key}': value})


def test_killed_and_resumed_gives_the_same_weights(tmp_path: Path) -> None:
    """kill -9 once a state of mid-epoch is there; spectral normalisation's vectors are part of it."""
    opt = small_options(OPTIONS / 'degradation_net.yml')
    opt['train'].update(total_iter=30, net_d_iters=2)
    opt['datasets']['train'].update(num_faces=10, batch_size_per_gpu=4, crop_scale=[0.8, 1.0])
    opt['logger']['save_checkpoint_freq'] = 4
    opt['val']['val_freq'] = 20
    assert_same_after_kill(opt, tmp_path, 4, ('net_g_latest', 'net_d_latest'))
