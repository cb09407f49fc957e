"""Values that a degradation refuses: each with its own key, what it has to be and what it is."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from facesr_ext.degradations.presets import build_degradation
from facesr_ext.errors import OptionError

FIRST, SECOND = {'preset': 'ai6126_2023'}, {'preset': 'realesrgan'}
PAIR = 'must be two numbers [low, high], 0 <= low <= high, not '
SHARE = 'must be a number from 0 to 1, not '
SIZES = 'must be a list of odd whole numbers, as [7, 9, 11], not '
BOTH = ('', '2')


def _refused(section: dict[str, Any], scale: int = 4) -> OptionError:
    with pytest.raises(OptionError) as caught:
        build_degradation(section, scale)
    return caught.value


@pytest.mark.parametrize('suffix', BOTH)
@pytest.mark.parametrize(
    'name', ['blur_sigma', 'betag_range', 'betap_range', 'resize_range', 'noise_range', 'poisson_scale_range']
)
@pytest.mark.parametrize(
    ('value', 'shown'),
    [
        (2.0, '2.0'), ([1], '[1]'), ([1, 2, 3], '[1, 2, 3]'), (None, 'empty'), ('low', "'low'"), ([2, 1], '[2, 1]'),
        ([-1, 1], '[-1, 1]'), ([1, 'a'], "[1, 'a']"), ([0, True], '[0, True]'), ([0, float('nan')], '[0, nan]'),
        ([0, float('inf')], '[0, inf]'),
    ],
)  # fmt: skip
def test_ranges(name: str, suffix: str, value: Any, shown: str) -> None:
    error = _refused({**SECOND, name + suffix: value})
    pair = PAIR.replace('high,', 'high <= 255,') if name == 'noise_range' else PAIR
    assert (error.key, error.message) == (('degradation', name + suffix), pair + shown)


@pytest.mark.parametrize('suffix', BOTH)
@pytest.mark.parametrize('name', ['betag_range', 'betap_range', 'resize_range'])
@pytest.mark.parametrize('value', [[0, 0], [0, 1.5], [2, 3], [0.2, 0.8], [0.5, 1000]])
def test_factors_on_both_sides_of_1(name: str, suffix: str, value: list[float]) -> None:
    """A draw from low to 1 or from 1 to high: with other values it would go the other way, or nowhere."""
    error = _refused({**SECOND, name + suffix: value})
    assert error.key == ('degradation', name + suffix)
    assert error.message == f'must be [low, high], 0 < low <= 1 <= high <= 16, not {value}'


@pytest.mark.parametrize('value', [[0.8, 8], [0, 1], [0, 0], [1000, 1000]])
def test_shares_of_a_size(value: list[float]) -> None:
    """Other tools have divisors there."""
    error = _refused({**FIRST, 'downscale_range': value})
    assert error.key == ('degradation', 'downscale_range')
    assert error.message.startswith(f'must be shares of the size, 0 < low <= high <= 1, not {value}')


@pytest.mark.parametrize(
    'section',
    [
        {'noise_range': [5, 5]}, {'noise_range': [0, 0]}, {'poisson_scale_range': [0, 0]}, {'resize_range': [1, 1]},
        {'betag_range': [1, 1]}, {'jpeg_range': [100, 100]}, {'sinc_prob': 1}, {'blur_sigma': [1.0e-12, 1.0e-12]},
        {'kernel_prob': [1.0e-300] * 6}, {'groups': 1000},
    ],
)  # fmt: skip
def test_values_at_their_bounds_give_images(section: dict[str, Any]) -> None:
    made = build_degradation({**SECOND, **section}, 4)
    lq = made(torch.rand(2, 3, 32, 32), torch.Generator().manual_seed(0))
    assert lq.shape == (2, 3, 8, 8) and torch.isfinite(lq).all()


def test_range_of_the_first_order_alone() -> None:
    error = _refused({**FIRST, 'downscale_range': [1, 0.5]})
    assert (error.key, error.message) == (('degradation', 'downscale_range'), PAIR + '[1, 0.5]')


@pytest.mark.parametrize('name', ['jpeg_range', 'jpeg_range2'])
@pytest.mark.parametrize('value', [[0.3, 0.95], [50, 101], [95, 50], 90])
def test_jpeg_quality(name: str, value: Any) -> None:
    error = _refused({**SECOND, name: value})
    assert error.key == ('degradation', name)
    assert error.message == f'must be two numbers [low, high], 1 <= low <= high <= 100, not {value}'


@pytest.mark.parametrize(
    'name',
    ['second_blur_prob', 'final_sinc_prob']
    + [name + suffix for name in ('sinc_prob', 'gaussian_noise_prob', 'gray_noise_prob') for suffix in BOTH],
)
@pytest.mark.parametrize('value', [50, -0.1, '0.5', None, True, [0.5]])
def test_probabilities(name: str, value: Any) -> None:
    error = _refused({**SECOND, name: value})
    assert error.key == ('degradation', name)
    assert error.message == SHARE + ('empty' if value is None else repr(value))


@pytest.mark.parametrize('suffix', BOTH)
@pytest.mark.parametrize('value', [[0, 0, 0], [1, 1, -1], [1, 2], [1, 1, 1, 1], 0.5, [1, 'a', 1]])
def test_weights(suffix: str, value: Any) -> None:
    error = _refused({**SECOND, 'resize_prob' + suffix: value})
    assert error.key == ('degradation', 'resize_prob' + suffix)
    each = 'one for each of up, down, keep, none below 0 and not all of them 0'
    assert error.message == f'must be 3 weight(s), {each}, not {value}'
    kinds = {'kernel_list' + suffix: ['iso', 'aniso', 'plateau_iso'], 'kernel_prob' + suffix: value}
    error = _refused({**SECOND, **kinds})
    assert error.key == ('degradation', 'kernel_prob' + suffix)
    assert error.message.startswith('must be 3 weight(s), one for each of iso, aniso, plateau_iso, none below 0')


@pytest.mark.parametrize('suffix', BOTH)
def test_kinds_of_kernels(suffix: str) -> None:
    for value, message in (
        (['anisotropic'], "'anisotropic' is unknown; did you mean aniso?"),
        ([], 'must be a list of iso, aniso, '),
        ('iso', 'must be a list of iso, aniso, '),
    ):
        error = _refused({**SECOND, 'kernel_list' + suffix: value})
        assert error.key == ('degradation', 'kernel_list' + suffix) and error.message.startswith(message)


@pytest.mark.parametrize('value', [[], 41, [8], [7, 8], [-1], [7.5], None, ['7']])
def test_kernel_sizes(value: Any) -> None:
    error = _refused({**FIRST, 'kernel_sizes': value})
    assert error.key == ('degradation', 'kernel_sizes')
    assert error.message == SIZES + ('empty' if value is None else repr(value))


@pytest.mark.parametrize('value', [0, -1, 1.5, True, 'all', float('inf')])
def test_groups(value: Any) -> None:
    error = _refused({**SECOND, 'groups': value})
    assert (error.key, error.message) == (
        ('degradation', 'groups'),
        f'must be a whole number from 1 on, not {value!r}',
    )


@pytest.mark.parametrize('kind', ['FirstOrderDegradation', 'SecondOrderDegradation', 'BicubicDegradation'])
def test_scale(kind: str) -> None:
    error = _refused({'type': kind, 'scale': 0})
    assert error.key == ('degradation', 'scale') and error.message.startswith('must be a whole number from 1 ')


@pytest.mark.parametrize('preset', ['realesrgan', 'ai6126_2023'])
def test_names(preset: str) -> None:
    error = _refused({'preset': preset, 'jpeg_codec': 'libjpg'})
    assert str(error) == "degradation:jpeg_codec: 'libjpg' is unknown; did you mean libjpeg?"
    error = _refused({'preset': preset, 'jpeg_rang': [1, 2]})
    assert error.key == ('degradation', 'jpeg_rang') and 'did you mean jpeg_range?' in error.message


def test_a_learned_degradation_wants_a_path() -> None:
    error = _refused({'type': 'LearnedDegradation', 'checkpoint': 5})
    assert (error.key, error.message) == (('degradation', 'checkpoint'), 'must be the path of a file, not 5')


@pytest.mark.parametrize('value', [0, -1, 'often', True, float('nan')])
def test_a_part_s_probability(value: Any) -> None:
    parts = [{'preset': 'bicubic_x4'}, {'preset': 'realesrgan', 'probability': value}]
    error = _refused({'type': 'MixtureDegradation', 'parts': parts})
    assert error.key == ('degradation', 'parts', '1', 'probability')
    assert error.message == f'must be a number above 0, not {value!r}'


@pytest.mark.parametrize(
    ('parts', 'key', 'message'),
    [
        ([], (), 'must be a list of at least one part'),
        (None, (), 'must be a list of at least one part'),
        ({'preset': 'bicubic_x4'}, (), 'must be a list of at least one part'),
        (['bicubic_x4'], ('0',), "must be a section (preset or type, and probability), not 'bicubic_x4'"),
        ([{'preset': 'bicubic'}], ('0', 'preset'), "'bicubic' is unknown; did you mean bicubic_x"),
        ([{'preset': 'bicubic_x4'}, {**SECOND, 'noise_range': 5}], ('1', 'noise_range'), PAIR[:-6]),
        ([{**SECOND, 'groups': 0}], ('0', 'groups'), 'must be a whole number from 1 on, not 0'),
        ([{'preset': 'bicubic_x8'}], ('0',), 'reduces by 8, but scale is 4'),
        ([{'type': 'MixtureDegradation', 'parts': [{**FIRST, 'sinc_prob': 2}]}],
         ('0', 'parts', '0', 'sinc_prob'), SHARE),
    ],
)  # fmt: skip
def test_parts_key_their_errors(parts: Any, key: tuple[str, ...], message: str) -> None:
    error = _refused({'type': 'MixtureDegradation', 'parts': parts})
    assert error.key == ('degradation', 'parts', *key) and error.message.startswith(message)


def test_parts_enlarge_alike() -> None:
    parts = [{'preset': 'bicubic_x8'}, {'preset': 'fsrnet_x8'}]
    error = _refused({'type': 'MixtureDegradation', 'parts': parts}, 8)
    assert error.key == ('degradation', 'parts') and error.message.startswith('all enlarge the LQ, or none does')
