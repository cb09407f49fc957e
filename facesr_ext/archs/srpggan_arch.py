from __future__ import annotations

import math
from typing import Any, Literal

import torch
from basicsr.archs.arch_util import default_init_weights
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo, Sizes, require_literals
from facesr_ext.archs.arch_util import icnr_

WIDEST = 8
"""The critic's widest layers, as a multiple of ``num_feat``: SRGAN's 64 to 512."""


class Growing(nn.Module):
    """A network that is trained stage by stage, each at twice the size of the one before.

    A stage is named by its factor, 1, 2, 4, 8: the size of its image as a multiple of the LR's. Stage and fade lie in
    the state dict as ``growth``, (2,): the factor, and the weight in [0, 1] of what the stage has added. So a file
    saved in mid-stage computes elsewhere what it computed in the run. Only ``set_stage`` and ``load_state_dict`` change
    them.

    Args:
        factors (tuple[int, ...]): The stages, each twice the one before. It begins as one that has grown through all.
    """

    growth: torch.Tensor

    def __init__(self, factors: tuple[int, ...]) -> None:
        super().__init__()
        self.factors = factors
        # What steers the forward pass, as Python numbers: nothing waits for the device, and graphs can be captured.
        self.factor, self.fading = factors[-1], False
        self.name, self.name_before = _names(self.factor)
        self.register_buffer('growth', torch.tensor([float(self.factor), 1.0]))
        self.register_load_state_dict_post_hook(_follow_growth)

    @torch.no_grad()
    def set_stage(self, factor: float, alpha: float = 1.0) -> None:
        """Puts the network into a stage.

        Args:
            factor (float): The stage, a whole number.
            alpha (float): Weight of what it has added, from 0 (the stage before, enlarged) to 1 (the stage alone).

        Raises:
            ValueError: for a stage that the network has not, or a fade where no stage comes before.
        """
        if factor not in self.factors:
            raise ValueError(f'{type(self).__name__}: a stage is one of {_listing(self.factors)}, not {factor:g}')
        if not 0 <= alpha <= 1:
            raise ValueError(f'{type(self).__name__}: alpha is from 0 to 1, not {alpha}')
        if alpha < 1 and factor == self.factors[0]:
            raise ValueError(f'{type(self).__name__}: the first stage, {factor:g}, has none before it to fade from')
        self.growth.copy_(torch.tensor([float(factor), alpha]))
        self.factor, self.fading = int(factor), alpha < 1
        self.name, self.name_before = _names(self.factor)


def _follow_growth(net: Growing, _: Any) -> None:
    """After loading: the stage is the file's."""
    if not net.growth.is_meta:
        factor, alpha = net.growth.tolist()
        net.set_stage(factor, alpha)


def _names(factor: int) -> tuple[str, str]:
    """What a stage and the one before it are called among the layers (made here: graphs take numbers for unknowns)."""
    return f'x{factor}', f'x{factor // 2}'


def growth_factors(scale: int, lr_stage: bool) -> tuple[int, ...]:
    """The stages up to a scale."""
    return tuple(factor for factor in (1, 2, 4, 8) if (2 - lr_stage) <= factor <= scale)


def fade_in(old: torch.Tensor, new: torch.Tensor, alpha: float | torch.Tensor) -> torch.Tensor:
    """(1 - alpha) * old + alpha * new."""
    return (1 - alpha) * old + alpha * new


def enlarge(img: torch.Tensor, factor: int) -> torch.Tensor:
    """(N, C, h, w) -> (N, C, h * factor, w * factor), each pixel repeated."""
    size = (img.shape[-2] * factor, img.shape[-1] * factor)
    return img if factor == 1 else F.interpolate(img, size, mode='nearest')


