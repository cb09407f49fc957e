"""How BasicSR names the files of a run: ``net_g_5000.pth``, ``net_g_latest.pth``, ``5000.state``."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

LATEST = 'latest'
"""Names the checkpoint at the end of a run."""

BEST = 'best'
"""Names the checkpoint with the best figure on the validation set."""

_STEM = re.compile(rf'(.+)_(\d+|{LATEST}|{BEST})')


class CheckpointName(NamedTuple):
    """A checkpoint's name, taken apart.

    Attributes:
        label (str): The network: 'net_g', 'net_d'.
        which (str): Its iteration, 'latest' or 'best'.
    """

    label: str
    which: str

    @property
    def iteration(self) -> int | None:
        """The number that it is of, None for the latest and the best."""
        return int(self.which) if self.which.isdecimal() else None


def checkpoint_name(label: str, which: int | str, suffix: str = '.pth') -> str:
    """The file name of a checkpoint.

    Args:
        label (str): The network: 'net_g', 'net_d'.
        which (int | str): Its iteration, -1 or 'latest' for the end of the run, 'best', or '*' for a pattern.
        suffix (str): Default: '.pth'.
    """
    return f'{label}_{LATEST if which == -1 else which}{suffix}'


def parse_checkpoint(path: str | os.PathLike[str]) -> CheckpointName | None:
    """What the name of a file says, None where it is not that of a run's checkpoint."""
    found = _STEM.fullmatch(Path(path).stem)
    return None if found is None else CheckpointName(found[1], found[2])


def state_name(iteration: int) -> str:
    """The file name of a training state."""
    return f'{iteration}.state'


def list_states(folder: str | os.PathLike[str]) -> dict[int, Path]:
    """The training states of a folder by their iteration, oldest first."""
    found = {int(path.stem): path for path in Path(folder).glob('*.state') if path.stem.isdecimal()}
    return dict(sorted(found.items()))
