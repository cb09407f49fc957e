from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo, Sizes, require_literals

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    'leaky_relu': lambda: nn.LeakyReLU(0.3, inplace=True),  # Keras' default slope
    'relu': lambda: nn.ReLU(inplace=True),
    'tanh': nn.Tanh,
    'sigmoid': nn.Sigmoid,
    'elu': lambda: nn.ELU(inplace=True),
}
Activation = Callable[[], nn.Module]


def _down(in_ch: int, out_ch: int, norm: bool, activation: Activation) -> nn.Sequential:
    """To half the size. TensorFlow's ``same`` pads an even size below and on the right alone."""
    conv = [nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(in_ch, out_ch, 3, 2)]
    return nn.Sequential(*conv, *([nn.BatchNorm2d(out_ch, eps=1e-3, momentum=0.01)] if norm else []), activation())


def _up(in_ch: int, out_ch: int, dropout: float, activation: Activation) -> nn.Sequential:
    """To twice the size. TensorFlow's ``same`` leaves out the last row and column of 2 n + 1."""
    deconv = [nn.ConvTranspose2d(in_ch, out_ch, 3, 2), nn.ZeroPad2d((0, -1, 0, -1))]
    return nn.Sequential(*deconv, *([nn.Dropout(dropout)] if dropout else []), activation())


@ARCH_REGISTRY.register()
class SRNet(nn.Module):
    """SR-NET, a U-Net of Keras on the enlarged image: five strided convolutions down, five transposed ones up.

    Each level up is joined with the one of its size on the way down, the last with the image itself; a 2x2 convolution
    gives the result. Padding, BatchNorm's constants and the first weights are those of Keras, so that a TensorFlow
    model of the same graph computes the same.

    Source: report S1, which compares it with ESRGAN. Its listing is repaired in two places: dropout is a layer, and the
    image is enlarged before it comes in, since the result has the size of the input.

    Args:
        num_feat (int): Width of the first levels, "filters" of the report's tuning; the deepest has four times as
            many. Default: 128.
        activation (str): 'leaky_relu', 'relu', 'tanh', 'sigmoid' or 'elu'. Default: 'leaky_relu', slope 0.3.
        dropout (float): Share of values that are dropped on the way up; 0.2 in the report's listing, where it is never
            switched on. Default: 0.

    Raises:
        ValueError: for another activation, or a share outside of [0, 1).
    """

    def __init__(
        self,
        num_feat: int = 128,
        activation: Literal['leaky_relu', 'relu', 'tanh', 'sigmoid', 'elu'] = 'leaky_relu',
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_literals(SRNet, activation=activation)
        if not 0 <= dropout < 1:
            raise ValueError(f'SRNet: dropout is a share from 0 to below 1, not {dropout!r}')
        self.info = ArchInfo(input='enlarged', sizes=Sizes(32))
        act = ACTIVATIONS[activation]
        down = (3, *(num_feat * factor for factor in (1, 1, 2, 4, 4)))
        self.down = nn.ModuleList(_down(down[i], down[i + 1], norm=i >= 2, activation=act) for i in range(5))
        up = (*(num_feat * factor for factor in (4, 2, 1, 1)), 3)
        below = (down[5], *(up[i] + down[4 - i] for i in range(4)))
        self.up = nn.ModuleList(_up(below[i], up[i], dropout, act) for i in range(5))
        self.tail = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(6, 3, 2))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Restores enlarged images.

        Args:
            lq (Tensor): (N, 3, H, W), RGB, [0, 1], the LR image enlarged to HR size; H and W are a multiple of 32.

        Returns:
            Tensor: (N, 3, H, W), RGB, not clamped.
        """
        levels = [lq]
        for down in self.down:
            levels.append(down(levels[-1]))
        x = levels.pop()
        for up in self.up:
            x = torch.cat([up(x), levels.pop()], 1)
        return self.tail(x)
