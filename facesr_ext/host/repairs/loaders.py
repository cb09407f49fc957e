"""Repairs of the data loaders: whole batches, exact resuming, draws that a resumed run repeats, a pair that hangs."""

from __future__ import annotations

import functools
import logging
import math
import sys
from collections.abc import Callable
from typing import Any

from basicsr.data import prefetch_dataloader

from facesr_ext.errors import OptionError
from facesr_ext.host import resume, workers
from facesr_ext.host.patching import names_used, replace_everywhere
from facesr_ext.host.samplers import ResumableSampler

_train = sys.modules['basicsr.train']
SEEDED = 'facesr_ext_seeded'
"""Marks the build_dataloader that seeds other people's sets."""


def repair_sampler() -> None:
    """Makes epochs of whole batches, and a resumed run go on in mid-epoch.

    Symptom: 7 images, batch 4, total_iter 100 end after 51 iterations; 3 images, batch 4 train nothing and save an
    untrained net_g_latest; a resumed run begins the saved epoch again.
    Cause: the runner counts ceil(images / batch) iterations, the loader drops the last one; nothing remembers the
    place.
    What is done: the runner's EnlargedSampler becomes ResumableSampler, and its loader tells it the real batch size.
    """
    repair_sampler_of(vars(_train))


def repair_sampler_of(runner: dict[str, Any]) -> None:
    """Does it in a runner, given by the names of its module: BasicSR's, or a copy that draws by BasicSR's sampler."""
    sampler, stock = runner.get('EnlargedSampler'), runner.get('create_train_val_dataloader')
    if getattr(sampler, '__module__', '') != 'basicsr.data.data_sampler' or 'EnlargedSampler' not in names_used(stock):
        return
    if len(sampler(_ThreeImages(), 1, 0)) % 4 == 0:  # type: ignore[misc]
        return
    runner['EnlargedSampler'] = ResumableSampler
    runner['create_train_val_dataloader'] = _in_whole_batches(stock)


def _in_whole_batches(stock: Any) -> Callable[..., tuple[Any, ...]]:
    """A runner's create_train_val_dataloader that tells the sampler the batch size and where the run goes on."""

    @functools.wraps(stock)
    def create_train_val_dataloader(opt: dict[str, Any], logger: logging.Logger) -> tuple[Any, ...]:
        workers.complete_dataset_options(opt)
        for note in resume.FOUND.notes:
            logger.warning(note)
        loader, sampler, val_loaders, _, total_iters = stock(opt, logger)
        workers.prepare_loader(loader, opt['datasets']['train'])
        sampler.align(loader.batch_size)
        done = opt.get('resume_iter', 0)
        sampler.resume(done)
        first, skipped = divmod(done, sampler.iters_per_epoch)
        if skipped:
            logger.info(f'Resuming inside an epoch: {skipped} of its {sampler.iters_per_epoch} batches have been used.')
        if done and resume.FOUND.state is not None:
            resume.FOUND.val_loaders = list(val_loaders)
            # The saved number may come from another batch size, and ends an epoch late.
            resume.FOUND.state['epoch'] = first
        epochs = math.ceil(total_iters / sampler.iters_per_epoch)
        return loader, sampler, val_loaders, epochs, total_iters

    return create_train_val_dataloader


class _ThreeImages:
    """A stand-in data set, to see whether a sampler fills up batches of four."""

    opt = {'batch_size_per_gpu': 4}

    def __len__(self) -> int:
        return 3


def repair_prefetch() -> None:
    """Refuses ``prefetch_mode: cpu`` together with ``persistent_workers: true``.

    Symptom: KeyError in a thread, then the run hangs for ever.
    Cause: CPUPrefetcher starts an iterator that it throws away at the first reset, while its thread still reads from
    it; with persistent workers both iterators are one and the same object.
    """
    data = sys.modules['basicsr.data']
    stock = data.build_dataloader  # type: ignore[attr-defined]
    if 'iter' not in names_used(prefetch_dataloader.CPUPrefetcher.__init__) or hasattr(stock, '__wrapped__'):
        return

    @functools.wraps(stock)
    def build_dataloader(dataset: Any, dataset_opt: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if dataset_opt.get('prefetch_mode') == 'cpu' and dataset_opt.get('persistent_workers'):
            raise OptionError(
                f'datasets:{dataset_opt.get("phase", "train")}: prefetch_mode: cpu and persistent_workers: true hang '
                'BasicSR together. Remove one of them; persistent_workers alone gains more.'
            )
        return stock(dataset, dataset_opt, *args, **kwargs)

    replace_everywhere('build_dataloader', stock, build_dataloader)


def repair_draws() -> None:
    """Makes what is random in a training set of BasicSR's or of others a function of (manual_seed, epoch, draw).

    Symptom: a run that goes on in mid-epoch draws other crops and flips than one that was not stopped; the same file
    gives another run with another number of workers.
    Cause: the sets draw from the global streams of random and numpy, which no state holds.
    What is done: the loader gets the set as `workers.SeededDataset`. Ours draw from generators of their own.
    """
    data = sys.modules['basicsr.data']
    stock = data.build_dataloader  # type: ignore[attr-defined]
    if SEEDED in vars(stock):
        return

    @functools.wraps(stock)
    def build_dataloader(dataset: Any, dataset_opt: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if dataset_opt.get('phase') == 'train' and not type(dataset).__module__.startswith('facesr_ext.'):
            dataset = workers.SeededDataset(dataset, int(kwargs.get('seed') or dataset_opt.get('manual_seed') or 0))
        return stock(dataset, dataset_opt, *args, **kwargs)

    setattr(build_dataloader, SEEDED, True)
    replace_everywhere('build_dataloader', stock, build_dataloader)


REPAIRS: tuple[Callable[[], None], ...] = (repair_sampler, repair_prefetch, repair_draws)
