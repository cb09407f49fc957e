"""What a comparison has found comes back from its file as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from facesr_ext.comparison.results import Comparison, Cost, MethodFacts, MetricFacts, Published, SetFacts, WholeFigure
from facesr_ext.errors import DatasetError


def example() -> Comparison:
    """Two methods on one set of three images; one image has no landmarks, and one result equals its GT."""
    return Comparison(
        name='x8',
        reference='bicubic',
        methods=[
            MethodFacts('bicubic', 'Bicubic', 'Bicubic', parameters=0),
            MethodFacts('net', 'FSRNet', 'FSRNet', ('net_g.pth',), 'ab' * 32, 3_066_385),
            MethodFacts('gone', 'SRGAN', problem='no checkpoint'),
        ],
        sets=[SetFacts('test', 'MATLAB bicubic / 8, 8 bit', 8, ('a', 'b', 'sub/c'), (128, 128), split='test')],
        metrics=[MetricFacts('psnr_rgb', 'psnr_rgb', True, 'dB'), MetricFacts('kid', 'kid_vgg16', False, '', True)],
        published=[Published('FSRNet', {'psnr_y': 26.31}, 'CelebA, 100 images', 'Chen et al., CVPR 2018')],
        values={'test': {'bicubic': {'psnr_rgb': [22.0, 23.5, 24.0]}, 'net': {'psnr_rgb': [24.0, math.nan, math.inf]}}},
        whole={'test': {'bicubic': {'kid': WholeFigure(0.17, 0.16)}}},
        costs={'test': {'net': Cost(5_000_000, 2**20, (0.1, 0.2))}},
        seeds={'test': {'net': {'psnr_rgb': [24.0, 24.5, math.nan]}}},
        problems={'test': {'gone': 'no checkpoint'}},
        machine={'CPU': 'x86_64'},
        notes=['one image has no face'],
    )


def test_a_file_says_all_that_was_found(tmp_path: Path) -> None:
    found = Comparison.read(example().write(tmp_path))
    assert repr(found) == repr(example())  # NaN is not equal to itself
    assert [method.name for method in found.ran('test')] == ['bicubic', 'net'] and not found.ran('other')
    assert found.method('net').parameters == 3_066_385
    json.loads((tmp_path / 'comparison.json').read_text(), parse_constant=lambda name: pytest.fail(name))


@pytest.mark.parametrize('content', ['', '[]', '{}', '{"version": 9}', '{"version": 1, "name": "x"}'])
def test_a_file_of_others_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / 'comparison.json'
    path.write_text(content)
    with pytest.raises(DatasetError, match='comparison.json'):
        Comparison.read(path)
