"""What a network says of itself: the one descriptor that check, models and restoring go by."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
    """

    landmarks: int = 0
    parsing: int = 0
    stride: int = 1


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
        priors (Priors | None): It gives intermediate results with ``return_priors``: a coarse image and these maps.
        conditional (bool): A discriminator that is given the enlarged LQ beside the image.
    """

    scale: int = 1
    input: Literal['small', 'enlarged', 'hr'] = 'small'
    sizes: Sizes = Sizes()
    halves: bool = True
    channels_last: bool = True
    coords: bool = False
    priors: Priors | None = None
    conditional: bool = False


def arch_info(net: nn.Module) -> ArchInfo:
    """The :class:`ArchInfo` of a network; BasicSR's state none, so what is known of them is said here."""
    info = getattr(net, 'info', None)
    if isinstance(info, ArchInfo):
        return info
    if isinstance(net, VGGStyleDiscriminator):  # it flattens by `view`, which wants channel after channel
        return ArchInfo(input='enlarged', sizes=Sizes(fixed=net.input_size), channels_last=False)
    if isinstance(net, UNetDiscriminatorSN):
        return ArchInfo(input='enlarged', sizes=Sizes(8))  # halved three times, and added to what was
    return ArchInfo(scale=int(getattr(net, 'upscale', 1)))


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
