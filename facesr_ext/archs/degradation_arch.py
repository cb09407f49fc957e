from __future__ import annotations

import math
from typing import Literal

import torch
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn
from torch.nn import functional as F

from facesr_ext.archs.arch_info import ArchInfo, Sizes, require_literals
from facesr_ext.archs.camera import CameraBlur, CameraJpeg, CameraNoise
from facesr_ext.imaging import low_pass

_UPS = 2  # pixel-shuffles of the decoder: it begins at a quarter of the LQ's size
_WHITEST = 0.99  # of the range [-1, 1]: where the residual's base is cut, so that its inverse tanh is finite


def _norm(kind: str, num_feat: int) -> nn.Module:
    if kind == 'bn':
        return nn.BatchNorm2d(num_feat)
    return nn.InstanceNorm2d(num_feat, affine=True) if kind == 'instance' else nn.Identity()


class _Block(nn.Module):
    """Pre-activation residual block; the camera, where there is one, scales and shifts its inner features."""

    def __init__(self, num_feat: int, norm: str, camera_dim: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = _norm(norm, num_feat), _norm(norm, num_feat)
        self.conv1, self.conv2 = (nn.Conv2d(num_feat, num_feat, 3, 1, 1) for _ in range(2))
        self.modulation = nn.Linear(camera_dim, 2 * num_feat) if camera_dim else None

    def forward(self, x: torch.Tensor, camera: torch.Tensor | None) -> torch.Tensor:
        out = self.norm2(self.conv1(F.relu(self.norm1(x))))
        if self.modulation is not None:
            scale, shift = self.modulation(camera)[:, :, None, None].chunk(2, 1)
            out = out * (1 + scale) + shift
        return x + self.conv2(F.relu(out))


class _Injection(nn.Module):
    """Adds planes of noise to the features; the camera says how strongly to which."""

    def __init__(self, planes: int, num_feat: int, camera_dim: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(planes, num_feat, 1, bias=False)
        self.gain = nn.Linear(camera_dim, num_feat)
        nn.init.ones_(self.gain.bias)

    def forward(self, x: torch.Tensor, noise: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
        return x + self.mix(noise) * self.gain(camera)[:, :, None, None]


class _Regressor(nn.Sequential):
    """Guesses values of z from an LR picture in [-1, 1]: three convolutions, their mean over the picture, a layer."""

    def __init__(self, num_feat: int, z_dim: int) -> None:
        layers: list[nn.Module] = []
        for channels, width, stride in ((3, num_feat, 1), (num_feat, 2 * num_feat, 2), (2 * num_feat, 2 * num_feat, 2)):
            layers += [nn.Conv2d(channels, width, 3, stride, 1), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * num_feat, z_dim))


@ARCH_REGISTRY.register()
class DegradationNet(nn.Module):
    """High-to-low network: makes the low-resolution picture that a real camera might have taken of an HR face.

    An encoder-decoder of residual blocks in groups of two: for 4x four groups that each halve the size (64 -> 4 px),
    then two that double it (-> 16 px); for 8x one more group in front. A random z makes the result one of many.

    Paper: To learn image super-resolution, use a GAN to learn how to do image degradation first (Bulat, Yang,
    Tzimiropoulos, ECCV 2018). The layers are those of the authors' published encoder-decoder; ``noise: plane`` is the
    paper's way of giving it z, one more plane beside the picture. The network can learn to pass over that plane, and
    does. ``noise: per_layer`` cannot be passed over so easily: the first ``z_dim`` values of z, the camera, modulate
    every block, the others are planes of noise that enter at each size of the decoder, as strongly as the camera says.

    Args:
        scale (int): HR-to-LR factor, 4 or 8. Default: 4.
        num_feat (int): Width. Default: 64.
        z_dim (int): Values of the plane's source, or of the camera. Default: 64.
        noise (str): 'plane' or 'per_layer'. Default: 'plane'.
        noise_planes (int): Planes of noise at each size, with 'per_layer'. Default: 4.
        norm (str): 'bn', 'instance' or 'none'. Default: 'bn'.
        residual (bool): Learn what is to be changed in the HR picture averaged over scale x scale cells, beginning with
            little. Two more blocks at the LQ's size see that average beside what the decoder gives, and blur it or
            sharpen it. Default: False.
        fold (int): 2, 4 or 8, at most the scale: cells of so many pixels a side become channels first, and the encoder
            groups that would have halved the size are left out: many times faster. Default: 1.
        size (int | None): Height and width of the HR picture, which 'plane' fixes. Default: 16 x scale.
        generators (int): Networks of this kind, each with its own weights, of which the first value of z chooses one
            for each picture, all equally often (the idea of Lee et al., ECCVW 2022, against modes that one network
            leaves out). A step costs as much as one. Default: 1.
        blur (int): Side of a kernel, odd, LQ pixels. The camera makes it for each picture, with weights for the HR
            pixels of a cell, and what they make of the HR picture takes the place of its average (the kernel module of
            PDM, Luo et al., CVPR 2022): cameras that differ in sharpness are then a matter of a few values. Wants
            'per_layer' and ``residual``. Default: 0, none.
        grain (bool): Adds noise to that filtered picture, whose strength the camera says (PDM's noise module); it wants
            what ``blur`` wants, and ``noise_planes`` of at least 4. Default: False.
        jpeg (bool): The result is compressed, as strongly as the camera says; nearly all real LR pictures were. Wants
            'per_layer'. Default: False.
        regress_z (bool): Has a small network beside, for training alone, that guesses the first ``z_dim`` values of z
            from the result: `regress` (the latent regression of BicycleGAN, Zhu et al., NeurIPS 2017). Default: False.

    Raises:
        ValueError: for a value that is none of these.
    """

    def __init__(
        self,
        scale: Literal[4, 8] = 4,
        num_feat: int = 64,
        z_dim: int = 64,
        noise: Literal['plane', 'per_layer'] = 'plane',
        noise_planes: int = 4,
        norm: Literal['bn', 'instance', 'none'] = 'bn',
        residual: bool = False,
        fold: Literal[1, 2, 4, 8] = 1,
        size: int | None = None,
        generators: int = 1,
        blur: int = 0,
        regress_z: bool = False,
        grain: bool = False,
        jpeg: bool = False,
    ) -> None:
        super().__init__()
        if generators < 1:
            raise ValueError(f'DegradationNet: generators is at least 1, not {generators}')
        require_literals(DegradationNet, scale=scale, noise=noise, norm=norm, fold=fold)
        if blur and (blur < 3 or blur % 2 == 0 or noise == 'plane' or not residual):
            raise ValueError(
                f'DegradationNet: blur is 0, or odd, at least 3, with noise: per_layer and residual: true, not {blur}'
            )
        if grain and (noise == 'plane' or not residual or noise_planes < CameraNoise.PLANES):
            raise ValueError(
                'DegradationNet: grain needs noise: per_layer, residual: true and noise_planes of at least '
                f'{CameraNoise.PLANES}'
            )
        if jpeg and noise == 'plane':
            raise ValueError('DegradationNet: jpeg needs noise: per_layer')
        size, multiple = size or 16 * scale, scale * 2**_UPS
        if fold > scale:
            raise ValueError(f'DegradationNet: fold is at most the scale {scale}, not {fold}')
        if noise == 'plane' and size % multiple:
            raise ValueError(f'DegradationNet: size is a multiple of {multiple} for scale {scale}, not {size}')
        self.scale, self.z_dim, self.residual, self.fold = scale, z_dim, residual, fold
        self.noise_planes = noise_planes if noise == 'per_layer' else 0
        camera = z_dim if noise == 'per_layer' else 0
        self.info = ArchInfo(scale, 'hr', Sizes(multiple, None if camera else size))
        self.plane = None if camera else nn.Linear(z_dim, size * size)
        self.conv_first = nn.Conv2d((3 if camera else 4) * fold**2, num_feat, 3, 1, 1)
        downs = int(math.log2(scale // fold)) + _UPS
        groups = downs + _UPS + residual
        self.blocks = nn.ModuleList(_Block(num_feat, norm, camera) for _ in range(2 * groups))
        self.downs = nn.ModuleList(
            nn.Sequential(_norm(norm, num_feat), nn.ReLU(), nn.Conv2d(num_feat, num_feat, 3, 2, 1))
            for _ in range(downs)
        )
        self.ups = nn.ModuleList(
            nn.Sequential(nn.Conv2d(num_feat, 4 * num_feat, 3, 1, 1), nn.PixelShuffle(2), nn.ReLU())
            for _ in range(_UPS)
        )
        count = _UPS + 1 if camera else 0
        self.injections = nn.ModuleList(_Injection(noise_planes, num_feat, z_dim) for _ in range(count))
        self.conv_base = nn.Conv2d(3, num_feat, 3, 1, 1) if residual else None
        self.conv_last = nn.Conv2d(num_feat, 3, 3, 1, 1)
        self.blur = CameraBlur(scale, blur, z_dim, num_feat) if blur else None
        self.jpeg = CameraJpeg(z_dim, num_feat) if jpeg else None
        self.grain = CameraNoise(z_dim, num_feat) if grain else None
        if residual:
            with torch.no_grad():
                self.conv_last.weight.mul_(0.1)
        own = (scale, num_feat, z_dim, noise, noise_planes, norm, residual, fold, size, 1, blur, False, grain, jpeg)
        self.others = nn.ModuleList(DegradationNet(*own) for _ in range(generators - 1))
        self.regressor = _Regressor(num_feat, z_dim) if regress_z else None

    def z_size(self, height: int, width: int) -> int:
        """How many standard normal values make the z of one HR picture of this size."""
        return self.z_dim + sum(self.noise_planes * h * w for h, w in self._noise_shapes(height, width))

    def _noise_shapes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Sizes of the planes of noise: those of the decoder, the LQ's last."""
        factors = [self.scale * 2**step for step in range(_UPS, -1, -1)]
        return [(height // f, width // f) for f in factors] if self.noise_planes else []

    def forward(self, hr: torch.Tensor, z: torch.Tensor | None = None) -> torch.Tensor:
        """Degrades.

        Args:
            hr (Tensor): (N, 3, H, W), RGB, [0, 1]; H and W are a multiple of 4 x scale, with 'plane' both ``size``.
            z (Tensor | None): (N, z_size(H, W)), standard normal; None means all zeros, the camera in the middle.

        Returns:
            Tensor: (N, 3, H / scale, W / scale), RGB, [0, 1].

        Raises:
            ValueError: for a z of another size.
        """
        height, width = hr.shape[-2:]
        expected = (len(hr), self.z_size(height, width))
        z = hr.new_zeros(expected) if z is None else z
        if z.shape != expected:
            raise ValueError(f'DegradationNet: z has shape {tuple(z.shape)}, expected {expected}')
        return self._by_several(hr, z) if self.others else self._degraded(hr, z)

    def generator_of(self, z: torch.Tensor) -> torch.Tensor:
        """(N, K) -> (N,): which of the generators each z chooses, by the quantile of its first value."""
        count = len(self.others) + 1
        return (torch.special.ndtr(z[:, 0].float()) * count).long().clamp(0, count - 1)

    def regress(self, lq: torch.Tensor) -> torch.Tensor:
        """(N, 3, h, w), RGB, [0, 1] -> (N, z_dim): guesses z of a result.

        Raises:
            ValueError: for a network without ``regress_z``.
        """
        if self.regressor is None:
            raise ValueError('DegradationNet: only one with regress_z guesses z')
        guess: torch.Tensor = self.regressor(lq * 2 - 1)
        return guess

    def _by_several(self, hr: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """Each picture by the generator that its z chooses."""
        chosen, lq = self.generator_of(z), None
        for number, one in enumerate([self, *self.others]):
            index = (chosen == number).nonzero().flatten()
            some = index if len(index) else chosen.new_zeros(1)  # one without a picture has gradients of 0
            made = one._degraded(hr[some], z[some]) * (1 if len(index) else 0)
            lq = made.new_zeros(len(hr), *made.shape[1:]) if lq is None else lq
            lq = lq.index_add(0, some, made)
        assert lq is not None
        return lq

    def _degraded(self, hr: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """As `forward`, by this generator."""
        height, width = hr.shape[-2:]
        x = hr * 2 - 1
        camera, noises = self._parts_of(z, height, width)
        average = F.avg_pool2d(x, self.scale) if self.blur is None else self.blur(x, camera)
        if self.grain is not None:
            average = self.grain(average, noises[-1], camera)
        if self.plane is not None:
            x = torch.cat([x, self.plane(z).view(-1, 1, height, width)], 1)
        features = self._features(self.conv_first(F.pixel_unshuffle(x, self.fold)), average, camera, noises)
        out = self.conv_last(features).float()
        if self.residual:
            out = out + average.clamp(-_WHITEST, _WHITEST).atanh()
        lq = torch.tanh(out) / 2 + 0.5
        return lq if self.jpeg is None else self.jpeg(lq, camera)

    def _parts_of(self, z: torch.Tensor, height: int, width: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """z -> the camera, and the planes of noise of each size."""
        shapes = self._noise_shapes(height, width)
        camera, *planes = z.split([self.z_dim, *(self.noise_planes * h * w for h, w in shapes)], 1)
        return camera, [p.reshape(-1, self.noise_planes, h, w) for p, (h, w) in zip(planes, shapes, strict=True)]

    def _features(
        self, x: torch.Tensor, average: torch.Tensor, camera: torch.Tensor, noises: list[torch.Tensor]
    ) -> torch.Tensor:
        """(N, C, H / fold, W / fold) features of the HR picture -> (N, C, H / scale, W / scale) of the LQ."""
        blocks = iter(self.blocks)
        for down in self.downs:
            x = down(next(blocks)(next(blocks)(x, camera), camera))
        for step, up in enumerate(self.ups):
            if noises:
                x = self.injections[step](x, noises[step], camera)
            x = up(next(blocks)(next(blocks)(x, camera), camera))
        if noises:
            x = self.injections[-1](x, noises[-1], camera)
        if self.conv_base is not None:
            x = F.relu(next(blocks)(next(blocks)(x + self.conv_base(average), camera), camera))
        return x


class _JudgeBlock(nn.Module):
    """Residual block of the discriminator, spectrally normalised; it may halve the size."""

    def __init__(self, in_feat: int, num_feat: int, down: bool, first: bool) -> None:
        super().__init__()
        self.first, self.pool = first, nn.AvgPool2d(2) if down else nn.Identity()
        self.conv1 = _spectral(nn.Conv2d(in_feat, num_feat, 3, 1, 1), 1.0)
        self.conv2 = _spectral(nn.Conv2d(num_feat, num_feat, 3, 1, 1), 1.0)
        self.bypass = _spectral(nn.Conv2d(in_feat, num_feat, 1), math.sqrt(2)) if down or first else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        return self.pool(out) + self.bypass(self.pool(x))


def _spectral(layer: nn.Conv2d | nn.Linear, gain: float) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight, gain)
    return nn.utils.spectral_norm(layer)


@ARCH_REGISTRY.register()
class DegradationDiscriminator(nn.Module):
    """Spectrally normalised residual discriminator of the high-to-low network, without batch normalisation.

    Paper: as :class:`DegradationNet`; the layers are those of the authors' published code, for 16 px ('D16'). What is
    judged can be several pictures at once, of different faces ('packing', PacGAN, Lin et al., NeurIPS 2018): a
    generator that always does the same to its input is then found out.

    Args:
        num_in_ch (int): Channels of a picture. Default: 3.
        num_feat (int): Width. Default: 128.
        num_block (int): Residual blocks. Default: 5.
        num_down (int): How many of them, from the first on, halve the size. Default: 2.
        packed (int): Pictures a verdict. Default: 1.
        high_pass (int): Judges what a picture differs by from its means over a sliding window of this size, odd,
            pixels: noise and texture, while colour and content are left to the pixel loss (LowPassLoss; Fritsche, Gu,
            Timofte, ICCVW 2019: 5). Default: 0, the picture itself.

    Raises:
        ValueError: for an even window, more halvings than blocks, or no block.
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_feat: int = 128,
        num_block: int = 5,
        num_down: int = 2,
        packed: int = 1,
        high_pass: int = 0,
    ) -> None:
        super().__init__()
        if high_pass and (high_pass < 3 or high_pass % 2 == 0):
            raise ValueError(f'DegradationDiscriminator: high_pass is odd and at least 3, or 0, not {high_pass}')
        if num_block < 1 or packed < 1 or not 0 <= num_down <= num_block:
            raise ValueError(
                'DegradationDiscriminator: num_block and packed are at least 1, num_down at most num_block, not '
                f'num_block {num_block}, num_down {num_down}, packed {packed}'
            )
        self.packed, self.high_pass = packed, high_pass
        self.info = ArchInfo(sizes=Sizes(2**num_down))
        widths = [num_in_ch * packed, *[num_feat] * num_block]
        self.body = nn.Sequential(
            *(_JudgeBlock(widths[i], widths[i + 1], i < num_down, i == 0) for i in range(num_block))
        )
        self.linear = _spectral(nn.Linear(num_feat, 1), 1.0)

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        """Judges pictures.

        Args:
            img (Tensor): (N, 3, h, w), RGB, [0, 1]; h and w are a multiple of ``2 ** num_down``.

        Returns:
            Tensor: (N / packed, 1), logits; neighbours in the batch are judged together. A batch that is no multiple of
            ``packed`` is filled up with its first pictures.
        """
        if self.high_pass:
            img = 0.5 + 0.5 * (img - low_pass(img, self.high_pass))
        whole = -(-len(img) // self.packed) * self.packed
        if whole != len(img):
            img = img[torch.arange(whole, device=img.device) % len(img)]
        x = img.reshape(whole // self.packed, -1, *img.shape[-2:]) * 2 - 1
        return self.linear(F.relu(self.body(x)).mean((2, 3)))
