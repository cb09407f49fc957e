"""Axes as the command line has them, and the designs: orthogonal, and with the columns that they promise."""

from __future__ import annotations

import importlib.util
import itertools

import pytest

from facesr_ext.errors import OptionError
from facesr_ext.sweeps import designs
from facesr_ext.sweeps.designs import Axis, design_points, is_orthogonal, read_axes

needs_arrays = pytest.mark.skipif(importlib.util.find_spec('pyDOE3') is None, reason='the extra sweep is missing')


def _axes(*sizes: int) -> list[Axis]:
    return [Axis((f'k:{i}',), tuple((str(value),) for value in range(size))) for i, size in enumerate(sizes)]


def test_axes() -> None:
    lr, width, betas = read_axes([
        'train:optim_g:lr=1.0e-2,1e-3',
        'network_g:num_feat=32,64;network_g:num_block=8,4',
        'train:optim_g:betas=[0.9, 0.99],[0.5,0.9],~',
    ])  # fmt: skip
    assert lr == Axis(('train:optim_g:lr',), (('1.0e-2',), ('1e-3',))) and lr.name == 'optim_g:lr'
    assert width.overrides(1) == ['network_g:num_feat=64', 'network_g:num_block=4'] and width.label(1) == '64, 4'
    assert width.name == 'network_g:num_feat, network_g:num_block'
    assert [betas.label(i) for i in range(3)] == ['[0.9, 0.99]', '[0.5,0.9]', '~']


@pytest.mark.parametrize(
    ('texts', 'message'),
    [
        ([], 'name at least one'),
        (['lr'], 'is no axis; write KEY=a,b,c'),
        (['=1,2'], 'is no axis'),
        (['lr=1'], 'has one level'),
        (['lr=1,'], 'a value is empty; write ~ for none'),
        (['lr=1e-3,0.001'], 'level 2 is the same as level 1'),
        (['a=1,2;b=3'], 'need as many values each'),
        (['a=1,2', 'a=3,4'], 'a is set twice'),
        (['a=[1,2'], 'is no value'),
        (['a=!!python/object:os.system x,2'], 'was not executed'),
    ],
)
def test_no_axes(texts: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message) as raised:
        read_axes(texts)
    assert raised.value.key == ('--axis',)


def test_every_combination() -> None:
    assert design_points('full', _axes(2, 3)) == list(itertools.product(range(2), range(3)))
    with pytest.raises(OptionError, match='that are 1024 points'):
        design_points('full', _axes(*[2] * 10))


@needs_arrays
@pytest.mark.parametrize(
    ('design', 'sizes', 'num'),
    [
        ('L4', (2, 2, 2), 4), ('L8', (2,) * 7, 8), ('L9', (3,) * 4, 9), ('L16', (2,) * 15, 16), ('L16', (4,) * 5, 16),
        ('L18', (3,) * 6, 18), ('L18', (3, 6, 3), 18), ('L27', (3,) * 13, 27), ('L32', (4, 2, 4), 32),
    ],
)  # fmt: skip
def test_arrays_are_orthogonal(design: str, sizes: tuple[int, ...], num: int) -> None:
    points = design_points(design, _axes(*sizes))
    assert len(points) == len(set(points)) == num and is_orthogonal(points)
    assert all({point[i] for point in points} == set(range(size)) for i, size in enumerate(sizes))


@needs_arrays
@pytest.mark.parametrize(('design', 'sizes'), [('L8', (2, 2, 2)), ('L16', (2,) * 4), ('L27', (3, 3, 3))])
def test_columns_make_most_points_different(design: str, sizes: tuple[int, ...]) -> None:
    """Three columns of L8 can be half of all combinations, each twice; these are all."""
    assert sorted(design_points(design, _axes(*sizes))) == list(itertools.product(*map(range, sizes)))


@needs_arrays
def test_columns_that_are_not_orthogonal_are_passed_over() -> None:
    """The library's L64 of two levels has 59 such pairs of columns."""
    array = designs._arrays()['L64(2^31)']
    assert not is_orthogonal([tuple(row) for row in array.tolist()])
    assert is_orthogonal(design_points('L64', _axes(*[2] * 6)))


@needs_arrays
@pytest.mark.parametrize(
    ('design', 'sizes', 'message'),
    [
        ('L9', (2, 3), 'L9 has no columns for axes of 2, 3 levels; L36 has'),
        ('L4', (3, 3), 'L9 has, and so has full'),
        ('L9', (7, 7), 'take full'),
        ('L10', (2, 2), "there is no design 'L10'"),
        ('l9', (3, 3), 'did you mean L9?'),
    ],
)
def test_designs_that_do_not_fit(design: str, sizes: tuple[int, ...], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        design_points(design, _axes(*sizes))


def test_not_orthogonal() -> None:
    assert is_orthogonal([(0, 0), (0, 1), (1, 0), (1, 1)])
    assert not is_orthogonal([(0, 0), (0, 1), (1, 0), (1, 0)])
    assert not is_orthogonal([(0, 0), (0, 0), (1, 1), (1, 1)])
