"""Training stage by stage: what each stage sees and moves, exact resuming in a fade, files, validation, bad options."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.models import build_model
from basicsr.models.sr_model import SRModel
from torch.nn import functional as F

from facesr_ext.archs.srpggan_arch import SRPGGAN, SRPGGANCritic, enlarge
from facesr_ext.errors import OptionError
from facesr_ext.models.growth import Stage, plan_stages, stage_at
from facesr_ext.runs.checkpoints import load_checkpoint
from facesr_ext.settings import train as settings
from facesr_ext.settings.reading import read
from tests.support import OPTIONS, small_options, write_vgg
from tests.test_models.test_distributed import command
from tests.test_models.test_training import _batch, _step, _weights
from tests.training import assert_same_after_kill, parse, run, weights

STAGES = [{'size': 16, 'iters': 2}, {'size': 32, 'iters': 4}, {'size': 64, 'iters': 4, 'micro_batch': 1}]
MSE = {'type': 'ContentLoss', 'mode': 'mse'}


def _options(scale: int = 8, stages: list[dict[str, Any]] | None = None, **train: Any) -> dict[str, Any]:
    """A shrunken shipped file without VGG: 8 -> 16 -> 32 -> 64 px, or 16 -> 32 -> 64 px."""
    opt = small_options(OPTIONS / f'srpggan_x{scale}.yml')
    plan = copy.deepcopy(stages or STAGES)
    total = sum(stage['iters'] for stage in plan)
    opt['train'].update({'content_opt': MSE, 'stages': plan, 'total_iter': total, **train})
    return opt


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    torch.manual_seed(0)
    return build_model(parse(_options(), tmp_path, monkeypatch))


def _train(model: Any, first: int, last: int) -> None:
    for iteration in range(first, last + 1):
        _step(model, iteration, _batch(seed=iteration))


def _unused(net: torch.nn.Module) -> set[str]:
    return {'.'.join(key.split('.')[:2]) for key, p in net.named_parameters() if p.grad is None}


# ---- stages by iteration -------------------------------------------------------------------------------------------


def test_stages_and_weights_of_the_shipped_schedule() -> None:
    sections = [
        {'size': 64, 'iters': 4e4},
        {'size': 128, 'iters': 60000, 'fade': None},
        {'size': 256, 'iters': 60000, 'fade': 1},
    ]
    entries = [read(settings.Stage, section) for section in sections]
    with torch.device('meta'):
        stages = plan_stages(entries, 160000, SRPGGAN(scale=8), SRPGGANCritic(scale=8, input_size=256))
    assert stages == (Stage(2, 0, 40000), Stage(4, 40000, 60000, 30000), Stage(8, 100000, 60000, 60000))
    expected = {1: (2, 1), 40000: (2, 1), 40001: (4, 1 / 30000), 55000: (4, 0.5), 70000: (4, 1), 100000: (4, 1)}
    expected |= {130000: (8, 0.5), 160000: (8, 1), 160001: (8, 1)}
    for iteration, (factor, alpha) in expected.items():
        stage = stage_at(stages, iteration)
        assert (stage.factor, stage.alpha(iteration)) == (factor, alpha), iteration


def test_a_stage_at_the_lrs_own_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _options(4, [{'size': 16, 'iters': 1}, {'size': 32, 'iters': 2}, {'size': 64, 'iters': 2}])
    opt['network_g']['lr_stage'] = opt['network_d']['lr_stage'] = True
    model = build_model(parse(opt, tmp_path, monkeypatch))
    _train(model, 1, 1)
    assert model.batch.gt.shape == model.sample([model.batch])[0].shape == model.batch.lq.shape
    assert torch.equal(model.batch.small(model.factor), model.batch.lq)
    _train(model, 2, 5)
    assert model.sample([model.batch])[0].shape[-1] == 64 and model.get_bare_model(model.net_g).growth.tolist() == [
        4,
        1,
    ]


def test_each_stage_has_its_size_its_fade_and_its_micro_batch(model: Any) -> None:
    seen = []
    for iteration in range(1, 11):
        _step(model, iteration, _batch(seed=iteration))
        growth = {tuple(net.growth.tolist()) for net in (model.net_g, model.net_d, model.net_g_ema)}
        assert len(growth) == 1, 'the networks and the average are in the same place'
        parts = model.micro_batches()
        sizes = {t.shape[-1] for t in (model.batch.gt, model.batch.enlarged, *model.sample(parts))}
        assert len(sizes) == 1
        log = model.get_current_log()
        assert all(torch.isfinite(torch.tensor(value)) for value in log.values()) and 'l_d_gp' in log
        seen.append((*growth.pop(), sizes.pop(), len(parts)))
    assert seen == [
        *[(2, 1, 16, 1)] * 2,
        *[(4, 0.5, 32, 1), (4, 1, 32, 1), (4, 1, 32, 1), (4, 1, 32, 1)],
        *[(8, 0.5, 64, 4), (8, 1, 64, 4), (8, 1, 64, 4), (8, 1, 64, 4)],
    ]


def test_the_gt_is_pooled_and_in_a_fade_mixed_with_its_half(model: Any) -> None:
    gt = _batch()['gt']
    for iteration, size, alpha in ((1, 16, 1.0), (3, 32, 0.5), (4, 32, 1.0), (7, 64, 0.5)):
        model.update_learning_rate(iteration)
        model.feed_data(_batch())
        own = F.avg_pool2d(gt, 64 // size)
        expected = (1 - alpha) * enlarge(F.avg_pool2d(own, 2), 2) + alpha * own
        assert torch.allclose(model.batch.gt, expected, atol=1e-6)
        assert model.batch.lq.shape[-1] == 8
        one = {key: value[:1] for key, value in _batch().items()}
        assert torch.allclose(model.prepare_validation(one, False).gt, own[:1], atol=1e-6), (
            'the whole GT is the measure'
        )


# ---- what moves ----------------------------------------------------------------------------------------------------


def test_parts_not_in_use_have_no_gradient_no_adam_state_and_do_not_move(model: Any) -> None:
    before, average = _weights(model.net_g), _weights(model.net_g_ema)
    _train(model, 1, 2)
    assert _unused(model.net_g) == {'stages.x4', 'stages.x8', 'to_rgb.x4', 'to_rgb.x8'}
    assert _unused(model.net_d) == {'from_rgb.x4', 'from_rgb.x8', 'blocks.px32', 'blocks.px64'}
    for net, optimizer in ((model.net_g, model.optimizer_g), (model.net_d, model.optimizer_d)):
        assert {p for p in optimizer.state if p.grad is None} == set()
        assert len(optimizer.state) == sum(p.grad is not None for p in net.parameters())
    for key, parameter in model.net_g.named_parameters():
        idle = parameter.grad is None
        assert torch.equal(parameter, before[key]) == idle, key
        assert torch.equal(model.net_g_ema.state_dict()[key], average[key]) == idle, key
        assert not idle or torch.equal(model.net_g_ema.state_dict()[key], parameter)


def test_old_parts_go_on_learning_in_a_new_stage(model: Any) -> None:
    _train(model, 1, 2)
    before = {**_weights(model.net_g), **{f'd.{key}': value for key, value in _weights(model.net_d).items()}}
    _train(model, 3, 3)
    assert _unused(model.net_g) == {'stages.x8', 'to_rgb.x8'}
    assert _unused(model.net_d) == {'from_rgb.x8', 'blocks.px64'}
    for key in ('head.0.0.weight', 'stages.x2.0.0.weight', 'to_rgb.x2.weight', 'stages.x4.0.0.weight'):
        assert not torch.equal(model.net_g.state_dict()[key], before[key]), key
    for key in ('blocks.px8.0.weight', 'from_rgb.x2.0.weight', 'from_rgb.x4.0.weight'):
        assert not torch.equal(model.net_d.state_dict()[key], before[f'd.{key}']), key
    _train(model, 4, 4)
    assert _unused(model.net_g) == {'stages.x8', 'to_rgb.x8', 'to_rgb.x2'}, 'the fade is over'


def test_the_average_warms_up_in_every_stage(model: Any) -> None:
    _train(model, 1, 2)
    average = _weights(model.net_g_ema)
    _train(model, 3, 3)
    decay, own = 2 / 11, model.net_g.state_dict()
    for key, value in model.net_g_ema.state_dict().items():
        expected = own[key] if key == 'growth' else average[key] * decay + own[key] * (1 - decay)
        assert torch.allclose(value, expected, atol=1e-7), key


def test_pggans_devices_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _options()
    opt['network_g'].update(eql_lr=True, pixel_norm=True)
    opt['network_d'].update(eql_lr=True, mbstd=True)
    opt['precision'] = 'bf16'
    model = build_model(parse(opt, tmp_path, monkeypatch))
    for iteration in (1, 3, 7, 9):
        before = _weights(model.net_g), _weights(model.net_d)
        _step(model, iteration, _batch(seed=iteration))
        assert not any(step.guard.bad for step in model.steps.values())
        for old, net in zip(before, (model.net_g, model.net_d), strict=True):
            for key, parameter in net.named_parameters():
                if key.endswith('weight'):  # the last bias has almost no gradient: Wasserstein's cancels
                    assert torch.equal(parameter, old[key]) == (parameter.grad is None), key


def test_vgg_features_count_in_the_last_stage_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_vgg(tmp_path, 'vgg19')
    monkeypatch.setenv('FACESR_HOME', str(tmp_path))
    monkeypatch.setenv('FACESR_OFFLINE', '1')
    model = build_model(parse(_options(content_opt={'type': 'ContentLoss', 'mode': 'mix'}), tmp_path, monkeypatch))
    for iteration, last in ((1, False), (3, False), (7, True)):
        _step(model, iteration, _batch())
        out, batch = model.predict({key: value[:1] for key, value in _batch().items()}, False)[::-1]
        log = model.get_current_log() if last else model.generator_step(model.micro_batches()).logs
        assert ('l_g_content_vgg' in log) == last and 'l_g_content_pix' in log
        assert set(model.validation_losses(out, batch)) == {name for name in log if name.startswith('l_g_content')}


# ---- files ---------------------------------------------------------------------------------------------------------


def test_a_file_saved_in_mid_fade_tests_alike_in_stock_basicsr(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _train(model, 1, 3)
    model.save(0, 3)
    file = Path(model.opt['path']['models']) / 'net_g_3.pth'
    saved = load_checkpoint(file)
    assert saved['params']['growth'].tolist() == saved['params_ema']['growth'].tolist() == [4, 0.5]
    stock = {**copy.deepcopy(model.opt), 'is_train': False}
    stock['path'].update(pretrain_network_g=str(file), param_key_g='params_ema', strict_load_g=True)
    one = {key: value[:1] for key, value in _batch().items()}
    batch, out = model.predict(one, False)
    tester = SRModel(stock)
    tester.feed_data({'lq': batch.lq})
    tester.test()
    assert tester.output.shape == (1, 3, 64, 64) and out.sr.shape == (1, 3, 32, 32)
    assert torch.equal(tester.output, enlarge(out.sr, 2))
    for kind in ('FaceSRModel', 'SRPGGANModel'):
        ours = build_model({**stock, 'model_type': kind})
        assert torch.equal(ours.predict(one, False)[1].sr, tester.output), kind


def test_killed_in_a_fade_and_resumed_gives_the_same_weights(tmp_path: Path) -> None:
    """kill -9 in the second stage, which fades in to its end; ten faces in batches of four: three make an epoch."""
    opt = _options(4, [{'size': 32, 'iters': 4}, {'size': 64, 'iters': 36, 'fade': 1.0}])
    opt['datasets']['train'].update(num_faces=10, batch_size_per_gpu=4, crop_scale=[0.8, 1.0])
    opt['logger']['save_checkpoint_freq'], opt['val']['val_freq'] = 5, 20
    assert_same_after_kill(opt, tmp_path, 10, ('net_g_15', 'net_g_latest', 'net_d_latest'))
    assert float(weights(tmp_path / 'broken', opt, 'net_g_15')['params.growth'][1]) == pytest.approx(11 / 36)


@pytest.mark.slow
def test_two_processes_train_as_one_at_the_same_global_batch(tmp_path: Path) -> None:
    """Without the penalty, whose points each process draws for itself; unused parameters do not hold it up."""
    plan = [{'size': 32, 'iters': 3}, {'size': 64, 'iters': 5}]
    for place, batch in (('one', 4), ('two', 2)):
        opt = _options(4, plan, gradient_penalty_opt={'type': 'GradientPenaltyLoss', 'loss_weight': 0.0})
        opt['datasets']['train'].update(num_faces=10, batch_size_per_gpu=batch)
        words = command(tmp_path / place, opt)
        alone = [sys.executable, '-m', 'basicsr.train', '-opt', str(tmp_path / place / 'opt.yml')]
        run(alone if place == 'one' else words, tmp_path / place)
    for label in ('net_g_latest', 'net_d_latest'):
        one, two = (weights(tmp_path / place, opt, label) for place in ('one', 'two'))
        assert max(float((one[key] - two[key]).abs().max()) for key in one) < 1e-6


# ---- validation ----------------------------------------------------------------------------------------------------


def test_validation_is_at_the_stages_size_and_its_best_is_the_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = _options()
    opt['logger']['keep_best'] = 'psnr_y'
    opt['val']['tile'] = {'size': 6, 'overlap': 4}
    model = build_model(parse(opt, tmp_path, monkeypatch))
    best = Path(model.opt['path']['models']) / 'net_g_best.pth'
    for iteration in range(1, 11):
        _step(model, iteration, _batch(seed=iteration))
        if iteration in (2, 6, 10):
            batch = model.prepare_validation({key: value[:1] for key, value in _batch().items()}, False)
            out = model.infer(batch)
            assert out.sr.shape == batch.gt.shape == batch.enlarged.shape
            means = dict.fromkeys(model.metrics, 30.0 - iteration)
            for _ in range(2):  # nothing counts that was of another size
                record = model.best_figures('val', means)['psnr_y']
                assert record == {'better': 'higher', 'val': 30 - iteration, 'iter': iteration}
            model.keep_best('val', means)
            assert best.exists() == (iteration == 10)


# ---- what it refuses -----------------------------------------------------------------------------------------------

FITTING = '16, 32, 64'


@pytest.mark.parametrize(
    ('stages', 'message'),
    [
        ([{'size': 16}], 'train:stages:0:iters: is missing'),
        ([{**STAGES[0], 'fade': 0.5}, *STAGES[1:]], 'stages:0:fade: the first stage, 16 px, has none before it'),
        ([STAGES[0], STAGES[2]], f'the sizes are 16, 64, but the networks grow through {FITTING}; give each an entry'),
        ([{'size': 24, 'iters': 2}], f'the sizes are 24, but the networks grow through {FITTING}'),
        ([*STAGES, {'size': 128, 'iters': 2}], 'the sizes are 16, 32, 64, 128, but the networks grow through'),
        ([{**STAGES[0], 'iters': 3}, *STAGES[1:]], 'train:total_iter: is 10, but .* sum to 11; write total_iter: 11'),
    ],
)
def test_unfit_stages_are_named(stages: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _options()
    opt['train']['stages'] = stages
    with pytest.raises(OptionError, match=message):
        build_model(parse(opt, tmp_path, monkeypatch))


@pytest.mark.parametrize(
    ('section', 'net', 'message'),
    [
        ('network_g', {'type': 'FSRNet', 'prior': False}, 'network_g:type: FSRNet does not grow.* a SRPGGAN'),
        ('network_d', {'type': 'WGANCritic', 'input_size': 64}, 'network_d:type: WGANCritic .* needs a SRPGGANCritic'),
        (
            'network_d',
            {'type': 'SRPGGANCritic', 'input_size': 64},
            'grows by 2, 4, but network_g by 2, 4, 8; make scale',
        ),
        ('network_d', {'type': 'SRPGGANCritic', 'scale': 8, 'input_size': 60}, 'is a power of two from 64 on'),
        ('network_g', {'type': 'SRPGGAN', 'scale': 2}, 'network_g: SRPGGAN: scale is one of 4, 8, not 2'),
    ],
)
def test_networks_that_do_not_grow_together_are_named(
    section: str, net: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = _options()
    opt[section] = net
    with pytest.raises(OptionError, match=message):
        build_model(parse(opt, tmp_path, monkeypatch))


def test_a_gt_of_another_size_is_named(model: Any) -> None:
    model.update_learning_rate(1)
    with pytest.raises(OptionError, match='the GT is 128x128 px, but network_d is built for input_size: 64; make them'):
        model.feed_data(_batch(side=128))
