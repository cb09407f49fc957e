"""Several degradations in one, each image by one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from facesr_ext.degradations.base import Degradation
from facesr_ext.degradations.draws import Draws
from facesr_ext.degradations.ops import on_device_of
from facesr_ext.degradations.presets import build_degradation
from facesr_ext.degradations.values import is_list, is_number
from facesr_ext.errors import OptionError
from facesr_ext.host.registry import DEGRADATION_REGISTRY


@DEGRADATION_REGISTRY.register()
class MixtureDegradation(Degradation):
    """Degrades each image of a batch by one of several degradations, drawn by their probabilities.

    Args:
        scale (int): HR-to-LR factor, the same for all.
        parts (Sequence[dict]): Each as a ``degradation:`` section (``preset`` or ``type`` with its arguments), with
            ``probability``: its weight among the parts. Default of it: 1.

    Raises:
        OptionError: for no parts, a weight that is not above 0, whatever a part refuses (with a key as
            'degradation:parts:0:blur_sigma'), or parts of which some enlarge the LQ and some do not; with ``scale`` 1
            every LQ is at HR size.

    Examples:
        >>> parts = [{'preset': 'realesrgan', 'probability': 0.7}, {'preset': 'bicubic_x4', 'probability': 0.3}]
        >>> MixtureDegradation(4, parts)(torch.zeros(2, 3, 64, 64), torch.Generator()).shape
        torch.Size([2, 3, 16, 16])
    """

    def __init__(self, scale: int, parts: Sequence[dict[str, Any]]) -> None:
        if not is_list(parts) or not parts:
            raise OptionError(
                f'must be a list of at least one part (preset or type, and probability), not {parts!r}',
                ('degradation', 'parts'),
            )
        self.weights, self.parts = [], []
        for number, section in enumerate(parts):
            try:
                weight, part = _build(section, scale)
            except OptionError as err:
                raise OptionError(err.message, ('degradation', 'parts', str(number), *err.key[1:])) from err
            self.weights.append(weight)
            self.parts.append(part)
        super().__init__(scale, enlarged=any(part.enlarged for part in self.parts))
        if self.scale > 1 and any(part.enlarged != self.enlarged for part in self.parts):
            raise OptionError('all enlarge the LQ, or none does; set enlarge alike', ('degradation', 'parts'))

    @torch.no_grad()
    def pair(self, gt: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """As :meth:`Degradation.pair`; each image's target is that of its own part."""
        chosen = Draws(generator).choice(self.weights, len(gt))
        lqs, targets = gt.new_empty(0), gt.clone()
        for number, part in enumerate(self.parts):
            index = on_device_of((chosen == number).nonzero().flatten(), gt)
            if len(index):
                lq, targets[index] = part.pair(gt[index], generator)
                lqs = lqs if lqs.numel() else lq.new_empty(len(gt), *lq.shape[1:])
                lqs[index] = lq
        return lqs, targets

    def degrade(self, gt: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The LQ of :meth:`pair` alone."""
        return self.pair(gt, generator)[0]


def _build(section: Any, scale: int) -> tuple[float, Degradation]:
    """Weight and degradation of a part; errors carry the keys of a section of its own."""
    if not isinstance(section, dict):
        raise OptionError(f'must be a section (preset or type, and probability), not {section!r}', ('degradation',))
    settings = dict(section)
    weight = settings.pop('probability', 1.0)
    if not is_number(weight) or weight <= 0:
        raise OptionError(f'must be a number above 0, not {weight!r}', ('degradation', 'probability'))
    return float(weight), build_degradation(settings, scale)
