"""A training sampler that knows its place: whole batches, exact resuming, and an index that says where it was drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from basicsr.data.data_sampler import EnlargedSampler

from facesr_ext.errors import DatasetError


class EpochIndex(int):
    """Index of an image that also says when it is drawn.

    A dataset can seed its random choices with (manual_seed, epoch, draw): then they depend neither on the worker that
    happens to load the image nor on whether the run was interrupted. Any dataset can use it as a plain int.

    Args:
        value (int): Index of the image, [0, len(dataset)).
        epoch (int): Epoch of the sampler, from 0.
        draw (int): Place in the enlarged epoch before shuffling; no two draws of an epoch are equal, also where they
            give the same image.
    """

    epoch: int
    draw: int

    def __new__(cls, value: int, epoch: int, draw: int) -> EpochIndex:
        index = super().__new__(cls, value)
        index.epoch = epoch
        index.draw = draw
        return index

    def __reduce__(self) -> tuple[Any, ...]:
        return EpochIndex, (int(self), self.epoch, self.draw)


class ResumableSampler(EnlargedSampler):
    """BasicSR's EnlargedSampler, with epochs of whole batches and a start in mid-epoch.

    The stock loader drops the last incomplete batch while the runner counts it, so runs end early, and a set smaller
    than one batch trains nothing. Here an epoch goes on from the beginning of the data until it is a multiple of the
    batch size on every rank; which images come twice moves on from epoch to epoch. Where nothing needs filling up, the
    order is that of BasicSR, number for number.

    The batch size is not among BasicSR's constructor arguments: it is read from ``dataset.opt['batch_size_per_gpu']``,
    and `align` sets the one that the loader really uses (BasicSR multiplies it by num_gpu outside distributed
    training).

    Args:
        dataset (Dataset): Training set, with its options in ``opt`` as all datasets of BasicSR have.
        num_replicas (int): Number of processes.
        rank (int): This process, [0, num_replicas).
        ratio (int | float): dataset_enlarge_ratio.

    Raises:
        DatasetError: The training set is empty.
    """

    def __init__(self, dataset: Any, num_replicas: int, rank: int, ratio: float = 1) -> None:
        super().__init__(dataset, num_replicas, rank, ratio)
        options = getattr(dataset, 'opt', None) or {}
        if len(dataset) == 0:
            raise DatasetError(
                f'The training set {options.get("name", type(dataset).__name__)!r} has no images: '
                f'check datasets:train:dataroot_gt ({options.get("dataroot_gt")}) and meta_info_file.'
            )
        self._stock_samples: int = self.num_samples
        self._start: tuple[int, int] = (0, 0)  # epoch, batches to skip in it
        self._first_call: int | None = None  # what the runner calls the epoch of _start
        self._skip = 0
        self.align(int(options.get('batch_size_per_gpu', 1)))

    def align(self, batch_size: int) -> None:
        """Fills the epoch up to whole batches.

        Args:
            batch_size (int): Samples in a batch of one rank.
        """
        self.batch_size = batch_size
        self.iters_per_epoch = math.ceil(self._stock_samples / batch_size)
        self.num_samples = self.iters_per_epoch * batch_size
        self.total_size = self.num_samples * self.num_replicas

    def resume(self, iteration: int) -> None:
        """Makes the next `set_epoch` go to the place after ``iteration`` finished iterations; 0 starts afresh.

        The epoch number that the runner gives is then only counted from: it may come from a run with another batch
        size.

        Args:
            iteration (int): Finished iterations of the run.
        """
        self._start = divmod(iteration, self.iters_per_epoch)
        self._first_call = None

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; the first call after `resume` chooses the one resumed in, with its used batches left out.

        Args:
            epoch (int): Number of the epoch in the runner.
        """
        if self._first_call is None:
            self._first_call = epoch if self._start != (0, 0) else 0
        self.epoch = epoch - self._first_call + self._start[0]
        self._skip = self._start[1] if epoch == self._first_call else 0

    def __iter__(self) -> Iterator[EpochIndex]:
        """Draws the epoch. Changes no state: the runner calls iter() once too often, before the first set_epoch."""
        generator = torch.Generator()
        generator.manual_seed(self.epoch)
        draws = torch.randperm(self.total_size, generator=generator)[self.rank :: self.num_replicas]
        epoch, size = self.epoch, len(self.dataset)
        shift = epoch * (self.total_size % size)  # the images that come once more than others take turns
        remaining = draws[self._skip * self.batch_size :].tolist()
        return (EpochIndex((draw + shift) % size, epoch, draw) for draw in remaining)
