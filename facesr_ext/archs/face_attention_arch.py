from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo, Priors, Sizes, require_literals

_SLOPE = 0.1  # of LeakyReLU
_OPEN = 2.0  # attention begins at 0.88 everywhere


class FaceAttentionOutput(NamedTuple):
    """What FaceAttentionNet gives beside the image; the fields are those of FSRNet's output.

    Attributes:
        sr (Tensor): (N, 3, H, W), RGB, the result.
        coarse (None): It makes no coarse image.
        landmarks (tuple[Tensor, ...]): One (N, num_landmark, H / fold, W / fold) heatmap stack, or nothing.
        parsing (tuple[Tensor, ...]): Likewise (N, num_parsing, H / fold, W / fold), logits where ``parsing_logits`` is
            set.
    """

    sr: torch.Tensor
    coarse: None
    landmarks: tuple[torch.Tensor, ...]
    parsing: tuple[torch.Tensor, ...]


class SpatialAttention(nn.Module):
    """Weights of 0 to 1 for each place, from a narrow look at half the size: what is around says whether it matters.

    Args:
        channels (int): Of the features that it looks at.
        maps (int): Of weights: 1 for all channels together, or one for each.
    """

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        mid = max(1, channels // 4)
        self.enter = nn.Conv2d(channels, mid, 1)
        self.look = nn.Conv2d(mid, mid, 3, 1, 1)
        self.weigh = nn.Conv2d(mid, maps, 1)
        nn.init.constant_(self.weigh.bias, _OPEN)  # type: ignore[arg-type]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = F.leaky_relu(self.enter(F.avg_pool2d(x, 2)), _SLOPE)
        low = F.leaky_relu(self.look(low), _SLOPE)
        return F.interpolate(self.weigh(low), scale_factor=2, mode='nearest').sigmoid()


class AttentionUnit(nn.Module):
    """Two convolutions whose result is weighted by its own :class:`SpatialAttention` and added to the input.

    Args:
        channels (int): Of input and output.
        maps (int): Of attention; 0 for none.
    """

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, 1, 1)
        self.second = nn.Conv2d(channels, channels, 3, 1, 1)
        self.attention = SpatialAttention(channels, maps) if maps else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(F.leaky_relu(self.first(x), _SLOPE))
        return x + y if self.attention is None else x + y * self.attention(y)


