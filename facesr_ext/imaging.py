"""Images as tensors: conversion, MATLAB's resize, 8-bit levels, luma, mirroring, coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch.nn import functional as F


def to_planes(image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 RGB -> (3, H, W) uint8."""
    planes = np.empty((3, *image.shape[:2]), np.uint8)
    cv2.split(np.ascontiguousarray(image), list(planes))  # twice as fast as a copy of the transposed image
    return torch.from_numpy(planes)


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """(H, W, 3) uint8 RGB -> (3, H, W) float32 [0, 1]."""
    return to_unit(to_planes(image))


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """uint8 of any shape -> float32 [0, 1]; floating point stays as it is."""
    return images if images.is_floating_point() else images.float().div_(255)


def to_images(batch: torch.Tensor) -> list[np.ndarray]:
    """(N, 3, H, W) RGB [0, 1] -> N images (H, W, 3) uint8 RGB, rounded as a saved file is."""
    scaled = batch.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return list(scaled.permute(0, 2, 3, 1).cpu().numpy())


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' cubic kernel with a = -0.5, MATLAB's choice (OpenCV and torch take -0.75)."""
    ax = np.abs(x)
    near = (1.5 * ax - 2.5) * ax * ax + 1.0
    far = ((-0.5 * ax + 2.5) * ax - 4.0) * ax + 2.0
    return np.where(ax <= 1, near, np.where(ax <= 2, far, 0.0))


def _lanczos3(x: np.ndarray) -> np.ndarray:
    """Lanczos' windowed sinc of three lobes."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {'cubic': (_cubic, 2), 'lanczos3': (_lanczos3, 3)}
"""The kernels of MATLAB's ``imresize``, by its names, and how far they reach to each side."""


def resize_matrix(in_length: int, out_length: int, kernel: str = 'cubic') -> torch.Tensor:
    """Weights of MATLAB's ``imresize`` along one axis.

    Antialiased when it shrinks, mirrored at the borders (half-sample symmetric), rows sum to 1.

    Args:
        in_length, out_length (int): Pixels before and after.
        kernel (str): One of :data:`KERNELS`. Default: 'cubic', as MATLAB's 'bicubic'.

    Returns:
        Tensor: (out_length, in_length), float64, on the CPU. Shared: do not write into it.
    """
    return torch.from_numpy(_resize_weights(in_length, out_length, kernel))


