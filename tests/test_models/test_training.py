"""The training loop: exact resume, EMA, micro-batches, the finite guard, checkpoints, and what it refuses."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.models import build_model
from basicsr.models.sr_model import SRModel
from torch import nn

from facesr_ext.cli.run import run_pipeline
from facesr_ext.errors import CheckpointError, FaceSRError, OptionError
from facesr_ext.host.workers import complete_dataset_options
from facesr_ext.runs.checkpoints import load_checkpoint, save_atomic
from tests.support import OPTIONS, PHOTOS, needs_photos, read_table, small_options, with_landmarks, write_options
from tests.training import assert_same_after_kill, parse

L1 = {'type': 'L1Loss', 'loss_weight': 1.0}
PARSING = {'type': 'ParsingLoss', 'loss_weight': 1.0}
LANDMARK = {'type': 'LandmarkLoss', 'loss_weight': 1.0}


def _options(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **train: Any) -> dict[str, Any]:
    """A shrunken shipped file as BasicSR's runner hands it to a model."""
    opt = small_options(OPTIONS / f'{name}.yml')
    opt['train'].update(train, scheduler={**opt['train']['scheduler'], 'periods': [100]})
    return parse(opt, tmp_path, monkeypatch)


def _batch(size: int = 4, side: int = 64, seed: int = 0) -> dict[str, Any]:
    g = torch.Generator().manual_seed(seed)
    return {
        'gt': torch.rand(size, 3, side, side, generator=g),
        'parsing': torch.randint(0, 19, (size, side, side), generator=g),
        'landmarks': torch.rand(size, 68, 2, generator=g) * side,
        'gt_path': [f'{i}.png' for i in range(size)],
    }


def _step(model: Any, iteration: int, data: dict[str, Any]) -> None:
    model.update_learning_rate(iteration)
    model.feed_data(data)
    model.optimize_parameters(iteration)


def _weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in net.state_dict().items()}


# ---- exact resume -------------------------------------------------------------------------------------------------


def _command(file: Path, *more: str) -> list[str]:
    return [sys.executable, '-m', 'basicsr.train', '-opt', str(file), *more]


@pytest.mark.parametrize('recipe', ['fsrgan', 'quickstart', 'srwgan_gp'])
def test_killed_in_mid_epoch_and_resumed_gives_the_same_weights(recipe: str, tmp_path: Path) -> None:
    """kill -9 once a state of mid-epoch is there; ten faces in batches of four make epochs of three iterations."""
    opt = small_options(OPTIONS / f'{recipe}.yml')
    opt['train'].update(total_iter=40)
    if 'periods' in opt['train']['scheduler']:
        opt['train']['scheduler']['periods'] = [40]
    if 'content_opt' in opt['train']:
        opt['train']['content_opt']['mode'] = 'mse'  # no weights of a VGG here
    opt['datasets']['train'].update(num_faces=10, batch_size_per_gpu=4, crop_scale=[0.8, 1.0])
    opt['logger']['save_checkpoint_freq'] = 4
    opt['val']['val_freq'] = 20
    assert_same_after_kill(opt, tmp_path, 4, ('net_g_latest', 'net_g_40'))


