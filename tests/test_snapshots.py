"""What networks and degradations compute stays what it was: seeded, on one drawn face, beside stored figures.

After a change that is meant: ``FACESR_WRITE_SNAPSHOTS=1 python -m pytest tests/test_snapshots.py``, and say why in the
commit.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.degradations.presets import PRESETS, build_degradation
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.imaging import to_tensor, with_coordinates
from tests.support import SMALL_NETS, TRAIN_FILES, small_options

FILE = Path(__file__).with_name('snapshots.json')
WRITE = os.environ.get('FACESR_WRITE_SNAPSHOTS') == '1'
FACE, SIZE = (3, 1), 128


def _networks() -> dict[str, dict[str, Any]]:
    """Every network of ours, small, as it is by default and as each recipe has it."""
    names = [name for name, cls in ARCH_REGISTRY if cls.__module__.startswith('facesr_ext.')]
    found = {name: {'type': name, **SMALL_NETS.get(name, {})} for name in names}
    for path in TRAIN_FILES:
        opt = small_options(path)
        found |= {f'{path.stem}: {key}': opt[key] for key in ('network_g', 'network_d') if key in opt}
    return found


NETWORKS = _networks()


def _face() -> torch.Tensor:
    return to_tensor(render_face(*FACE, SIZE).image)[None]


def _figures(result: torch.Tensor) -> list[float]:
    """Size, mean, standard deviation and twelve values of a result."""
    flat = result.detach().double().flatten()
    picked = flat[torch.linspace(0, len(flat) - 1, 12).long()]
    return [float(len(flat)), float(flat.mean()), float(flat.std(unbiased=False)), *picked.tolist()]


def _compare(key: str, result: torch.Tensor, tolerance: float) -> None:
    stored = json.loads(FILE.read_text(encoding='utf-8')) if FILE.exists() else {}
    figures = _figures(result)
    if WRITE:
        stored[key] = [float(f'{value:.7g}') for value in figures]
        lines = ',\n'.join(f'{json.dumps(name)}: {json.dumps(stored[name])}' for name in sorted(stored))
        FILE.write_text(f'{{\n{lines}\n}}\n', encoding='utf-8')
    assert figures == pytest.approx(stored[key], rel=tolerance, abs=tolerance * max(figures[2], 1e-3))


@pytest.mark.parametrize('name', NETWORKS)
def test_network(name: str) -> None:
    section = NETWORKS[name]
    torch.manual_seed(0)
    net = ARCH_REGISTRY.get(section['type'])(**{k: v for k, v in section.items() if k != 'type'}).eval()
    info, face = arch_info(net), _face()
    side = info.sizes.fixed or (SIZE if info.input != 'small' or not hasattr(net, 'scale') else SIZE // 4)
    img = torch.nn.functional.adaptive_avg_pool2d(face, side)
    img = with_coordinates(img) if info.coords else img
    more = [img] if info.conditional else []
    with torch.no_grad():
        _compare(f'network {name}', net(img, *more), 2e-3)


@pytest.mark.parametrize('name', PRESETS)
def test_lq_of_a_preset(name: str) -> None:
    scale = PRESETS[name].get('scale', 4)
    lq = build_degradation({'preset': name}, scale)(_face(), torch.Generator().manual_seed(7))
    _compare(f'preset {name}', lq, 1e-2)
