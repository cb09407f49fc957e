"""The limit of a challenge on the size of a network."""

from __future__ import annotations

from typing import Any

from torch import nn

from facesr_ext.errors import OptionError
from facesr_ext.host.parts import whole_number


def count_parameters(net: nn.Module) -> int:
    """Parameters of a network, trained or not, as the organisers of challenges count them."""
    return sum(p.numel() for p in net.parameters())


def check_budget(net: nn.Module, challenge: dict[str, Any]) -> None:
    """Looks whether a network keeps to ``challenge: max_params``.

    Args:
        net (Module): The generator.
        challenge (dict): The section; the limit is the largest number that is allowed.

    Raises:
        OptionError: with how many parameters are too many.
    """
    limit = whole_number(('challenge', 'max_params'), challenge.get('max_params'))
    num = count_parameters(net)
    if limit is not None and num > limit:
        raise OptionError(
            f'network_g has {num:,d} parameters, {num - limit:,d} too many; make it smaller',
            ('challenge', 'max_params'),
        )
