"""How the cost grows with the size of images, the batch, the files and the processes, and where not in proportion.

    python -m benchmarks.scaling [--quick] [--parts size batch files processes] [--threads 1] [--out FILE]

size: an iteration of nafsr.yml, batch 4, by the side of what the network takes; in proportion to its pixels.
batch: the same at 32 px, by the batch.
files: opening a folder of images as a data set, by their number.
processes: the same iteration in so many processes at once, one thread each, by the clock: none should wait for another.
A step between two rows is in proportion where the cost grows with the amount by a power of 0.8 to 1.2. Seconds are the
processor's, but for processes.
"""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from basicsr.data import build_dataset

from benchmarks.common import OPTIONS, Spent, Table, add_output, argument_parser, in_turns, spent, told
from benchmarks.train_sides import Case
from benchmarks.train_step import workers
from facesr_ext.data.image_io import encode_image

COLUMNS = {'part': '', 'amount': 'd', 's': '.4f', 'for each, ms': '.4f', 'power': '.2f'}
AMOUNTS = {
    'size': (16, 32, 64, 128, 192), 'batch': (1, 2, 4, 8, 16, 32), 'files': (100, 1000, 10_000, 50_000),
    'processes': (1, 2, 4),
}  # fmt: skip
QUICK = {'size': (16, 32, 64), 'batch': (1, 4, 16), 'files': (100, 1000), 'processes': (1, 2)}
_LEAST, _MOST = 0.8, 1.2
_WAITED = 1.2  # times one alone
RECIPE = OPTIONS / 'nafsr.yml'


def powers(amounts: Sequence[float], costs: Sequence[float]) -> list[float]:
    """By which power of the amount the cost grows from each to the next."""
    pairs = zip(amounts, amounts[1:], costs, costs[1:], strict=False)
    return [math.log(later / cost) / math.log(more / amount) for amount, more, cost, later in pairs]


def verdict(amounts: Sequence[int], found: Sequence[float]) -> str:
    """Where the cost is in proportion to the amount: the longest run of steps."""
    best, start = (0, 0), 0
    for number, power in enumerate([*found, math.inf]):
        if not _LEAST <= power <= _MOST:
            best = max(best, (start, number), key=lambda run: run[1] - run[0])
            start = number + 1
    if best[0] == best[1]:
        return 'in proportion nowhere'
    text = f'in proportion from {amounts[best[0]]} to {amounts[best[1]]}'
    if best[1] < len(found):
        text += f'; beyond, it grows by the power {found[best[1]]:.2f}'
    return text


def held(amounts: Sequence[int], costs: Sequence[float]) -> str:
    """Up to where more at once cost no more time."""
    most = max(amount for amount, cost in zip(amounts, costs, strict=True) if cost <= _WAITED * costs[0])
    return f'{most} at once take no longer than one'


def iterations(part: str, amounts: Sequence[int], rounds: int, threads: int) -> list[float]:
    """CPU seconds of an iteration at each size or batch."""
    found = []
    with tempfile.TemporaryDirectory() as folder, workers(['one']) as pool:
        for amount in amounts:
            px, batch = (amount, 4) if part == 'size' else (32, amount)
            pool['one'].ask('build', Case(RECIPE, px, batch, threads, 'fp32'), False, Path(folder))
            values = in_turns({'one': partial(pool['one'].ask, 'iterate')}, rounds)['one']
            found.append(statistics.median(value.cpu for value in values))
    return found


def openings(amounts: Sequence[int], rounds: int) -> list[float]:
    """CPU seconds of opening a data set of so many files."""
    image, found = encode_image(np.zeros((32, 32, 3), np.uint8)), []
    for amount in amounts:
        with tempfile.TemporaryDirectory() as folder:
            for number in range(amount):
                Path(folder, f'{number:06d}.png').write_bytes(image)
            section = {'name': 'files', 'type': 'FaceDataset', 'phase': 'train', 'scale': 4, 'manual_seed': 0}
            section |= {'dataroot_gt': folder, 'io_backend': {'type': 'disk'}}
            values = in_turns({'one': partial(spent, partial(build_dataset, section))}, rounds)['one']
        found.append(statistics.median(value.cpu for value in values))
    return found


def together(amounts: Sequence[int], rounds: int) -> list[float]:
    """Seconds until so many processes have made an iteration each, all at once."""
    names = [str(number) for number in range(max(amounts))]
    with tempfile.TemporaryDirectory() as folder, workers(names) as pool, ThreadPoolExecutor(len(names)) as callers:
        for worker in pool.values():
            worker.ask('build', Case(RECIPE, 32, 4, 1, 'fp32'), False, Path(folder))

        def iterate(count: int) -> Spent:
            chosen = list(pool.values())[:count]
            return spent(lambda: list(callers.map(lambda worker: worker.ask('iterate'), chosen)))

        values = in_turns({str(amount): partial(iterate, amount) for amount in amounts}, rounds)
    return [statistics.median(value.wall for value in found) for found in values.values()]


def measure(part: str, amounts: Sequence[int], rounds: int, threads: int) -> tuple[list[dict[str, Any]], str]:
    """Rows of a part, and what they come to."""
    if part == 'processes':
        costs = together(amounts, rounds)
    else:
        costs = openings(amounts, rounds) if part == 'files' else iterations(part, amounts, rounds, threads)
    units = [amount**2 for amount in amounts] if part == 'size' else list(amounts)
    found = powers(units, costs)
    rows = [
        {'part': part, 'amount': amount, 's': cost, 'for each, ms': 1000 * cost / unit, 'power': power}
        for amount, unit, cost, power in zip(amounts, units, costs, [None, *found], strict=True)
    ]
    return rows, held(amounts, costs) if part == 'processes' else verdict(amounts, found)


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--parts', nargs='+', choices=AMOUNTS, default=list(AMOUNTS))
    parser.add_argument('--threads', type=int, default=1, help='of an iteration, but for processes')
    parser.add_argument('--rounds', type=int, help='5')
    add_output(parser)
    args = parser.parse_args()
    rounds = args.rounds or (2 if args.quick else 5)
    with told(parser):
        table = Table(f'How the cost grows, medians of {rounds}', COLUMNS)
        said = []
        for part in args.parts:
            rows, text = measure(part, (QUICK if args.quick else AMOUNTS)[part], rounds, args.threads)
            said.append(f'{part}: {text}')
            for row in rows:
                table.add({**row, 'verdict': text})
    print('\n' + '\n'.join(said))
    table.write(args.out)


if __name__ == '__main__':
    main()
