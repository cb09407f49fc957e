"""Small faces, enlarged: sizes drawn for each image, what a factor leaves, and mixtures at scale 1."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from facesr_ext.degradations.presets import build_degradation
from facesr_ext.degradations.random_bicubic import RandomBicubicDegradation
from facesr_ext.errors import OptionError
from facesr_ext.faces.drawn.face import DrawnFaces
from facesr_ext.imaging import to_tensor

TYPE = 'RandomBicubicDegradation'


@pytest.fixture(scope='module')
def faces() -> torch.Tensor:
    drawn = DrawnFaces(6, 3, 64)
    return torch.stack([to_tensor(drawn[i].image) for i in range(6)])


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_one_factor_is_bicubic_by_it(faces: torch.Tensor) -> None:
    lq = RandomBicubicDegradation(1, (4, 4))(faces, _seeded(0))
    assert torch.equal(lq, build_degradation({'type': 'BicubicDegradation', 'enlarge': True}, 4)(faces, _seeded(0)))
    assert torch.equal(RandomBicubicDegradation(1, (1, 1))(faces, _seeded(0)), faces)


def test_each_image_has_a_factor_of_its_own(faces: torch.Tensor) -> None:
    degradation = RandomBicubicDegradation(4, (1, 8))
    assert degradation.enlarged and degradation.scale == 4
    same = faces[:1].repeat(40, 1, 1, 1)
    lqs = degradation(same, _seeded(1))
    assert lqs.shape == same.shape and torch.equal(lqs, degradation(same, _seeded(1)))
    levels = lqs * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    errors = (lqs - same).square().flatten(1).mean(1)
    ends = [RandomBicubicDegradation(1, (f, f))(same[:1], _seeded(0)) for f in (1.5, 6)]
    mild, strong = (float((end - same[:1]).square().mean()) for end in ends)
    assert int((errors < mild).sum()) >= 3 and int((errors > strong).sum()) >= 2 and len(set(errors.tolist())) > 15


@pytest.mark.parametrize('value', [[0.5, 8], [2, 17], [8, 2], 4, [2, float('nan')]])
def test_refuses_factors(value: Any) -> None:
    with pytest.raises(OptionError) as caught:
        build_degradation({'type': TYPE, 'factor_range': value}, 1)
    assert caught.value.key == ('degradation', 'factor_range')


def test_at_scale_1_every_part_of_a_mixture_is_at_hr_size(faces: torch.Tensor) -> None:
    parts = [{'type': TYPE}, {'type': 'SecondOrderDegradation'}, {'type': 'BicubicDegradation'}]
    mixture = build_degradation({'type': 'MixtureDegradation', 'parts': parts}, 1)
    lq, target = mixture.pair(faces.repeat(4, 1, 1, 1), _seeded(0))
    assert mixture.enlarged and lq.shape == target.shape
    clean = (lq == target).flatten(1).all(1)
    assert 2 < int(clean.sum()) < 16
    with pytest.raises(OptionError, match='all enlarge the LQ, or none does'):
        build_degradation({'type': 'MixtureDegradation', 'parts': parts}, 4)