def test_degrading_in_workers_trains_as_degrading_on_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bicubic draws nothing, so the two ways are one; the model does not degrade again."""
    finals = []
    for inside in (False, True):
        place = tmp_path / str(inside)
        place.mkdir()
        monkeypatch.chdir(place)
        opt = small_options(OPTIONS / 'fsrnet.yml')
        opt['datasets']['train'].update(num_worker_per_gpu=1, degrade_in_workers=inside)
        run_pipeline('train', ['-opt', str(write_options(opt, place / 'opt.yml'))])
        finals.append(load_checkpoint(place / 'experiments' / opt['name'] / 'models' / 'net_g_latest.pth')['params'])
    assert all(torch.allclose(finals[0][key], finals[1][key], atol=1e-4) for key in finals[0])


# ---- one step ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('recipe', ['fsrnet', 'fsrgan'])
def test_bytes_train_as_floats_do(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {**_batch(), 'gt': torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8)}
    small['parsing'] = small['parsing'].to(torch.uint8)
    usual = {**small, 'gt': small['gt'].float() / 255, 'parsing': small['parsing'].long()}
    trained = []
    for data in (small, usual):
        torch.manual_seed(0)
        model = build_model(_options(recipe, tmp_path, monkeypatch))
        _step(model, 1, data)
        trained.append(_weights(model.net_g))
    assert all(torch.equal(trained[0][key], trained[1][key]) for key in trained[0])


@pytest.mark.parametrize(('model', 'as_bytes'), [('FaceSRModel', True), ('SRModel', None), ('Nobodys', None)])
def test_which_models_get_bytes(
    model: str, as_bytes: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = {**_options('srcnn', tmp_path, monkeypatch), 'model_type': model}
    complete_dataset_options(opt)
    assert opt['datasets']['train'].get('as_bytes') is as_bytes and 'as_bytes' not in opt['datasets']['val']


def test_log_names_and_batch_psnr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(with_landmarks(_options('quickstart', tmp_path, monkeypatch)))
    made: list[torch.Tensor] = []
    model.net_g.register_forward_hook(lambda net, inputs, out: made.append(out.sr.detach()))
    _step(model, 1, _batch())
    log = model.get_current_log()
    assert set(log) == {'l_pix', 'l_coarse', 'l_landmark', 'l_parsing', 'psnr', 'grad_norm_g'}
    mse = (made[0].clamp(0, 1) - model.gt).square().flatten(1).mean(1)
    assert log['psnr'] == pytest.approx(float((-10 * mse.log10()).mean()), abs=1e-3)
    assert (Path(model.opt['path']['visualization']) / 'first_batch.png').is_file()


def test_gan_log_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(_options('fsrgan', tmp_path, monkeypatch, net_d_iters=2))
    _step(model, 1, _batch())
    assert {'l_d_real', 'l_d_fake', 'out_d_real', 'out_d_fake'} <= set(model.get_current_log())
    assert 'l_g_gan' not in model.get_current_log()
    _step(model, 2, _batch())
    _step(model, 3, _batch())  # the generator's last losses stay in the log
    assert {'l_g_pix', 'l_g_coarse', 'l_g_parsing', 'l_g_gan', 'l_d_real'} <= set(model.get_current_log())


def test_generator_and_ema_rest_in_critic_only_iterations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BasicSR's EMA ticks on every iteration, also where the generator has not moved."""
    model = build_model(_options('fsrgan', tmp_path, monkeypatch, net_d_iters=3))
    moved = []
    for iteration in range(1, 7):
        before, ema, critic = (_weights(n) for n in (model.net_g, model.net_g_ema, model.net_d))
        _step(model, iteration, _batch(seed=iteration))
        changed = [
            any(not torch.equal(old[k], v) for k, v in net.named_parameters())
            for old, net in ((before, model.net_g), (ema, model.net_g_ema), (critic, model.net_d))
        ]
        assert changed[2]
        moved.append(tuple(changed[:2]))
    assert moved == [(i % 3 == 0,) * 2 for i in range(1, 7)]


def test_ema_averages_parameters_and_buffers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(_options('fsrnet', tmp_path, monkeypatch))
    _step(model, 1, _batch())
    before, own = _weights(model.net_g_ema), None
    _step(model, 2, _batch(seed=1))
    own, decay = _weights(model.net_g), (1 + 2) / (10 + 2)  # warm-up: far below 0.999
    for key, value in model.net_g_ema.state_dict().items():
        expected = own[key] if not value.is_floating_point() else before[key] * decay + own[key] * (1 - decay)
        assert torch.allclose(value, expected, atol=1e-6), key
    assert model.net_g_ema.coarse[0][1].running_mean.abs().sum() > 0


def test_stock_ema_leaves_batchnorm_statistics_untouched() -> None:
    """The defect: without our own average the tested network would normalise by 0 and 1."""

    class Stock(SRModel):
        def __init__(self) -> None:
            self.net_g, self.net_g_ema = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    stock = Stock()
    stock.net_g(torch.rand(4, 3, 8, 8) + 5)
    stock.model_ema(0)
    if not torch.equal(stock.net_g_ema.running_mean, torch.zeros(3)):
        pytest.skip('BasicSR has mended it')


