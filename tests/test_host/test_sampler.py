"""The training sampler: whole batches, BasicSR's order where nothing is filled up, exact resuming."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from basicsr.data.data_sampler import EnlargedSampler
from torch.utils.data import BatchSampler, DataLoader, Dataset

from facesr_ext.errors import DatasetError
from facesr_ext.host.samplers import EpochIndex, ResumableSampler

Place = tuple[int, int, int]


class Images(Dataset):
    """A data set of numbered images, with options as BasicSR's have them."""

    def __init__(self, size: int, batch: int) -> None:
        self.size = size
        self.opt = {'name': 'faces', 'batch_size_per_gpu': batch, 'dataroot_gt': 'some/folder'}

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> torch.Tensor:
        assert isinstance(index, EpochIndex)
        return torch.tensor([int(index), index.epoch, index.draw])


def batches(sampler: ResumableSampler) -> list[list[Place]]:
    """Reads an epoch as the loader does, incomplete batches dropped."""
    loader: Any = BatchSampler(sampler, sampler.batch_size, drop_last=True)
    return [[(int(i), i.epoch, i.draw) for i in batch] for batch in loader]


def run(sampler: ResumableSampler, iterations: int, first_epoch: int) -> list[list[Place]]:
    """Walks through epochs as the runner does, one iter() too many at the start included."""
    iter(sampler)
    seen: list[list[Place]] = []
    epoch = first_epoch
    while len(seen) < iterations:
        sampler.set_epoch(epoch)
        seen += batches(sampler)
        epoch += 1
    return seen[:iterations]


def test_epoch_index_is_an_int_and_survives_pickling() -> None:
    index = pickle.loads(pickle.dumps(EpochIndex(3, 5, 103)))
    assert (index, index.epoch, index.draw) == (3, 5, 103)
    assert isinstance(index, EpochIndex) and ['a', 'b', 'c', 'd'][index] == 'd'


@pytest.mark.parametrize(('size', 'ratio', 'batch', 'world'), [(8, 1, 4, 1), (6, 4, 4, 2), (5, 3, 5, 3)])
def test_same_order_as_basicsr_where_nothing_is_filled_up(size: int, ratio: int, batch: int, world: int) -> None:
    for rank in range(world):
        ours = ResumableSampler(Images(size, batch), world, rank, ratio)
        stock = EnlargedSampler(Images(size, batch), world, rank, ratio)
        for epoch in (0, 1, 7):
            ours.set_epoch(epoch)
            stock.set_epoch(epoch)
            assert list(ours) == list(stock)


@pytest.mark.parametrize(('size', 'batch', 'world'), [(7, 4, 1), (3, 4, 1), (3, 16, 1), (7, 4, 3), (1, 2, 2)])
def test_epochs_of_whole_batches_use_every_image_and_no_draw_twice(size: int, batch: int, world: int) -> None:
    samplers = [ResumableSampler(Images(size, batch), world, rank) for rank in range(world)]
    assert all(len(s) % batch == 0 for s in samplers)
    assert samplers[0].iters_per_epoch == -(-size // (batch * world))
    drawn = [place for s in samplers for batch_ in batches(s) for place in batch_]
    assert len(drawn) == samplers[0].iters_per_epoch * batch * world
    assert {index for index, _, _ in drawn} == set(range(size))
    assert len({draw for _, _, draw in drawn}) == len(drawn)


def test_stock_sampler_and_loader_drop_what_the_runner_counts() -> None:
    stock = EnlargedSampler(Images(3, 4), 1, 0)
    assert len(DataLoader(Images(3, 4), 4, sampler=stock, drop_last=True)) == 0
    ours = ResumableSampler(Images(3, 4), 1, 0)
    assert len(DataLoader(Images(3, 4), 4, sampler=ours, drop_last=True)) == 1


def test_images_that_come_twice_take_turns() -> None:
    sampler = ResumableSampler(Images(7, 4), 1, 0)
    counts: Counter[int] = Counter()
    for epoch in range(7):
        sampler.set_epoch(epoch)
        counts.update(int(i) for i in sampler)
    assert set(counts.values()) == {8}


@pytest.mark.parametrize('done', [0, 1, 2, 3, 5, 6, 7])
@pytest.mark.parametrize('saved_epoch', [None, 40])
def test_resumed_run_sees_the_batches_of_the_unbroken_one(done: int, saved_epoch: int | None) -> None:
    whole = run(ResumableSampler(Images(10, 4), 1, 0), 12, 0)
    resumed = ResumableSampler(Images(10, 4), 1, 0)
    resumed.resume(done)
    first = max(done - 1, 0) // 3 if saved_epoch is None else saved_epoch
    if done == 0:
        first = 0
    assert run(resumed, 12 - done, first) == whole[done:]


def test_the_batch_of_the_loader_counts_where_it_is_not_that_of_the_options() -> None:
    sampler = ResumableSampler(Images(10, 2), 1, 0)
    sampler.align(8)
    assert (len(sampler), sampler.iters_per_epoch) == (16, 2)
    sampler.align(5)
    assert (len(sampler), sampler.iters_per_epoch) == (10, 2)


@pytest.mark.parametrize('workers', [0, 1])
def test_places_reach_the_dataset_through_a_loader(workers: int) -> None:
    sampler = ResumableSampler(Images(3, 4), 1, 0)
    loader = DataLoader(sampler.dataset, 4, sampler=sampler, drop_last=True, num_workers=workers)
    sampler.set_epoch(2)
    (batch,) = list(loader)
    assert batch[:, 1].tolist() == [2, 2, 2, 2]
    assert sorted(batch[:, 2].tolist()) == [0, 1, 2, 3]


def test_empty_set_is_named() -> None:
    with pytest.raises(DatasetError, match="'faces' has no images.*some/folder"):
        ResumableSampler(Images(0, 4), 1, 0)
