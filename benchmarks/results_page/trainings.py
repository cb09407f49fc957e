"""What the logs of a training say of it: iterations, images, machine, time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

SHORT = 6 * 3600
"""A training of fewer seconds is called a short one."""
_TIME = re.compile(r'^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)', re.MULTILINE)
_ITERATION = re.compile(r'\[epoch: *\d+, iter: *([\d,]+),|@ (\d+) iter')
_PROCESS = re.compile(r'^Disable distributed\.$', re.MULTILINE)
_LINES = {
    'machine': re.compile(r'INFO: Machine: (.+)'),
    'precision': re.compile(r'INFO: precision: (\w+)'),
    'images': re.compile(r'train images: *([\d,]+)'),
    'batch': re.compile(r'Batch size per gpu: *(\d+)'),
    'processes': re.compile(r'World size \(gpu number\): *(\d+)'),
}


class Training(NamedTuple):
    """A training.

    Attributes:
        iterations (int): Done.
        batch (int): Images of an iteration, all processes together; 0 where the log does not say.
        images (int): Training images; 0 where the log does not say.
        seconds (float): From the first to the last line of each process, validations with it, pauses not.
        machine (str): As the log names it; '' where it does not.
        precision (str): fp32, bf16, ...; '' where the log does not say.
    """

    iterations: int
    batch: int
    images: int
    seconds: float
    machine: str
    precision: str

    @property
    def label(self) -> str:
        """'short CPU training', 'short GPU training', or '' for a long one."""
        if self.seconds >= SHORT:
            return ''
        return 'short CPU training' if self.machine.startswith('CPU') else 'short GPU training'


def trainings_of(checkpoint: Path) -> list[Training]:
    """The trainings that a method's figures stand on: of its checkpoint, and of the runs with further seeds beside.

    Args:
        checkpoint (Path): ``experiments/NAME/models/FILE``, whose logs are in the run's folder; a file outside of a run
            may have ``logs/FILE.log`` beside it.

    Returns:
        list[Training]: Empty where there is no log.
    """
    run = checkpoint.parent.parent
    texts = _logs(run)
    if not texts:
        beside = checkpoint.parent / 'logs' / f'{checkpoint.stem}.log'
        return [read_logs([_text(beside)])] if beside.is_file() else []
    found = [read_logs(texts)]
    for seed in range(1, 100):
        if not (texts := _logs(run.with_name(f'{run.name}_seed{seed}'))):
            break
        found.append(read_logs(texts))
    return found


def read_logs(texts: Sequence[str]) -> Training:
    """A training by its logs, in their order; a log may be of several processes, one after the other."""
    parts = [part for text in texts for part in _PROCESS.split(text) if part.strip()]
    whole = '\n'.join(parts)
    iterations = [int((a or b).replace(',', '')) for a, b in _ITERATION.findall(whole)]
    said = {key: found[-1] for key, pattern in _LINES.items() if (found := pattern.findall(whole))}
    return Training(
        iterations=max(iterations, default=0),
        batch=int(said.get('batch', 0)) * int(said.get('processes', 1)),
        images=int(said.get('images', '0').replace(',', '')),
        seconds=sum(_durations(parts)),
        machine=said.get('machine', '').strip(),
        precision=said.get('precision', ''),
    )


def _durations(parts: Sequence[str]) -> Iterator[float]:
    for part in parts:
        times = _TIME.findall(part)
        if times:
            first, last = (datetime.fromisoformat(text) for text in (times[0], times[-1]))
            yield (last - first).total_seconds()


def _logs(run: Path) -> list[str]:
    return [_text(path) for path in sorted(run.glob('train_*.log'))]


def _text(path: Path) -> str:
    return path.read_text(encoding='utf-8', errors='replace')
