"""``val:``: validation and tests."""

from __future__ import annotations

from pydantic import ValidationInfo, field_validator

from facesr_ext.settings.kinds import MetricPart, Natural, Whole, option, stock
from facesr_ext.settings.reading import Section


class Tile(Section):
    """``tile: {size: 256, overlap: 32}``: images larger than ``size`` are cut, in pixels of the network's input."""

    size: Whole = option('height and width of a tile', ...)
    overlap: Natural = option('pixels that neighbouring tiles have in common', ...)

    @field_validator('overlap')
    @classmethod
    def _smaller(cls, overlap: int, info: ValidationInfo) -> int:
        size = info.data.get('size')
        if size is not None and overlap >= size:
            raise ValueError(f'must be below size {size}, not {overlap}')
        return overlap


class Val(Section):
    """Validation and tests."""

    val_freq: Whole | None = stock('iterations between two validations')
    save_img: bool = stock('save the results as images', ...)
    suffix: str | None = stock('what the names of saved images end in; default: the name of the run')
    pbar: bool | None = stock('show a progress bar; default: on a terminal')
    metrics: dict[str, MetricPart] = stock('name in logs and files -> metric', {})
    max_images: Whole | None = option('validate on the first so many images; default: all')
    batch_size: Whole = option('so many images of one size at a time, with the same figures', 1)
    tile: Tile | None = option('cut larger images into tiles')
    self_ensemble: bool = option("take the mean with the mirrored image's result", False)
    average_last: Whole | None = option('in tests: the mean of the weights of the last so many checkpoints')


class TrainVal(Val):
    """Validation in a training."""

    val_freq: Whole = stock('iterations between two validations', ...)

    @field_validator('average_last')
    @classmethod
    def _for_tests(cls, value: int | None) -> int | None:
        if value is not None:
            raise ValueError('is for tests, which read checkpoints; training has ema_decay: remove it')
        return value
