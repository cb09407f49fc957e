from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo, Priors, Sizes, require_literals
from facesr_ext.imaging import imresize

FEATURE_SCALE = 0.1
"""Of hourglass features that join the encoder's: without BatchNorm they are about ten times as large, and at a usual
learning rate a few steps along them push every ReLU of the decoder below zero, for good."""


class FSRNetOutput(NamedTuple):
    """Everything that FSRNet computes on its way.

    Attributes:
        sr (Tensor): (N, 3, H, W), RGB, the result.
        coarse (Tensor): (N, 3, H, W), RGB, the coarse SR network's image.
        landmarks (tuple[Tensor, ...]): one (N, num_landmark, H/s, W/s) heatmap stack for each supervised hourglass.
        parsing (tuple[Tensor, ...]): likewise (N, num_parsing, H/s, W/s), logits where ``parsing_logits`` is set.
    """

    sr: torch.Tensor
    coarse: torch.Tensor
    landmarks: tuple[torch.Tensor, ...]
    parsing: tuple[torch.Tensor, ...]


def _norm(channels: int, norm: str) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == 'bn' else nn.Identity()


def _conv(in_ch: int, out_ch: int, norm: str, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, norm, ReLU; the convolution has a bias only where no BatchNorm follows."""
    conv = nn.Conv2d(in_ch, out_ch, kernel, stride, kernel // 2, bias=norm != 'bn')
    return nn.Sequential(conv, _norm(out_ch, norm), nn.ReLU(inplace=True))


class ResidualBlock(nn.Module):
    """conv-norm-ReLU-conv-norm plus identity, with no activation after the sum."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.head = _conv(channels, channels, norm)
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1, bias=norm != 'bn')
        self.norm = _norm(channels, norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.norm(self.conv(self.head(x)))


class HourglassUnit(nn.Module):
    """Pre-activation bottleneck of Newell et al. (Stacked Hourglass Networks, ECCV 2016)."""

    def __init__(self, in_ch: int, out_ch: int, norm: str) -> None:
        super().__init__()
        mid = out_ch // 2
        self.body = nn.Sequential(
            _norm(in_ch, norm),
            nn.ReLU(),
            nn.Conv2d(in_ch, mid, 1),
            _norm(mid, norm),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, mid, 3, 1, 1),
            _norm(mid, norm),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid, out_ch, 1),
        )
        self.skip = nn.Conv2d(in_ch, out_ch, 1) if in_ch != out_ch else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.skip(x) + self.body(x)


class Hourglass(nn.Module):
    """One hourglass: at each of ``depth`` levels a branch that stays and one that goes to half the size and back."""

    def __init__(self, depth: int, channels: int, norm: str) -> None:
        super().__init__()
        self.stay = HourglassUnit(channels, channels, norm)
        self.down = HourglassUnit(channels, channels, norm)
        inner: nn.Module = HourglassUnit(channels, channels, norm)
        self.inner = inner if depth == 1 else Hourglass(depth - 1, channels, norm)
        self.up = HourglassUnit(channels, channels, norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = self.up(self.inner(self.down(F.max_pool2d(x, 2))))
        return self.stay(x) + F.interpolate(low, scale_factor=2, mode='nearest')


class PriorNet(nn.Module):
    """Stacked hourglasses with a landmark and a parsing head for each supervised stack."""

    def __init__(
        self,
        in_ch: int,
        stride: int,
        heads: tuple[int, int],
        channels: int,
        depth: int,
        num: int,
        norm: str,
        intermediate: bool,
    ) -> None:
        super().__init__()
        self.heads, maps = heads, sum(heads)
        half = channels // 2
        self.stem = nn.Sequential(
            _conv(in_ch, half, norm, kernel=7, stride=stride),
            HourglassUnit(half, channels, norm),
            HourglassUnit(channels, channels, norm),
            HourglassUnit(channels, channels, norm),
        )
        self.stacks = nn.ModuleList(Hourglass(depth, channels, norm) for _ in range(num))
        supervised = num if intermediate else 1
        self.landmark_heads = nn.ModuleList(
            nn.Conv2d(channels, heads[0], 1) for _ in range(supervised if heads[0] else 0)
        )
        self.parsing_heads = nn.ModuleList(
            nn.Conv2d(channels, heads[1], 1) for _ in range(supervised if heads[1] else 0)
        )
        bridges = num - 1 if intermediate else 0
        self.bridge_features = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(bridges))
        self.bridge_maps = nn.ModuleList(nn.Conv2d(maps, channels, 1) for _ in range(bridges))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        features = self.stem(x)
        landmarks: list[torch.Tensor] = []
        parsing: list[torch.Tensor] = []
        for i, stack in enumerate(self.stacks):
            entry, features = features, stack(features)
            last = i == len(self.stacks) - 1
            if not last and not len(self.bridge_maps):
                continue
            head = i if len(self.bridge_maps) else 0
            maps = []
            for heads, out in ((self.landmark_heads, landmarks), (self.parsing_heads, parsing)):
                if len(heads):
                    out.append(heads[head](features))
                    maps.append(out[-1])
            if not last:
                features = entry + self.bridge_features[i](features) + self.bridge_maps[i](torch.cat(maps, 1))
        return features, tuple(landmarks), tuple(parsing)


