from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.archs.srresnet_arch import MSRResNet

from facesr_ext import Restorer
from facesr_ext.cli.main import main
from facesr_ext.inference.publication import publish
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint, save_atomic

ARCH: dict[str, Any] = {'num_feat': 4, 'num_block': 1, 'upscale': 2}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    own, averaged = MSRResNet(**ARCH), MSRResNet(**ARCH)
    told = {
        'arch': {'type': 'MSRResNet', **ARCH},
        'scale': 2,
        'trained_on': {'dataroot_gt': ['/home/me/secret/ffhq', 'C:\\me\\celeba'], 'image_size': 64},
    }
    path = tmp_path / 'net_g_5.pth'
    save_atomic({'params': own.state_dict(), 'params_ema': averaged.state_dict(), META_KEY: told}, path)
    return path


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(['publish', *map(str, arguments)])
    return int(ended.value.code or 0)


@pytest.mark.parametrize('suffix', ['.safetensors', '.pth'])
def test_averaged_weights_alone_and_no_path_of_a_machine(
    checkpoint: Path, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'new' / f'mine{suffix}'
    assert _run(checkpoint, '-o', out) == 0
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert capsys.readouterr().out.strip() == f'{out}: {out.stat().st_size:,} bytes, params_ema, sha256 {digest}'
    assert b'secret' not in out.read_bytes() and b'celeba' in out.read_bytes()
    given, made = load_checkpoint(checkpoint), load_checkpoint(out)
    assert set(made) == {'params', META_KEY}
    assert all(torch.equal(made['params'][key], value) for key, value in given['params_ema'].items())
    assert made[META_KEY]['trained_on'] == {'dataroot_gt': ['ffhq', 'celeba'], 'image_size': 64}
    picture = torch.rand(3, 12, 10)
    assert (Restorer(out, device='cpu').restore(picture) == Restorer(checkpoint, device='cpu').restore(picture)).all()


def test_half_the_size_for_a_tenth_of_a_level(checkpoint: Path, tmp_path: Path) -> None:
    whole, half = (publish(checkpoint, tmp_path / f'{half}.safetensors', half=half) for half in (False, True))
    weights = sum(value.numel() for value in load_checkpoint(checkpoint)['params'].values())
    assert abs(whole.size - half.size - 2 * weights) < 500  # the header's numbers are shorter
    lq = torch.rand(1, 3, 16, 16)
    made = [Restorer(one.path, device='cpu').restore_batch(lq) for one in (whole, half)]
    assert 0 < (made[0] - made[1]).abs().max() < 0.1 / 255


def test_what_cannot_be_is_named(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, message in {'a.onnx': 'must end in .pth or .safetensors', 'net_g_5.pth': 'is read, too'}.items():
        assert _run(checkpoint, '-o', tmp_path / name) == 2
        assert message in capsys.readouterr().err
    bare = tmp_path / 'bare.pth'
    torch.save(MSRResNet(**ARCH).state_dict(), bare)
    assert _run(bare, '-o', tmp_path / 'a.pth') == 2
    assert 'what network' in capsys.readouterr().err
