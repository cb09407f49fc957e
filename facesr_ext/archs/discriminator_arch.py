from __future__ import annotations

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_util import ArchInfo


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
        self.conditional = conditional
        self.info = ArchInfo(input='enlarged', multiple_of=16)
        layers: list[nn.Module] = []
        channels = num_in_ch * (2 if conditional else 1)
        for width in (num_feat, num_feat * 2, num_feat * 4, num_feat * 8):
            for stride in (1, 2):
                first = not layers
                layers.append(nn.Conv2d(channels, width, 3, stride, 1))
                if not first:
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.LeakyReLU(0.2, inplace=True))
                channels = width
        self.body = nn.Sequential(*layers, nn.Conv2d(channels, 1, 3, 1, 1))

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
        if self.conditional != (condition is not None):
            raise ValueError(
                f'PatchDiscriminator(conditional={self.conditional}): condition is '
                f'{"missing" if self.conditional else "not taken"}'
            )
        return self.body(img if condition is None else torch.cat([img, condition], 1))
