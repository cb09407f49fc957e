"""Precision: half precision with and without loss scaling, compilation, TF32, fused optimisers, on every model."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.archs import build_network
from basicsr.models import build_model

from facesr_ext.archs.arch_info import ArchInfo, arch_info
from facesr_ext.errors import FaceSRError, OptionError
from facesr_ext.models.precision import Precision
from tests.support import OPTIONS, small_options, with_landmarks
from tests.training import parse

RECIPES = ['fsrnet', 'fsrgan']
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')


def _options(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> dict[str, Any]:
    opt = {**small_options(OPTIONS / f'{name}.yml'), **changes}
    opt['train']['scheduler']['periods'] = [100]
    return parse(opt, tmp_path, monkeypatch)


def _batch(seed: int = 0) -> dict[str, Any]:
    g = torch.Generator().manual_seed(seed)
    return {
        'gt': torch.rand(4, 3, 64, 64, generator=g),
        'parsing': torch.randint(0, 19, (4, 64, 64), generator=g),
        'gt_path': [f'{i}.png' for i in range(4)],
    }


def _step(model: Any, iteration: int, data: dict[str, Any] | None = None) -> None:
    model.update_learning_rate(iteration)
    model.feed_data(data or _batch(iteration))
    model.optimize_parameters(iteration)


def _weights(model: Any) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.net_g.state_dict().items()}


def _equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def _resume(model: Any, opt: dict[str, Any], iteration: int) -> Any:
    """Another model of the same options, resumed from the state that the first one has saved."""
    opt, model.opt['path'] = copy.deepcopy(opt), {**model.opt['path']}
    path = opt['path']
    path['resume_state'] = str(Path(path['training_states']) / f'{iteration}.state')
    for label in ('g', 'd'):
        path[f'pretrain_network_{label}'] = str(Path(path['models']) / f'net_{label}_{iteration}.pth')
    resumed = build_model(opt)
    resumed.resume_training(torch.load(path['resume_state'], map_location='cpu', weights_only=True))
    return resumed


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'precision': 'bf'}, "precision: 'bf' is unknown; did you mean bf16"),
        ({'precision': 'fp16'}, 'fp16 needs a CUDA device, this is cpu; use bf16'),
    ],
)
def test_unfit_options(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Precision(changes, torch.device('cpu'))


@pytest.mark.parametrize('able', [True, False])
def test_auto_takes_bf16_where_the_processor_and_the_networks_have_it(
    able: bool, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    monkeypatch.setattr('facesr_ext.models.precision.cpu_computes_in_bf16', lambda: able)
    cpu = torch.device('cpu')
    precision = Precision({'precision': 'auto'}, cpu)
    assert precision.dtype is (torch.bfloat16 if able else None)
    precision.tell(cpu)
    Precision({'precision': 'fp32'}, cpu).tell(cpu)
    Precision({'precision': 'bf16'}, cpu).tell(cpu)
    assert told[0] == f'precision: {"bf16" if able else "fp32"} (auto)'
    assert [line[:23] for line in told[1:]] == (['precision: fp32, on a C'] if able else [])
    single = torch.nn.Identity()
    single.info = ArchInfo(1, halves=False)  # type: ignore[assignment]
    precision.require('network_g', single)
    assert precision.dtype is None


@pytest.mark.parametrize('name', ['realesrfsr_msrresnet', 'fsrnet', 'srpggan_x4', 'espcn', 'nafsr'])
def test_images_are_made_in_fp32_where_the_rest_is_in_bf16(name: str) -> None:
    """In bf16 all of their values above 0.5 would be multiples of 1 / 256."""
    section = small_options(OPTIONS / f'{name}.yml')['network_g']
    plain = build_network(section).eval()
    net = copy.deepcopy(plain)
    precision = Precision({'precision': 'bf16'}, torch.device('cpu'))
    precision.keep_images_whole(net)
    net.load_state_dict(plain.state_dict())  # under the same names
    info = arch_info(net)
    side = 64 if info.input == 'enlarged' else 8
    lq = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    for one in (net, copy.deepcopy(net)):
        with precision.autocast(), torch.no_grad():
            made = one(lq)
        assert made.dtype is torch.float32 and not torch.equal(made, made.bfloat16().float())
    with torch.no_grad():
        assert torch.allclose(made, plain(lq), atol=0.02)
    convs = [layer for layer in net.modules() if isinstance(layer, torch.nn.Conv2d) and layer.out_channels == 3]
    assert not any(type(layer) is torch.nn.Conv2d for layer in convs)


# ---- loss scaling --------------------------------------------------------------------------------------------------


def _scaled(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: float) -> tuple[Any, dict[str, Any]]:
    """A model in fp16 on the CPU, which the option refuses for its slowness, with a scale of its own for net_g."""
    opt = _options(name, tmp_path, monkeypatch)
    opt['train']['nonfinite_patience'] = 2
    model = build_model(opt)
    model.precision.dtype = torch.float16
    model.precision.scaler('g').load_state_dict({**model.precision.scaler('g').state_dict(), 'scale': scale})
    return model, opt


@pytest.mark.parametrize('name', RECIPES)
def test_the_scalers_own_skipped_steps_are_not_bad(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = _scaled(name, tmp_path, monkeypatch, 2.0**40)
    old, scales = _weights(model), []
    for iteration in range(1, 40):
        _step(model, iteration)
        scales.append(model.precision.scaler('g').get_scale())
        assert model.steps['g'].guard.bad == 0
        if not _equal(old, _weights(model)):
            break
        old = _weights(model)  # BatchNorm's statistics, too
    assert len(scales) > 3 and scales[3] == 2.0**36 and iteration < 39  # more than nonfinite_patience


def test_a_loss_that_is_not_finite_is_bad_in_fp16_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = _scaled('fsrnet', tmp_path, monkeypatch, 16.0)
    _step(model, 1)
    bad = _batch()
    bad['gt'][0, 0, 0, 0] = float('nan')
    _step(model, 2, bad)
    assert model.steps['g'].guard.bad == 1
    with pytest.raises(FaceSRError, match='2 steps of net_g in a row were not finite'):
        _step(model, 3, bad)


def test_a_scale_that_cannot_go_lower_is_bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that overflow at any scale would otherwise be skipped for ever, in silence."""
    model, _ = _scaled('fsrnet', tmp_path, monkeypatch, 1.0)
    model.net_g.coarse[0][0].weight.register_hook(lambda grad: grad * float('inf'))
    _step(model, 1)
    assert model.steps['g'].guard.bad == 1


