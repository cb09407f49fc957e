"""A training iteration while other processes want the cores: how threads that wait for each other are to wait.

    python -m benchmarks.waiting [--quick] [--loads 0 2 4] [--opt options/quickstart.yml] [--out FILE]

GNU's OpenMP, which torch brings on Linux, lets a thread that has finished its part spin for milliseconds until the
others have. Where another process has one of the cores, the others wait for their turn there, and the one that spins
takes the core from them. ``GOMP_SPINCOUNT`` says how often it looks before it sleeps. Each setting is a process of its
own; they take turns, beside so many processes that do nothing but compute (`load`).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import OPTIONS, Spent, Table, add_output, argument_parser, in_turns, ratio, told
from benchmarks.train_sides import Case
from benchmarks.train_step import Worker

PLAIN = 'two threads, as OpenMP has it'
SETTINGS: dict[str, tuple[int, dict[str, str]]] = {
    'one thread': (1, {}),
    PLAIN: (2, {'GOMP_SPINCOUNT': '300000'}),  # libgomp's own number, whatever is set outside
    'two, GOMP_SPINCOUNT=10000': (2, {'GOMP_SPINCOUNT': '10000'}),
    'two, GOMP_SPINCOUNT=1000': (2, {'GOMP_SPINCOUNT': '1000'}),
    'two, GOMP_SPINCOUNT=0': (2, {'GOMP_SPINCOUNT': '0'}),
}
COLUMNS = {'load': 'd', 'threads': '', 's': '.3f', 'CPU s': '.3f', 'longest, s': '.3f', f'times {PLAIN}': ''}


@contextmanager
def busy(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many processes that compute and do nothing else."""
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            process = subprocess.Popen([sys.executable, '-S', '-c', 'while True: pass'])
            stack.callback(process.wait)
            stack.callback(process.kill)
            started.append(process)
        yield started


def measure(pool: dict[str, Worker], load: int, limits: tuple[int, float]) -> Iterator[dict[str, Any]]:
    """A row for each setting.

    Args:
        pool (dict): Setting -> process that has built its side.
        load (int): Busy processes beside.
        limits (tuple): Rounds, and seconds after which no further one begins.
    """
    runs: dict[str, Callable[[], Spent]] = {name: partial(worker.ask, 'iterate') for name, worker in pool.items()}
    with busy(load):
        values = in_turns(runs, *limits)
    plain = [value.wall for value in values[PLAIN]]
    for name, spent in values.items():
        walls = [value.wall for value in spent]
        cpu = statistics.median(value.cpu for value in spent)
        took = {'s': statistics.median(walls), 'CPU s': cpu, 'longest, s': max(walls)}
        yield {'load': load, 'threads': name, **took, f'times {PLAIN}': ratio(walls, plain)}


def main() -> None:
    """Measures and prints."""
    parser = argument_parser(__doc__)
    parser.add_argument('--opt', type=Path, default=OPTIONS / 'quickstart.yml', help='recipe; its batch is 16')
    parser.add_argument('--px', type=int, default=128, help='side of what the network takes')
    parser.add_argument('--loads', type=int, nargs='+', help='busy processes; 0, 1, 2 and 4')
    parser.add_argument('--settings', nargs='+', choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument('--rounds', type=int, default=15, help='at most')
    parser.add_argument('--seconds', type=float, default=60, help='of each load')
    add_output(parser)
    args = parser.parse_args()
    loads = args.loads or ([0, 4] if args.quick else [0, 1, 2, 4])
    limits = (5, 20.0) if args.quick else (args.rounds, args.seconds)
    table = Table(f'An iteration of {args.opt.stem} beside busy processes', COLUMNS)
    pool: dict[str, Worker] = {}
    with told(parser), tempfile.TemporaryDirectory() as folder:
        try:
            for name in dict.fromkeys([PLAIN, *args.settings]):
                threads, variables = SETTINGS[name]
                pool[name] = Worker(variables)
                pool[name].ask('build', Case(args.opt, args.px, 16, threads, 'fp32'), False, Path(folder))
            for load in loads:
                for row in measure(pool, load, limits):
                    table.add(row)
        finally:
            for worker in pool.values():
                worker.end()
    table.write(args.out)


if __name__ == '__main__':
    main()
