"""What a network says of itself: the one descriptor that check, models and restoring go by."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from basicsr.archs.discriminator_arch import UNetDiscriminatorSN, VGGStyleDiscriminator
from torch import nn


@dataclass(frozen=True)
class Sizes:
    """Heights and widths that a network's input may have, in pixels.

    Attributes:
        multiple_of (int): Both are a multiple of this.
        fixed (int | None): The one height and width that it takes, or None.
    """

    multiple_of: int = 1
    fixed: int | None = None

    def fault(self, size: Sequence[int]) -> str | None:
        """What a height and width would have to be, None where they fit: 'a multiple of 16 px', '128x128 px'."""
        if self.fixed is not None and set(size) != {self.fixed}:
            return f'{self.fixed}x{self.fixed} px'
        if any(side % self.multiple_of for side in size):
            return f'a multiple of {self.multiple_of} px'
        return None

    def padding(self, size: Sequence[int]) -> tuple[int, int]:
        """Rows below and columns on the right that bring a height and width to a multiple."""
        height, width = size
        return -height % self.multiple_of, -width % self.multiple_of

    def times(self, factor: int) -> Sizes:
        """The same for an image that is ``factor`` times as large."""
        return Sizes(self.multiple_of * factor, None if self.fixed is None else self.fixed * factor)


@dataclass(frozen=True)
class Priors:
    """What a network predicts of a face beside the image.

    Attributes:
        landmarks, parsing (int): Landmark heatmaps and parsing maps; 0 for none.
        stride (int): How many times smaller than the result the maps are.
        fused (bool): The maps reach the image; where they do not, no label need teach them.
        coarse (bool): It makes a coarse image first.
    """

    landmarks: int = 0
    parsing: int = 0
    stride: int = 1
    fused: bool = True
    coarse: bool = True


@dataclass(frozen=True)
class ArchInfo:
    """What a network needs to be fed and what it can do.

    Attributes:
        scale (int): LR-to-HR factor that the network was built for; 1 where it does not change the size.
        input (str): 'small' where it takes the LR image itself, 'enlarged' where it takes the LR image brought to HR
            size, 'hr' where it takes the HR image and makes the LR one of it.
        sizes (Sizes): Of its input.
        halves (bool): Whether bf16 / fp16 autocast is allowed.
        channels_last (bool): Whether it bears that memory layout.
        coords (bool): Whether its input has two further channels, where in the face each pixel is
            (:func:`~facesr_ext.imaging.with_coordinates`); without them it takes the image for a whole face.
        priors (Priors | None): With ``return_priors`` it gives these maps, and perhaps a coarse image, too.
        conditional (bool): A discriminator that is given the enlarged LQ beside the image.
        decides (bool): Rounds or compares within, so that the last bit of another engine can change a pixel altogether.
    """

    scale: int = 1
    input: Literal['small', 'enlarged', 'hr'] = 'small'
    sizes: Sizes = Sizes()
    halves: bool = True
    channels_last: bool = True
    coords: bool = False
    priors: Priors | None = None
    conditional: bool = False
    decides: bool = False


def arch_info(net: nn.Module) -> ArchInfo:
    """The :class:`ArchInfo` of a network; BasicSR's and users' that state none are tried, once."""
    info = getattr(net, 'info', None)
    if isinstance(info, ArchInfo):
        return info
    if isinstance(net, VGGStyleDiscriminator):  # it flattens by `view`, which wants channel after channel
        return ArchInfo(input='enlarged', sizes=Sizes(fixed=net.input_size), channels_last=False)
    if isinstance(net, UNetDiscriminatorSN):
        return ArchInfo(input='enlarged', sizes=Sizes(8))  # halved three times, and added to what was
    if PROBED not in net.__dict__:
        probed = _probe(net)
        setattr(net, PROBED, probed or ArchInfo(scale=_stated_scale(net)))
        setattr(net, UNKNOWN, probed is None)
    found: ArchInfo = getattr(net, PROBED)
    return found


def makes_no_image(net: nn.Module) -> bool:
    """Whether a network that states nothing of itself made no RGB image of any that it was tried with."""
    arch_info(net)
    return bool(net.__dict__.get(UNKNOWN))


PROBED, UNKNOWN = 'facesr_ext_info', 'facesr_ext_unknown'
"""Attributes that keep what a network has been found to take, and whether nothing was found."""
_SCALES = ('upscale', 'scale', 'sf', 'scale_factor', 'upscale_factor', 'upsampling')
_MULTIPLES = (*range(1, 17), 18, 20, 24, 28, 30, 32, 36, 40, 48, 56, 64, 96, 128)
_FIXED = (16, 24, 32, 48, 56, 64, 96, 112, 128, 160, 192, 224, 256)
_PRIMES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47)
_LEAST = 40  # pixels: deep networks halve smaller images to nothing


def scale_argument(net: nn.Module) -> str:
    """The argument of a network's class that says its scale: 'scale', 'upscale', 'sf' ...; 'type' where none does."""
    known = inspect.signature(type(net)).parameters
    return next((name for name in _SCALES if name in known), 'type')


