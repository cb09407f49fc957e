"""Models as other programs use them: BasicSR's own calls, tests that leave the network to the checkpoint."""

from __future__ import annotations

import copy
import csv
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.models import build_model
from basicsr.models.base_model import BaseModel
from basicsr.models.sr_model import SRModel

from facesr_ext.cli.run import run_pipeline
from facesr_ext.errors import CheckpointError, DatasetError, OptionError
from facesr_ext.models.face_sr_model import FaceSRModel
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint
from tests.support import OPTIONS, small_options, write_options
from tests.training import parse


def _trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[dict[str, Any], Path]:
    """Options of a training, as the runner hands them over, and its checkpoint, which is not trained."""
    opt = parse({**small_options(OPTIONS / 'srresnet.yml'), **changes}, tmp_path, monkeypatch)
    torch.manual_seed(0)
    build_model(opt).save(0, -1)
    return opt, Path(opt['path']['models']) / 'net_g_latest.pth'


def _tested(opt: dict[str, Any], checkpoint: Path | None, *left_out: str, **changes: Any) -> dict[str, Any]:
    """Options of a test without some of their keys."""
    opt = copy.deepcopy(opt)
    opt.update(is_train=False, **changes)
    opt['path']['pretrain_network_g'] = None if checkpoint is None else str(checkpoint)
    return {key: value for key, value in opt.items() if key not in left_out}


def test_a_model_is_a_basemodel_and_no_srmodel() -> None:
    assert issubclass(FaceSRModel, BaseModel) and not issubclass(FaceSRModel, SRModel)


# ---- BasicSR's own calls -------------------------------------------------------------------------------------------


def test_feed_data_test_and_visuals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt, checkpoint = _trained(tmp_path, monkeypatch)
    model = build_model(_tested(opt, checkpoint))
    lq = torch.rand(1, 3, 8, 8)
    for data in ({'lq': lq}, {'lq': lq, 'gt': torch.rand(1, 3, 32, 32)}):
        model.feed_data(data)
        model.test()
        visuals = model.get_current_visuals()
        assert torch.equal(visuals['lq'], lq) and visuals['result'].shape == (1, 3, 32, 32)
        assert ('gt' in visuals) == ('gt' in data)
        assert torch.equal(visuals['result'], model.predict({'lq': lq, 'lq_path': ['a.png']}, False)[1].sr)


LQ, GT = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 64, 64)


