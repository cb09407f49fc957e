"""benchmarks/dataloader.py: BasicSR's data sets and ours on the same files."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import dataloader
from facesr_ext.imaging import to_unit


@pytest.fixture(scope='module')
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    pytest.importorskip('lmdb')
    images = (np.full((40, 40, 3), 40 * number, np.uint8) for number in range(5))
    return dataloader.write_stores(tmp_path_factory.mktemp('stores'), images, 32)


@pytest.mark.parametrize('stored_as', dataloader.STORES)
@pytest.mark.parametrize('kind', dataloader.KINDS)
def test_both_sides_load_the_same_images(kind: str, stored_as: str, places: dict[str, tuple[Path, Path]]) -> None:
    gc.collect()
    stock, ours = (dataloader.open_set(name, places[stored_as], stored_as, 32) for name in dataloader.KINDS[kind])
    by_name = {Path(item['gt_path']).stem: item for item in (stock[i] for i in range(5))}  # in no order
    for index in (0, 3):
        theirs, mine = by_name[f'{index:08d}'], ours[index]
        assert mine['gt'].dtype == torch.uint8
        mine = {key: to_unit(mine[key]) for key in {'gt', 'lq'} & mine.keys()}
        gt = theirs['gt'] * 0.5 + 0.5 if kind == 'GT' else theirs['gt']  # the first one is brought to [-1, 1]
        assert mine['gt'].shape == (3, 32, 32) and torch.allclose(gt, mine['gt'], atol=1e-6)
        assert float(gt.mean()) == pytest.approx(40 * index / 255, abs=0.005)
        if kind == 'pairs':
            assert mine['lq'].shape == (3, 8, 8) and torch.allclose(theirs['lq'], mine['lq'], atol=1e-6)


def test_a_row(places: dict[str, tuple[Path, Path]]) -> None:
    row = dataloader.compare('pairs', 'PNG', places['PNG'], 32, workers=1, rounds=1)
    assert set(dataloader.COLUMNS) <= set(row) and row['images'] == 5
    assert row['ours, images/s'] > 0 and row['ours, CPU ms an image'] > 0
    assert row['ratio'].value == pytest.approx(row['ours, images/s'] / row['BasicSR, images/s'])