def _stated_scale(net: nn.Module) -> int:
    scale = getattr(net, 'upscale', 1)
    return scale if isinstance(scale, int) else 1


def _probe(net: nn.Module) -> ArchInfo | None:
    """Finds scale and grid of a super-resolution network by forward passes of a copy, which compute nothing.

    What cannot do without values is tried on the CPU, where its weights have some.

    Returns:
        ArchInfo | None: None for what does not make an RGB image of one.
    """
    on_meta = any(parameter.is_meta for parameter in net.parameters())
    for device in ('meta',) if on_meta else ('meta', 'cpu'):
        trial, ran = _copy(net, device), False
        if trial is None:
            return None
        for multiple in _MULTIPLES:
            # Two sides that have this factor in common, and no other.
            sides = [multiple * prime for prime in _PRIMES if multiple * prime >= _LEAST][:2]
            outs = [_tried(trial, side, device) for side in sides]
            ran = ran or None not in outs
            scales = {_scale_of(out, side) for out, side in zip(outs, sides, strict=True)}
            scale = scales.pop() if len(scales) == 1 else None
            if scale:
                return ArchInfo(scale, 'enlarged' if scale == 1 else 'small', Sizes(multiple))
        for side in _FIXED if not ran else ():
            out = _tried(trial, side, device)
            scale = _scale_of(out, side)
            if scale:
                return ArchInfo(scale, 'enlarged' if scale == 1 else 'small', Sizes(fixed=side))
            ran = ran or out is not None
        if ran:
            return None
    return None


def _copy(net: nn.Module, device: str) -> nn.Module | None:
    """A network that can be tried without a trace in this one, None where it cannot be copied."""
    try:
        return deepcopy(net).to(device).eval()
    except Exception:  # it is other people's code, and may fail in any way
        logging.getLogger('facesr_ext').debug('%s cannot be copied', type(net).__name__, exc_info=True)
        return None


def _tried(net: nn.Module, side: int, device: str) -> Any:
    """What a network makes of an image of this side, None where it does not take it."""
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return net(torch.zeros(1, 3, side, side, device=device))
    except (Exception, SystemExit):  # it is other people's code, and may fail in any way
        logging.getLogger('facesr_ext').debug('%s does not take %d px', type(net).__name__, side, exc_info=True)
        return None


def _scale_of(out: Any, side: int) -> int | None:
    """By what an image of this side was enlarged, None where the result is no RGB image of a whole multiple."""
    if not isinstance(out, torch.Tensor) or out.ndim != 4 or out.shape[:2] != (1, 3):
        return None
    height, width = out.shape[-2:]
    return height // side if height == width and height >= side and not height % side else None


def require_literals(cls: Callable[..., Any], **values: object) -> None:
    """Checks arguments whose annotation is a ``Literal``: the signature says what there is, and this holds to it.

    Args:
        cls (Callable): A class or function.
        values (object): Its arguments by name; others than literal ones are passed over.

    Raises:
        ValueError: naming the class, the argument and the choices.
    """
    hints = typing.get_type_hints(cls.__init__ if inspect.isclass(cls) else cls)
    for name, value in values.items():
        if typing.get_origin(hints.get(name)) is Literal:
            choices = typing.get_args(hints[name])
            if value not in choices or isinstance(value, bool):
                raise ValueError(f'{cls.__name__}: {name} is one of {", ".join(map(str, choices))}, not {value!r}')


def require_factor(arch: str, scale: int) -> None:
    """Checks the scale of a network that has every whole one.

    Raises:
        ValueError: for anything but a whole number from 1 on.
    """
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise ValueError(f'{arch}: scale is a whole number from 1 on, not {scale!r}')
