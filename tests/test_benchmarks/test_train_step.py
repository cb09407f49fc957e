"""benchmarks/train_step.py: BasicSR's models and ours on the same small recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from basicsr.models.realesrnet_model import RealESRNetModel
from basicsr.models.sr_model import SRModel
from basicsr.models.srgan_model import SRGANModel
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import train_sides, train_step
from benchmarks.train_sides import Case, Floor, Side
from facesr_ext.errors import FaceSRError
from facesr_ext.models.face_gan_model import FaceGANModel
from facesr_ext.models.face_sr_model import FaceSRModel
from tests.support import OPTIONS, small_options, write_options

STOCK = {'nafsr': SRModel, 'fsrnet_fast': SRModel, 'srgan': SRGANModel, 'realesrfsr_msrresnet': RealESRNetModel}


def _case(folder: Path, name: str, px: int = 16, precision: str = 'fp32') -> Case:
    path = folder / f'{name}.yml'
    if not path.is_file():
        write_options(small_options(OPTIONS / f'{name}.yml'), path)
    return Case(path, px, 2, torch.get_num_threads(), precision)


@pytest.mark.parametrize('name', STOCK)
def test_both_sides_train_the_same_network_on_the_same_faces(name: str, tmp_path: Path) -> None:
    case = _case(tmp_path, name, 64 if name == 'fsrnet_fast' else 16)
    stock, ours = (Side(case, stock, tmp_path / 'files') for stock in (True, False))
    assert type(stock.model) is STOCK[name]
    assert type(ours.model) is (FaceGANModel if name == 'srgan' else FaceSRModel)
    assert type(stock.model.net_g) is type(ours.model.net_g)
    sizes = []
    for side in (stock, ours):
        before = {key: value.clone() for key, value in side.model.net_g.state_dict().items()}
        cost = side.iterate()
        assert cost.wall > 0
        sizes.append((tuple(side.model.lq.shape), tuple(side.model.gt.shape)))
        assert any(not torch.equal(value, before[key]) for key, value in side.model.net_g.state_dict().items())
    assert sizes[0] == sizes[1] == ((2, 3, case.px, case.px), (2, 3, 64, 64))


def test_parts_and_floor_of_an_iteration(tmp_path: Path) -> None:
    side = Side(_case(tmp_path, 'nafsr'), False, tmp_path / 'files')
    side.iterate()
    parts = side.parts()
    assert set(parts) == {'data', 'degradation', 'networks', 'optimiser', 'EMA', 'log'}
    assert parts['networks'] > 0 and all(value >= 0 for value in parts.values())
    assert 'step' not in vars(side.model.optimizers[0]) or side.model.optimizers[0].step.__name__ != 'call'
    floor = side.floor()
    weights = sum(p.nbytes for p in side.model.net_g.parameters())
    assert floor.moved > 11 * weights and floor.peak > 1e9 and floor.bandwidth > 1e8
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        side.model.net_g(side.model.lq)
    assert 2.5 * counter.get_total_flops() < floor.flops <= 3 * counter.get_total_flops()


def test_groups_count_in_the_backward_pass() -> None:
    image = torch.rand(2, 8, 16, 16, requires_grad=True)
    for groups in (1, 8):
        conv = nn.Conv2d(8, 8, 3, 1, 1, groups=groups)
        mapping = {torch.ops.aten.convolution_backward: train_sides._backward_flops}
        counter = FlopCounterMode(display=False, custom_mapping=mapping)
        with counter:
            conv(image).sum().backward()
        assert counter.get_total_flops() == 3 * 2 * 2 * 8 * 8 // groups * 9 * 256


def test_the_floor_is_the_slower_of_computing_and_moving() -> None:
    assert Floor(flops=8e9, moved=1e9, peak=2e9, bandwidth=1e9).seconds == 4.0
    assert Floor(flops=8e9, moved=9e9, peak=2e9, bandwidth=1e9).seconds == 9.0


def test_rows_of_two_processes(tmp_path: Path) -> None:
    case = _case(tmp_path, 'nafsr')
    with train_step.workers(['BasicSR', 'fp32']) as pool:
        (row,) = train_step.compare({'BasicSR': case, 'fp32': case}, pool, tmp_path / 'files', (2, 60.0))
        with pytest.raises(FaceSRError, match=r'(?s)build: .*No such file'):
            pool['fp32'].ask('build', case._replace(recipe=tmp_path / 'none.yml'), False, tmp_path / 'files')
    assert row['rounds'] == 2 and row['ratio'].low <= row['ratio'].value <= row['ratio'].high
    assert row['BasicSR, s'] > 0 and row['ours, CPU s'] > 0 and row['above it'] > 1
    assert set(train_step.COLUMNS) <= {*row, 'network'}


def test_every_network_has_its_option_file() -> None:
    for net in train_step.NETS.values():
        assert (OPTIONS / f'{net.recipe}.yml').is_file()