@ARCH_REGISTRY.register()
class FaceAttentionNet(nn.Module):
    """A light encoder-decoder whose residuals are weighted by where in the face they are, learnt without labels.

    The enlarged LQ is folded into channels, so that the first level works at 1 / ``fold`` of the resolution; most of
    the units work at half of that, which at 8x is the LQ's own. There is no normalisation, and the result is added to
    the input. Heads for landmarks and parsing maps can look at the features that come back up; their maps then join
    these, as FSRNet's join its encoder's.

    Paper, for units that spatial attention weights: Learning Spatial Attention for Face Super-Resolution (SPARNet, Chen
    et al., IEEE TIP 2021). The network is another: its attention is one narrow convolution at half the size of each
    unit, where SPARNet has an hourglass, and it works at a quarter of the size and with a sixth of the parameters.

    Args:
        scale (int): LR-to-HR factor, stated in ``info``: the input is enlarged already. Default: 8.
        num_in_ch (int): Channels of input and output. Default: 3.
        widths (Sequence[int]): Channels of each level, each of half the size of the one before. Default: 48, 128.
        enc_units (Sequence[int]): Units of each level but the last on the way down. Default: 1.
        mid_units (int): Units of the last level. Default: 5.
        dec_units (Sequence[int]): Units of each level but the last on the way up, the smallest level first. Default: 1.
        attention (str): 'shared': one map of weights for all channels of a unit, 'each': one for each channel, or
            'none'. Default: 'shared'.
        num_landmark (int): Landmark heatmaps, 0 for none (5, 68, 98 as the labels have them). Default: 0.
        num_parsing (int): Parsing maps, 0 for none. Default: 0.
        fuse_priors (bool): The maps join the features; without, heads only teach what the features hold, and may go
            untaught. Default: True.
        parsing_logits (bool): Parsing maps are logits (for cross-entropy); their softmax is what joins. Default: True.
        fold (int): 2 or 4. Default: 4.

    Raises:
        ValueError: for a value outside of what is listed, or numbers of levels that differ.
    """

    def __init__(
        self,
        scale: int = 8,
        num_in_ch: int = 3,
        widths: Sequence[int] = (48, 128),
        enc_units: Sequence[int] = (1,),
        mid_units: int = 5,
        dec_units: Sequence[int] = (1,),
        attention: Literal['shared', 'each', 'none'] = 'shared',
        num_landmark: int = 0,
        num_parsing: int = 0,
        fuse_priors: bool = True,
        parsing_logits: bool = True,
        fold: Literal[2, 4] = 4,
    ) -> None:
        super().__init__()
        require_literals(FaceAttentionNet, attention=attention, fold=fold)
        if not widths or not len(enc_units) == len(dec_units) == len(widths) - 1:
            raise ValueError(
                'FaceAttentionNet: enc_units and dec_units have one number for each of widths but the last, not '
                f'{len(enc_units)} and {len(dec_units)} for {len(widths)}'
            )
        self.fold, self.parsing_logits = fold, parsing_logits
        image_ch, first, maps = num_in_ch * fold**2, widths[0], num_landmark + num_parsing
        steps = list(zip(widths, widths[1:], strict=False))
        self.info = ArchInfo(
            scale,
            'enlarged',
            Sizes(fold * 2 ** len(widths)),  # attention halves the last level once more
            priors=Priors(num_landmark, num_parsing, fold, fuse_priors, coarse=False) if maps else None,
        )
        self.head = nn.Conv2d(image_ch, first, 3, 1, 1)
        self.encoders = nn.ModuleList(_units(num, ch, attention) for num, ch in zip(enc_units, widths, strict=False))
        self.downs = nn.ModuleList(nn.Conv2d(wide, deep, 2, 2) for wide, deep in steps)
        self.middle = _units(mid_units, widths[-1], attention)
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(deep, wide * 4, 1), nn.PixelShuffle(2)) for wide, deep in reversed(steps)
        )
        self.landmark_head = nn.Conv2d(first, num_landmark, 1) if num_landmark else None
        self.parsing_head = nn.Conv2d(first, num_parsing, 1) if num_parsing else None
        self.fusion = nn.Conv2d(maps, first, 1) if maps and fuse_priors else None
        self.decoders = nn.ModuleList(
            _units(num, wide, attention) for num, (wide, _) in zip(dec_units, reversed(steps), strict=True)
        )
        self.tail = nn.Conv2d(first, image_ch, 3, 1, 1)
        self._calm_residuals()

    def _calm_residuals(self) -> None:
        """Shrinks what each residual branch adds at first: a deep sum of full branches without norm diverges."""
        last = [unit.second for unit in self.modules() if isinstance(unit, AttentionUnit)]
        with torch.no_grad():
            for conv in (*last, self.tail):
                for parameter, factor in zip(conv.parameters(), (0.1, 0.0), strict=True):  # weight, bias
                    parameter.mul_(factor)

    def forward(self, lq: torch.Tensor, return_priors: bool = False) -> torch.Tensor | FaceAttentionOutput:
        """Super-resolves a batch of faces.

        Args:
            lq (Tensor): (N, 3, H, W), RGB, [0, 1]: the LR image enlarged to HR size. H and W are a multiple of
                ``info.sizes.multiple_of``.
            return_priors (bool): Give the maps, too. Default: False.

        Returns:
            Tensor | FaceAttentionOutput: (N, 3, H, W), RGB, not clamped; or that and the maps.
        """
        x = self.head(F.pixel_unshuffle(lq, self.fold))
        levels = []
        for units, down in zip(self.encoders, self.downs, strict=True):
            levels.append(units(x))
            x = down(levels[-1])
        x = self.middle(x)
        landmarks: tuple[torch.Tensor, ...] = ()
        parsing: tuple[torch.Tensor, ...] = ()
        for up, units in zip(self.ups, self.decoders, strict=True):
            x = up(x) + levels.pop()
            if not levels:
                x, landmarks, parsing = self._with_priors(x)
            x = units(x)
        if not len(self.ups):
            x, landmarks, parsing = self._with_priors(x)
        sr = lq + F.pixel_shuffle(self.tail(x), self.fold)
        return FaceAttentionOutput(sr, None, landmarks, parsing) if return_priors else sr

    def _with_priors(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        """Features that know the maps, and the maps."""
        landmarks = () if self.landmark_head is None else (self.landmark_head(x),)
        parsing = () if self.parsing_head is None else (self.parsing_head(x),)
        if self.fusion is None:
            return x, landmarks, parsing
        shares = tuple(maps.softmax(1) for maps in parsing) if self.parsing_logits else parsing
        return x + self.fusion(torch.cat([*landmarks, *shares], 1)), landmarks, parsing


def _units(num: int, channels: int, attention: str) -> nn.Sequential:
    maps = {'shared': 1, 'each': channels, 'none': 0}[attention]
    return nn.Sequential(*(AttentionUnit(channels, maps) for _ in range(num)))
