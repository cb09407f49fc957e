"""Parameters in groups of different learning rates: ``lr_scales`` of an optimiser's section."""

from __future__ import annotations

from typing import Any

from torch import nn

from facesr_ext.errors import OptionError


def parameter_groups(net: nn.Module, lr: float, scales: dict[str, float] | None) -> list[dict[str, Any]]:
    """Groups a network's trainable parameters as torch.optim takes them.

    Args:
        net (Module): The bare network.
        lr (float): The learning rate of everything that is not scaled.
        scales (dict | None): Part of the network (``reconstruct``, ``body.3``) -> factor of ``lr``, 0 or more.

    Returns:
        list[dict]: The parameters of no part first, then one group for each part.

    Raises:
        OptionError: naming the part, where the network does not have it.
    """
    scales = scales or {}
    groups: dict[str, dict[str, Any]] = {'': {'params': [], 'lr': lr}}
    for part, factor in scales.items():
        groups[part] = {'params': [], 'lr': lr * factor}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            part = next((part for part in scales if f'{name}.'.startswith(f'{part}.')), '')
            groups[part]['params'].append(parameter)
    for part in scales:
        if not groups[part]['params']:
            known = ', '.join(name for name, _ in net.named_children())
            raise OptionError(
                f'{type(net).__name__} has no part {part!r} to train; its parts are {known}', ('lr_scales', part)
            )
    return [group for group in groups.values() if group['params']]
