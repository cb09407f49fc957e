"""What a network says of itself: the one descriptor that check, models and restoring go by."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class ArchInfo:
    """What a network needs to be fed and what it can do.

    Attributes:
        scale (int): LR-to-HR factor that the network was built for; 1 where it does not change the size.
        input (str): 'small' where it takes the LR image itself, 'enlarged' where it takes the LR image brought to HR
            size, 'hr' where it takes the HR image and makes the LR one of it.
        multiple_of (int): Height and width of the input must be a multiple of this.
        fixed_size (int | None): The one input size that it takes, or None.
        halves (bool): Whether bf16 / fp16 autocast is allowed.
        coords (bool): Whether its input has two further channels, where in the face each pixel is
            (:func:`with_coordinates`); without them it takes the picture for a whole face.
    """

    scale: int = 1
    input: str = 'small'
    multiple_of: int = 1
    fixed_size: int | None = None
    halves: bool = True
    coords: bool = False


def arch_info(net: nn.Module) -> ArchInfo:
    """The :class:`ArchInfo` of a network; BasicSR's own state none and take the small image."""
    info = getattr(net, 'info', None)
    return info if isinstance(info, ArchInfo) else ArchInfo(scale=int(getattr(net, 'upscale', 1)))


def check_choice(arch: str, name: str, value: object, choices: Collection[object]) -> None:
    """Checks an argument that is one of a few.

    Raises:
        ValueError: naming the network, the argument and the choices.
    """
    if value not in choices:
        raise ValueError(f'{arch}: {name} is one of {", ".join(map(str, choices))}, not {value!r}')


def check_factor(arch: str, scale: int) -> None:
    """Checks the scale of a network that has every whole one.

    Raises:
        ValueError: for anything but a whole number from 1 on.
    """
    if isinstance(scale, bool) or not isinstance(scale, int) or scale < 1:
        raise ValueError(f'{arch}: scale is a whole number from 1 on, not {scale!r}')
