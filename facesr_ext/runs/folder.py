"""The folder of a run: what lies where in it, under which names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from facesr_ext.errors import CheckpointError, KeyPath
from facesr_ext.host.run_files import BEST, LATEST, checkpoint_name, list_states, parse_checkpoint, state_name

NET_G = 'net_g'
"""What names the files of the generator."""

MEAN = 'mean'
"""The name in the last row of a set's table."""

PathLike = str | os.PathLike[str]

_TABLE = re.compile(r'(.+)_(\d+)\.csv')


class RunFolder:
    """A training's folder (``experiments/NAME``) or a test's (``results/NAME``); it need not be there.

    A folder that holds checkpoints itself, as that of one who has copied them, is taken as it is.

    Args:
        path (str | PathLike): The folder.

    Attributes:
        path (Path): The folder.
        models, training_states, visualization (Path): Its parts, as BasicSR names them.
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)
        inside = self.path / 'models'
        copied = not inside.is_dir() and any(self.path.glob(checkpoint_name(NET_G, '*')))
        self.models = self.path if copied else inside
        self.training_states = self.path / 'training_states'
        self.visualization = self.path / 'visualization'

    @classmethod
    def of(cls, paths: Mapping[str, Any]) -> RunFolder:
        """The folder of a run by ``path:`` of its options, where BasicSR has said what lies where."""
        folder = cls(paths.get('experiments_root') or paths.get('results_root') or '.')
        for key in ('models', 'training_states', 'visualization'):
            if paths.get(key):
                setattr(folder, key, Path(paths[key]))
        return folder

    # ---- checkpoints and states ---------------------------------------------------------------------------------

    def checkpoint(self, which: int | str, label: str = NET_G) -> Path:
        """Where a checkpoint is: of an iteration, 'latest' (or -1), 'best'."""
        return self.models / checkpoint_name(label, which)

    def state(self, iteration: int) -> Path:
        """Where the training state of an iteration is."""
        return self.training_states / state_name(iteration)

    def numbered(self, label: str = NET_G, suffix: str = '.pth') -> dict[int, Path]:
        """The checkpoints of a network by their iteration, oldest first."""
        found: dict[int, Path] = {}
        for path in self.models.glob(checkpoint_name(label, '*', suffix)):
            name = parse_checkpoint(path)
            if name is not None and name.label == label and name.iteration is not None:
                found[name.iteration] = path
        return dict(sorted(found.items()))

    def latest(self, label: str = NET_G) -> Path | None:
        """The checkpoint at the end of the run, or the last numbered one; None where there is none."""
        last = self.checkpoint(LATEST, label)
        return last if last.is_file() else next(reversed(self.numbered(label).values()), None)

    def best(self, label: str = NET_G) -> Path | None:
        """The checkpoint with the best figure, None where none is kept."""
        path = self.checkpoint(BEST, label)
        return path if path.is_file() else None

    def states(self) -> dict[int, Path]:
        """The training states by their iteration, oldest first."""
        return list_states(self.training_states)

    def saved(self) -> list[int]:
        """Every iteration of which there is a state or a network, oldest first."""
        names = [parse_checkpoint(path) for path in self.models.glob(checkpoint_name('net_*', '*'))]
        numbers = {name.iteration for name in names if name is not None and name.iteration is not None}
        return sorted(numbers | set(self.states()))

    def files_of(self, iteration: int) -> Iterator[Path]:
        """What was saved of an iteration, the state first: where a state is, its networks are."""
        yield self.state(iteration)
        yield from self.models.glob(checkpoint_name('net_*', iteration))

    def logs(self) -> list[Path]:
        """The logs of a training, oldest first: their names end in date and time."""
        return sorted(self.path.glob('train_*.log'), key=lambda path: path.stem[-15:])

    # ---- what validation writes ---------------------------------------------------------------------------------

    @property
    def first_batch(self) -> Path:
        """The sheet of the first training batch."""
        return self.visualization / 'first_batch.png'

    def sheet(self, set_name: str, iteration: int | None = None) -> Path:
        """The contact sheet of a set: a training has one for each validation, a test (None) one."""
        return self._report(set_name, iteration, '.png')

    def table(self, set_name: str, iteration: int | None = None) -> Path:
        """The figures of each image of a set, as CSV, and in the last row (MEAN) their mean."""
        return self._report(set_name, iteration, '.csv')

    def tables(self) -> Iterator[tuple[str, int, Path]]:
        """Set, iteration and file of every table of a training."""
        for path in sorted(self.visualization.glob('*.csv')):
            name = _TABLE.fullmatch(path.name)
            if name is not None:
                yield name[1], int(name[2]), path

    def image(self, set_name: str, name: str, iteration: int | None = None, suffix: str = '') -> Path:
        """The result for an image: a training keeps an image's results together, a test (None) those of a set."""
        if iteration is not None:
            return self.visualization / name / f'{Path(name).name}_{iteration}.png'
        return self.visualization / set_name / f'{name}_{suffix}.png'

    def _report(self, set_name: str, iteration: int | None, suffix: str) -> Path:
        name = set_name if iteration is None else f'{set_name}_{iteration}'
        return self.visualization / f'{name}{suffix}'


def run_of(checkpoint: PathLike) -> RunFolder | None:
    """The folder of the training that a checkpoint lies in, None where it lies in none."""
    for path in (Path(checkpoint).absolute().parents[1], Path(checkpoint).absolute().parent):
        folder = RunFolder(path)
        if folder.logs() and Path(checkpoint).absolute().parent == folder.models:
            return folder
    return None


def is_run(path: PathLike) -> bool:
    """Whether a folder is that of a run, or holds its checkpoints."""
    return RunFolder(path).models.is_dir()


def latest_checkpoint(path: PathLike, key: KeyPath = ()) -> Path:
    """The newest checkpoint of a run's folder; ``key`` is the option that names it.

    Raises:
        CheckpointError: if it holds none.
    """
    found = RunFolder(path).latest()
    if found is None:
        pattern = checkpoint_name(NET_G, '*')
        raise CheckpointError(
            f'{path} holds no checkpoint of a run (models/{pattern}); name a file or a run folder', key
        )
    return found


def late_checkpoints(path: PathLike, count: int) -> list[str]:
    """The last numbered checkpoints of a run, oldest first.

    Args:
        path (str | PathLike): One of its files: ``net_g_latest.pth`` for the end of the run, or a numbered one, the
            last that is taken.
        count (int): How many.

    Raises:
        CheckpointError: if there are not so many, or the file is not of a run.
    """
    path = Path(path)
    name = parse_checkpoint(path)
    if name is None:
        example = checkpoint_name(NET_G, 5000)
        raise CheckpointError(f'{path} is not named as the checkpoints of a run ({example}): no late ones to average')
    folder = RunFolder.of({'models': path.parent})
    last = name.iteration
    found = [file for n, file in folder.numbered(name.label, path.suffix).items() if last is None or n <= last]
    if len(found) < count:
        raise CheckpointError(
            f'average_last: {count}, but {path.parent} has {len(found)} numbered checkpoints'
            f'{"" if last is None else f" up to {last}"}; take fewer, or save more often (logger: save_checkpoint_freq)'
        )
    return [str(file) for file in found[-count:]]
