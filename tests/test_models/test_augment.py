"""Augmentation on the device: what becomes of LQ and GT, how often, and what cannot be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from facesr_ext.check.examine import check_file
from facesr_ext.errors import OptionError
from facesr_ext.models.augment import _beta, augment, cutblur, mixup, permute_colours
from facesr_ext.models.batch import Batch
from facesr_ext.settings.train import Augment
from tests.support import OPTIONS, small_options, write_options
from tests.training import parsed_model


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _batch(count: int = 64, small: int = 16, side: int = 16) -> Batch:
    lq, enlarged, gt = (torch.rand(count, 3, s, s, generator=_generator(i)) for i, s in enumerate((small, side, side)))
    return Batch(lq=lq, enlarged=enlarged if small != side else lq, gt=gt)


def test_colours_change_places_alike_in_gt_and_stored_lq() -> None:
    gt = torch.rand(600, 3, 4, 4, generator=_generator())
    data = {'gt': gt, 'lq': gt[..., ::2, ::2], 'name': 'kept'}
    out = permute_colours(data, 0.6, _generator(1))
    assert torch.equal(out['lq'], out['gt'][..., ::2, ::2]) and out['name'] == 'kept'
    assert torch.equal(out['gt'].sort(1)[0], gt.sort(1)[0])
    moved = (out['gt'] != gt).flatten(1).any(1).float().mean().item()
    assert moved == pytest.approx(0.6 * 5 / 6, abs=0.06)  # one of six orders is the own one
    assert torch.equal(permute_colours(data, 0.0, _generator(1))['gt'], gt)


def test_mixup_blends_lq_and_gt_by_the_same_share() -> None:
    batch = _batch(small=4)
    out = mixup(batch, 0.5, 0.4, _generator())
    shares = []
    for before, after in ((batch.lq, out.lq), (batch.enlarged, out.enlarged), (batch.gt, out.gt)):
        other = before.roll(1, 0)
        apart = before - other
        shares.append(((after - other) * apart).flatten(1).sum(1) / apart.square().flatten(1).sum(1))
    assert all(torch.allclose(shares[0], share, atol=1e-4) for share in shares[1:])
    assert shares[0].min() >= 0.5 - 1e-4 and shares[0].max() <= 1 + 1e-4
    kept = (shares[0] > 1 - 1e-5).float().mean().item()
    assert 0.4 <= kept <= 0.75  # the half that was not chosen, and shares near 1


@pytest.mark.parametrize('alpha', [0.05, 0.4, 1.0])
def test_shares_are_those_of_the_beta_distribution(alpha: float) -> None:
    shares = _beta(alpha, 20000, _generator())
    assert shares.mean().item() == pytest.approx(0.5, abs=0.01)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    assert shares.min() >= 0 and shares.max() <= 1


def test_cutblur_exchanges_a_rectangle_or_all_but_one() -> None:
    batch = _batch(400, side=32, small=32)
    out = cutblur(batch, 0.7, _generator())
    assert batch.gt is not None
    sharp = out.lq.eq(batch.gt).all(1)
    assert torch.equal(torch.where(sharp[:, None], batch.gt, batch.lq), out.lq) and torch.equal(out.enlarged, out.lq)
    assert torch.equal(out.gt, batch.gt)
    share = sharp.float().mean((1, 2))
    assert (share > 0).float().mean().item() == pytest.approx(0.7, abs=0.07)
    inner = [mask for mask in sharp if 0 < mask.float().mean() < 0.5]
    for mask in inner:
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns[None])
    assert len(inner) > 60 and (share > 0.5).sum() > 60


def test_coordinates_stay_where_they_are() -> None:
    batch = _batch(8)
    five = Batch(lq=torch.cat([batch.lq, torch.ones(8, 2, 16, 16)], 1), enlarged=batch.lq, gt=batch.gt)
    out = augment(five, Augment(mixup=1.0, cutblur=1.0), _generator())
    assert torch.equal(out.lq[:, 3:], five.lq[:, 3:]) and not torch.equal(out.lq[:, :3], five.lq[:, :3])


def test_nothing_is_done_and_nothing_drawn_by_default() -> None:
    batch, generator = _batch(8), _generator()
    state = generator.get_state()
    assert augment(batch, Augment(), generator) is batch and torch.equal(generator.get_state(), state)


def test_a_model_augments_what_it_trains_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opt = small_options(OPTIONS / 'fsrnet_noprior.yml')
    opt['train']['augment'] = {'colours': 1.0, 'cutblur': 1.0}
    model = parsed_model(opt, tmp_path, monkeypatch)
    gt = torch.rand(4, 3, 64, 64, generator=_generator())
    fed = []
    for iteration in (1, 2, 1):
        model.update_learning_rate(iteration)
        model.feed_data({'gt': gt, 'gt_path': ['a.png'] * 4})
        fed.append((model.batch.lq, model.batch.gt))
    assert torch.equal(fed[0][0], fed[2][0]) and not torch.equal(fed[0][0], fed[1][0])
    assert not torch.equal(fed[0][1], gt) and torch.equal(fed[0][1].sort(1)[0], gt.sort(1)[0])
    assert bool(fed[0][0].eq(fed[0][1]).all(1).flatten(1).any(1).all())


@pytest.mark.parametrize(
    ('recipe', 'chosen', 'message'),
    [
        ('fsrnet', {'mixup': 0.5}, 'train:augment:mixup: blends faces, and a loss reads their parsing'),
        ('srresnet', {'cutblur': 0.5}, 'train:augment:cutblur: puts the GT into the LQ'),
        ('srresnet', {'mixup': 1.5}, 'train:augment:mixup: must be at most 1, not 1.5'),
        ('degradation_net', {'colours': 0.5}, 'train:augment: the LR faces belong to other people'),
    ],
)
def test_what_is_refused(
    recipe: str, chosen: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opt = small_options(OPTIONS / f'{recipe}.yml')
    opt['train']['augment'] = chosen
    with pytest.raises(OptionError, match=message):
        parsed_model(opt, tmp_path, monkeypatch)
    found = check_file(str(write_options(opt, tmp_path / 'checked.yml')), 'train')
    assert [f for f in found if f.level == 'error' and f.key[:2] == ('train', 'augment')]
