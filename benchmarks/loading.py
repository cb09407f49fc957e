"""A training iteration whose faces none, one or two processes load: what `num_worker_per_gpu: auto` goes by.

    python -m benchmarks.loading [--quick] [--opts options/nafsr.yml ...] [--gt FOLDER] [--workers 0 1 2] [--out FILE]

One model is trained, by batches that loaders with different numbers of processes give in turns. A loader's processes
work on the next batch while this one is trained on, and sleep until theirs is asked for again. `alone` is the time of
a batch in the process that trains: more than that no number of processes can save.
"""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from basicsr.data import build_dataset
from basicsr.models import build_model
from basicsr.utils import get_root_logger
from torch.utils.data import DataLoader, RandomSampler

from benchmarks.common import (
    OPTIONS,
    Spent,
    Table,
    add_device,
    add_output,
    argument_parser,
    in_turns,
    ratio,
    spent,
    told,
)
from facesr_ext._threads import wanted
from facesr_ext.host.entry import read_options
from facesr_ext.host.workers import prepare_loader

COLUMNS = {'recipe': '', 'batch': 'd', 'workers': 'd', 's': '.3f', 'times 0 workers': '', 'alone, s': '.4f'}
_ENDLESS = 10**6


class Trained:
    """A model of an option file, and a loader for each number of processes.

    Args:
        recipe (Path): The option file.
        gt (str): Folder of images, or builtin.
        batch (int | None): Instead of the file's.
        counts (Sequence[int]): Processes that load.
        device (str): 'cpu' or 'cuda'.
        folder (Path): For the run.
    """

    def __init__(self, recipe: Path, gt: str, batch: int | None, counts: list[int], device: str, folder: Path) -> None:
        get_root_logger().setLevel(logging.ERROR)
        forced = [f'num_gpu={int(device != "cpu")}', f'datasets:train:dataroot_gt={gt}']
        opt = read_options(str(recipe), forced, folder)
        for key in ('models', 'training_states', 'visualization'):
            Path(opt['path'][key]).mkdir(parents=True, exist_ok=True)
        section = {**opt['datasets']['train'], 'manual_seed': 0}
        self.batch, self.device, self.iteration = batch or int(section['batch_size_per_gpu']), device, 0
        data = build_dataset(section)
        self.batches: dict[int, Iterator[Any]] = {}
        for count in counts:
            order = RandomSampler(data, True, _ENDLESS, torch.Generator().manual_seed(0))
            loader = DataLoader(data, self.batch, sampler=order, num_workers=count, pin_memory=device != 'cpu')
            prepare_loader(loader, {})
            self.batches[count] = iter(loader)
        self.model: Any = build_model(opt)

    def iterate(self, count: int) -> Spent:
        """One iteration on the next batch of a loader."""
        return spent(partial(self._iterate, count), self.device)

    def _iterate(self, count: int) -> None:
        self.iteration += 1
        self.model.update_learning_rate(self.iteration, warmup_iter=-1)
        self.model.feed_data(next(self.batches[count]))
        self.model.optimize_parameters(self.iteration)
        self.model.get_current_log()

    def load(self) -> float:
        """Seconds of a batch in this process, the median of five; 0 must be one of the counts."""
        return statistics.median(spent(lambda: next(self.batches[0])).wall for _ in range(5))


def measure(trained: Trained, limits: tuple[int, float]) -> Iterator[dict[str, Any]]:
    """A row for each number of processes.

    Args:
        trained (Trained): What is measured; 0 is one of its numbers.
        limits (tuple): Rounds, and seconds after which no further one begins.
    """
    runs: dict[str, Callable[[], Spent]] = {str(count): partial(trained.iterate, count) for count in trained.batches}
    values = {name: [value.wall for value in spent] for name, spent in in_turns(runs, *limits).items()}
    alone = trained.load()
    for name, walls in values.items():
        took = {'s': statistics.median(walls), 'times 0 workers': ratio(walls, values['0']), 'alone, s': alone}
        yield {'batch': trained.batch, 'workers': int(name), **took, 'rounds': len(walls), 'seconds': walls}


def rows(
    recipe: Path, given: tuple[str, int | None, list[int], str], limits: tuple[int, float]
) -> list[dict[str, Any]]:
    """What `measure` gives of a recipe, for a process of its own; ``given``: gt, batch, counts, device of `Trained`."""
    with tempfile.TemporaryDirectory() as folder:
        return list(measure(Trained(recipe, *given, Path(folder)), limits))


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    recipes = [OPTIONS / f'{name}.yml' for name in ('nafsr', 'faceattention')]
    parser.add_argument('--opts', type=Path, nargs='+', default=recipes, help='recipes; NAFSR and FaceAttentionNet')
    parser.add_argument('--gt', default='builtin', help='folder of photographs; drawn faces')
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 2], help='numbers of processes beside 0')
    parser.add_argument('--batch', type=int, help="instead of the recipe's")
    parser.add_argument('--rounds', type=int, default=15, help='at most')
    parser.add_argument('--seconds', type=float, default=60, help='of each recipe')
    add_device(parser)
    add_output(parser)
    args = parser.parse_args()
    limits = (3, 10.0) if args.quick else (args.rounds, args.seconds)
    counts = sorted({0, *args.workers})
    title = f'An iteration by who loads its faces, {torch.get_num_threads()} threads of {os.cpu_count()}'
    table = Table(title, COLUMNS, args.device)
    given = (args.gt, args.batch, counts, args.device)
    for recipe in args.opts:
        with told(parser), patch.dict(os.environ, wanted()), ProcessPoolExecutor(1, get_context('spawn')) as pool:
            for row in pool.submit(rows, recipe, given, limits).result():
                table.add({'recipe': recipe.stem, **row})
    table.write(args.out)


if __name__ == '__main__':
    main()
