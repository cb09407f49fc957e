"""The limit of a challenge on the size of a network."""

from __future__ import annotations

from torch import nn

from facesr_ext.errors import OptionError


def count_parameters(net: nn.Module) -> int:
    """Parameters of a network, trained or not, as the organisers of challenges count them."""
    return sum(p.numel() for p in net.parameters())


def require_budget(net: nn.Module, max_params: int | None) -> None:
    """Looks whether a network keeps to ``challenge: max_params``.

    Args:
        net (Module): The generator.
        max_params (int | None): The largest number that is allowed; None for any.

    Raises:
        OptionError: with how many parameters are too many.
    """
    num = count_parameters(net)
    if max_params is not None and num > max_params:
        raise OptionError(
            f'network_g has {num:,d} parameters, {num - max_params:,d} too many; make it smaller',
            ('challenge', 'max_params'),
        )
