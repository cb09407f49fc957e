from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from basicsr.archs.arch_util import default_init_weights
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, Sizes, require_literals

Norm = Callable[[int], nn.Module]

CRITIC_NORMS: dict[str, Norm | None] = {
    'none': None,
    'layer': lambda channels: nn.GroupNorm(1, channels),  # over channels and places of one picture
    'instance': lambda channels: nn.InstanceNorm2d(channels, affine=True),
}


def _conv_pairs(in_ch: int, num_feat: int, norm: Norm | None) -> list[nn.Module]:
    """SRGAN's trunk: 3x3 convolutions in pairs at widths 1, 2, 4 and 8 x ``num_feat``, the second with stride 2.

    A norm follows each convolution but the first, then LeakyReLU 0.2.
    """
    layers: list[nn.Module] = []
    channels = in_ch
    for width in (num_feat, num_feat * 2, num_feat * 4, num_feat * 8):
        for stride in (1, 2):
            normed = [norm(width)] if norm is not None and layers else []
            layers += [nn.Conv2d(channels, width, 3, stride, 1), *normed, nn.LeakyReLU(0.2, inplace=True)]
            channels = width
    return layers


@ARCH_REGISTRY.register()
class PatchDiscriminator(nn.Module):
    """Patch discriminator in SRGAN's manner, which can be conditioned on the network's input.

    3x3 convolutions in pairs at widths 1, 2, 4 and 8 x ``num_feat``, the second of each pair with stride 2, BatchNorm
    except in the first, LeakyReLU 0.2, then one 3x3 convolution to a map of logits: a verdict for each 16 x 16 cell.

    Papers: FSRNet (Chen et al., CVPR 2018), which conditions it on the input; Image-to-Image Translation with
    Conditional Adversarial Networks (Isola et al., CVPR 2017).

    Args:
        num_in_ch (int): Channels of the image. Default: 3.
        num_feat (int): Width of the first pair. Default: 64.
        conditional (bool): ``forward`` takes the condition (the enlarged LR image) too. Default: False.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64, conditional: bool = False) -> None:
        super().__init__()
        self.info = ArchInfo(input='enlarged', sizes=Sizes(16), conditional=conditional)
        layers = _conv_pairs(num_in_ch * (2 if conditional else 1), num_feat, nn.BatchNorm2d)
        self.body = nn.Sequential(*layers, nn.Conv2d(num_feat * 8, 1, 3, 1, 1))

    def forward(self, img: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        """Judges images.

        Args:
            img (Tensor): (N, 3, H, W), RGB, [0, 1]; H and W are a multiple of 16.
            condition (Tensor | None): (N, 3, H, W), RGB, [0, 1]; needed where ``conditional`` is set.

        Returns:
            Tensor: (N, 1, H / 16, W / 16), logits.

        Raises:
            ValueError: if a condition is missing, or given to a discriminator that takes none.
        """
        if self.info.conditional != (condition is not None):
            raise ValueError(
                f'PatchDiscriminator(conditional={self.info.conditional}): condition is '
                f'{"missing" if self.info.conditional else "not taken"}'
            )
        return self.body(img if condition is None else torch.cat([img, condition], 1))


class _OneNumber(nn.Module):
    """SRGAN's trunk and two dense layers: one number for a whole picture of one size."""

    def __init__(self, num_in_ch: int, num_feat: int, input_size: int, norm: Norm | None) -> None:
        super().__init__()
        if input_size < 16 or input_size % 16:
            raise ValueError(f'{type(self).__name__}: input_size is a multiple of 16, not {input_size}')
        self.info = ArchInfo(input='enlarged', sizes=Sizes(16, input_size))
        self.body = nn.Sequential(*_conv_pairs(num_in_ch, num_feat, norm))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(num_feat * 8 * (input_size // 16) ** 2, num_feat * 16),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(num_feat * 16, 1),
        )

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        """Judges images.

        Args:
            img (Tensor): (N, 3, input_size, input_size), RGB, [0, 1].

        Returns:
            Tensor: (N, 1), not bounded.

        Raises:
            ValueError: for images of another size.
        """
        size = self.info.sizes.fixed
        if img.shape[-2:] != (size, size):
            raise ValueError(
                f'{type(self).__name__}(input_size={size}) takes {size}x{size} px, '
                f'not {img.shape[-1]}x{img.shape[-2]}; set input_size to the size of the HR image'
            )
        return self.head(self.body(img))


@ARCH_REGISTRY.register()
class SRGANDiscriminator(_OneNumber):
    """SRGAN's discriminator: convolutions to 1 / 16 of the size, BatchNorm, two dense layers to one logit.

    The paper's last sigmoid is left to the loss, which is steadier on logits.

    Paper: Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network (Ledig et al., CVPR
    2017), figure 4.

    Args:
        num_in_ch (int): Channels of the image. Default: 3.
        num_feat (int): Width of the first pair; the dense layer has 16 times as many. Default: 64.
        input_size (int): Height and width of the image, a multiple of 16. Default: 128.

    Raises:
        ValueError: for another input_size.
    """

    def __init__(self, num_in_ch: int = 3, num_feat: int = 64, input_size: int = 128) -> None:
        super().__init__(num_in_ch, num_feat, input_size, nn.BatchNorm2d)


@ARCH_REGISTRY.register()
class WGANCritic(_OneNumber):
    """SRGAN's discriminator as the critic of a Wasserstein GAN with gradient penalty: no BatchNorm, no sigmoid.

    The penalty holds each picture's gradient to norm 1, which means nothing where a norm mixes the pictures of a batch.
    Without a norm its weights begin as He's, as those of ``SRPGGANCritic``: PyTorch's default shrinks the gradient from
    layer to layer, to 2e-4 at the image, and a critic that says the same of every image teaches nothing.

    Paper: Improved Training of Wasserstein GANs (Gulrajani et al., NeurIPS 2017), section 4.

    Args:
        num_in_ch (int): Channels of the image. Default: 3.
        num_feat (int): Width of the first pair; the dense layer has 16 times as many. Default: 64.
        input_size (int): Height and width of the image, a multiple of 16. Default: 128.
        norm (str): 'none', 'layer' or 'instance'. Default: 'none'.

    Raises:
        ValueError: for another input_size or norm.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_feat: int = 64,
        input_size: int = 128,
        norm: Literal['none', 'layer', 'instance'] = 'none',
    ) -> None:
        require_literals(WGANCritic, norm=norm)
        super().__init__(num_in_ch, num_feat, input_size, CRITIC_NORMS[norm])
        if CRITIC_NORMS[norm] is None:
            default_init_weights([self.body, self.head])
            default_init_weights(self.head[-1], math.sqrt(0.5))  # no rectifier follows
