"""A learnt degradation: from its checkpoint alone, alone or in a mixture, and what it says where it cannot work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import CheckpointError, DatasetError, OptionError
from facesr_ext.imaging import imresize, quantize
from facesr_ext.runs.checkpoints import save_atomic
from tests.support import write_degradation_net


def _section(path: Path, **more: Any) -> dict[str, Any]:
    return {'type': 'LearnedDegradation', 'checkpoint': str(path), **more}


def _generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_rebuilds_the_network_and_draws_z_from_the_generator(tmp_path: Path) -> None:
    net = write_degradation_net(tmp_path / 'net.pth', 8, residual=True, fold=2)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    degradation = build_degradation(_section(tmp_path / 'net.pth'), 8)
    gt = torch.rand(3, 3, 64, 96, generator=_generator())
    lq = degradation(gt, _generator())
    assert torch.equal(torch.get_rng_state(), state)  # neither building nor degrading touches the global generator
    z = torch.randn(3, net.z_size(64, 96), generator=_generator())
    with torch.no_grad():
        assert torch.equal(lq, quantize(net(gt, z)))
    assert lq.shape == (3, 3, 8, 12) and not lq.requires_grad
    assert torch.equal(lq, degradation(gt, _generator())) and not torch.equal(lq, degradation(gt, _generator(4)))
    enlarged = build_degradation(_section(tmp_path / 'net.pth', enlarge=True), 8)
    assert enlarged.enlarged and torch.equal(enlarged(gt, _generator()), quantize(imresize(lq, (64, 96))))


def test_in_a_mixture_for_restoration_its_lr_comes_back_at_hr_size(tmp_path: Path) -> None:
    write_degradation_net(tmp_path / 'net.pth', 8, residual=True, fold=2)
    gt = torch.rand(3, 3, 64, 96, generator=_generator())
    section = _section(tmp_path / 'net.pth')
    enlarged = build_degradation({**section, 'enlarge': True}, 8)(gt, _generator())
    assert torch.equal(build_degradation(section, 1)(gt, _generator()), enlarged)
    parts = [{**section, 'probability': 3}, {'type': 'BicubicDegradation'}]
    lq = build_degradation({'type': 'MixtureDegradation', 'parts': parts}, 1)(gt.repeat(8, 1, 1, 1), _generator())
    kept = (lq - quantize(gt.repeat(8, 1, 1, 1))).abs().flatten(1).amax(1) == 0
    assert lq.shape == (24, 3, 64, 96) and 0 < int(kept.sum()) < 15


def test_averaged_weights_are_taken_and_batch_norm_rests(tmp_path: Path) -> None:
    net = write_degradation_net(tmp_path / 'net.pth', 4, noise='plane', norm='bn')
    content = torch.load(tmp_path / 'net.pth', weights_only=True)
    content['params_ema'] = {key: value.clone() for key, value in content['params'].items()}
    content['params_ema']['conv_last.bias'] += 1
    save_atomic(content, tmp_path / 'net.pth')
    degradation: Any = build_degradation(_section(tmp_path / 'net.pth'), 4)
    assert torch.equal(degradation.net.conv_last.bias, net.conv_last.bias + 1)
    gt = torch.rand(4, 3, 64, 64)
    whole = degradation(gt, _generator())
    kept = degradation.net.downs[0][0].running_mean.clone()
    degradation(gt, _generator())
    assert torch.equal(kept, degradation.net.downs[0][0].running_mean)
    assert all(not isinstance(m, nn.BatchNorm2d) or not m.training for m in degradation.net.modules())
    assert whole.shape == (4, 3, 16, 16)


def test_in_a_mixture(tmp_path: Path) -> None:
    write_degradation_net(tmp_path / 'net.pth', 4)
    parts = [_section(tmp_path / 'net.pth', probability=3), {'preset': 'bicubic_x4'}]
    mixture = build_degradation({'type': 'MixtureDegradation', 'parts': parts}, 4)
    gt = torch.rand(64, 3, 32, 32)
    lq = mixture(gt, _generator())
    bicubic = (lq - quantize(imresize(gt, (8, 8)))).abs().flatten(1).amax(1) == 0
    assert lq.shape == (64, 3, 8, 8) and 4 < int(bicubic.sum()) < 30
    assert torch.equal(lq, mixture(gt, _generator()))


def test_missing_file_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = 'experiments/degradation_net_x8/models/net_g_latest.pth'
    message = (
        f'checkpoint: there is no file {shipped} .*train it first: python -m basicsr.train -opt .*degradation_net.yml'
    )
    with pytest.raises(OptionError, match=message):
        build_degradation(_section(Path(shipped)), 8)
    with pytest.raises(OptionError, match='there is no file other.pth .*; correct the path'):
        build_degradation(_section(Path('other.pth')), 8)


def test_other_scale_other_network_and_damaged_files_are_named(tmp_path: Path) -> None:
    write_degradation_net(tmp_path / 'net.pth', 4)
    with pytest.raises(OptionError, match=r'net.pth reduces by 4, but scale is 8; take one .* scale: 8'):
        build_degradation(_section(tmp_path / 'net.pth'), 8)
    save_atomic({'params': {}, 'facesr_ext': {'arch': {'type': 'FSRNet'}}}, tmp_path / 'sr.pth')
    with pytest.raises(OptionError, match='sr.pth holds FSRNet, not a DegradationNet'):
        build_degradation(_section(tmp_path / 'sr.pth'), 8)
    save_atomic({'params': {}}, tmp_path / 'bare.pth')
    with pytest.raises(OptionError, match='bare.pth holds nothing that names its network'):
        build_degradation(_section(tmp_path / 'bare.pth'), 8)
    (tmp_path / 'cut.pth').write_bytes((tmp_path / 'net.pth').read_bytes()[:900])
    with pytest.raises(CheckpointError, match=r'cut.pth \(cut off'):
        build_degradation(_section(tmp_path / 'cut.pth'), 4)


def test_pictures_of_another_size_are_refused_with_what_fits(tmp_path: Path) -> None:
    write_degradation_net(tmp_path / 'plane.pth', 4, noise='plane')
    with pytest.raises(DatasetError, match='images of 64x64 px, not of 96x96 px; set image_size: 64, or take'):
        build_degradation(_section(tmp_path / 'plane.pth'), 4)(torch.rand(1, 3, 96, 96), _generator())
    write_degradation_net(tmp_path / 'net.pth', 8)
    with pytest.raises(DatasetError, match='images of a multiple of 32 px, not of 64x48 px; change image_size'):
        build_degradation(_section(tmp_path / 'net.pth'), 8)(torch.rand(1, 3, 48, 64), _generator())
