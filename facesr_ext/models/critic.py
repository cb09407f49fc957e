"""What a discriminator must be for the losses that it is trained with and the faces that it judges."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from facesr_ext.archs.arch_info import arch_info
from facesr_ext.errors import OptionError


def refuse_batch_norm(net: nn.Module) -> None:
    """Refuses a discriminator that cannot be trained under a gradient penalty.

    Raises:
        OptionError: if it has BatchNorm, which lets each sample's verdict depend on the others.
    """
    name = next((name for name, module in net.named_modules() if isinstance(module, _BatchNorm)), None)
    if name is not None:
        raise OptionError(
            f'{type(net).__name__} has BatchNorm ({name}), but train: gradient_penalty_opt penalises the '
            'gradient of each sample by itself; take a critic without it (WGANCritic, UNetDiscriminatorSN), or remove '
            'gradient_penalty_opt',
            ('network_d', 'type'),
        )


def refuse_size(net: nn.Module, size: tuple[int, ...]) -> None:
    """Refuses faces that a discriminator cannot judge.

    Args:
        net (Module): The bare discriminator.
        size (tuple[int, ...]): Height and width of the GT.

    Raises:
        OptionError: with the sizes that it takes.
    """
    fits = arch_info(net).sizes.fault(size)
    if fits is not None:
        shown = 'x'.join(map(str, size[::-1]))
        raise OptionError(
            f'{type(net).__name__} cannot judge the {shown} px of the training set; it takes {fits}: set its '
            'input_size (VGGStyleDiscriminator: 128 or 256) or the image_size / gt_size of the set',
            ('network_d', 'type'),
        )
