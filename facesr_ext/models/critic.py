"""What a discriminator must be for the losses that it is trained with and the faces that it judges."""

from __future__ import annotations

from basicsr.archs.discriminator_arch import UNetDiscriminatorSN, VGGStyleDiscriminator
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from facesr_ext.archs.arch_info import ArchInfo, arch_info
from facesr_ext.errors import OptionError


def refuse_batch_norm(net: nn.Module) -> None:
    """Refuses a discriminator that cannot be trained under a gradient penalty.

    Raises:
        OptionError: if it has BatchNorm, which lets each sample's verdict depend on the others.
    """
    name = next((name for name, module in net.named_modules() if isinstance(module, _BatchNorm)), None)
    if name is not None:
        raise OptionError(
            f'network_d: {type(net).__name__} has BatchNorm ({name}), but train: gradient_penalty_opt penalises the '
            'gradient of each sample by itself; take a critic without it (WGANCritic, UNetDiscriminatorSN), or remove '
            'gradient_penalty_opt'
        )


def critic_info(net: nn.Module) -> ArchInfo:
    """The :class:`ArchInfo` of a discriminator; BasicSR's state none, so what is known of them is said here."""
    if isinstance(net, VGGStyleDiscriminator):
        return ArchInfo(input='enlarged', fixed_size=net.input_size)
    if isinstance(net, UNetDiscriminatorSN):
        return ArchInfo(input='enlarged', multiple_of=8)  # halved three times, and added to what was
    return arch_info(net)


def refuse_size(net: nn.Module, size: tuple[int, ...]) -> None:
    """Refuses faces that a discriminator cannot judge.

    Args:
        net (Module): The bare discriminator.
        size (tuple[int, ...]): Height and width of the GT.

    Raises:
        OptionError: with the sizes that it takes.
    """
    info, shown = critic_info(net), 'x'.join(map(str, size[::-1]))
    given = f'network_d: {type(net).__name__} cannot judge the {shown} px of the training set; it takes '
    if info.fixed_size and set(size) != {info.fixed_size}:
        remedy = 'set its input_size (VGGStyleDiscriminator: 128 or 256) or the image_size / gt_size of the set'
        raise OptionError(f'{given}{info.fixed_size}x{info.fixed_size}: {remedy}')
    if any(side % info.multiple_of for side in size):
        raise OptionError(f'{given}a multiple of {info.multiple_of}: change the image_size / gt_size of the set')
