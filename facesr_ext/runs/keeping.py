"""Which checkpoints of a run stay on the disk, and whether the next one has room."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from basicsr.utils import get_root_logger
from basicsr.utils.misc import sizeof_fmt

from facesr_ext.errors import CheckpointError, OptionError
from facesr_ext.host.parts import known_name, whole_number
from facesr_ext.runs.checkpoints import META_KEY, load_checkpoint

BEST = 'best'
"""Names the checkpoint with the best metric: ``net_g_best.pth``."""

_MARGIN = 1.02  # of the tensors' bytes: names, the archive's directory


class Keeping:
    """``logger: keep_last``, ``keep_every`` and ``keep_best`` of a training.

    Args:
        opt (dict): The whole option file; in ``logger``: ``keep_last`` (numbered checkpoints that stay; default: all),
            ``keep_every`` (those of every so many iterations stay besides), ``keep_best`` (a metric of ``val:
            metrics``, or true for its first: the networks with the best value on the first validation set are kept as
            ``net_g_best.pth``).

    Raises:
        OptionError: for a value that does not fit.
    """

    def __init__(self, opt: dict[str, Any]) -> None:
        logger_opt = opt.get('logger') or {}
        self.last = whole_number(('logger', 'keep_last'), logger_opt.get('keep_last'))
        self.every = whole_number(('logger', 'keep_every'), logger_opt.get('keep_every'))
        if self.every and not self.last:
            raise OptionError('needs keep_last: without it no checkpoint is ever removed', ('logger', 'keep_every'))
        self.models = Path(opt['path']['models'])
        self.states = Path(opt['path']['training_states'])
        self.record: dict[str, Any] | None = None
        self.set_name, self.metric, self.better = '', '', 'higher'
        if logger_opt.get('keep_best'):
            self._choose_metric(opt, logger_opt['keep_best'])

    def _choose_metric(self, opt: dict[str, Any], wanted: Any) -> None:
        metrics = (opt.get('val') or {}).get('metrics') or {}
        names = [section['name'] for phase, section in opt['datasets'].items() if phase.startswith('val')]
        if not metrics or not names:
            raise OptionError('needs a validation set (datasets: val) and val: metrics', ('logger', 'keep_best'))
        self.metric = next(iter(metrics)) if wanted is True else known_name(('logger', 'keep_best'), wanted, metrics)
        self.set_name, self.better = names[0], metrics[self.metric].get('better', 'higher')

    # ---- before and after a save --------------------------------------------------------------------------------

    def check_space(self, needed: int) -> None:
        """Looks whether a checkpoint has room beside what is there: it replaces nothing before it is whole.

        Args:
            needed (int): Bytes of its tensors.

        Raises:
            CheckpointError: with what is needed and what is free.
        """
        free = shutil.disk_usage(self.models).free
        if needed * _MARGIN > free:
            raise CheckpointError(
                f'{self.models}: a checkpoint needs {sizeof_fmt(needed * _MARGIN)}, {sizeof_fmt(free)} are free. The '
                'last one saved is whole: make room (logger: keep_last removes old ones by itself) and go on with '
                '--auto_resume'
            )

    def prune(self, newest: int) -> None:
        """Removes what ``keep_last`` and ``keep_every`` let go, once the checkpoint ``newest`` is safely written.

        Those of a later iteration, left by a run that was resumed from an earlier one, stay.
        """
        if not self.last:
            return
        saved = sorted({i for i in self._iterations() if i <= newest}, reverse=True)
        for iteration in saved[self.last :]:
            if not self.every or iteration % self.every:
                for path in self._files(iteration):
                    _remove(path)

    def _iterations(self) -> Iterator[int]:
        for path in (*self.states.glob('*.state'), *self.models.glob('net_*_*.pth')):
            number = path.stem.rpartition('_')[2]
            if number.isdecimal():
                yield int(number)

    def _files(self, iteration: int) -> Iterator[Path]:
        """The state first: where a state is, its networks are."""
        yield self.states / f'{iteration}.state'
        yield from self.models.glob(f'net_*_{iteration}.pth')

    # ---- the best -----------------------------------------------------------------------------------------------

    def new_best(self, set_name: str, means: dict[str, float], iteration: int) -> dict[str, Any] | None:
        """The record to keep, where a validation has brought the best value so far."""
        if not self.metric or set_name != self.set_name:
            return None
        value = means[self.metric]
        old = self.record['value'] if self.record else (-math.inf if self.better == 'higher' else math.inf)
        if not (value >= old if self.better == 'higher' else value <= old):
            return None  # NaN neither
        self.record = {'set': set_name, 'metric': self.metric, 'value': value, 'iteration': iteration}
        return self.record

    def recall(self, iteration: int) -> None:
        """Reads the record of the best checkpoint so far in a run resumed from ``iteration``.

        The state alone does not know it: it is written before the validation of its own iteration. What comes from a
        later iteration is not counted, for the resumed run gets there again.
        """
        path = self.models / f'net_g_{BEST}.pth'
        if not self.metric or not path.is_file():
            return
        record = load_checkpoint(path).get(META_KEY, {}).get(BEST) or {}
        same = (record.get('set'), record.get('metric')) == (self.set_name, self.metric)
        if same and record['iteration'] <= iteration:
            self.record = record


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