@lru_cache(maxsize=64)
def _resize_weights(in_length: int, out_length: int, kernel: str) -> np.ndarray:
    """The same as an array: a tensor that is made while a graph is traced would not do outside of it."""
    weigh, reach = KERNELS[kernel]
    scale = out_length / in_length
    stretch = min(scale, 1.0)  # < 1 widens the kernel: MATLAB's antialiasing
    centre = (np.arange(out_length) + 0.5) / scale - 0.5
    support = int(np.ceil(2.0 * reach / stretch)) + 2
    taps = np.floor(centre - reach / stretch).astype(np.int64)[:, None] + np.arange(support)
    weight = stretch * weigh((centre[:, None] - taps) * stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    mirrored = np.mod(taps, 2 * in_length)
    mirrored = np.where(mirrored < in_length, mirrored, 2 * in_length - 1 - mirrored)
    matrix = np.zeros((out_length, in_length))
    np.add.at(matrix, (np.repeat(np.arange(out_length), support), mirrored.ravel()), weight.ravel())
    return matrix


def imresize(img: torch.Tensor, size: tuple[int, int], kernel: str = 'cubic') -> torch.Tensor:
    """MATLAB's antialiased resize, bicubic by default, on the tensor's own device, differentiable.

    Equals ``basicsr.utils.matlab_functions.imresize``, for a whole batch and without its loop over rows.

    Args:
        img (Tensor): (..., h, w), floating point, any range.
        size (tuple[int, int]): Output height and width.
        kernel (str): One of :data:`KERNELS`. Default: 'cubic'.

    Returns:
        Tensor: (..., *size), same dtype; overshoots the input's range a little, as both kernels do.

    Examples:
        >>> imresize(torch.ones(2, 3, 16, 24), (4, 6)).shape
        torch.Size([2, 3, 4, 6])
    """
    if isinstance(img.shape[-2], torch.SymInt) or isinstance(img.shape[-1], torch.SymInt):
        return _enlarge_of_any_size(img, size, kernel)
    rows = resize_matrix(img.shape[-2], size[0], kernel).to(device=img.device, dtype=img.dtype)
    cols = resize_matrix(img.shape[-1], size[1], kernel).to(device=img.device, dtype=img.dtype)
    return rows @ img @ cols.t()


def _enlarge_of_any_size(img: torch.Tensor, size: tuple[int, int], kernel: str) -> torch.Tensor:
    """`imresize` by a whole factor in a graph that is traced for images of any size: one convolution.

    Raises:
        ValueError: for another factor, or one of height and another of width.
    """
    height, width = img.shape[-2:]
    factor, reach = int(size[0] // height), KERNELS[kernel][1]
    if size != (height * factor, width * factor):
        raise ValueError(f'a graph for images of any size enlarges by a whole factor, not {height}x{width} to {size}')
    length = 2 * reach + 1  # of one pixel, what it and its neighbours give to each of the pixels that it becomes
    rows, columns = slice(length * factor, (length + 1) * factor), slice(length - reach, length + reach + 1)
    taps = resize_matrix(2 * length, 2 * length * factor, kernel)[rows, columns].to(device=img.device, dtype=img.dtype)
    weight = torch.einsum('ab,cd->acbd', taps, taps).reshape(factor**2, 1, length, length)
    planes = _mirrored(_mirrored(img.reshape(-1, 1, height, width), reach, -1), reach, -2)
    return F.pixel_shuffle(F.conv2d(planes, weight), factor).reshape(*img.shape[:-2], *size)


def _mirrored(img: torch.Tensor, num: int, dim: int) -> torch.Tensor:
    """An image with so many pixels more at both ends of an axis, half-sample symmetric."""
    length = img.shape[dim]
    first, last = img.narrow(dim, 0, num), img.narrow(dim, length - num, num)
    return torch.cat([first.flip(dim), img, last.flip(dim)], dim)


def quantize(img: torch.Tensor) -> torch.Tensor:
    """Rounds an image in [0, 1] to the 256 levels that an 8-bit file can hold (and clamps it).

    Examples:
        >>> quantize(torch.tensor([0.5, 1.2])) * 255
        tensor([128., 255.])
    """
    return img.mul(255).round_().clamp_(0, 255).div_(255)


def low_pass(img: torch.Tensor, size: int) -> torch.Tensor:
    """Means over a sliding window of an odd size, (N, C, h, w) -> the same; reflected at the borders."""
    return F.avg_pool2d(F.pad(img, [size // 2] * 4, mode='reflect'), size, stride=1)


def dct_basis() -> torch.Tensor:
    """(64, 64), float64, orthonormal: a row holds the pixels of one frequency of JPEG's 8 x 8 blocks, row after row."""
    axis = torch.arange(8, dtype=torch.float64)
    cosines = torch.cos((2 * axis + 1) * axis[:, None] * math.pi / 16)
    cosines *= torch.where(axis == 0, math.sqrt(1 / 8), math.sqrt(2 / 8))[:, None]
    return torch.kron(cosines, cosines)


def with_coordinates(img: torch.Tensor, boxes: torch.Tensor | None = None) -> torch.Tensor:
    """Adds where in the face each pixel is, as CoordConv does (Liu et al., NeurIPS 2018).

    Args:
        img (Tensor): (N, C, h, w).
        boxes (Tensor | None): (N, 4), which part of the face each picture shows: left, top, right and bottom as shares
            of the face's width and height. Default: all of it.

    Returns:
        Tensor: (N, C + 2, h, w): the picture, then x from -1 (left) to 1 (right) and y from -1 (top) to 1 (bottom) of
            the pixels' centres.
    """
    num, _, height, width = img.shape
    boxes = img.new_tensor([[0.0, 0.0, 1.0, 1.0]]).expand(num, 4) if boxes is None else boxes.to(img)
    left, top, right, bottom = (2 * boxes - 1).unbind(1)
    x, y = _centres(left, right, width), _centres(top, bottom, height)
    planes = (x[:, None, None, :], y[:, None, :, None])
    return torch.cat([img, *(plane.expand(num, 1, height, width) for plane in planes)], dim=1)


def _centres(start: torch.Tensor, stop: torch.Tensor, num: int) -> torch.Tensor:
    """(N, num): the centres of so many pixels from start (N,) to stop (N,)."""
    shares = (torch.arange(num, device=start.device, dtype=start.dtype) + 0.5) / num
    return start[:, None] + (stop - start)[:, None] * shares


def mirror(img: torch.Tensor) -> torch.Tensor:
    """A batch (N, 3, h, w) left to right; with coordinates (N, 5, h, w), those of the mirrored face."""
    flipped = img.flip(-1)
    return torch.cat([flipped[:, :3], -flipped[:, 3:4], flipped[:, 4:]], dim=1) if img.shape[1] > 3 else flipped


def luma(img: torch.Tensor) -> torch.Tensor:
    """Luma of ITU-R BT.601: (N, 3, H, W) RGB -> (N, 1, H, W), of the same range."""
    red, green, blue = img.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def exchange_luma(img: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    """An image with another luma and its own chroma, which is what the channels differ by.

    Args:
        img (Tensor): (N, 3, H, W), RGB.
        new (Tensor): (N, 1, H, W), of the same range.

    Returns:
        Tensor: (N, 3, H, W), RGB.
    """
    return img + (new - luma(img))
