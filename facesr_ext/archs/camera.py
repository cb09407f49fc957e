"""What every camera does to a picture, each as strongly as values that stand for the camera say: blur, noise, JPEG.

Parts of :class:`~facesr_ext.archs.degradation_arch.DegradationNet`, which draws the values and learns what they mean.
"""

from __future__ import annotations

import math

import torch
from basicsr.utils.diffjpeg import c_table, y_table
from torch import nn
from torch.nn import functional as F

from facesr_ext.imaging import dct_basis, low_pass

_SPREAD = 2.5  # of the last weights: from the beginning on, widths and JPEG's steps differ by a factor of about two
_SMEAR = 3  # window of smeared noise, pixels


class CameraBlur(nn.Module):
    """Takes the LR picture from the HR picture, as sharp as the camera says.

    The camera makes weights for the scale x scale HR pixels of a cell (all alike: their average; the middle ones alone:
    a picture that is aliased, as of resizing without a filter), and a kernel over the LR pixels. Both are Gaussians of
    the widths that it says, times values of its own, never negative; they sum to 1 and are the same when turned by
    half, so that no camera lights or moves the picture. Two shares say how much of what the kernel takes away stays (0:
    none; above 1: it sharpens), of grey and of colours, which cameras and JPEG record more coarsely.
    """

    cell: torch.Tensor
    taps: torch.Tensor

    def __init__(self, scale: int, kernel_size: int, camera_dim: int, num_feat: int) -> None:
        super().__init__()
        self.scale, self.kernel_size = scale, kernel_size
        self.counts = (scale**2, kernel_size**2, 2, 2)  # values of the cell, of the kernel, widths, shares
        last = nn.Linear(num_feat, sum(self.counts))
        self.kernel = nn.Sequential(nn.Linear(camera_dim, num_feat), nn.LeakyReLU(0.2), last)
        for name, size in (('cell', scale), ('taps', kernel_size)):
            offsets = torch.arange(size) - (size - 1) / 2
            squares = (offsets[:, None] ** 2 + offsets**2).flatten()
            self.register_buffer(name, squares, persistent=False)
        with torch.no_grad():  # begins near the average of the cell, with kernels of about a pixel, half of which stays
            last.bias[: -sum(self.counts[2:])] = 0
            last.bias[-4:] = torch.tensor([math.log(scale), 0.0, 0.5, 0.5])
            last.weight[-4:-2] *= _SPREAD

    def forward(self, x: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
        cell, taps, widths, shares = self.kernel(camera).float().split(self.counts, 1)
        of_cell, of_taps = widths.clamp(-4, 4).unsqueeze(2).unbind(1)
        pixels = F.pixel_unshuffle(x, self.scale)
        count, _, height, width = pixels.shape
        pixels = pixels.view(count, 3, self.scale**2, height * width)
        sampled = (pixels * _weights(cell, self.cell, of_cell)).sum(2).view(count, 3, height, width)
        half = self.kernel_size // 2
        around = F.unfold(F.pad(sampled, (half, half, half, half), 'replicate'), self.kernel_size)
        around = around.view(count, 3, self.kernel_size**2, height * width)
        blurred = (around * _weights(taps, self.taps, of_taps)).sum(2).view_as(sampled)
        detail = sampled - blurred
        grey = detail.mean(1, keepdim=True)
        of_grey, of_colour = shares[..., None, None, None].unbind(1)
        return blurred + of_grey * grey + of_colour * (detail - grey)


def _weights(values: torch.Tensor, squares: torch.Tensor, log_width: torch.Tensor) -> torch.Tensor:
    """(N, K) values, (K,) squared distances, (N, 1) logarithms of widths -> (N, 1, K, 1), symmetric, of sum 1."""
    logits = (values + values.flip(1)) / 2 - squares * (-2 * log_width).exp() / 2
    return logits.softmax(1)[:, None, :, None]


class CameraNoise(nn.Module):
    """Adds noise to the LR picture: grey and coloured, each as strong as the camera says, of single pixels or smeared.

    Levels are exponentials of what a small network makes of the camera, so that a few cameras are very noisy and many
    hardly, as real ones are.
    """

    PLANES = 4  # one of grey, three of colours

    def __init__(self, camera_dim: int, num_feat: int) -> None:
        super().__init__()
        last = nn.Linear(num_feat, 3)
        self.levels = nn.Sequential(nn.Linear(camera_dim, num_feat), nn.LeakyReLU(0.2), last)
        with torch.no_grad():  # begins with about two levels of 255, half smeared
            last.bias.copy_(torch.tensor([math.log(4 / 255), math.log(4 / 255), 0.0]))

    def forward(self, x: torch.Tensor, noise: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
        values = self.levels(camera).float()
        grey, colour = values[:, :2].clamp(max=0).exp()[..., None, None, None].unbind(1)
        share = values[:, 2].sigmoid().view(-1, 1, 1, 1)
        noise = noise[:, : self.PLANES].float()
        grain = grey * noise[:, :1] + colour * noise[:, 1:]
        smeared = _SMEAR * low_pass(grain, _SMEAR)  # as strong: a mean of n x n values is an n-th
        return x + (1 - share) * grain + share * smeared


class CameraJpeg(nn.Module):
    """Compresses the LR picture as JPEG does, as strongly as the camera says, with colours at half the size.

    Rounding passes gradients on as if it did nothing, and to the width of its steps as learned step sizes have them
    (Esser et al., ICLR 2020): camera and picture learn through it.
    """

    waves: torch.Tensor
    grey: torch.Tensor
    colour: torch.Tensor

    def __init__(self, camera_dim: int, num_feat: int) -> None:
        super().__init__()
        last = nn.Linear(num_feat, 1)
        self.strength = nn.Sequential(nn.Linear(camera_dim, num_feat), nn.LeakyReLU(0.2), last)
        with torch.no_grad():  # begins with qualities of about 40 to 80
            last.bias.fill_(math.log(0.7))
            last.weight *= _SPREAD
        self.register_buffer('waves', dct_basis().float().view(64, 1, 8, 8), persistent=False)
        for name, table in (('grey', y_table), ('colour', c_table)):  # BasicSR has rows and columns exchanged
            self.register_buffer(name, table.detach().T.reshape(1, 64, 1, 1).clone(), persistent=False)

    def forward(self, x: torch.Tensor, camera: torch.Tensor) -> torch.Tensor:
        """(N, 3, h, w), RGB, [0, 1] -> the same."""
        factor = self.strength(camera).float().clamp(-4, 3).exp()[..., None, None]
        height, width = x.shape[-2:]
        x = F.pad(x.float(), (0, -width % 16, 0, -height % 16), 'replicate') * 255
        red, green, blue = x.split(1, 1)
        luma = 0.299 * red + 0.587 * green + 0.114 * blue
        chroma = F.avg_pool2d(torch.cat([(blue - luma) / 1.772, (red - luma) / 1.402], 0), 2)
        luma = self._rounded(luma - 128, self.grey * factor) + 128
        chroma = self._rounded(chroma, torch.cat([self.colour * factor] * 2, 0))
        to_blue, to_red = F.interpolate(chroma, scale_factor=2, mode='bilinear').chunk(2, 0)
        red, blue = luma + 1.402 * to_red, luma + 1.772 * to_blue
        green = (luma - 0.299 * red - 0.114 * blue) / 0.587
        return (torch.cat([red, green, blue], 1)[..., :height, :width] / 255).clamp(0, 1)

    def _rounded(self, plane: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
        """(N, 1, h, w), by blocks of 8 x 8 -> as it comes out of JPEG with these steps, (N, 64, 1, 1)."""
        steps = steps.clamp(min=1)
        values = F.conv2d(plane, self.waves, stride=8) / steps
        return F.conv_transpose2d((values + (values.round() - values).detach()) * steps, self.waves, stride=8)
