"""Training what a comparison names and nobody has trained yet."""

from __future__ import annotations

from collections.abc import Sequence

from facesr_ext.check.examine import check_file, refuse_faults
from facesr_ext.comparison.methods import Training
from facesr_ext.comparison.results import ResultFolder
from facesr_ext.host.run_files import LATEST
from facesr_ext.runs.child import Tell, locked, run_training
from facesr_ext.runs.folder import RunFolder


def train_missing(trainings: Sequence[Training], folder: ResultFolder, tell: Tell) -> list[str]:
    """Trains the runs of a comparison that are not there or not at their end, in their order, one after the other.

    Args:
        trainings (Sequence[Training]): What trains them.
        folder (ResultFolder): Where the logs go.
        tell (Callable): Is told a line about each run.

    Returns:
        list[str]: Why runs have failed; the others have been trained all the same.

    Raises:
        OptionError: if one of the option files cannot be used, before anything is trained.
        TrainingStopped: A signal has ended a training; the same call goes on.
    """
    waiting = [one for one in trainings if not RunFolder(one.run).checkpoint(LATEST).is_file()]
    _require_in_order(waiting)
    failed = []
    with locked(folder.root, tell) as lock:
        for number, one in enumerate(waiting, 1):
            tell(f'training {number} of {len(waiting)}: {one.opt}, {one.run}')
            log = folder.root / 'logs' / f'{one.run.name}.log'
            ended = run_training(str(one.opt), one.force_yml, log, lock)
            if ended.status:
                failed.append(f'{one.run} has failed: {ended.reason}')
                tell(failed[-1])
    return failed


def _require_in_order(waiting: list[Training]) -> None:
    """OptionError where an option file has faults, but for weights that a run before it makes."""
    made = [one.run.name for one in waiting]
    for one in waiting:
        found = check_file(str(one.opt), 'train', one.force_yml, auto_resume=True)
        later = [finding for finding in found if not any(f'experiments/{name}' in finding.message for name in made)]
        refuse_faults(str(one.opt), later)
