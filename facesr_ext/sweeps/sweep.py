"""The sweep itself: the runs of the design, the effects, the confirmation, and a report after each run."""

from __future__ import annotations

from pathlib import Path

from facesr_ext.runs.atomic import require_free
from facesr_ext.runs.child import Tell, locked
from facesr_ext.sweeps.effects import effects_of
from facesr_ext.sweeps.plan import Plan, Run
from facesr_ext.sweeps.report import FILES, write_report
from facesr_ext.sweeps.trainings import Result, State, sweep_of, train


def run_sweep(
    plan: Plan,
    folder: Path,
    confirm: bool = True,
    retry: bool = False,
    force: bool = False,
    tell: Tell = lambda _: None,
) -> Path:
    """Trains what is not trained yet and writes the report.

    Args:
        plan (Plan): What to train.
        folder (Path): For report, table, picture, logs and state; the runs themselves are in ``experiments``.
        confirm (bool): Also train the predicted optimum. Default: True.
        retry (bool): Train again what has failed; what was killed is trained again anyway.
        force (bool): Replace files that are not of a sweep of this option file.
        tell (Callable): Is told a line about each run.

    Returns:
        Path: The report.

    Raises:
        OptionError: if files of something else would be replaced.
        TrainingStopped: A signal has ended it; the same call goes on.
    """
    require_free([folder / name for name in FILES], force=force or sweep_of(folder) == plan.name, key=('-o',))
    with locked(folder, tell) as lock:
        state = State(folder, plan.name)
        kept = ('done',) if retry else ('done', 'failed')
        state.results = {name: result for name, result in state.results.items() if result.status in kept}
        runs = plan.runs()
        waiting = runs
        while waiting:
            for number, run in enumerate(waiting, 1):
                result = state.results.get(run.name)
                if result is None:
                    tell(f'{number} of {len(waiting)}: {_called(plan, run)}')
                    result = train(run, plan, folder / 'logs' / f'{run.name}.log', lock)
                    state.add(run, result)
                    tell(f'  {_outcome(plan, result)}')
                    write_report(plan, state.results, folder)
            found = effects_of(plan, state.results) if confirm and waiting is runs else None
            waiting = [run for run in plan.runs([found.optimum]) if run not in runs] if found is not None else []
            if any(run.name not in state.results for run in waiting):
                tell('confirmation of the predicted optimum')
        return write_report(plan, state.results, folder)


def _called(plan: Plan, run: Run) -> str:
    seed = f', seed +{run.repeat}' if plan.seeds > 1 else ''
    return f'{plan.label(run.point)}{seed} ({run.name})'


def _outcome(plan: Plan, result: Result) -> str:
    if result.status != 'done':
        return f'{result.status}: {result.reason}'
    value = result.figures[plan.metric]
    return f'{plan.metric} {value:.5g} (best {result.best:.5g} at {result.best_iteration}), {result.seconds:.0f} s'
