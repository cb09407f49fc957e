"""Networks of ours for spandrel, through which ComfyUI, chaiNNer, AUTOMATIC1111 and InvokeAI open files of weights.

spandrel is given a state dict and nothing beside it. `install` teaches its registry to read out of names and shapes
which of our networks it is; what they do not tell is taken as the recipes have it. Files of
``facesr export --to safetensors`` carry the whole description as one more tensor, and are rebuilt exactly.
"""

from __future__ import annotations

import importlib
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from facesr_ext.errors import DependencyError

KEY = 'facesr_ext'
_REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Under this name a state dict has its description: JSON as UTF-8 in a tensor of bytes."""
Shapes = Mapping[str, tuple[int, ...]]
"""The entries of a state dict, by their names."""


def install(registry: Any = None) -> list[str]:
    """Makes our networks known to spandrel; later calls change nothing.

    Args:
        registry (spandrel.ArchRegistry | None): Default: ``spandrel.MAIN_REGISTRY``, which every program reads.

    Returns:
        list[str]: The networks that have been added.

    Raises:
        DependencyError: if spandrel is not installed.
    """
    try:
        spandrel = importlib.import_module('spandrel')
    except ImportError as err:
        raise DependencyError(f"spandrel is not installed: pip install 'facesr_ext[export]' ({err})") from err
    registry = spandrel.MAIN_REGISTRY if registry is None else registry
    before = tuple(known.architecture.id for known in registry)  # ours are told exactly, names and shapes
    supports = [
        spandrel.ArchSupport.from_architecture(_architecture(spandrel, name), before=before)
        for name in GUESSES
        if name not in before
    ]
    return [added.architecture.id for added in registry.add(*supports, ignore_duplicates=True)]


def described_tensor(metadata: Mapping[str, Any]) -> torch.Tensor:
    """A description as a tensor of bytes, which a state dict has under :data:`KEY`."""
    return torch.tensor(list(json.dumps(metadata).encode()), dtype=torch.uint8)


def read_description(state: Mapping[str, Any]) -> dict[str, Any]:
    """The description that a state dict carries; {} for none, or for something else under that name."""
    tensor = state.get(KEY)
    if not isinstance(tensor, torch.Tensor) or tensor.dtype != torch.uint8 or tensor.ndim != 1:
        return {}
    try:
        found = json.loads(bytes(tensor.tolist()))
    except (ValueError, RecursionError):
        return {}
    arch = found.get('arch') if isinstance(found, dict) else None
    return found if isinstance(arch, dict) and arch.get('type') in [*GUESSES] else {}


def recognised(state: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The ``network_g`` section of a state dict, where it is of this network of ours; {} where it is not.

    Names and shapes of every entry are those that the network has, or it is another one.
    """
    shapes = {key: tuple(value.shape) for key, value in state.items() if key != KEY and hasattr(value, 'shape')}
    section = read_description(state).get('arch') or _guessed(name, shapes)
    return dict(section) if section.get('type') == name and _shapes_of(section, state) == shapes else {}


def _guessed(name: str, shapes: Shapes) -> dict[str, Any]:
    """The section by the names and shapes, {} where they are of another network."""
    try:
        return {'type': name, **GUESSES[name](shapes)}
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        return {}  # an entry that this network has is missing, or is of no such shape


