"""What the benchmarks share: arguments, errors, the clock, and where the option files are."""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from facesr_ext.errors import FaceSRError

OPTIONS = Path(__file__).resolve().parents[1] / 'options'
Clock = Callable[[], float]


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


def _wait(device: str | torch.device) -> None:
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