@pytest.mark.parametrize('micro', [1, 3])
def test_micro_batches_add_up_to_the_batch(micro: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grads = []
    for size in (None, micro):
        opt = with_landmarks(_options('quickstart', tmp_path, monkeypatch, micro_batch=size))
        torch.manual_seed(0)
        model = build_model(opt)
        data = _batch()
        data['landmarks'][:, :, 0] += 1.0
        _step(model, 1, data)
        grads.append([p.grad.clone() for p in model.net_g.parameters()])
    assert all(torch.allclose(a, b, atol=1e-6, rtol=1e-4) for a, b in zip(*grads, strict=True))


def test_clipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(_options('quickstart', tmp_path, monkeypatch, grad_clip=1e-3))
    _step(model, 1, _batch())
    norm = torch.stack([p.grad.norm() for p in model.net_g.parameters()]).norm()
    assert model.get_current_log()['grad_norm_g'] > 1e-3 >= float(norm) - 1e-6


def test_bf16_steps_are_close_to_fp32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = []
    for precision in ('fp32', 'bf16'):
        opt = small_options(OPTIONS / 'quickstart.yml')
        opt.update(precision=precision)
        opt = parse(opt, tmp_path, monkeypatch)
        torch.manual_seed(0)
        model = build_model(opt)
        for iteration in (1, 2, 3):  # the first image is the input alone, which is fp32 in both
            _step(model, iteration, _batch())
        logs.append(model.get_current_log())
    assert logs[0]['l_pix'] != logs[1]['l_pix']
    assert logs[1]['l_pix'] == pytest.approx(logs[0]['l_pix'], rel=0.02)


@pytest.mark.parametrize('late', [False, True])
def test_steps_that_are_not_finite_are_skipped_then_training_stops(
    late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also as on a GPU, where the optimiser leaves them out and they are told of one iteration late."""
    model = build_model(_options('fsrnet', tmp_path, monkeypatch, nonfinite_patience=3))
    model.steps['g'].guard.late = late
    _step(model, 1, _batch())
    good, bad = _weights(model.net_g), _batch()
    bad['gt'][0, 0, 0, 0] = float('nan')
    _step(model, 2, bad)
    assert all(torch.equal(good[key], value) for key, value in model.net_g.state_dict().items())  # statistics, too
    _step(model, 3, _batch(seed=3))
    assert model.steps['g'].guard.bad == 0
    good = _weights(model.net_g)
    with pytest.raises(FaceSRError, match='3 steps of net_g in a row were not finite.* saved as iteration 3'):
        for iteration in (4, 5, 6):
            _step(model, iteration, bad)
    saved = load_checkpoint(Path(model.opt['path']['models']) / 'net_g_3.pth')
    assert all(torch.equal(saved['params'][key], value) for key, value in good.items())
    assert (Path(model.opt['path']['training_states']) / '3.state').is_file()


def test_a_bad_step_that_is_told_of_late_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    bad = _batch()
    bad['gt'][0, 0, 0, 0] = float('nan')
    batches = [_batch(seed=1), bad, _batch(seed=2), bad, bad, _batch(seed=3), _batch(seed=4)]
    ends = []
    for late in (False, True):
        model = build_model(_options('fsrnet', tmp_path, monkeypatch))
        model.steps['g'].guard.late = late
        for iteration, batch in enumerate(batches, 1):
            _step(model, iteration, batch)
        moments = [value for state in model.optimizer_g.state.values() for value in state.values()]
        ends.append([*model.net_g.state_dict().values(), *model.net_g_ema.state_dict().values(), *moments])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    said = [f'{text.split(":")[0]} {text[-9:]}' for text in told if 'skipped' in text]
    assert said == 2 * ['Iteration 2 (1 of 10)', 'Iteration 4 (1 of 10)', 'Iteration 5 (2 of 10)']


# ---- validation ----------------------------------------------------------------------------------------------------


def test_validation_of_several_sets_with_losses_and_bicubic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / 'quickstart.yml')
    opt['datasets']['val_2'] = {**opt['datasets']['val'], 'name': 'other', 'seed': 7}
    opt['val']['save_img'] = opt['logger']['use_tb_logger'] = True
    run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'opt.yml'))])
    run = tmp_path / 'experiments' / opt['name']
    state = torch.load(run / 'training_states' / '2.state', weights_only=True)
    assert state['manual_seed'] == 0 and state['iter'] == 2
    for name, seed in (('val', 1), ('other', 7)):
        rows = read_table(run / 'visualization' / f'{name}_2.csv')
        assert [row['name'] for row in rows] == [f'builtin_{seed}_{i:05d}' for i in range(2)]
        assert {'psnr_y', 'psnr_y_bicubic', 'ssim_rgb'} <= rows[0].keys()
    assert list((tmp_path / 'tb_logger' / opt['name']).glob('events*'))
    assert (run / 'visualization' / 'builtin_1_00000' / 'builtin_1_00000_2.png').is_file()


def test_validation_degrades_by_the_name_of_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(_options('fsrnet', tmp_path, monkeypatch))
    one = {key: value[:1] for key, value in _batch().items()}
    batches = [model.predict(one, False)[0] for _ in range(2)]
    assert torch.equal(batches[0].lq, batches[1].lq) and model.net_g.training


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def test_stock_basicsr_loads_our_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _options('fsrnet', tmp_path, monkeypatch)
    model = build_model(opt)
    _step(model, 1, _batch())
    model.save(0, 1)
    stock = copy.deepcopy(opt)
    stock['is_train'] = False
    stock['path'].update(pretrain_network_g=str(Path(opt['path']['models']) / 'net_g_1.pth'), param_key_g='params_ema')
    loaded = SRModel(stock).net_g.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in model.net_g_ema.state_dict().items())
    ours = {**stock, 'model_type': 'FaceSRModel', 'path': {**stock['path'], 'param_key_g': None}}
    loaded = build_model(ours).net_g.state_dict()  # the average is the default
    assert all(torch.equal(loaded[key], value) for key, value in model.net_g_ema.state_dict().items())


def test_a_save_that_fails_raises_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / 'net.pth'
    save_atomic({'params': {'a': torch.ones(1)}}, path)
    with pytest.raises(CheckpointError, match='cannot write'):
        save_atomic({'params': {'a': torch.ones(1)}}, tmp_path / 'no folder' / 'net.pth')

    class Unwritable:
        def __reduce__(self) -> str:
            raise OSError(28, 'No space left on device')

    with pytest.raises(CheckpointError, match='No space left'):
        save_atomic({'params': Unwritable()}, path)
    assert load_checkpoint(path)['params']['a'] == 1 and [p.name for p in tmp_path.iterdir()] == ['net.pth']


def test_unfit_checkpoints_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = _options('fsrnet', tmp_path, monkeypatch)
    cut, other, code = tmp_path / 'cut.pth', tmp_path / 'other.pth', tmp_path / 'code.pth'
    cut.write_bytes(b'PK\x03\x04 cut off')
    torch.save({'params': {'a.weight': torch.ones(2)}}, other)
    torch.save({'params': Path('x')}, code)
    for path, message in (
        (tmp_path / 'none.pth', 'there is no checkpoint'),
        (cut, 'cannot read .*cut'),
        (other, r'(?s)does not fit FSRNet.*coarse\.0\.0\.weight: net \(4, 3, 3, 3\), file none'),
        (code, 'holds more than weights'),
    ):
        opt['path']['pretrain_network_g'] = str(path)
        with pytest.raises(CheckpointError, match=message):
            build_model(opt)


# ---- what it refuses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'train': {'optim_g': {'type': 'Adam', 'lr': '1e-3'}}}, r"train:optim_g:lr: '1e-3' is text.*0\.001"),
        ({'train': {'optim_g': {'type': 'Adm', 'lr': 0.1}}}, 'did you mean Adam'),
        ({'train': {'optim_g': {'type': 'Adam'}}}, 'train:optim_g:lr: is missing'),
        ({'train': {'ema_dacay': 0.9}}, 'train:ema_dacay: unknown key.* did you mean ema_decay'),
        ({'train': {'scheduler': {'type': 'Cosine'}}}, 'train:scheduler'),
        ({'train': {'parsing_opt': None}}, 'num_parsing is 11, but train: parsing_opt is missing'),
        ({'train': {'parsing_opt': {'type': 'ParsingLoss', 'loss_weight': 0}}}, 'has no weight'),
        ({'train': {'parsing_opt': {'type': 'ParsingLos'}}}, 'train:parsing_opt:type: .* did you mean ParsingLoss'),
        (
            {'train': {'prior_targets': {'parsing': 'helen'}}},
            'prior_targets:parsing: must be one of helen11',
        ),
        ({'network_g': {'type': 'FSRNett'}}, 'network_g:type: .* did you mean FSRNet'),
        ({'network_g': {'num_feats': 4}}, 'did you mean num_feat'),
        ({'network_g': {'norm': 'gn'}}, 'network_g: FSRNet: norm is one of'),
        ({'network_g': {'num_parsing': 19}}, 'num_parsing 19 does not fit the 11 maps'),
        ({'network_g': {'scale': 4}}, 'built for scale 4, but scale is 8'),
        ({'network_g': {'num_landmark': 68}}, 'num_landmark is 68, but train: landmark_opt is missing'),
        ({'datasets': {'train': {'dataroot_gt': 'photos'}}}, 'has no dataroot_parsing.*prior=false'),
        ({'precision': 'fp8'}, 'precision: must be one of auto, fp32, bf16, fp16'),
        ({'scale': None}, 'scale: is missing'),
        ({'degradation': {'preset': 'bicubic_x4'}}, 'reduces by 4'),
    ],
)
def test_unfit_options_are_named(
    changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = _options('fsrnet', tmp_path, monkeypatch)
    for key, value in changes.items():
        if isinstance(value, dict) and key != 'degradation':
            for inner, change in value.items():
                opt[key][inner] = {**opt[key][inner], **change} if key == 'datasets' else change
        else:
            opt[key] = value
    with pytest.raises(OptionError, match=message):
        build_model(opt)


@pytest.mark.parametrize(
    ('network', 'train', 'message'),
    [
        ('SRResNet', {'coarse_opt': L1}, 'train:coarse_opt: network_g gives no coarse image.*remove coarse_opt'),
        ('SRResNet', {'parsing_opt': PARSING}, 'train:parsing_opt: network_g predicts no parsing maps.*as FSRNet'),
        ('SRResNet', {'landmark_opt': LANDMARK}, 'train:landmark_opt: network_g predicts no landmarks.*as FSRNet'),
        ('FSRNet', {'landmark_opt': LANDMARK}, 'train:landmark_opt: .*or set network_g: num_landmark'),
    ],
)
def test_losses_that_the_network_does_not_serve_are_refused(
    network: str, train: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would train nothing, or the result a second time, and nobody would know."""
    opt = _options('fsrnet' if network == 'FSRNet' else 'srresnet', tmp_path, monkeypatch, **train)
    assert opt['network_g']['type'] == network
    with pytest.raises(OptionError, match=message) as err:
        build_model(opt)
    assert err.value.key == ('train', *train)


def test_batches_that_do_not_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(with_landmarks(_options('quickstart', tmp_path, monkeypatch)))
    model.update_learning_rate(1)
    with pytest.raises(OptionError, match='its input is 72x72 px, but must be a multiple of 16'):
        model.feed_data(_batch(side=72))
    with pytest.raises(OptionError, match='gives 5 landmarks a face; set num_landmark alike'):
        model.feed_data({**_batch(), 'landmarks': torch.zeros(4, 5, 2)})
    model.degradation = None
    with pytest.raises(OptionError, match='the data set gives no LQ: add a degradation section'):
        model.feed_data(_batch())


def test_options_are_left_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BasicSR pops ``type`` out of shared sections: a second model could not be built from them."""
    opt = _options('fsrgan', tmp_path, monkeypatch)
    before = copy.deepcopy(opt)
    model = build_model(opt)
    assert opt == before
    assert (
        model.opt['train']['scheduler']['type']
        and model.opt['train']['optim_g']['type']
        and model.opt['network_g']['type']
    )
    build_model(model.opt)


@needs_photos
def test_trains_on_real_photographs_with_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / 'fsrgan.yml')
    folder = PHOTOS / 'celebahq_parsing'
    opt['datasets']['train'].update(dataroot_gt=str(folder / 'images'), dataroot_parsing=str(folder / 'masks'))
    run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'opt.yml'))])
    assert (tmp_path / 'experiments' / opt['name'] / 'visualization' / 'first_batch.png').is_file()
