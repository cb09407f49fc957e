"""Trainings of a sweep: child processes of the ordinary runner, and what their folders say afterwards."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from facesr_ext.errors import DatasetError
from facesr_ext.runs.atomic import write_text
from facesr_ext.runs.run_log import read_run
from facesr_ext.sweeps.plan import Plan, Run

STATE = 'sweep.json'
_LOCK = '.lock'
_TAIL = 6
"""Lines of a log that tell why a run has failed."""
_STAMP = re.compile(r'^\d{4}-\d\d-\d\d [\d:,]+ (ERROR|WARNING): ')
_STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)
"""Exit statuses of a training that a signal has asked to stop."""

Tell = Callable[[str], None]


class SweepStopped(KeyboardInterrupt):
    """A signal has ended a sweep; the training's state is saved."""


@dataclass
class Result:
    """What is known of a run.

    Attributes:
        status (str): 'done', 'failed', or 'killed' from outside: the next sweep goes on with it.
        reason (str): Why it has failed: the last lines of its log.
        iteration (int): Of its last validation.
        figures (dict): Every figure of that validation by the columns of its table, the baseline's too.
        best (float): The best value of the metric.
        best_iteration (int): Where that was.
        parameters (int | None): Of the generator.
        seconds (float): That the training took, validations included.
    """

    status: Literal['done', 'failed', 'killed']
    reason: str = ''
    iteration: int = 0
    figures: dict[str, float] = field(default_factory=dict)
    best: float = math.nan
    best_iteration: int = 0
    parameters: int | None = None
    seconds: float = math.nan

    def response(self, plan: Plan) -> float:
        """The value that is compared; NaN where the run has failed."""
        if self.status != 'done':
            return math.nan
        return self.best if plan.best else self.figures[plan.metric]


class State:
    """What a sweep has found so far, in a file that is written after each run.

    Args:
        folder (Path): Of the sweep; made where it is missing.
        name (str): Of the option file.

    Attributes:
        results (dict[str, Result]): By the run's name.

    Raises:
        DatasetError: if the file that is there cannot be read.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path, self.name = folder / STATE, name
        self.results: dict[str, Result] = {}
        if self.path.exists():
            try:
                content = json.loads(self.path.read_text(encoding='utf-8'))
                self.results = {run: _read(item) for run, item in content['runs'].items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
                raise DatasetError(f'{self.path} cannot be read ({err}); remove it, the runs themselves stay') from err

    def add(self, run: Run, result: Result) -> None:
        """Takes note of a run that has ended."""
        self.results[run.name] = result
        runs = {name: _plain(asdict(item)) for name, item in self.results.items()}
        write_text(self.path, json.dumps({'name': self.name, 'runs': runs}, indent=1, ensure_ascii=False) + '\n')


def sweep_of(folder: Path) -> str | None:
    """The name of the option file whose sweep a folder holds, None where it holds none."""
    try:
        return str(json.loads((folder / STATE).read_text(encoding='utf-8'))['name'])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _plain(item: dict[str, Any]) -> dict[str, Any]:
    figures = {key: repr(value) for key, value in item['figures'].items()}  # JSON has no NaN
    return {**item, 'figures': figures, 'best': repr(item['best']), 'seconds': repr(item['seconds'])}


def _read(item: dict[str, Any]) -> Result:
    numbers = {key: float(item[key]) for key in ('best', 'seconds')}
    return Result(**{**item, **numbers, 'figures': {key: float(value) for key, value in item['figures'].items()}})


# ---- training -----------------------------------------------------------------------------------------------------


def train(run: Run, plan: Plan, log: Path, lock: IO[str]) -> Result:
    """Trains a run to its end, or goes on with it where it was left, and reads what it has found.

    Args:
        run (Run): The run.
        plan (Plan): The sweep.
        log (Path): What the process writes is added to this file.
        lock (IO): Of `locked`; the process holds it, too.

    Raises:
        SweepStopped: A signal has ended it; its state is saved.
    """
    words = [sys.executable, '-m', 'facesr_ext', 'train', '-opt', plan.opt, '--auto_resume']
    words += ['--force_yml', *run.forced, f'name={run.name}']
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open('ab') as output:
        begin = output.tell()
        more: dict[str, Any] = {'pass_fds': (lock.fileno(),)} if os.name == 'posix' else {}
        with subprocess.Popen(  # in a session of its own: Ctrl-C is handed on below, once
            words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, **more
        ) as process:
            status = _wait(process)
    if status < 0:
        return Result('killed', f'ended by signal {-status}; is there too little memory?\n{_tail(log, begin)}')
    if status:
        return Result('failed', _tail(log, begin))
    return figures_of(run, plan)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """The exit status; Ctrl-C and SIGTERM have the training save, a second one ends it at once."""
    asked = False
    with _sigterm_as_interrupt():
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:
                asked = True
                process.terminate()
    if asked or status in _STOPPED:
        raise SweepStopped('stopped; the same command goes on')
    return status


@contextlib.contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextlib.contextmanager
def locked(folder: Path, tell: Tell) -> Iterator[IO[str]]:
    """A file that one sweep at a time holds, with the training that it has started.

    A training whose sweep was killed goes on by itself; the next sweep waits for it. On Windows nothing is locked.

    Args:
        folder (Path): Of the sweep.
        tell (Callable): Is told that there is something to wait for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open('w', encoding='utf-8') as file:
        if os.name == 'posix':
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                tell(f'another process is at work on {folder}, or a training of it; waiting for its end')
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _tail(log: Path, begin: int) -> str:
    """The last lines of a log from a place on, without the steps of progress bars."""
    with log.open('rb') as file:
        file.seek(begin)
        text = file.read().decode('utf-8', errors='replace')
    lines = [line.rstrip().rpartition('\r')[2] for line in text.split('\n')]
    lines = [line for line in lines if line]
    errors = [i for i, line in enumerate(lines) if ' ERROR: ' in line]
    chosen = lines[errors[-1] :][:_TAIL] if errors else lines[-_TAIL:]
    return '\n'.join(_STAMP.sub('', line)[:300] for line in chosen) or 'it has written nothing'


def figures_of(run: Run, plan: Plan) -> Result:
    """What the folder of a finished run says; failed where the metric is missing or NaN."""
    log = read_run(Path('experiments') / run.name)
    means = log.validations.get(plan.set, {})
    parameters = next(iter(log.networks.values()), None)
    if not means:
        return Result('failed', f'no validation of {plan.set} was written', parameters=parameters, seconds=log.seconds)
    last = max(means)
    if plan.metric not in means[last]:
        reason = f'the tables of {plan.set} have no column {plan.metric}, but {", ".join(means[last])}'
        return Result('failed', reason, last, dict(means[last]), parameters=parameters, seconds=log.seconds)
    known = {i: row[plan.metric] for i, row in means.items() if not math.isnan(row.get(plan.metric, math.nan))}
    if last not in known:
        reason = f'{plan.metric} is NaN at iteration {last}'
        return Result('failed', reason, last, dict(means[last]), parameters=parameters, seconds=log.seconds)
    best = (max if plan.higher else min)(known, key=lambda i: known[i])
    return Result('done', '', last, dict(means[last]), known[best], best, parameters, log.seconds)
