"""What the benchmarks share: arguments, the clock, and where the option files are."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

OPTIONS = Path(__file__).resolve().parents[1] / 'options'


def argument_parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the head of the benchmark's file, as it is laid out there."""
    return argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Adds ``--device``: cpu, cuda, ...; a GPU where there is one."""
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')


def timed(step: Callable[[], Any], device: str | torch.device) -> float:
    """Seconds of one call, the work that it leaves to a GPU included."""
    _wait(device)
    start = time.perf_counter()
    step()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str | torch.device) -> None:
    if torch.device(device).type == 'cuda':
        torch.cuda.synchronize()
