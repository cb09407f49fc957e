from __future__ import annotations

from collections.abc import Sequence

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn

from facesr_ext.archs.arch_info import ArchInfo
from facesr_ext.imaging import exchange_luma, luma


@ARCH_REGISTRY.register()
class SRCNN(nn.Module):
    """SRCNN: patch extraction, mapping and reconstruction, one convolution each, on the enlarged image.

    Papers: Image Super-Resolution Using Deep Convolutional Networks (Dong et al., TPAMI 2016): 9-1-5, 9-3-5 and 9-5-5
    by their kernel sizes, on luma, the last convolution at a tenth of the learning rate (``optim_g: lr_scales``). The
    paper trains without padding; here the border is repeated, so that the size stays.

    Args:
        kernel_sizes (Sequence[int]): Of the three convolutions, odd. Default: (9, 1, 5).
        num_feat (int): Output maps of the first convolution; the second has half as many. Default: 64.
        luma (bool): Work on luma alone; chroma is the enlarged input's. Default: False, RGB.
        init_std (float | None): Standard deviation of the first weights, 0.001 in the paper. Default: None, by the fan
            in (He et al., 2015), which learns far sooner.

    Raises:
        ValueError: for other kernel sizes.
    """

    def __init__(
        self,
        kernel_sizes: Sequence[int] = (9, 1, 5),
        num_feat: int = 64,
        luma: bool = False,
        init_std: float | None = None,
    ) -> None:
        super().__init__()
        if len(kernel_sizes) != 3 or any(size < 1 or size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f'SRCNN: kernel_sizes are three odd numbers as [9, 1, 5], not {list(kernel_sizes)}')
        self.info = ArchInfo(input='enlarged')
        self.luma = luma
        channels = 1 if luma else 3
        widths = (channels, num_feat, num_feat // 2, channels)
        self.extract, self.map, self.reconstruct = (
            nn.Conv2d(before, after, size, padding=size // 2, padding_mode='replicate')
            for before, after, size in zip(widths[:-1], widths[1:], kernel_sizes, strict=True)
        )
        self.relu = nn.ReLU(inplace=True)
        for conv in (self.extract, self.map, self.reconstruct):
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            if init_std is None:
                nn.init.kaiming_normal_(conv.weight, nonlinearity='linear' if conv is self.reconstruct else 'relu')
            else:
                nn.init.normal_(conv.weight, std=init_std)

    def forward(self, lq: torch.Tensor) -> torch.Tensor:
        """Restores enlarged images.

        Args:
            lq (Tensor): (N, 3, H, W), RGB, [0, 1], the LR image enlarged to HR size.

        Returns:
            Tensor: (N, 3, H, W), RGB, not clamped.
        """
        x = luma(lq) if self.luma else lq
        out = self.reconstruct(self.relu(self.map(self.relu(self.extract(x)))))
        return exchange_luma(lq, out) if self.luma else out
