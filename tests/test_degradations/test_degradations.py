from __future__ import annotations

import pytest
import torch

from facesr_ext.degradations.bicubic import BicubicDegradation
from facesr_ext.degradations.presets import PRESETS, build_degradation
from facesr_ext.errors import DatasetError, OptionError


@pytest.mark.parametrize('preset', sorted(PRESETS))
def test_preset(preset: str) -> None:
    degradation = build_degradation({'preset': preset}, PRESETS[preset].get('scale', 4))
    gt = torch.rand(2, 3, 128, 128)
    outs = [degradation(gt, torch.Generator().manual_seed(3)) for _ in range(2)]
    side = 128 if degradation.enlarged else 128 // degradation.scale
    assert outs[0].shape == (2, 3, side, side)
    assert torch.equal(*outs)
    levels = outs[0] * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4) and levels.min() >= 0 and levels.max() <= 255


@pytest.mark.parametrize('scale', range(2, 9))
def test_every_scale(scale: int) -> None:
    from basicsr.utils.matlab_functions import imresize

    gt = torch.rand(3, scale * 8, scale * 6)
    lq = BicubicDegradation(scale)(gt[None], torch.Generator())[0]
    expected = (imresize(gt, 1 / scale) * 255).round().clamp(0, 255) / 255
    assert (lq - expected).abs().max() <= 1.01 / 255  # a value at the border between two levels may fall on either side
    assert (lq - expected).abs().mean() < 1e-5


def test_errors_name_what_fits() -> None:
    with pytest.raises(OptionError, match="preset: 'fsrnetx8' is unknown; did you mean fsrnet_x8"):
        build_degradation({'preset': 'fsrnetx8'}, 8)
    with pytest.raises(OptionError, match='reduces by 4, but scale is 8'):
        build_degradation({'preset': 'bicubic_x4'}, 8)
    with pytest.raises(OptionError, match='enlarged: BicubicDegradation has no such option; did you mean enlarge'):
        build_degradation({'type': 'BicubicDegradation', 'enlarged': True}, 8)
    with pytest.raises(OptionError, match='whole number from 1 to 8, not 9'):
        BicubicDegradation(9)
    with pytest.raises(DatasetError, match='a GT of 60x64 px cannot be reduced by 8'):
        BicubicDegradation(8)(torch.rand(1, 3, 64, 60), torch.Generator())
