"""Named degradations, and building one from an option file's ``degradation:`` section."""

from __future__ import annotations

from typing import Any

from facesr_ext.degradations.base import Degradation
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import build_part, known_name
from facesr_ext.host.registry import DEGRADATION_REGISTRY

# fmt: off
PRESETS: dict[str, dict[str, Any]] = {
    'bicubic_x4': {'type': 'BicubicDegradation', 'scale': 4},
    'bicubic_x8': {'type': 'BicubicDegradation', 'scale': 8},
    'fsrnet_x8': {'type': 'BicubicDegradation', 'scale': 8, 'enlarge': True},
    # the pairs published with FSRNet are JPEG files of MATLAB's usual quality, the enlarged LR as well
    'fsrnet_x8_published': {'type': 'BicubicDegradation', 'scale': 8, 'enlarge': True, 'jpeg_quality': 75},
    # Real-ESRNet's and Real-ESRGAN's own settings are the defaults of the class
    'realesrgan': {'type': 'SecondOrderDegradation', 'usm_lq': True, 'usm_target': True},
    # the challenge's editions of 2022 and 2023 (MMEditing): the organisers' file is the class's defaults; the share of
    # grey noise, 0 there, fits 348 of the validation pairs, where 0.4 does not
    'ai6126_2023': {'type': 'FirstOrderDegradation', 'scale': 4, 'noise_range': [0.0, 25.0], 'gray_noise_prob': 0.0},
    # its editions of 2024 and 2025; the organisers' file sharpens LQ source and target alike (gt_usm). Its LQ were made
    # by Real-ESRGAN's code, which resizes by the factor
    'ai6126_2024': {
        'type': 'SecondOrderDegradation', 'scale': 4, 'usm_lq': True, 'usm_target': False, 'resize_range': [0.2, 1.5],
        'resize_by': 'scale_factor',
        'noise_range': [1.0, 20.0], 'poisson_scale_range': [0.05, 2.0], 'jpeg_range': [50.0, 95.0],
        'noise_range2': [1.0, 15.0], 'poisson_scale_range2': [0.05, 1.5], 'jpeg_range2': [70.0, 95.0],
    },
    # report S1's noise, from the least to the most of its table: each of 0 and 1 with a probability of 0.005 to 0.5
    'report_s1': {'type': 'ImpulseDegradation', 'impulse_range': [0.01, 1.0], 'salt_share': 0.5},
    # report S4 contradicts itself: what it lists is one stage (isotropic blur, which is what its one sigma means, x4,
    # noise 15, JPEG 5 to 50), its text says second order, all of it twice. Of a second resize it gives nothing: none
    'report_s4': {
        'type': 'FirstOrderDegradation', 'scale': 4, 'kernel_sizes': list(range(7, 22, 2)), 'kernel_list': ['iso'],
        'kernel_prob': [1.0], 'blur_sigma': [0.2, 3.0], 'downscale_range': [0.25, 0.25], 'noise_range': [15.0, 15.0],
        'jpeg_range': [5.0, 50.0],
    },
    'report_s4_twice': {
        'type': 'SecondOrderDegradation', 'scale': 4, 'kernel_list': ['iso'], 'kernel_prob': [1.0], 'sinc_prob': 0.0,
        'resize_prob': [0.0, 0.0, 1.0], 'gaussian_noise_prob': 1.0, 'noise_range': [15.0, 15.0], 'gray_noise_prob': 0.0,
        'jpeg_range': [5.0, 50.0], 'second_blur_prob': 1.0, 'kernel_list2': ['iso'], 'kernel_prob2': [1.0],
        'sinc_prob2': 0.0, 'blur_sigma2': [0.2, 3.0], 'resize_prob2': [0.0, 0.0, 1.0], 'gaussian_noise_prob2': 1.0,
        'noise_range2': [15.0, 15.0], 'gray_noise_prob2': 0.0, 'jpeg_range2': [5.0, 50.0], 'final_sinc_prob': 0.0,
        'jpeg_codec': 'libjpeg',
    },
    # what no recipe trains on, to stand in for real LR faces where there are too few: three cameras, each with ranges
    # of its own: a small sensor in the dark, an old photograph that was sent on and on, a lens that is out of focus
    'held_out': {
        'type': 'MixtureDegradation',
        'parts': [
            {
                'type': 'SecondOrderDegradation', 'kernel_list': ['iso', 'aniso'], 'kernel_prob': [0.5, 0.5],
                'sinc_prob': 0.0, 'blur_sigma': [0.2, 1.2], 'resize_prob': [0.0, 0.5, 0.5], 'resize_range': [0.4, 1.0],
                'gaussian_noise_prob': 0.3, 'noise_range': [8.0, 25.0], 'poisson_scale_range': [0.5, 3.0],
                'gray_noise_prob': 0.2, 'jpeg_range': [60.0, 95.0], 'second_blur_prob': 0.5,
                'blur_sigma2': [0.2, 0.8], 'resize_prob2': [0.0, 0.3, 0.7], 'noise_range2': [1.0, 8.0],
                'jpeg_range2': [50.0, 90.0], 'final_sinc_prob': 0.5, 'jpeg_codec': 'libjpeg',
            },
            {
                'type': 'SecondOrderDegradation', 'sinc_prob': 0.2, 'blur_sigma': [0.4, 2.0],
                'resize_range': [0.25, 1.2], 'noise_range': [1.0, 6.0], 'poisson_scale_range': [0.05, 0.6],
                'jpeg_range': [20.0, 60.0], 'second_blur_prob': 0.3, 'noise_range2': [1.0, 4.0],
                'poisson_scale_range2': [0.05, 0.4], 'jpeg_range2': [20.0, 60.0], 'final_sinc_prob': 0.3,
                'jpeg_codec': 'libjpeg',
            },
            {
                'type': 'SecondOrderDegradation', 'kernel_list': ['generalized_iso', 'plateau_iso', 'aniso'],
                'kernel_prob': [0.4, 0.3, 0.3], 'sinc_prob': 0.0, 'blur_sigma': [1.5, 4.0],
                'resize_prob': [0.0, 0.2, 0.8], 'noise_range': [1.0, 5.0], 'poisson_scale_range': [0.05, 0.4],
                'jpeg_range': [70.0, 95.0], 'second_blur_prob': 0.0, 'noise_range2': [1.0, 3.0],
                'poisson_scale_range2': [0.05, 0.3], 'jpeg_range2': [70.0, 95.0], 'final_sinc_prob': 0.0,
                'jpeg_codec': 'libjpeg',
            },
        ],
    },
}
# fmt: on


def expanded(opt: dict[str, Any]) -> dict[str, Any]:
    """A ``degradation:`` section with the values of its preset in place of the preset's name.

    Raises:
        OptionError: for an unknown preset.
    """
    settings = dict(opt)
    preset = settings.pop('preset', None)
    if preset is None:
        return settings
    return {**PRESETS[known_name(('degradation', 'preset'), preset, PRESETS)], **settings}


def build_degradation(opt: dict[str, Any], scale: int) -> Degradation:
    """Builds the degradation that an option file asks for.

    Args:
        opt (dict): The section: ``type`` and its arguments, or ``preset`` and what differs from it.
        scale (int): The option file's ``scale``, taken where the section states none.

    Raises:
        OptionError: for an unknown preset, type or argument, or a scale that differs from the option file's.
    """
    degradation: Degradation = build_part(('degradation',), DEGRADATION_REGISTRY, {'scale': scale, **expanded(opt)})
    if degradation.scale != scale:
        raise OptionError(f'reduces by {degradation.scale}, but scale is {scale}; make them agree', ('degradation',))
    return degradation