def _shapes_of(section: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """What a network of this section has; nothing is allocated. {} where there can be none that has these weights."""
    importlib.import_module('facesr_ext').register()
    untrusted = importlib.import_module('facesr_ext.runs.untrusted')
    tensors = {key: value for key, value in state.items() if isinstance(value, torch.Tensor)}
    try:
        with torch.device('meta'), untrusted.in_proportion(section, tensors, 'the file'):
            net = _built(section)
    except (*_REFUSALS, untrusted.CheckpointError):
        return {}
    return {key: tuple(value.shape) for key, value in net.state_dict().items()}


def _built(section: Mapping[str, Any]) -> nn.Module:
    importlib.import_module('facesr_ext').register()
    registry = importlib.import_module('basicsr.utils.registry').ARCH_REGISTRY
    name_here = importlib.import_module('facesr_ext.host.names').name_here
    arguments = {key: value for key, value in section.items() if key != 'type'}
    maker = 'basicsr' if section['type'] == 'MSRResNet' else 'facesr_ext'
    net: nn.Module = registry.get(name_here(registry, section['type'], maker))(**arguments)
    return net


def _architecture(spandrel: Any, name: str) -> Any:
    """spandrel's entry of one network."""

    class Architecture(spandrel.Architecture):  # type: ignore[misc,name-defined]
        """Tells it by its state dict, and builds it."""

        def __init__(self) -> None:
            super().__init__(id=name, detect=lambda state: bool(recognised(state, name)))

        def load(self, state_dict: Mapping[str, Any]) -> Any:
            return _descriptor(spandrel, self, state_dict)

    return Architecture()


def _descriptor(spandrel: Any, architecture: Any, state: Mapping[str, Any]) -> Any:
    """What spandrel hands on: the network with its weights, and how it is to be fed."""
    from facesr_ext.archs.arch_info import arch_info

    section = recognised(state, architecture.id)
    net = _built(section)
    info = arch_info(net)
    scale = info.scale if info.input == 'small' else 1  # it takes the image at its final size
    width = section.get('num_feat') or next(iter(section.get('widths', ())), None)
    licence = read_description(state).get('licence')
    tags = [*([f'{width}nf'] if width else []), *([str(licence)] if licence else [])]
    return spandrel.ImageModelDescriptor(
        net,
        {key: value for key, value in state.items() if key != KEY},
        architecture=architecture,
        purpose='SR' if scale > 1 else 'Restoration',
        tags=tags,
        supports_half=info.halves,
        supports_bfloat16=info.halves,
        scale=scale,
        input_channels=3,
        output_channels=3,
        size_requirements=spandrel.SizeRequirements(multiple_of=info.sizes.multiple_of),
        tiling=spandrel.ModelTiling.SUPPORTED if section['type'] in _LOCAL else spandrel.ModelTiling.DISCOURAGED,
    )


# ---- what names and shapes tell -------------------------------------------------------------------------------------


def _count(shapes: Shapes, prefix: str) -> int:
    """How many numbers follow a prefix: one more than the largest, 0 for none."""
    pattern = re.compile(re.escape(prefix) + r'(\d+)\.')
    return max((int(found[1]) + 1 for found in map(pattern.match, shapes) if found), default=0)


def _root(number: int) -> int:
    """The square root of a square.

    Raises:
        ValueError: for another number.
    """
    root = math.isqrt(number)
    if root * root != number:
        raise ValueError(f'{number} is no square')
    return root


def _nafsr(shapes: Shapes) -> dict[str, Any]:
    num_feat, in_ch = shapes['head.weight'][:2]
    tail, levels = _count(shapes, 'tail.') - 1, _count(shapes, 'downs.')
    fold = _root(shapes[f'tail.{tail}.weight'][0] // 3)
    blocks = {
        side: [_count(shapes, f'{side}.{level}.') for level in range(levels)] for side in ('encoders', 'decoders')
    }
    return {
        'scale': 2 ** (tail // 3),
        'num_feat': num_feat,
        'enc_blocks': blocks['encoders'],
        'mid_blocks': _count(shapes, 'middle.'),
        'dec_blocks': blocks['decoders'],
        'coords': in_ch == 5 * fold**2,
        'fold': fold,
    }


def _fsrnet(shapes: Shapes) -> dict[str, Any]:
    num_feat, image_ch = shapes['coarse.0.0.weight'][:2]
    fold = _root(image_ch // 3)
    norm = 'bn' if 'coarse.0.1.weight' in shapes else 'none'
    found: dict[str, Any] = {
        'num_feat': num_feat,
        'num_coarse_block': _count(shapes, 'coarse.') - 2,
        'num_encoder_block': _count(shapes, 'encoder.') - 2,
        'num_decoder_block': _count(shapes, 'decoder.') - (5 if fold == 1 else 2),
        'fold': fold,
        'norm': norm,
        'out_residual': norm == 'none',  # as the recipes have it, and
        'parsing_logits': norm == 'none',
        'prior': any(key.startswith('prior.') for key in shapes),
    }
    return {**found, **_hourglasses(shapes, num_feat)} if found['prior'] else found


def _hourglasses(shapes: Shapes, num_feat: int) -> dict[str, Any]:
    """FSRNet's prior network."""
    first, depth = 'prior.stacks.0.', 1
    while f'{first}{"inner." * depth}stay.body.8.weight' in shapes:
        depth += 1
    width = shapes[f'{first}stay.body.8.weight'][0]
    heads = [shapes.get(f'prior.{kind}_heads.0.weight', (0,))[0] for kind in ('landmark', 'parsing')]
    fused = shapes['decoder.0.0.weight'][1] - num_feat
    return {
        'num_landmark': heads[0],
        'num_parsing': heads[1],
        'hg_num': _count(shapes, 'prior.stacks.'),
        'hg_depth': depth,
        'hg_feat': width,
        'intermediate': 'prior.bridge_maps.0.weight' in shapes or _count(shapes, 'prior.stacks.') == 1,
        'prior_fusion': {sum(heads) + width: 'both', width: 'features', sum(heads): 'maps'}[fused],
    }


def _face_attention(shapes: Shapes) -> dict[str, Any]:
    levels = _count(shapes, 'downs.')
    widths = [shapes['head.weight'][0], *(shapes[f'downs.{level}.weight'][0] for level in range(levels))]
    maps = next((shape[0] for key, shape in shapes.items() if key.endswith('.attention.weigh.weight')), 0)
    return {
        'widths': widths,
        'enc_units': [_count(shapes, f'encoders.{level}.') for level in range(levels)],
        'mid_units': _count(shapes, 'middle.'),
        'dec_units': [_count(shapes, f'decoders.{level}.') for level in range(levels)],
        'attention': {0: 'none', 1: 'shared'}.get(maps, 'each'),
        'num_landmark': shapes.get('landmark_head.weight', (0,))[0],
        'num_parsing': shapes.get('parsing_head.weight', (0,))[0],
        'fuse_priors': 'fusion.weight' in shapes,
        'fold': _root(shapes['head.weight'][1] // 3),
    }


def _srcnn(shapes: Shapes) -> dict[str, Any]:
    kernels = [shapes[f'{name}.weight'][-1] for name in ('extract', 'map', 'reconstruct')]
    num_feat, channels = shapes['extract.weight'][:2]
    return {'kernel_sizes': kernels, 'num_feat': num_feat, 'luma': channels == 1}


def _espcn(shapes: Shapes) -> dict[str, Any]:
    num_feat, channels = shapes['body.0.weight'][:2]
    scale = _root(shapes['body.4.weight'][0] // channels)
    return {'scale': scale, 'num_feat': num_feat, 'luma': channels == 1}


def _srresnet(shapes: Shapes) -> dict[str, Any]:
    doublings = _count(shapes, 'upsample.') // 3
    return {
        'scale': 2**doublings,
        'num_feat': shapes['head.0.weight'][0],
        'num_block': _count(shapes, 'body.') - 2,
    }


def _srnet(shapes: Shapes) -> dict[str, Any]:
    return {'num_feat': shapes['down.0.1.weight'][0]}


def _srpggan(shapes: Shapes) -> dict[str, Any]:
    stages = [int(found[1]) for found in map(re.compile(r'to_rgb\.x(\d+)\.weight').match, shapes) if found]
    return {
        'scale': max(stages),
        'num_feat': shapes['head.0.0.weight'][0],
        'num_block': _count(shapes, 'body.') - 1,
        'lr_stage': 1 in stages,
    }


def _msrresnet(shapes: Shapes) -> dict[str, Any]:
    num_feat = shapes['conv_first.weight'][0]
    first = _root(shapes['upconv1.weight'][0] // num_feat)
    upscale = first * (2 if 'upconv2.weight' in shapes else 1)
    return {'num_feat': num_feat, 'num_block': _count(shapes, 'body.'), 'upscale': upscale}


GUESSES: dict[str, Callable[[Shapes], dict[str, Any]]] = {
    'NAFSR': _nafsr,
    'FSRNet': _fsrnet,
    'FaceAttentionNet': _face_attention,
    'SRCNN': _srcnn,
    'ESPCN': _espcn,
    'SRResNet': _srresnet,
    'SRNet': _srnet,
    'SRPGGAN': _srpggan,
    'MSRResNet': _msrresnet,
}
"""What names and shapes tell of each network with weights that makes an image; spandrel knows RRDBNet itself."""
_LOCAL = ('SRCNN', 'ESPCN', 'SRResNet', 'SRPGGAN', 'MSRResNet')
"""Networks that look at a small part of the image, so that tiles change nothing but at their borders."""
