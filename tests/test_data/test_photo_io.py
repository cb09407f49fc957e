"""Photographs of strangers: large ones, and files of other kinds, are refused before they are decoded."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from facesr_ext.data.photo_io import decode_photo_file
from facesr_ext.errors import DatasetError


def _file(kind: str, size: tuple[int, int] = (40, 30), **more: str) -> bytes:
    out = io.BytesIO()
    Image.new('L' if more or size[0] > 40 else 'RGB', size, 90).save(out, kind, **more)
    return out.getvalue()


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF', 'BMP', 'GIF'])
def test_within_the_limit_a_photograph_is_as_without(kind: str) -> None:
    data = _file(kind)
    limited, free = decode_photo_file(data, 1200), decode_photo_file(data)
    assert np.array_equal(limited.image, free.image) and limited.suffix == free.suffix
    with pytest.raises(DatasetError, match=r'40x30 px, and 0.001199 million pixels are allowed'):
        decode_photo_file(data, 1199)


@pytest.mark.parametrize('kind', ['PPM', 'ICO', 'EPS'])
def test_other_kinds_are_read_without_a_limit_alone(kind: str) -> None:
    with pytest.raises(DatasetError, match='no photograph: JPEG'):
        decode_photo_file(_file(kind), 10**6)
    if kind == 'PPM':
        assert decode_photo_file(_file(kind)).image.shape == (30, 40, 3)


@pytest.mark.parametrize(('kind', 'more'), [('PNG', {}), ('GIF', {}), ('TIFF', {'compression': 'tiff_deflate'})])
def test_a_small_file_of_many_pixels_takes_no_memory(kind: str, more: dict[str, str]) -> None:
    data = _file(kind, (8000, 8000), **more)
    assert len(data) < 1_000_000
    tracemalloc.start()
    with pytest.raises(DatasetError, match='too many pixels'):
        decode_photo_file(data, 25_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000
