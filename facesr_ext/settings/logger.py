"""``logger:``: what is written while a training runs, and which checkpoints stay."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import ValidationInfo, field_validator

from facesr_ext.errors import OptionError, hint
from facesr_ext.settings.kinds import SwitchOrName, Whole, option, stock
from facesr_ext.settings.reading import Section


class Wandb(Section):
    """Weights & Biases, which takes its figures from TensorBoard."""

    project: str | None = stock('project that runs are logged to; default: none')
    resume_id: str | None = stock('id of a run to go on with')


class Logger(Section):
    """Log and checkpoints."""

    print_freq: Whole = stock('iterations between two lines of the log', ...)
    save_checkpoint_freq: Whole = stock('iterations between two checkpoints', ...)
    use_tb_logger: bool = stock('write figures for TensorBoard', ...)
    wandb: Wandb | None = stock('Weights & Biases')
    keep_last: Whole | None = option('so many of the newest checkpoints stay; default: all')
    keep_every: Whole | None = option('checkpoints of every so many iterations stay besides; needs keep_last')
    keep_best: SwitchOrName = option(
        'true, or a metric of val:metrics: the best generator is kept as net_g_best.pth', False
    )

    @field_validator('keep_every')
    @classmethod
    def _needs_last(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get('keep_last', 0) is None:  # 0: it is there, and wrong
            raise ValueError('needs keep_last: without it no checkpoint is ever removed')
        return value

    def best_metric(self, metrics: Collection[str], has_set: bool = True) -> str | None:
        """The metric that ``keep_best`` goes by, None where it is off.

        Args:
            metrics (Collection[str]): Names in ``val: metrics``, in their order.
            has_set (bool): Whether there is a validation set. Default: True.

        Raises:
            OptionError: There is nothing to go by.
        """
        if not self.keep_best:
            return None
        key = ('logger', 'keep_best')
        if not metrics or not has_set:
            raise OptionError('needs a validation set (datasets:val) and val:metrics', key)
        if self.keep_best is True:
            return next(iter(metrics))
        if self.keep_best not in metrics:
            raise OptionError(f'{self.keep_best!r} is none of val:metrics; {hint(self.keep_best, metrics)}', key)
        return str(self.keep_best)