class EqualConv2d(nn.Conv2d):
    """Convolution with an equalised learning rate: weights of unit variance, scaled by He's constant when it computes.

    So all layers' weights move alike under Adam. Karras et al., ICLR 2018, section 4.1.

    Args:
        gain (float): 2 before a rectifier, 1 where none follows. He's constant is ``sqrt(gain / fan_in)``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, padding: int = 0, gain: float = 2.0
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=padding)
        nn.init.normal_(self.weight)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]
        self.multiplier = math.sqrt(gain / (in_channels * kernel_size**2))

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(input, self.weight * self.multiplier, self.bias)


class PixelNorm(nn.Module):
    """Every pixel's feature vector brought to unit mean square. Karras et al., ICLR 2018, section 4.2."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()  # half precision has no 1e-8
        return (wide * torch.rsqrt(wide.square().mean(1, keepdim=True) + 1e-8)).to(x.dtype)


class MinibatchStd(nn.Module):
    """Adds one map: the mean standard deviation of the features over a group of samples.

    With it a critic sees whether the images of a batch differ. Karras et al., ICLR 2018, section 3.

    Args:
        group (int): Samples in a group; where that does not divide the batch, the next smaller number that does.
    """

    def __init__(self, group: int = 4) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) -> (N, C + 1, h, w)."""
        num, _, height, width = x.shape
        size = next(size for size in range(min(self.group, num), 0, -1) if num % size == 0)
        variance = x.float().unflatten(0, (-1, size)).var(1, unbiased=False)
        std = (variance + 1e-8).sqrt().mean((1, 2, 3))
        extra = std.repeat_interleave(size).view(num, 1, 1, 1).expand(num, 1, height, width)
        return torch.cat([x, extra.to(x.dtype)], 1)


def _conv(in_ch: int, out_ch: int, kernel: int, eql_lr: bool, same: bool = True, gain: float = 2.0) -> nn.Conv2d:
    """A convolution that begins with He's weights, equalised or not; ``same`` pads it to its input's size."""
    padding = kernel // 2 if same else 0
    if eql_lr:
        return EqualConv2d(in_ch, out_ch, kernel, padding, gain)
    conv = nn.Conv2d(in_ch, out_ch, kernel, 1, padding)
    default_init_weights(conv, math.sqrt(gain / 2))
    return conv


class _Layers:
    """Makes the generator's layers alike: a convolution, and the pixel norm where there is one."""

    def __init__(self, eql_lr: bool, pixel_norm: bool, icnr: bool) -> None:
        self.eql_lr, self.pixel_norm, self.icnr = eql_lr, pixel_norm, icnr

    def conv(self, in_ch: int, out_ch: int, kernel: int = 3, shuffled: bool = False) -> nn.Sequential:
        conv = _conv(in_ch, out_ch, kernel, self.eql_lr)
        if shuffled and self.icnr:
            icnr_(conv)
        return nn.Sequential(conv, PixelNorm() if self.pixel_norm else nn.Identity())

    def grow(self, num_feat: int) -> nn.Sequential:
        """What a stage adds: twice the size by a pixel shuffle, and one residual block there."""
        widen = self.conv(num_feat, num_feat * 4, shuffled=True)
        return nn.Sequential(widen, nn.PixelShuffle(2), nn.PReLU(), ResidualBlock(num_feat, self))

    def to_rgb(self, num_feat: int, num_out_ch: int) -> nn.Conv2d:
        conv = _conv(num_feat, num_out_ch, 1, self.eql_lr, gain=1.0)
        if not self.eql_lr:  # a stage that fades in begins near black, and not with noise
            default_init_weights(conv, 0.1)
        return conv


