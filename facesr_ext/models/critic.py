"""What a discriminator must be for the losses that it is trained with."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

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