@pytest.mark.parametrize(
    'change',
    [
        lambda image: image.numpy(), lambda image: image.double(), lambda image: image.numpy().astype(np.float64),
        lambda image: image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2), lambda image: image.flip(0).flip(0),
        lambda image: image.clone().requires_grad_(), lambda image: np.flip(np.flip(image.numpy(), 3), 3),
    ],
    ids=('array', 'float64', 'float64 array', 'channels last', 'copy', 'with gradient', 'mirrored view'),
)  # fmt: skip
def test_images_of_a_program_in_any_memory(change: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same step and result, whatever holds the numbers."""
    opt, checkpoint = _trained(tmp_path, monkeypatch)
    results, logs = [], []
    for lq, gt in ((LQ, GT), (change(LQ), change(GT))):
        model = build_model(_tested(opt, checkpoint))
        model.feed_data({'lq': lq, 'lq_path': 'a.png', 'own': 5})
        model.test()
        results.append(model.get_current_visuals()['result'])
        torch.manual_seed(0)
        model = build_model(copy.deepcopy(opt))
        model.feed_data({'lq': lq, 'gt': gt})
        model.optimize_parameters(1)
        logs.append(dict(model.get_current_log()))
    assert torch.equal(*results) and logs[0] == logs[1]


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        ({}, 'a batch is a dict with lq or gt, .* and this is a dict of nothing'),
        ({'lq': None}, 'this is a dict of lq'), ({'image': LQ}, 'this is a dict of image'),
        (LQ, 'this is Tensor'), ([LQ], 'this is list'),
        ({'lq': LQ[0]}, r'lq is torch.float32 \(3, 16, 16\); give \(N, 3, h, w\)'),
        ({'lq': LQ[:, :1]}, r'lq is torch.float32 \(2, 1, 16, 16\)'),
        ({'lq': LQ.permute(0, 2, 3, 1).numpy()}, r'lq is float32 \(2, 16, 16, 3\)'),
        ({'lq': (LQ * 255).long()}, 'lq is torch.int64'), ({'lq': LQ > 0.5}, 'lq is torch.bool'),
        ({'lq': LQ[:0]}, 'it has no pixels'), ({'lq': [LQ[0]]}, 'lq is list'),
        ({'lq': LQ, 'gt': GT[:1]}, 'a batch of 1 gt and 2 lq'),
    ],
)  # fmt: skip
def test_what_is_no_batch(data: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt, checkpoint = _trained(tmp_path, monkeypatch)
    for model in (build_model(_tested(opt, checkpoint)), build_model(copy.deepcopy(opt))):
        with pytest.raises(DatasetError, match=message):
            model.feed_data(data)


def test_what_is_no_batch_of_a_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model(_trained(tmp_path, monkeypatch)[0])
    with pytest.raises(DatasetError, match='a batch without gt'):
        model.feed_data({'lq': LQ})
    with pytest.raises(DatasetError, match=r'an lq of \(15, 15\) px for a gt of \(64, 64\) px at scale 4'):
        model.feed_data({'lq': LQ[..., :15, :15], 'gt': GT})


def test_steps_of_other_sizes_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As loops of others have them: batches and images of any size, iterations that jump, a look in between."""
    model = build_model(_trained(tmp_path, monkeypatch)[0])
    for iteration, gt in ((1, GT), (7, GT[:1]), (3, GT[..., :32, :48])):
        model.feed_data({'gt': gt})
        model.optimize_parameters(iteration)
        model.test()
        assert model.current_iter == iteration and model.get_current_visuals()['result'].shape == gt.shape
        assert np.isfinite(model.get_current_log()['psnr'])


def test_a_loop_without_update_learning_rate_draws_by_seed_and_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = parse(small_options(OPTIONS / 'realesrfsr.yml'), tmp_path, monkeypatch)
    lqs = []
    for seed in (0, 0, 1):
        model = build_model({**opt, 'manual_seed': seed})
        data = {'gt': torch.ones(2, 3, 64, 64) / 2}
        model.feed_data(data)
        lqs.append(model.lq)
        model.optimize_parameters(1)
        model.feed_data(data)
        assert not torch.equal(model.lq, lqs[-1])
        model.optimize_parameters(2)
        assert model.current_iter == 2 and np.isfinite(model.get_current_log()['psnr'])
    assert torch.equal(lqs[0], lqs[1]) and not torch.equal(lqs[0], lqs[2])


# ---- tests that leave something to the checkpoint ------------------------------------------------------------------


@pytest.mark.parametrize('folder', [False, True])
def test_network_scale_and_degradation_are_taken_from_the_checkpoint(
    folder: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt, checkpoint = _trained(tmp_path, monkeypatch)
    told: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'info', told.append)
    path = checkpoint.parents[1] if folder else checkpoint
    short = build_model(_tested(opt, path, 'network_g', 'scale', 'degradation'))
    taken = [text for text in told if text.startswith(f'Taken from {checkpoint}: ')]
    assert [text.split(': ')[1] for text in taken] == ['network_g', 'scale', 'degradation']
    del told[:]
    whole = build_model(_tested(opt, path))
    assert not any(text.startswith('Taken from') for text in told)
    data = {'gt': torch.rand(1, 3, 64, 64), 'gt_path': ['a.png']}
    assert torch.equal(short.predict(data, False)[1].sr, whole.predict(data, False)[1].sr)


def test_a_test_with_lq_needs_no_degradation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt, checkpoint = _trained(tmp_path, monkeypatch)
    sets = {'test_1': {'name': 'a', 'type': 'SingleImageDataset', 'dataroot_lq': 'lq'}}
    assert build_model(_tested(opt, checkpoint, 'network_g', 'degradation', datasets=sets)).degradation is None


def test_the_budget_holds_that_it_was_trained_under(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt, checkpoint = _trained(tmp_path, monkeypatch)
    content = load_checkpoint(checkpoint)
    content[META_KEY]['challenge'] = {'max_params': 10}
    torch.save(content, checkpoint)
    with pytest.raises(OptionError, match='challenge:max_params: network_g has .* too many'):
        build_model(_tested(opt, checkpoint, 'network_g', 'challenge'))


def test_what_nothing_says_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt, checkpoint = _trained(tmp_path, monkeypatch)
    stock = tmp_path / 'stock.pth'
    torch.save({'params': load_checkpoint(checkpoint)['params']}, stock)
    for path, key, message in (
        (stock, 'network_g', 'stock.pth does not say what network it holds.* copy the section'),
        (stock, 'scale', 'is missing; write it, or for a test name a checkpoint'),
        (None, 'network_g', 'is missing; write it, or for a test name a checkpoint .* path:pretrain_network_g'),
    ):
        with pytest.raises(OptionError, match=f'{key}: .*{message}') as err:
            build_model(_tested(opt, path, key))
        assert err.value.key == (key,)
    with pytest.raises(CheckpointError, match='holds no checkpoint of a run'):
        build_model(_tested(opt, Path(opt['path']['training_states']), 'network_g'))
    with pytest.raises(OptionError, match='network_g: '):
        build_model({key: value for key, value in opt.items() if key != 'network_g'})  # a training says it itself


# ---- the best of a metric that falls -------------------------------------------------------------------------------


def test_the_smallest_niqe_is_the_best_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a word on its direction in the file."""
    monkeypatch.chdir(tmp_path)
    opt = small_options(OPTIONS / 'quickstart.yml')
    opt['val'].update(val_freq=1, metrics={'niqe': {'type': 'calculate_niqe', 'crop_border': 0}})
    opt['datasets']['val'].update(num_faces=1, image_size=288)
    opt['train'].update(total_iter=4, scheduler={**opt['train']['scheduler'], 'periods': [4]})
    opt['train']['optim_g']['lr'] = 0.03
    opt['logger'].update(keep_best='niqe', save_checkpoint_freq=4)
    told: list[str] = []
    monkeypatch.setattr(logging.getLogger('basicsr'), 'info', told.append)
    run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'opt.yml'))])
    run = tmp_path / 'experiments' / opt['name']
    values = {}
    for path in (run / 'visualization').glob('*.csv'):
        with path.open(newline='') as file:
            values[int(path.stem.rpartition('_')[2])] = float(next(csv.DictReader(file))['niqe'])
    assert len(values) == 4 and len(set(values.values())) > 1
    record = load_checkpoint(run / 'models' / 'net_g_best.pth')[META_KEY]['best']
    assert min(values.values()) == values[record['iteration']]
    assert record['value'] == pytest.approx(min(values.values()), rel=1e-5)  # the table has six digits
    assert any(f'Best: {record["value"]:.4f} @ {record["iteration"]} iter' in text for text in told)