class ResidualBlock(nn.Module):
    """conv-PReLU-conv plus identity: SRResNet's block without BatchNorm, which WGAN-GP does not bear."""

    def __init__(self, num_feat: int, layers: _Layers) -> None:
        super().__init__()
        self.body = nn.Sequential(layers.conv(num_feat, num_feat), nn.PReLU(), layers.conv(num_feat, num_feat))
        if not layers.eql_lr:  # small residues keep a net without norms near the identity where it begins
            default_init_weights(self.body, 0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


@ARCH_REGISTRY.register()
class SRPGGAN(Growing):
    """Super-resolution generator that grows: SRResNet's trunk at the LR's size, then one stage for each doubling.

    9x9 convolution and PReLU; residual blocks without BatchNorm and a convolution, with a skip around them. Each stage:
    3x3 convolution to 4 x ``num_feat``, pixel shuffle, PReLU, one residual block; and a 1x1 convolution to RGB. While a
    stage fades in, its image is mixed with that of the stage before, enlarged: ``(1 - alpha) * old + alpha * new``.

    Report S3 (human portrait super-resolution using GANs) states the stages, the fade, and that old layers go on
    learning; trunk, ``eql_lr`` and ``pixel_norm`` it does not. Paper: Progressive Growing of GANs (Karras et al., ICLR
    2018).

    Args:
        num_in_ch, num_out_ch (int): Channels of the images. Default: 3.
        num_feat (int): Width. Default: 64.
        num_block (int): Residual blocks at the LR's size. Default: 8.
        scale (int): 4 or 8. Default: 4.
        lr_stage (bool): A first stage at the LR's own size, which is to give the LR image again. Default: False.
        icnr (bool): Each pixel shuffle begins as nearest-neighbour enlarging, without checkerboards. Default: False.
        eql_lr (bool): Equalised learning rate. Default: False.
        pixel_norm (bool): Pixel norm after every convolution but those to RGB. Default: False.

    Raises:
        ValueError: for another scale.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 64,
        num_block: int = 8,
        scale: Literal[4, 8] = 4,
        lr_stage: bool = False,
        icnr: bool = False,
        eql_lr: bool = False,
        pixel_norm: bool = False,
    ) -> None:
        require_literals(SRPGGAN, scale=scale)
        super().__init__(growth_factors(scale, lr_stage))
        self.scale = scale
        self.info = ArchInfo(scale=scale)
        layers = _Layers(eql_lr, pixel_norm, icnr)
        self.head = nn.Sequential(layers.conv(num_in_ch, num_feat, 9), nn.PReLU())
        blocks = [ResidualBlock(num_feat, layers) for _ in range(num_block)]
        self.body = nn.Sequential(*blocks, layers.conv(num_feat, num_feat))
        self.stages = nn.ModuleDict({f'x{f}': layers.grow(num_feat) for f in self.factors if f > 1})
        self.to_rgb = nn.ModuleDict({f'x{f}': layers.to_rgb(num_feat, num_out_ch) for f in self.factors})

    def forward(self, lq: torch.Tensor, full_size: bool = True) -> torch.Tensor:
        """Enlarges images.

        Args:
            lq (Tensor): (N, 3, h, w), RGB, [0, 1].
            full_size (bool): Bring the stage's image to ``scale`` times the LR's size by repeating pixels; average
                pooling gives it back. False: as it is. Default: True.

        Returns:
            Tensor: (N, 3, h * scale, w * scale), RGB, about [0, 1]; without ``full_size`` times the stage's factor.
        """
        shallow = self.head(lq)
        feat = before = self.body(shallow) + shallow
        for factor in self.factors:
            if 1 < factor <= self.factor:
                before, feat = feat, self.stages[f'x{factor}'](feat)
        rgb: torch.Tensor = self.to_rgb[self.name](feat)
        if self.fading:
            old = self.to_rgb[self.name_before](before)
            rgb = fade_in(enlarge(old, 2), rgb, self.growth[1])
        return enlarge(rgb, self.scale // self.factor) if full_size else rgb


@ARCH_REGISTRY.register()
class SRPGGANCritic(Growing):
    """Critic that grows with :class:`SRPGGAN`: it takes the stage's image, and gives a score without a sigmoid.

    A 1x1 convolution from RGB for each stage; 3x3 convolution, LeakyReLU 0.2, 3x3 convolution, LeakyReLU 0.2, average
    pooling from each size to the half, down to 4 x 4; there a 3x3 convolution, then dense layers. No BatchNorm: the
    gradient penalty is a matter of each sample. Widths are SRGAN's, ``num_feat`` at full size, doubled with each
    halving up to 8 x. While a stage fades in, its features are mixed with those of the image average-pooled to half
    its size, as the stage before took it.

    Papers: Progressive Growing of GANs (Karras et al., ICLR 2018), whose critic this mirrors; report S3 does not
    describe its own.

    Args:
        num_in_ch (int): Channels of the image. Default: 3.
        num_feat (int): Width at full size. Default: 64.
        input_size (int): Side of the full-size image, in pixels; the LR's is ``1 / scale`` of it. Default: 128.
        scale (int): 4 or 8. Default: 4.
        lr_stage (bool): As the generator's. Default: False.
        eql_lr (bool): Equalised learning rate. Default: False.
        mbstd (bool): Minibatch standard deviation, in groups of 4, before the last block. Default: False.

    Raises:
        ValueError: for another scale, or a size that cannot be halved down to 4.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_feat: int = 64,
        input_size: int = 128,
        scale: Literal[4, 8] = 4,
        lr_stage: bool = False,
        eql_lr: bool = False,
        mbstd: bool = False,
    ) -> None:
        require_literals(SRPGGANCritic, scale=scale)
        super().__init__(growth_factors(scale, lr_stage))
        if input_size < 8 * scale or input_size & (input_size - 1):
            raise ValueError(
                f'SRPGGANCritic: input_size is a power of two from {8 * scale} on (an LR of 8 px), not {input_size}'
            )
        self.input_size, self.lr_size = input_size, input_size // scale

        def width(size: int) -> int:
            return num_feat * min(WIDEST, input_size // size)

        self.sizes = [input_size >> k for k in range(input_size.bit_length() - 3)]  # input_size ... 8
        slope = nn.LeakyReLU(0.2)
        self.from_rgb = nn.ModuleDict(
            {f'x{f}': nn.Sequential(_conv(num_in_ch, width(self.lr_size * f), 1, eql_lr), slope) for f in self.factors}
        )
        self.blocks = nn.ModuleDict({
            f'px{size}': nn.Sequential(
                _conv(width(size), width(size), 3, eql_lr), slope,
                _conv(width(size), width(size // 2), 3, eql_lr), slope,
                nn.AvgPool2d(2),
            )
            for size in self.sizes
        })  # fmt: skip
        last = width(4)
        self.verdict = nn.Sequential(
            MinibatchStd() if mbstd else nn.Identity(),
            _conv(last + mbstd, last, 3, eql_lr), slope,
            _conv(last, last, 4, eql_lr, same=False), slope,  # 4 x 4 to 1 x 1: a dense layer
            _conv(last, 1, 1, eql_lr, gain=1.0),
            nn.Flatten(),
        )  # fmt: skip

    @property
    def info(self) -> ArchInfo:
        """What its stage takes."""
        return ArchInfo(input='enlarged', sizes=Sizes(fixed=self.lr_size * self.factor))

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        """Scores images.

        Args:
            img (Tensor): (N, 3, S, S), RGB, [0, 1]; S is the stage's size, ``input_size / scale`` times its factor.

        Returns:
            Tensor: (N, 1), unbounded.

        Raises:
            ValueError: for an image of another size.
        """
        size = self.lr_size * self.factor
        if tuple(img.shape[-2:]) != (size, size):
            shown = 'x'.join(map(str, img.shape[:-3:-1]))
            raise ValueError(f'SRPGGANCritic: its stage takes {size}x{size} px, the image has {shown}')
        feat = self.blocks[f'px{size}'](self.from_rgb[self.name](img))
        if self.fading:
            old = self.from_rgb[self.name_before](F.avg_pool2d(img, 2))
            feat = fade_in(old, feat, self.growth[1])
        for smaller in self.sizes:
            if smaller < size:
                feat = self.blocks[f'px{smaller}'](feat)
        return self.verdict(feat)


def _listing(numbers: tuple[int, ...]) -> str:
    return ', '.join(map(str, numbers))
