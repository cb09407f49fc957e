"""Networks that spandrel recognises, as ours are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from facesr_ext import PhotoRestorer, Restorer
from facesr_ext.errors import CheckpointError
from facesr_ext.inference.elsewhere import ForeignNetwork, open_foreign

spandrel = pytest.importorskip('spandrel')


def test_gfpgan_is_given_faces_of_512_px_in_the_range_that_it_was_trained_on() -> None:
    from spandrel.architectures.GFPGAN import GFPGAN, GFPGANArch

    torch.manual_seed(0)
    arguments = {'fix_decoder': False, 'input_is_latent': True, 'different_w': True, 'sft_half': True}
    state = GFPGAN(
        out_size=512, num_style_feat=512, channel_multiplier=2, num_mlp=8, narrow=1, **arguments
    ).state_dict()
    net = ForeignNetwork(GFPGANArch().load(state)).eval()
    assert (net.info.scale, net.info.input, net.info.sizes.fixed) == (1, 'enlarged', 512)
    assert net.licence is not None and 'Apache 2.0' in net.licence
    seen: list[torch.Tensor] = []
    net.net.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net.net.register_forward_hook(lambda _, given, made: (given[0], None))  # what it was given comes back
    face = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    restorer = PhotoRestorer(Restorer(None, arch=net, scale=1, device='cpu'))
    back = restorer.restore_aligned(face)
    assert seen[0].shape == (1, 3, 512, 512) and -1 <= seen[0].min() < -0.9 and 0.9 < seen[0].max() <= 1
    assert back.image.shape == (512, 512, 3) and restorer.max_face == 512


def test_a_file_of_nothing_known_says_what_else_there_is(tmp_path: Path) -> None:
    torch.save({'a': torch.ones(2)}, tmp_path / 'x.pth')
    with pytest.raises(CheckpointError, match='holds no network that spandrel knows .*spandrel_extra_arches'):
        open_foreign(tmp_path / 'x.pth')
