"""docs/metrics.md, by what the registry says of each metric; the figures of its calibration come from a benchmark."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from basicsr.utils.registry import METRIC_REGISTRY

from benchmarks import bicubic_metrics
from facesr_ext.data.image_io import write_image
from facesr_ext.faces.drawn.face import render_face
from facesr_ext.metrics.metric_info import unit
from tests.support import ROOT

PAGE = ROOT / 'docs' / 'metrics.md'
_ROW = re.compile(r'^\| `(\w+)` *\| *(higher|lower) *\|([^|]*)\|([^|]*)\|', re.MULTILINE)
_UNITS = {'dB': 'dB', 'px': 'pixels', '%': '%'}
OURS = {
    name: target
    for name, target in sorted(dict(iter(METRIC_REGISTRY)).items())
    if target.__module__.startswith('facesr_ext.')
}


@pytest.mark.parametrize('name', OURS)
def test_every_metric_of_ours_is_on_the_page(name: str) -> None:
    rows = {found[0]: found for found in _ROW.findall(PAGE.read_text(encoding='utf-8'))}
    assert name in rows, f'{name} has no row in {PAGE.name}'
    _, better, values, needs = rows[name]
    target = OURS[name]
    assert better == ('higher' if target.higher_is_better else 'lower')
    assert (f'{target.least} px' in needs) is (target.least > 1)
    stated = next((short for short, word in _UNITS.items() if values.strip().startswith(word)), '')
    assert unit(name) == stated
    for need in target.needs:
        kind, _, what = need.what.partition(' ')
        assert f'{kind} `{what}`' in needs, f'{need.what} is not told of {name}'


def test_metrics_of_bicubic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(3):
        write_image(tmp_path / f'{index}.png', render_face(0, index, 64).image)
    wanted = ['psnr_y', 'lr_consistency:scale=8', 'ssim_y:crop_border=30']
    monkeypatch.setattr(sys, 'argv', ['x', str(tmp_path), '--num', '2', '--scales', '2', '4', '--metrics', *wanted])
    bicubic_metrics.main()
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: [float(cell) for cell in re.findall(r' +([\d.]+|nan) \(', line)] for line in lines[3:]}
    assert lines[0] == '2 images' and lines[2].split() == ['x2', 'x4'] and list(rows) == wanted
    assert all(rows[name][0] > rows[name][1] for name in wanted[:2]) and all(map(math.isnan, rows[wanted[2]]))


def test_metrics_of_results_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(2):
        gt = render_face(0, index, 64).image
        write_image(tmp_path / 'gt' / f'{index}.png', gt)
        write_image(tmp_path / 'mine' / f'{index}.png', np.clip(gt.astype(int) + 2, 0, 255).astype(np.uint8))
    folders = [str(tmp_path / 'gt'), '--results', str(tmp_path / 'mine')]
    monkeypatch.setattr(sys, 'argv', ['x', *folders, '--metrics', 'psnr_rgb', 'calculate_psnr:crop_border=0'])
    bicubic_metrics.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ['mine'] and lines[3].split()[1:] == lines[4].split()[1:]
    assert float(lines[3].split()[1]) == pytest.approx(20 * math.log10(255 / 2), abs=0.5)
