"""Networks of ours through spandrel, as ComfyUI, chaiNNer and others open them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.host.parts import build_part
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint, save_atomic, save_safetensors
from facesr_ext.spandrel import GUESSES, KEY, described_tensor, install
from tests.support import SMALL_NETS, TRAIN_FILES, small_options

spandrel = pytest.importorskip('spandrel')
install()

RECIPES = {
    str(section): section
    for section in (small_options(path)['network_g'] for path in TRAIN_FILES)
    if section['type'] not in ('DegradationNet', 'RRDBNet')
}
"""The networks that the recipes train, each once; spandrel knows RRDBNet itself."""
TOLD: list[dict[str, Any]] = [
    {'type': 'NAFSR', 'scale': 8, 'coords': True},
    {'type': 'FSRNet', 'num_landmark': 5, 'num_parsing': 0, 'prior_fusion': 'features', 'hg_num': 2},
    {'type': 'FSRNet', 'num_landmark': 5, 'prior_fusion': 'both', 'intermediate': False, 'hg_num': 2},
    {'type': 'FaceAttentionNet', 'attention': 'each', 'num_parsing': 3, 'fold': 2},
    {'type': 'FaceAttentionNet', 'attention': 'none', 'num_landmark': 5, 'fuse_priors': False},
    {'type': 'SRCNN', 'kernel_sizes': [9, 5, 5], 'luma': True},
    {'type': 'ESPCN', 'scale': 3, 'luma': True},
    {'type': 'SRResNet', 'scale': 8},
    {'type': 'SRPGGAN', 'scale': 8, 'lr_stage': True},
    {'type': 'MSRResNet', 'upscale': 3},
]
"""More of what names and shapes tell."""
UNTOLD: list[dict[str, Any]] = [
    {'type': 'NAFSR', 'skip': 'none'},
    {'type': 'FSRNet', 'prior_input': 'input', 'upscale_input': True, 'scale': 4},
    {'type': 'ESPCN', 'activation': 'relu'},
    {'type': 'SRNet', 'activation': 'tanh'},
    {'type': 'SRPGGAN', 'eql_lr': True, 'pixel_norm': True},
]
"""What the description alone tells."""


def _net(section: dict[str, Any]) -> nn.Module:
    """With weights of which every one counts."""
    torch.manual_seed(0)
    net: nn.Module = build_part(('network_g',), ARCH_REGISTRY, section).eval()
    for key, value in net.state_dict().items():
        if value.is_floating_point() and key != 'growth':
            value.add_(torch.rand_like(value) * 0.1 - 0.05 * (not key.endswith('running_var')))
    return net


def _id(section: dict[str, Any]) -> str:
    return ' '.join(map(str, section.values())).replace('[', '').replace(']', '')


def _same(net: nn.Module, path: Path) -> Any:
    """Opens the file by spandrel, and compares what it makes with what the network does, clamped as spandrel's is."""
    found = spandrel.ModelLoader('cpu').load_from_file(path)
    info = arch_info(net)
    side = info.sizes.multiple_of * -(-24 // info.sizes.multiple_of)
    lq = torch.rand(1, 3, side, side)
    with torch.no_grad():
        expected = net(lq)
        assert torch.equal(found.model.eval()(lq), expected) and expected.std() > 0
    assert torch.equal(found(lq), expected.clamp(0, 1))
    scale = info.scale if info.input == 'small' else 1
    assert (found.scale, found.input_channels) == (scale, 3)
    assert found.purpose == ('SR' if scale > 1 else 'Restoration')
    assert found.size_requirements.multiple_of == info.sizes.multiple_of
    odd = found(torch.rand(1, 3, side + 1, side))  # spandrel fills it up, and cuts
    assert odd.shape[-2:] == ((side + 1) * scale, side * scale)
    return found


@pytest.mark.parametrize('section', [*RECIPES.values(), *TOLD], ids=_id)
def test_state_dicts_alone_tell_what_recipes_train(section: dict[str, Any], tmp_path: Path) -> None:
    section = {**SMALL_NETS.get(section['type'], {}), **section}
    net = _net(section)
    content = {'params': net.state_dict(), 'params_ema': net.state_dict(), META_KEY: {'arch': section}}
    save_atomic(content, tmp_path / 'a.pth')
    found = _same(net, tmp_path / 'a.pth')
    assert found.architecture.id == section['type'] and found.tags[0].endswith('nf')
    assert found.supports_half == arch_info(net).halves


@pytest.mark.parametrize('section', UNTOLD, ids=_id)
def test_the_description_tells_the_rest(section: dict[str, Any], tmp_path: Path) -> None:
    section = {**SMALL_NETS.get(section['type'], {}), **section}
    net, metadata = _net(section), {'arch': section, 'licence': 'CC0-1.0'}
    described = {**net.state_dict(), KEY: described_tensor(metadata)}
    save_safetensors(described, tmp_path / 'a.safetensors', metadata)
    assert _same(net, tmp_path / 'a.safetensors').tags[1] == 'CC0-1.0'
    assert KEY not in load_checkpoint(tmp_path / 'a.safetensors')['params']


def test_every_network_with_weights_that_makes_an_image_is_known() -> None:
    ours = {name for name, cls in ARCH_REGISTRY if cls.__module__.startswith('facesr_ext')}
    without = {'Anime4K', 'Bicubic', 'Lanczos', 'Nearest'}
    judges = {'DegradationDiscriminator', 'PatchDiscriminator', 'SRGANDiscriminator', 'SRPGGANCritic', 'WGANCritic'}
    assert ours - without - judges - {'DegradationNet'} == set(GUESSES) - {'MSRResNet'}


def test_installing_again_changes_nothing_and_other_networks_stay_theirs() -> None:
    assert install() == []
    registry = spandrel.ArchRegistry()
    assert set(install(registry)) == set(GUESSES)
    rrdb = {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'num_grow_ch': 32}
    state = ARCH_REGISTRY.get('RRDBNet')(**rrdb).state_dict()
    assert spandrel.ModelLoader().load_from_state_dict(state).architecture.id == 'ESRGAN'
    state = _net({'type': 'ESPCN', 'num_feat': 4}).state_dict()
    for wrong in ({**state, 'more': torch.ones(1)}, {k: v for k, v in state.items() if k != 'body.2.bias'}):
        with pytest.raises(spandrel.UnsupportedModelError):
            registry.load(wrong)


@pytest.mark.parametrize('bad', [torch.ones(3), torch.ones(3, dtype=torch.uint8), described_tensor({'arch': [1]})])
def test_a_description_that_is_none_is_passed_over(bad: torch.Tensor) -> None:
    state = _net({'type': 'ESPCN', 'num_feat': 4}).state_dict()
    assert spandrel.ModelLoader().load_from_state_dict({**state, KEY: bad}).architecture.id == 'ESPCN'


def test_a_description_of_another_network_than_the_weights_is_refused() -> None:
    state = _net({'type': 'ESPCN', 'num_feat': 4}).state_dict()
    for told in ({'num_feat': 10**6}, {'num_feat': -1}, {'nonsense': 1}):
        metadata = {'arch': {'type': 'ESPCN', **told}}
        with pytest.raises(spandrel.UnsupportedModelError):
            spandrel.ModelLoader().load_from_state_dict({**state, KEY: described_tensor(metadata)})