def test_scalers_are_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, opt = _scaled('fsrgan', tmp_path, monkeypatch, 1024.0)
    _step(model, 1)
    model.save(0, 1)
    monkeypatch.setattr(Precision, 'scaler', _scaler_at_any_precision)
    resumed = _resume(model, opt, 1)
    assert resumed.precision.state_dict() == model.precision.state_dict()
    assert set(model.precision.state_dict()) == {'g', 'd'} and resumed.precision.scaler('g').get_scale() == 1024


def _scaler_at_any_precision(self: Precision, label: str) -> torch.amp.GradScaler:
    return self.scalers.setdefault(label, torch.amp.GradScaler('cpu'))


# ---- compilation, optimisers, TF32 ---------------------------------------------------------------------------------


def test_compiling_changes_neither_names_nor_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced by the compiler, executed as it is: no C++ compiler is asked for."""
    seen: list[Any] = []

    def as_it_is(graph: Any, inputs: Any) -> Any:
        seen.append(graph)
        return graph

    compile_as_is = functools.partial(torch.compile, backend=as_it_is)
    results = []
    for on in (False, True):
        opt = _options('fsrnet', tmp_path, monkeypatch, compile=on)
        with monkeypatch.context() as patch:
            patch.setattr(torch, 'compile', compile_as_is)
            torch.manual_seed(0)
            model = build_model(opt)
        assert not seen
        _step(model, 1)
        model.predict({key: value[:1] for key, value in _batch().items()}, False)
        results.append((_weights(model), model.net_g_ema.state_dict()))
    assert seen and _equal(results[0][0], results[1][0]) and _equal(results[0][1], results[1][1])


def test_a_network_under_a_gradient_penalty_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    precision = Precision({'compile': True}, torch.device('cpu'))
    nets = [torch.nn.Conv2d(3, 3, 1) for _ in range(2)]
    for net, penalised in zip(nets, (False, True), strict=True):
        precision.compile(net, penalised)
    assert [net._compiled_call_impl is not None for net in nets] == [True, False]


def test_fused_optimisers_go_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps, and an exact resume."""
    ends = []
    for fused in (False, True):
        opt = with_landmarks(_options('quickstart', tmp_path, monkeypatch))
        opt['train']['optim_g'] = {'type': 'AdamW', 'lr': 1e-3, 'fused': fused}
        opt['datasets']['train']['num_landmark'] = 68
        torch.manual_seed(0)
        model = build_model(opt)
        for iteration in (1, 2, 3):
            data = {**_batch(iteration), 'landmarks': torch.full((4, 68, 2), 20.0)}
            _step(model, iteration, data)
            if iteration == 2:
                model.save(0, 2)
        ends.append(_weights(model))
        resumed = _resume(model, opt, 2)
        _step(resumed, 3, data)
        assert _equal(_weights(resumed), ends[-1])
    assert all(torch.allclose(ends[0][key], ends[1][key], atol=1e-6) for key in ends[0])


def test_tf32_leaves_a_cpu_alone() -> None:
    before = torch.get_float32_matmul_precision()
    Precision({'tf32': True}, torch.device('cpu'))
    assert torch.get_float32_matmul_precision() == before


# ---- on a GPU ------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize('name', RECIPES)
@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_everything_at_once_on_a_gpu(
    name: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {'num_gpu': 1, 'precision': precision, 'compile': True, 'channels_last': True, 'tf32': True}
    opt = _options(name, tmp_path, monkeypatch, **changes)
    opt['train']['optim_g'] = {'type': 'AdamW', 'lr': 1e-3, 'fused': True}
    model = build_model(opt)
    for iteration in range(1, 21):
        _step(model, iteration)
        if iteration == 10:
            model.save(0, 10)
    log = model.get_current_log()
    assert not any(step.guard.bad for step in model.steps.values()) and all(
        torch.isfinite(torch.tensor(v)) for v in log.values()
    )
    resumed = _resume(model, opt, 10)
    for iteration in range(11, 21):
        _step(resumed, iteration)
    assert resumed.get_current_log()['psnr'] == pytest.approx(log['psnr'], rel=0.05)
    if precision == 'fp16':
        assert model.precision.scaler('g').is_enabled()


@pytest.mark.gpu
@needs_cuda
def test_tf32_on_a_gpu() -> None:
    kept = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        for on, name in ((True, 'high'), (False, 'highest')):
            Precision({'tf32': on}, torch.device('cuda'))
            assert torch.get_float32_matmul_precision() == name and torch.backends.cudnn.allow_tf32 is on
    finally:
        torch.set_float32_matmul_precision(kept[0])
        torch.backends.cudnn.allow_tf32 = kept[1]