@ARCH_REGISTRY.register()
class FSRNet(nn.Module):
    """FSRNet: face super-resolution with facial priors.

    Coarse SR network -> (fine SR encoder, prior network) -> fine SR decoder.

    Paper: FSRNet: End-to-End Learning Face Super-Resolution with Facial Priors (Chen et al., CVPR 2018).

    Args:
        scale (int): LR-to-HR factor; used where ``upscale_input`` is set, stated in ``info`` always. Default: 8.
        num_in_ch (int): Channels of input and output. Default: 3.
        num_feat (int): Width of coarse network, encoder and decoder. Default: 64.
        num_coarse_block, num_encoder_block, num_decoder_block (int): Residual blocks. Default: 3, 12, 3.
        prior (bool): Whether there is a prior network. Default: True.
        num_landmark (int): Landmark heatmaps, 0 for none (5, 68, 98, 194 as the labels have them). Default: 0.
        num_parsing (int): Parsing maps, 0 for none. Default: 11.
        hg_num, hg_depth, hg_feat (int): Hourglasses, their depth and their width. Default: 2, 4, 128.
        intermediate (bool): Each hourglass has heads of its own, and its maps are fed to the next one. Default: True.
        prior_fusion (str): What joins the encoder's features: the predicted 'maps', the hourglass 'features', or
            'both'.
        prior_input (str): What the prior network sees: the 'coarse' image, or the 'input'. Default: 'coarse'.
        detach_prior (bool): The image losses do not reach the prior network. Default: False.
        detach_coarse (bool): With ``prior_input: coarse``, the prior losses do not reach the coarse network, which they
            hold back at first, being larger than the image's; as published they do. Default: False.
        parsing_logits (bool): Parsing maps are logits (for cross-entropy); their softmax is what is fused. Default:
            False.
        norm (str): 'bn' as published, or 'none'. Default: 'bn'.
        out_residual (bool): Coarse image and result are added to the (enlarged) input. Default: False.
        fold (int): 1 as published: coarse network and decoder work at full, encoder and prior at half resolution. 2 or
            4: the whole network works at 1 / fold of the resolution, the image folded into channels (pixel unshuffle),
            which is several times faster; at 8x an enlarged LR holds no detail finer than that. Default: 1.
        upscale_input (bool): The network takes the small image and enlarges it by itself (MATLAB bicubic). Default:
            False.

    Raises:
        ValueError: for a value outside of what is listed.
    """

    def __init__(
        self,
        scale: int = 8,
        num_in_ch: int = 3,
        num_feat: int = 64,
        num_coarse_block: int = 3,
        num_encoder_block: int = 12,
        num_decoder_block: int = 3,
        prior: bool = True,
        num_landmark: int = 0,
        num_parsing: int = 11,
        hg_num: int = 2,
        hg_depth: int = 4,
        hg_feat: int = 128,
        intermediate: bool = True,
        prior_fusion: Literal['maps', 'features', 'both'] = 'maps',
        prior_input: Literal['coarse', 'input'] = 'coarse',
        detach_prior: bool = False,
        detach_coarse: bool = False,
        parsing_logits: bool = False,
        norm: Literal['bn', 'none'] = 'bn',
        out_residual: bool = False,
        fold: Literal[1, 2, 4] = 1,
        upscale_input: bool = False,
    ) -> None:
        super().__init__()
        require_literals(FSRNet, prior_fusion=prior_fusion, prior_input=prior_input, norm=norm, fold=fold)
        _check_numbers(hg_num, hg_depth, num_landmark + num_parsing if prior else None)
        if detach_coarse and prior_input == 'input':
            raise ValueError('FSRNet: detach_coarse is for prior_input: coarse; leave it out')
        self.scale, self.fold, self.upscale_input, self.out_residual = scale, fold, upscale_input, out_residual
        self.prior_fusion, self.prior_input = prior_fusion, prior_input
        self.maps_go_on = intermediate and hg_num > 1  # to the next hourglass
        self.detach_prior, self.detach_coarse = detach_prior, detach_coarse
        self.feature_scale = 1.0 if norm == 'bn' else FEATURE_SCALE
        self.parsing_logits, self.hg_depth = parsing_logits, hg_depth
        self.num_landmark, self.num_parsing = (num_landmark, num_parsing) if prior else (0, 0)

        image_ch, stride = num_in_ch * fold * fold, 2 if fold == 1 else 1
        head, to_image = _conv(image_ch, num_feat, norm), nn.Conv2d(num_feat, image_ch, 3, 1, 1)
        self.coarse = nn.Sequential(head, *_blocks(num_coarse_block, num_feat, norm), to_image)
        head, tail = _conv(image_ch, num_feat, norm, stride=stride), _conv(num_feat, num_feat, norm)
        self.encoder = nn.Sequential(head, *_blocks(num_encoder_block, num_feat, norm), tail)
        heads = (self.num_landmark, self.num_parsing)
        self.prior = PriorNet(image_ch, stride, heads, hg_feat, hg_depth, hg_num, norm, intermediate) if prior else None
        fused = sum(heads) * (prior_fusion != 'features') + hg_feat * (prior_fusion != 'maps')
        in_ch = num_feat + (fused if prior else 0)
        self.decoder = _decoder(in_ch, num_feat, image_ch, num_decoder_block, norm, stride)
        if norm == 'none':
            self._calm_residuals()

    def _calm_residuals(self) -> None:
        """Shrinks what each residual branch adds at first: without BatchNorm a deep sum of full branches diverges."""
        last: list[nn.Module] = [m.conv for m in self.modules() if isinstance(m, ResidualBlock)]
        last += [m.body[-1] for m in self.modules() if isinstance(m, HourglassUnit)]
        if self.out_residual:
            last += [self.coarse[-1], self.decoder[-1]]
        with torch.no_grad():
            for conv in last:
                for parameter, factor in zip(conv.parameters(), (0.1, 0.0), strict=True):  # weight, bias
                    parameter.mul_(factor)

    @property
    def info(self) -> ArchInfo:
        """How the network is to be fed."""
        multiple = self.prior_stride * 2 ** (self.hg_depth if self.prior is not None else 0)
        fused = self.prior_fusion != 'features' or self.maps_go_on
        priors = Priors(self.num_landmark, self.num_parsing, self.prior_stride, fused)
        if self.upscale_input:
            return ArchInfo(self.scale, 'small', Sizes(multiple // math.gcd(multiple, self.scale)), priors=priors)
        return ArchInfo(self.scale, 'enlarged', Sizes(multiple), priors=priors)

    @property
    def prior_stride(self) -> int:
        """How many times smaller than the image the prior maps are."""
        return max(2, self.fold)

    def forward(self, lq: torch.Tensor, return_priors: bool = False) -> torch.Tensor | FSRNetOutput:
        """Super-resolves a batch of faces.

        Args:
            lq (Tensor): (N, 3, H, W), RGB, [0, 1]: the LR image enlarged to HR size (with ``upscale_input`` the small
                image itself). H and W are a multiple of ``info.sizes.multiple_of``.
            return_priors (bool): Give all intermediate results instead of the image alone. Default: False.

        Returns:
            Tensor | FSRNetOutput: (N, 3, H, W), RGB, not clamped; or all results.
        """
        if self.upscale_input:
            lq = imresize(lq, (lq.shape[-2] * self.scale, lq.shape[-1] * self.scale))
        x = F.pixel_unshuffle(lq, self.fold)
        base = x if self.out_residual else 0.0
        coarse = self.coarse(x) + base
        fused, landmarks, parsing = self.encoder(coarse), (), ()
        if self.prior is not None:
            features, landmarks, parsing = self.prior(self._seen_by_prior(x, coarse))
            fused = torch.cat([fused, *self._fusion(features, landmarks, parsing)], 1)
        out = self.decoder(fused) + base
        sr = F.pixel_shuffle(out, self.fold)
        if not return_priors:
            return sr
        return FSRNetOutput(sr, F.pixel_shuffle(coarse, self.fold), landmarks, parsing)

    def _seen_by_prior(self, x: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
        if self.prior_input == 'input':
            return x
        return coarse.detach() if self.detach_coarse else coarse

    def _fusion(
        self, features: torch.Tensor, landmarks: tuple[torch.Tensor, ...], parsing: tuple[torch.Tensor, ...]
    ) -> list[torch.Tensor]:
        """What joins the encoder's features."""
        maps = [m[-1] for m in (landmarks, parsing) if m]
        if self.parsing_logits and parsing:
            maps[-1] = maps[-1].softmax(1)
        chosen = [] if self.prior_fusion == 'maps' else [features * self.feature_scale]
        chosen += [] if self.prior_fusion == 'features' else maps
        return [t.detach() for t in chosen] if self.detach_prior else chosen


def _blocks(num: int, num_feat: int, norm: str) -> list[ResidualBlock]:
    return [ResidualBlock(num_feat, norm) for _ in range(num)]


def _decoder(in_ch: int, num_feat: int, out_ch: int, num_block: int, norm: str, stride: int) -> nn.Sequential:
    """Fine SR decoder; it brings the size back where the encoder has halved it."""
    up: list[nn.Module] = []
    if stride == 2:
        deconv = nn.ConvTranspose2d(num_feat, num_feat, 4, 2, 1, bias=norm != 'bn')
        up = [deconv, _norm(num_feat, norm), nn.ReLU(inplace=True)]
    tail = nn.Conv2d(num_feat, out_ch, 3, 1, 1)
    return nn.Sequential(_conv(in_ch, num_feat, norm), *up, *_blocks(num_block, num_feat, norm), tail)


def _check_numbers(hg_num: int, hg_depth: int, maps: int | None) -> None:
    if maps is not None and maps < 1:
        raise ValueError('FSRNet: a prior network needs num_landmark or num_parsing above 0; for none set prior: false')
    if hg_num < 1 or hg_depth < 1:
        raise ValueError(f'FSRNet: hg_num and hg_depth are at least 1, not {hg_num} and {hg_depth}')
