"""Named degradations, and building one from an option file's ``degradation:`` section."""

from __future__ import annotations

from typing import Any

from facesr_ext.degradations.base import Degradation
from facesr_ext.errors import OptionError
from facesr_ext.host.options import build_part, known_name
from facesr_ext.host.registry import DEGRADATION_REGISTRY

PRESETS: dict[str, dict[str, Any]] = {
    'bicubic_x4': {'type': 'BicubicDegradation', 'scale': 4},
    'bicubic_x8': {'type': 'BicubicDegradation', 'scale': 8},
    'fsrnet_x8': {'type': 'BicubicDegradation', 'scale': 8, 'enlarge': True},
}


def build_degradation(opt: dict[str, Any], scale: int) -> Degradation:
    """Builds the degradation that an option file asks for.

    Args:
        opt (dict): The section: ``type`` and its arguments, or ``preset`` and what differs from it.
        scale (int): The option file's ``scale``, taken where the section states none.

    Raises:
        OptionError: for an unknown preset, type or argument, or a scale that differs from the option file's.
    """
    settings = dict(opt)
    preset = settings.pop('preset', None)
    if preset is not None:
        settings = {**PRESETS[known_name('degradation: preset', preset, PRESETS)], **settings}
    degradation: Degradation = build_part('degradation', DEGRADATION_REGISTRY, {'scale': scale, **settings})
    if degradation.scale != scale:
        raise OptionError(f'degradation: reduces by {degradation.scale}, but scale is {scale}; make them agree')
    return degradation
