"""What a file of ``facesr compare`` may say that compares degradations: who degrades, HR faces, real LR faces."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from facesr_ext.settings.comparison import file_name
from facesr_ext.settings.kinds import (
    Count,
    DegradationPart,
    File,
    Folders,
    Gpus,
    Natural,
    Shares,
    Whole,
    option,
    stock,
)
from facesr_ext.settings.reading import Section

Beside = Literal['bicubic', 'first_order', 'second_order']
BESIDE: tuple[Beside, ...] = ('bicubic', 'first_order', 'second_order')
_SOURCES = ('degradation', 'checkpoint', 'opt')


class ComparedDegradation(Section):
    """A degradation: a section that builds one, or a network that has learnt one."""

    degradation: DegradationPart | None = option('as in any option file: a preset, or a type and its arguments')
    checkpoint: File | None = option('checkpoint of a DegradationNet, or folder of its run (its latest one)')
    opt: File | None = option('option file: the run that it trains')
    force_yml: list[str] = option('with opt: what is to differ from it, as KEY:KEY=VALUE', [])
    label: str | None = option('what tables call it; default: its key')

    @model_validator(mode='after')
    def _one_source(self) -> ComparedDegradation:
        given = [key for key in _SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f'must have one of {", ".join(_SOURCES)}, not {" and ".join(given) or "none"}')
        if self.force_yml and not self.opt:
            raise ValueError('has force_yml, which is for an option file, but no opt')
        return self


class HRSet(Section):
    """HR faces, each of which is degraded several times."""

    dataroot_gt: Folders = stock('folder of HR faces, a list of folders, an LMDB, or builtin: drawn faces', ...)
    meta_info_file: File | None = stock('text file of the images to use, a path below dataroot_gt a line')
    image_size: Whole | None = option('height and width that the face is brought to, pixels; default: as stored')
    crop_scale: Shares = option('side of the square crop as a share of the shorter side', (1.0, 1.0))
    num_faces: Whole | None = option('builtin: how many faces; default: 32')
    seed: Natural | None = option('builtin: which faces; default: 1')
    io_backend: dict[str, Any] | None = stock('{type: disk}, or {type: lmdb}')
    max_images: Whole | None = option('take the first so many images; default: all')


class RealPool(Section):
    """Real LR faces that KID compares with: stored ones, or HR faces of others under a degradation of no training."""

    dataroot_lq: Folders | None = option(
        "folder or LMDB of real LR faces; other sizes are brought to the LR faces' size"
    )
    dataroot_gt: Folders | None = option('HR faces of others that are degraded, or builtin: drawn faces')
    degradation: DegradationPart | None = option('with dataroot_gt: how; held_out is in no recipe')
    crop_scale: Shares = option('side of the square crop as a share of the shorter side', (1.0, 1.0))
    num_faces: Whole | None = option('builtin: how many faces; default: 32')
    seed: Natural | None = option('builtin: which faces; default: 2')
    io_backend: dict[str, Any] | None = stock('{type: disk}, or {type: lmdb}')
    max_images: Whole | None = option('take the first so many images; default: all')

    @model_validator(mode='after')
    def _one_source(self) -> RealPool:
        if (self.dataroot_lq is None) == (self.dataroot_gt is None):
            raise ValueError('must have either dataroot_lq or dataroot_gt')
        if (self.dataroot_gt is None) != (self.degradation is None):
            raise ValueError('must have dataroot_gt and degradation together')
        return self


class DrawnPictures(Section):
    """What is shown."""

    num: Natural = option('HR faces of each set whose LR are shown, all degradations below each other', 2)


class DegradationsFile(Section):
    """A file of ``facesr compare`` with ``degradations``."""

    name: str = stock('names the comparison: results/<name>', ...)
    scale: Count = stock('HR-to-LR factor', ...)
    num_gpu: Gpus = stock('auto: a GPU where there is one; 0: the CPU', 'auto')
    datasets: dict[str, HRSet] = stock('name -> HR faces', ..., min_length=1)
    degradations: dict[str, ComparedDegradation] = option('name -> degradation', ..., min_length=1)
    beside: list[Beside] = option('degradations that everybody knows, as further rows', list(BESIDE))
    real: dict[str, RealPool] = option('name -> real LR faces; a column of KID each', {})
    draws: Annotated[int, Field(ge=2)] = option('LR faces that are made of each HR face', 10)
    force_yml: list[str] = option('what is to differ in every training', [])
    reference: str | None = option('the degradation that others are compared with; default: the first')
    pictures: DrawnPictures = option('what is shown', DrawnPictures())
    level: float = option('of the intervals', 0.95, gt=0, lt=1)

    @field_validator('name')
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        return file_name(value, 'name')

    @field_validator('datasets')
    @classmethod
    def _name_folders(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            file_name(name, 'each key')
        return value

    @field_validator('beside')
    @classmethod
    def _once_each(cls, value: list[str], info: ValidationInfo) -> list[str]:
        taken = [name for name in value if name in info.data.get('degradations', {})]
        if taken:
            raise ValueError(f'names {taken[0]}, which degradations has, too; call that another name')
        return list(dict.fromkeys(value))

    @field_validator('reference')
    @classmethod
    def _is_there(cls, value: str | None, info: ValidationInfo) -> str | None:
        names = [*info.data.get('degradations', {}), *info.data.get('beside', [])]
        if value is not None and names and value not in names:
            raise ValueError(f'must be one of {", ".join(names)}, not {value!r}')
        return value
