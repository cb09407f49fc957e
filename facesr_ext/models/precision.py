"""Numeric precision and memory layout of a model, chosen once from the option file."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from facesr_ext.archs.arch_util import arch_info
from facesr_ext.errors import OptionError

PRECISIONS = {'fp32': None, 'bf16': torch.bfloat16}


class Precision:
    """``precision: fp32 | bf16`` and ``channels_last: true`` of an option file.

    Training runs under autocast; parameters, losses and optimisers stay fp32, and so does validation.

    Args:
        opt (dict): The whole option file.
        device (device): Where the model runs.

    Raises:
        OptionError: for another precision.
    """

    def __init__(self, opt: dict[str, Any], device: torch.device) -> None:
        name = opt.get('precision', 'fp32')
        if name not in PRECISIONS:
            raise OptionError(f'precision: {name!r} is unknown; it is one of {", ".join(PRECISIONS)}')
        self.dtype, self.device_type = PRECISIONS[name], device.type
        self.layout = torch.channels_last if opt.get('channels_last') else torch.contiguous_format

    def check(self, section: str, net: nn.Module) -> None:
        """Raises OptionError where the network does not bear half precision."""
        if self.dtype is not None and not arch_info(net).halves:
            raise OptionError(f'{section}: {type(net).__name__} needs precision: fp32')

    def lay_out(self, value: nn.Module | torch.Tensor) -> Any:
        """A network or an (N, C, H, W) batch in the memory layout chosen."""
        if isinstance(value, torch.Tensor):
            return value.contiguous(memory_format=self.layout)
        return value.to(memory_format=self.layout)  # type: ignore[call-overload]

    def autocast(self) -> torch.autocast:
        """Context of a training forward pass."""
        return torch.autocast(self.device_type, dtype=self.dtype or torch.bfloat16, enabled=self.dtype is not None)
