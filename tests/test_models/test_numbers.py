"""Numbers that cannot lie: the least data sets, identical pictures, and one result whichever way it is computed.

Losses and gradients that are not finite are in ``test_training.py`` and ``test_precision.py`` (with fp16), moments and
changed options in ``test_resuming.py``, tiles in ``test_tiles.py``, exported networks in ``tests/test_inference``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facesr_ext import Restorer
from facesr_ext.cli.run import run_pipeline
from facesr_ext.errors import CheckpointError
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.metrics.metric_info import Metrics
from tests.attacks.hostile import checkpoint, weights
from tests.support import OPTIONS, read_table, small_options, write_options


@pytest.mark.parametrize(('faces', 'batch'), [(1, 1), (1, 4), (3, 8)])
def test_one_picture_and_batches_larger_than_the_data(
    faces: int, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures are taken again until the batch is full."""
    opt = small_options(OPTIONS / 'srresnet.yml')
    opt['datasets']['train'].update(num_faces=faces, batch_size_per_gpu=batch)
    opt['datasets']['val']['num_faces'] = 1
    monkeypatch.chdir(tmp_path)
    run_pipeline('train', ['-opt', str(write_options(opt, tmp_path / 'a.yml'))])
    run = tmp_path / 'experiments' / opt['name']
    (row,) = read_table(next((run / 'visualization').glob('*_2.csv')))
    assert all(math.isfinite(float(value)) for key, value in row.items() if key != 'name')
    assert Restorer(run, device='cpu').scale == opt['scale']


@pytest.mark.parametrize('name', ['psnr_rgb', 'psnr_y', 'ssim_y'])
def test_identical_pictures(name: str) -> None:
    metrics = Metrics({'m': {'type': name}})
    face = render_face(0, 0, 64).image[..., ::-1]
    found = metrics.measure(face, face.copy())['m']
    assert found == math.inf if name.startswith('psnr') else found == pytest.approx(1.0, abs=1e-9)
    flat = np.zeros((64, 64, 3), np.uint8)
    assert not math.isnan(metrics.measure(flat, flat.copy())['m'])


@pytest.fixture(scope='module')
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp('net') / 'net.pth')


WAYS: dict[str, tuple[dict[str, Any], float]] = {
    'channels last': ({'channels_last': True}, 1e-5),
    'one at a time': ({'batch_size': 1}, 1e-5),
    'bf16': ({'precision': 'bf16'}, 2e-2),
}
"""What is changed, and by how much a value of [0, 1] may differ for it."""


@pytest.mark.parametrize('way', WAYS)
def test_one_result_whichever_way_it_is_computed(way: str, net: Path) -> None:
    changes, tolerance = WAYS[way]
    lqs = [render_face(0, number, 32).image.astype(np.float32) / 255 for number in range(3)]
    plain = Restorer(net, device='cpu', batch_size=3).restore(lqs)
    other = Restorer(net, device='cpu', **{'batch_size': 3, **changes}).restore(lqs)
    assert max(float(np.abs(a - b).max()) for a, b in zip(plain, other, strict=True)) <= tolerance


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    name, weight = next(iter(weights().items()))
    weight[0] = value
    path = checkpoint(tmp_path / 'net.pth', {name: weight})
    with pytest.raises(CheckpointError, match=rf'1 weights that are not finite, the first is {name}'):
        Restorer(path, device='cpu')
