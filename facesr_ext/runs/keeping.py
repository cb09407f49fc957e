"""Which checkpoints of a run stay on the disk, and whether the next one has room."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from basicsr.utils import get_root_logger
from basicsr.utils.misc import sizeof_fmt

from facesr_ext.errors import CheckpointError
from facesr_ext.host.run_files import BEST
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint
from facesr_ext.runs.folder import RunFolder

_MARGIN = 1.02  # of the tensors' bytes: names, the archive's directory


@dataclass(frozen=True)
class BestOf:
    """What ``logger: keep_best`` goes by.

    Attributes:
        set_name (str): The validation set.
        metric (str): The metric, by its name in ``val: metrics``.
        higher (bool): A larger value of it is a better one.
    """

    set_name: str
    metric: str
    higher: bool = True


class Keeping:
    """``logger: keep_last``, ``keep_every`` and ``keep_best`` of a training.

    Args:
        folder (RunFolder): Of the run.
        last (int | None): Numbered checkpoints that stay. Default: all.
        every (int | None): Those of every so many iterations stay besides. Default: none.
        best (BestOf | None): The generator with the best value is kept as ``net_g_best.pth``. Default: none is.

    Attributes:
        record (dict | None): The best so far: set, metric, value, iteration.
    """

    def __init__(
        self, folder: RunFolder, last: int | None = None, every: int | None = None, best: BestOf | None = None
    ) -> None:
        self.folder, self.last, self.every, self.best = folder, last, every, best
        self.record: dict[str, Any] | None = None

    # ---- before and after a save --------------------------------------------------------------------------------

    def check_space(self, needed: int) -> None:
        """Looks whether a checkpoint has room beside what is there: it replaces nothing before it is whole.

        Args:
            needed (int): Bytes of its tensors.

        Raises:
            CheckpointError: with what is needed and what is free.
        """
        free = shutil.disk_usage(self.folder.models).free
        if needed * _MARGIN > free:
            raise CheckpointError(
                f'{self.folder.models}: a checkpoint needs {sizeof_fmt(needed * _MARGIN)}, {sizeof_fmt(free)} are '
                'free. The last one saved is whole: make room (logger: keep_last removes old ones by itself) and go on '
                'with --auto_resume'
            )

    def prune(self, newest: int) -> None:
        """Removes what ``keep_last`` and ``keep_every`` let go, once the checkpoint ``newest`` is safely written.

        Those of a later iteration, left by a run that was resumed from an earlier one, stay.
        """
        if not self.last:
            return
        saved = [iteration for iteration in self.folder.saved() if iteration <= newest]
        for iteration in saved[: -self.last]:
            if not self.every or iteration % self.every:
                for path in self.folder.files_of(iteration):
                    _remove(path)

    # ---- the best -----------------------------------------------------------------------------------------------

    def new_best(self, set_name: str, means: Mapping[str, float], iteration: int) -> dict[str, Any] | None:
        """The record to keep, where a validation has brought the best value so far."""
        if self.best is None or set_name != self.best.set_name:
            return None
        value = means[self.best.metric]
        if not is_better(value, self.record['value'] if self.record else None, self.best.higher):
            return None
        self.record = {'set': set_name, 'metric': self.best.metric, 'value': value, 'iteration': iteration}
        return self.record

    def recall(self, iteration: int) -> None:
        """Reads the record of the best checkpoint so far in a run resumed from ``iteration``.

        The state alone does not know it: it is written before the validation of its own iteration. What comes from a
        later iteration is not counted, for the resumed run gets there again.
        """
        path = self.folder.best()
        if self.best is None or path is None:
            return
        record = load_checkpoint(path).get(META_KEY, {}).get(BEST) or {}
        same = (record.get('set'), record.get('metric')) == (self.best.set_name, self.best.metric)
        if same and record['iteration'] <= iteration:
            self.record = record


def is_better(value: float, old: float | None, higher: bool) -> bool:
    """Whether a figure is as good as the best one so far, or better; NaN never is.

    Args:
        value (float): The figure.
        old (float | None): The best one so far, None where there is none.
        higher (bool): A larger value is a better one.
    """
    if old is None or math.isnan(old):
        return not math.isnan(value)
    return value >= old if higher else value <= old


def tensor_bytes(values: Iterable[Any]) -> int:
    """Bytes of all tensors in nested dicts and lists, as a saved file holds them."""
    total = 0
    for value in values:
        if isinstance(value, torch.Tensor):
            total += value.numel() * value.element_size()
        elif isinstance(value, dict):
            total += tensor_bytes(value.values())
        elif isinstance(value, (list, tuple)):
            total += tensor_bytes(value)
    return total


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as err:
        get_root_logger().warning(f'logger: keep_last: cannot remove {path}: {err.strerror or err}')
