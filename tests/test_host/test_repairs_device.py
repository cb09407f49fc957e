"""Repairs of what wants CUDA, and the defects as the stock code shows them on a CPU."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from basicsr.models import base_model, realesrgan_model, realesrnet_model
from basicsr.models.base_model import BaseModel
from basicsr.utils import DiffJPEG, dist_util, img_process_util
from basicsr.utils.registry import MODEL_REGISTRY
from torch import nn

from facesr_ext.errors import OptionError
from facesr_ext.host.patching import names_used
from facesr_ext.host.repairs import device as repairs_device
from tests.support import stock_copy

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason='the stock code works where CUDA is')
NO_CUDA = (RuntimeError, AssertionError)  # builds of torch with and without CUDA


def test_applying_twice_changes_nothing() -> None:
    parts = [
        (realesrgan_model.RealESRGANModel, '__init__'),
        (realesrnet_model.RealESRNetModel, '_dequeue_and_enqueue'),
        (img_process_util, 'filter2D'),
        (dist_util, '_init_dist_pytorch'),
        (base_model.BaseModel, 'model_to_device'),
        (MODEL_REGISTRY, 'get'),
        (DiffJPEG, 'cuda'),
    ]
    before = [getattr(owner, name) for owner, name in parts]
    for repair in repairs_device.REPAIRS:
        repair()
    assert before == [getattr(owner, name) for owner, name in parts]


# the Real-ESRGAN models


def test_stock_realesrnet_asks_for_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('RealESRGANModel', 'RealESRNetModel'):
        monkeypatch.delitem(MODEL_REGISTRY._obj_map, f'{name}_basicsr')
        stock = getattr(stock_copy(f'models.{name[:-5].lower()}_model'), name)
        assert 'cuda' in names_used(stock.__init__), 'mended upstream: the repair can go'


@pytest.fixture(params=['RealESRGANModel', 'RealESRNetModel', 'RealHATGANModel', 'RealHATNetModel'])
def cls(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Real-ESRGAN's models, and copies of them as other packages have them, registered after the repairs."""
    monkeypatch.setattr(MODEL_REGISTRY, '_obj_map', dict(MODEL_REGISTRY._obj_map))
    if 'HAT' in request.param:
        module = realesrgan_model if 'GAN' in request.param else realesrnet_model
        text = Path(str(module.__file__)).read_text(encoding='utf-8')
        file = tmp_path / 'copied_model.py'
        file.write_text(text.replace('RealESR', 'RealHAT').replace("register(suffix='basicsr')", 'register()'))
        spec = importlib.util.spec_from_file_location('copied_model', file)
        assert spec is not None and spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return MODEL_REGISTRY.get(request.param)


def test_realesrgan_models_and_their_pool_take_the_models_device(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def init(self: Any, opt: dict[str, Any]) -> None:
        self.device, self.opt = torch.device('cpu'), opt

    monkeypatch.setattr(cls.__mro__[1], '__init__', init)
    model = cls({'queue_size': 4})
    devices = {t.device.type for part in (model.jpeger, model.usm_sharpener) for t in part.state_dict().values()}
    assert devices == {'cpu'}
    given = []
    for i in range(3):
        model.lq, model.gt = torch.full((2, 3, 4, 4), float(i)), torch.full((2, 3, 8, 8), float(i))
        model._dequeue_and_enqueue()
        given.append(float(model.lq[0, 0, 0, 0]))
    assert given[:2] == [0, 1] and given[2] in (0, 1), 'from the third batch on the pool is full and gives others'
    assert model.queue_lr.shape == (4, 3, 4, 4) and model.queue_gt.shape == (4, 3, 8, 8)
    other = cls({'queue_size': 5})
    other.lq = torch.zeros(2, 3, 4, 4)
    with pytest.raises(OptionError, match=r'queue_size: 5 is no multiple of the batch of 2 .* write queue_size: 4'):
        other._dequeue_and_enqueue()


# filter2D


def test_filter2d_takes_what_diffjpeg_leaves() -> None:
    torch.manual_seed(0)
    img = DiffJPEG(differentiable=False)(torch.rand(2, 3, 32, 32), quality=torch.full((2,), 60.0))
    stock = stock_copy('utils.img_process_util').filter2D
    for kernel in (torch.rand(1, 5, 5), torch.rand(2, 5, 5)):
        with pytest.raises(RuntimeError, match='view'):
            stock(img, kernel)
        assert torch.equal(img_process_util.filter2D(img, kernel), stock(img.contiguous(), kernel))
    for module in (realesrgan_model, realesrnet_model):
        assert module.filter2D is img_process_util.filter2D


# several processes


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the launcher does, written down instead of done."""
    calls: list[Any] = []
    monkeypatch.setattr(torch.distributed, 'init_process_group', lambda **kwargs: calls.append(kwargs))
    monkeypatch.setattr(torch.cuda, 'set_device', lambda index: calls.append(index))
    monkeypatch.setenv('RANK', '5')
    monkeypatch.setenv('LOCAL_RANK', '1')
    return calls


@no_cuda
def test_launcher_takes_gloo_without_cuda(joined: list[Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        stock_copy('utils.dist_util')._init_dist_pytorch('nccl')
    dist_util._init_dist_pytorch('nccl')
    assert joined == [{'backend': 'gloo', 'timeout': repairs_device.TIMEOUT}]


def test_launcher_finds_the_gpu_by_local_rank(joined: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    dist_util._init_dist_pytorch('nccl', timeout=None)
    assert joined == [1, {'backend': 'nccl', 'timeout': None}]
    monkeypatch.setenv('LOCAL_RANK', '2')
    with pytest.raises(OptionError, match='process 3 of this machine, which has 2 GPUs; give --nproc_per_node 2'):
        dist_util._init_dist_pytorch('nccl')


def test_launcher_without_torchrun_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(OptionError, match='torchrun --nproc_per_node'):
        dist_util._init_dist_pytorch('nccl')


@no_cuda
def test_networks_are_wrapped_on_a_cpu(tmp_path: Path) -> None:
    model = BaseModel({'num_gpu': 0, 'is_train': True, 'dist': True})
    store = torch.distributed.FileStore(str(tmp_path / 'store'), 1)
    torch.distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    try:
        stock = stock_copy('models.base_model').BaseModel.model_to_device
        with pytest.raises(NO_CUDA):
            stock(SimpleNamespace(opt=model.opt, device=model.device), nn.Linear(1, 1))
        assert isinstance(model.model_to_device(nn.Linear(1, 1)), nn.parallel.DistributedDataParallel)
    finally:
        torch.distributed.destroy_process_group()
    model.opt['dist'] = False
    assert isinstance(model.model_to_device(nn.Linear(1, 1)), nn.Linear)
    assert 'current_device' in names_used(BaseModel.model_to_device.__wrapped__)
    assert sys.modules['basicsr.models.base_model'].BaseModel is BaseModel
