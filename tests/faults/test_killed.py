"""kill -9 at any moment: what was begun again ends as what was never stopped, and leaves nothing half-written.

``python -m pytest tests/faults --faults 100`` kills so often, at moments that are drawn anew; without it there are some
that are the same every time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from basicsr.archs.srresnet_arch import MSRResNet

from facesr_ext.comparison.results import Comparison
from facesr_ext.data.image_io import write_image
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.runs.checkpoints import META_KEY, save_atomic
from tests.faults.contents import assert_same_run, files
from tests.faults.processes import run
from tests.support import OPTIONS, small_options, write_options

pytestmark = pytest.mark.skipif(os.name != 'posix', reason='kill -9 and fork')
SHORT = {'gan': 4, 'fade': 3, 'command': 2}
"""Kills without ``--faults``."""


def kills(request: pytest.FixtureRequest, kind: str) -> tuple[int, np.random.Generator]:
    """How many there are to be, and what draws their moments."""
    many = int(request.config.getoption('--faults'))
    return many or SHORT[kind], np.random.default_rng(None if many else 0)


def gan() -> dict[str, Any]:
    """Generator with priors, its average and a discriminator; epochs of three iterations."""
    opt = small_options(OPTIONS / 'fsrgan.yml')
    opt['train'].update(total_iter=12)
    opt['train']['scheduler'].update(periods=[12])
    opt['datasets']['train'].update(num_faces=5)
    return opt


def fade() -> dict[str, Any]:
    """Two stages, the second of which fades in from its first iteration to its last."""
    opt = small_options(OPTIONS / 'srpggan_x4.yml')
    stages = [{'size': 32, 'iters': 2}, {'size': 64, 'iters': 10, 'fade': 1.0}]
    opt['train'].update(content_opt={'type': 'ContentLoss', 'mode': 'mse'}, stages=stages, total_iter=12)
    opt['datasets']['train'].update(num_faces=5)
    return opt


@pytest.mark.parametrize('recipe', [gan, fade])
def test_a_training(recipe: Callable[[], dict[str, Any]], tmp_path: Path, request: pytest.FixtureRequest) -> None:
    opt = recipe()
    opt['logger'].update(save_checkpoint_freq=2, keep_last=2, keep_best='psnr_y')
    opt['val']['val_freq'] = 3
    words = ['basicsr.train', '-opt', str(write_options(opt, tmp_path / 'opt.yml')), '--auto_resume']
    unbroken, broken = tmp_path / 'unbroken', tmp_path / 'broken'
    whole = run(words, unbroken)
    assert whole.status == 0, whole.said
    many, rng = kills(request, recipe.__name__)
    tried = 0
    while tried < many:
        shutil.rmtree(broken, ignore_errors=True)
        done = run(words, broken, float(rng.uniform(0, whole.seconds)))
        while done.status == -9:
            tried += 1
            left = None if tried >= many else float(rng.uniform(0, whole.seconds))
            done = run(words, broken, left)
        assert done.status == 0, done.said
        places = [folder / 'experiments' / opt['name'] for folder in (unbroken, broken)]
        assert_same_run(places[0], places[1], 12)
    request.node.user_properties.append(('tries', tried))


# ---- commands ------------------------------------------------------------------------------------------------------


def prepare(folder: Path) -> list[str]:
    """A data set with labels in its file names, two sizes and an LMDB."""
    for index in range(12):
        write_image(folder / 'photos' / f'{index:03d}.png', render_face(5, index, 96).image)
    words = ['prepare', str(folder / 'photos'), 'out', '--detector', 'none', '--sizes', '32,64', '--min-sharpness', '0']
    return [*words, '--split', '1:1', '--workers', '1']


def restore(folder: Path) -> list[str]:
    """Aligned faces, with their pictures side by side and what was found."""
    for index in range(24):
        write_image(folder / 'photos' / f'{index:03d}.png', render_face(5, index, 48).image)
    arch: dict[str, Any] = {'num_feat': 4, 'num_block': 1, 'upscale': 2}
    torch.manual_seed(0)
    content = {'params': MSRResNet(**arch).state_dict(), META_KEY: {'arch': {'type': 'MSRResNet', **arch}, 'scale': 2}}
    save_atomic(content, folder / 'net_g.pth')
    words = ['restore', str(folder / 'photos'), '-o', 'out', '--model', str(folder / 'net_g.pth'), '--aligned']
    return [*words, '--compare', '--json', '--device', 'cpu']


def compare(folder: Path) -> list[str]:
    """Two methods without weights on drawn faces."""
    opt = {
        'name': 'trial',
        'scale': 4,
        'num_gpu': 0,
        'degradation': {'preset': 'bicubic_x4'},
        'datasets': {'faces': {'dataroot_gt': 'builtin', 'image_size': 64, 'num_faces': 6}},
        'methods': {name: {'network_g': {'type': name, 'scale': 4}} for name in ('Bicubic', 'Nearest')},
        'val': {'metrics': {'psnr_rgb': {'type': 'psnr_rgb'}}},
    }
    return ['compare', '-opt', str(write_options(opt, folder / 'compare.yml')), '-o', 'out']


TIMES = {'compare': ('.json', '.html', '.md', '.tex', '.csv', '.jsonl')}
"""Files that tell how long something took, by their suffixes; of a comparison the figures are compared."""


@pytest.mark.parametrize('command', [prepare, restore, compare])
def test_a_command(command: Callable[[Path], list[str]], tmp_path: Path, request: pytest.FixtureRequest) -> None:
    words = command(tmp_path)
    unbroken, broken = tmp_path / 'unbroken', tmp_path / 'broken'
    whole = run(words, unbroken)
    assert whole.status == 0, whole.said
    many, rng = kills(request, 'command')
    tried = 0
    while tried < many:
        shutil.rmtree(broken, ignore_errors=True)
        done = run(words, broken, float(rng.uniform(0, whole.seconds)))
        while done.status == -9:
            tried += 1
            done = run(words, broken, None if tried >= many else float(rng.uniform(0, whole.seconds)))
        assert done.status == 0, done.said
        wanted, found = (files(folder / 'out') for folder in (unbroken, broken))
        work = ('.prepare', '.restore')  # what a later run goes on from
        wanted, found = ({k: v for k, v in some.items() if k.split('/')[0] not in work} for some in (wanted, found))
        assert sorted(found) == sorted(wanted)
        for name, path in wanted.items():
            told = path.suffix in TIMES.get(command.__name__, ('.md',)) or path.name.startswith('cost')
            if not told:  # dataset.md names its folder
                assert path.read_bytes() == found[name].read_bytes(), name
        if command is compare:
            results = [Comparison.read(folder / 'out' / 'comparison.json') for folder in (unbroken, broken)]
            assert results[0].values == results[1].values and not any(results[1].problems.values())
    request.node.user_properties.append(('tries', tried))
