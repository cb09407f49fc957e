"""Trainings of a sweep: child processes of the ordinary runner, and what their folders say afterwards."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from facesr_ext.errors import DatasetError
from facesr_ext.runs.atomic import write_text
from facesr_ext.runs.child import run_training
from facesr_ext.runs.run_log import read_run
from facesr_ext.sweeps.plan import Plan, Run

STATE = 'sweep.json'


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
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
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
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
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
        TrainingStopped: A signal has ended it; its state is saved.
    """
    ended = run_training(plan.opt, [*run.forced, f'name={run.name}'], log, lock)
    if ended.status:
        return Result('killed' if ended.status < 0 else 'failed', ended.reason)
    return figures_of(run, plan)


def figures_of(run: Run, plan: Plan) -> Result:
    """What the folder of a finished run says; failed where the metric is missing or NaN."""
    try:
        log = read_run(Path('experiments') / run.name)
    except DatasetError as err:  # somebody has removed it
        return Result('failed', err.message)
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
