"""What the benchmarks share: arguments, errors, the clock, turns, ratios, tables, and where the option files are."""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import platform
import pstats
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from facesr_ext.errors import FaceSRError
from facesr_ext.runs.atomic import write_text

OPTIONS = Path(__file__).resolve().parents[1] / 'options'
Clock = Callable[[], float]
T = TypeVar('T')


class Spent(NamedTuple):
    """What a call has cost: seconds that went by, and seconds that processors worked on it."""

    wall: float
    cpu: float


class Interval(NamedTuple):
    """A ratio, and where it lies with 95 %."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f'{self.value:.2f} ({self.low:.2f}-{self.high:.2f})'


def argument_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the head of the benchmark's file, as it is laid out there."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Adds ``--device``: cpu, cuda, ...; a GPU where there is one."""
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')


def add_clock(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cpu-seconds``; ``args.clock`` is the clock that is meant."""
    parser.add_argument(
        '--cpu-seconds', dest='clock', action='store_const', const=time.process_time, default=time.perf_counter,
        help='count the seconds that the processor spends on it, where it is not idle otherwise',
    )  # fmt: skip


@contextmanager
def told(parser: argparse.ArgumentParser) -> Iterator[None]:
    """Errors that a user can mend are said without a traceback."""
    try:
        yield
    except FaceSRError as err:
        parser.error(str(err))


def timed(step: Callable[[], Any], device: str | torch.device, clock: Clock = time.perf_counter) -> float:
    """Seconds of one call, the work that it leaves to a GPU included."""
    _wait(device)
    start = clock()
    step()
    _wait(device)
    return clock() - start


def time_of_parts(step: Callable[[], Any], parts: Mapping[str, str], clock: Clock) -> dict[str, float]:
    """Seconds that one call spends in functions of the package, with all that they call.

    Args:
        step (Callable): The call.
        parts (Mapping): What a part is called -> its function: 'file.function', without suffix.
        clock (Callable): Seconds of whatever kind.
    """
    profile = cProfile.Profile(clock)
    profile.runcall(step)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = {f'{Path(file).stem}.{name}': row[3] for (file, _, name), row in stats.items() if 'facesr_ext' in file}
    return {part: spent.get(function, 0.0) for part, function in parts.items()}


def spent(step: Callable[[], Any], device: str | torch.device = 'cpu') -> Spent:
    """What one call costs, all its threads and the children that have ended counted."""
    _wait(device)
    start, processors = time.perf_counter(), _processors()
    step()
    _wait(device)
    return Spent(time.perf_counter() - start, _processors() - processors)


def _processors() -> float:
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


def in_turns(runs: Mapping[str, Callable[[], T]], rounds: int, seconds: float = float('inf')) -> dict[str, list[T]]:
    """Calls each in turn, and every other round in the opposite order: what else the machine does weighs on all alike.

    Args:
        runs (Mapping): What is measured; the first round only warms up.
        rounds (int): Rounds that count.
        seconds (float): After so many no further round begins, but for the second. Default: any.

    Returns:
        dict: The values of each, in the order of the rounds.
    """
    values: dict[str, list[T]] = {name: [] for name in runs}
    start = time.perf_counter()
    for number in range(rounds + 1):
        if number > 2 and time.perf_counter() - start > seconds:
            break
        for name in list(runs) if number % 2 else reversed(list(runs)):
            value = runs[name]()
            if number:
                values[name].append(value)
    return values


def ratio(first: Sequence[float], second: Sequence[float], draws: int = 2000) -> Interval:
    """How many times the second's median the first's is, by a bootstrap over the rounds that they share.

    Args:
        first, second (Sequence[float]): A value for each round.
        draws (int): Resamplings. Default: 2000.
    """
    pairs = np.array([first, second], float)
    chosen = np.random.default_rng(0).integers(0, pairs.shape[1], (draws, pairs.shape[1]))
    upper, lower = np.median(pairs[:, chosen], axis=2)
    low, high = np.quantile(upper / lower, [0.025, 0.975])
    return Interval(statistics.median(first) / statistics.median(second), float(low), float(high))


def machine(device: str | torch.device = 'cpu') -> dict[str, Any]:
    """What the figures depend on; ``load`` is how many processes wanted a processor in the last minute."""
    known = Path('/proc/cpuinfo')
    named = re.search(r'model name\s*: (.+)', known.read_text(encoding='utf-8')) if known.is_file() else None
    found: dict[str, Any] = {
        'processor': named[1] if named else platform.processor(),
        'instructions': torch.backends.cpu.get_cpu_capability(),
        'cores': os.cpu_count(),
        'torch': torch.__version__,
        'load': round(os.getloadavg()[0], 1),
    }
    if torch.device(device).type == 'cuda':
        found['gpu'] = torch.cuda.get_device_name(device)
    return found


def machine_text(found: Mapping[str, Any]) -> str:
    """One line of what `machine` has found."""
    busy = ' (a busy machine: look at the seconds of the processor)' if found['load'] > 0.5 else ''
    gpu = f'{found["gpu"]}, ' if 'gpu' in found else ''
    where = f'{gpu}{found["processor"]}, {found["cores"]} cores, {found["instructions"]}'
    return f'{where}; torch {found["torch"]}; load when it began: {found["load"]}{busy}'


class Table:
    """A Markdown table that is printed as its rows come, and a file of its figures.

    Args:
        title (str): What is measured, one line.
        columns (Mapping): What a column is called -> how its values are written (``.1f``; empty: as they are).
        device (str | device): Where it is measured.
    """

    def __init__(self, title: str, columns: Mapping[str, str], device: str | torch.device = 'cpu') -> None:
        self.title, self.columns, self.machine = title, columns, machine(device)
        self.rows: list[dict[str, Any]] = []
        print(f'{title}\n\n{machine_text(self.machine)}\n')
        print(f'| {" | ".join(columns)} |\n|{"---|" * len(columns)}', flush=True)

    def add(self, row: Mapping[str, Any]) -> None:
        """Prints a row; what has no column is in the file alone."""
        self.rows.append(dict(row))
        cells = [_cell(row.get(name), form) for name, form in self.columns.items()]
        print(f'| {" | ".join(cells)} |', flush=True)

    def write(self, path: Path | None) -> None:
        """Writes title, machine and rows as JSON, where a file is asked for."""
        if path is not None:
            content = {'title': self.title, 'machine': self.machine, 'rows': self.rows}
            write_text(path, json.dumps(content, indent=1) + '\n')


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds ``--out``, the file of the figures, and ``--quick``."""
    parser.add_argument('--out', type=Path, help='also write the figures to this file, as JSON')
    parser.add_argument('--quick', action='store_true', help='less of everything, in under two minutes')


def _cell(value: Any, form: str) -> str:
    if isinstance(value, Interval) or not form or isinstance(value, str):
        return '' if value is None else str(value)
    return '' if value is None else format(value, form)


def _wait(device: str | torch.device) -> None:
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
