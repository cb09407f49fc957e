"""What a file of ``facesr compare`` may say: methods, the images that all of them get, metrics, and what is shown."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationInfo, field_validator, model_validator

from facesr_ext.settings.kinds import (
    Count,
    DegradationPart,
    File,
    Folder,
    Folders,
    Gpus,
    MetricPart,
    Natural,
    Network,
    Shares,
    Whole,
    option,
    stock,
)
from facesr_ext.settings.reading import Section
from facesr_ext.settings.val import Tile

_SOURCES = ('checkpoint', 'opt', 'network_g')
_RESERVED = ('GT', 'LQ')
_UNSAFE = set('/\\:*?"<>|') | {chr(code) for code in range(32)}


def file_name(name: str, what: str) -> str:
    """A name that is also a file's and a folder's on every system."""
    if not name or name != name.strip() or name.startswith('.') or _UNSAFE & set(name) or name in _RESERVED:
        raise ValueError(f'{what} names a folder, so {name!r} will not do; leave out / \\ : * ? " < > | and GT, LQ')
    return name


class Method(Section):
    """A method: weights with what they say of their network, an option file, or a network without weights."""

    checkpoint: File | None = option('checkpoint, folder of a run (its latest one), or a model of the package, as x8')
    opt: File | None = option('option file: the run that it trains, or the network that it tests')
    force_yml: list[str] = option('with opt: what is to differ from it, as KEY:KEY=VALUE', [])
    after: list[str] = option('with opt: option files whose runs it starts from; --train trains them first', [])
    seeds: Whole = option('with opt: so many runs, manual_seed and the two after it ...; figures are their means', 1)
    network_g: Network | None = option('a network without weights, as {type: Bicubic, scale: 4}')
    arch: File | None = option('with checkpoint: option file that says what network it holds, for files that do not')
    label: str | None = option('what tables call it; default: its key')
    scale: Count | None = stock("LR-to-HR factor, where nothing else says it; default: the checkpoint's")
    param_key: Literal['params_ema', 'params'] | None = option('which weights; default: the averaged ones')
    average_last: Whole | None = option('the mean of the weights of the last so many checkpoints')
    self_ensemble: bool = option("take the mean with the mirrored image's result", False)

    @model_validator(mode='after')
    def _one_source(self) -> Method:
        given = [key for key in _SOURCES if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f'must have one of {", ".join(_SOURCES)}, not {" and ".join(given) or "none"}')
        if self.arch and not self.checkpoint:
            raise ValueError('has arch, which says what a checkpoint holds, but no checkpoint')
        if (self.force_yml or self.after or self.seeds > 1) and not self.opt:
            raise ValueError('has force_yml, after or seeds, which are for an option file, but no opt')
        return self


class CompareSet(Section):
    """Images that every method gets: GT whose LQ is made here, stored pairs, or LQ images alone."""

    dataroot_gt: Folders | None = stock('folder of GT images, a list of folders, an LMDB, or builtin: drawn faces')
    dataroot_lq: Folder | None = stock('folder or LMDB of stored LQ images')
    lq: Literal['made', 'stored', 'both'] = option(
        'with stored LQ: take them, make them by the degradation, or both as two sets, as far as there is either',
        'both',
    )
    lq_enlarged: bool = option("the stored LQ is stored at the GT's size", False)
    filename_tmpl: str = stock("the LQ's name for a GT's name, as '{}x4'", '{}')
    meta_info_file: File | None = stock('text file of the images to use, a path below dataroot_gt a line')
    dataroot_real: Folders | None = option('real faces that metrics of whole sets compare with; default: the GT')
    image_size: Whole | None = option('height and width that the face is brought to, pixels; default: as stored')
    crop_scale: Shares = option('side of the square crop as a share of the shorter side', (1.0, 1.0))
    num_faces: Whole | None = option('builtin: how many faces; default: 32')
    seed: Natural | None = option('builtin: which faces; default: 1')
    io_backend: dict[str, Any] | None = stock('{type: disk}, or {type: lmdb}')
    scale: Count | None = stock("LR-to-HR factor; default: the file's")
    degradation: DegradationPart | None = option("how LQ is made; default: the file's")
    max_images: Whole | None = option('take the first so many images; default: all')
    split: Literal['train', 'test'] | None = option('what the methods were trained or tested on: the gap is told')

    @model_validator(mode='after')
    def _has_images(self) -> CompareSet:
        if self.dataroot_gt is None and self.dataroot_lq is None:
            raise ValueError('must have dataroot_gt, dataroot_lq or both')
        if self.dataroot_lq and isinstance(self.dataroot_gt, list):
            raise ValueError('has stored LQ, so dataroot_gt must be one folder')
        return self


class CompareVal(Section):
    """What is measured."""

    metrics: dict[str, MetricPart] = stock('name in tables -> metric', ..., min_length=1)
    save_img: bool = stock('keep the results as images, for the pictures and for metrics added later', True)
    max_images: Whole | None = option('take the first so many images of each set; default: all')
    tile: Tile | None = option('cut larger images into tiles')
    pbar: bool | None = stock('show a progress bar; default: on a terminal')


class PublishedRows(Section):
    """Rows of others that stand on one protocol: shown beside, never ranked."""

    rows: dict[str, dict[str, float]] = option(
        'what they call it -> metric, by its name here -> value', ..., min_length=1
    )
    protocol: str = option('data, LQ and metric that they stand on', ...)
    source: str = option('where they were read', ...)
    set: str | None = option('the set that they are shown beside; default: all')


class Pictures(Section):
    """What is shown."""

    num: Natural = option('faces side by side in all methods', 6)
    by: str | None = option('metric by which the best, median and worst image are chosen; default: the first')
    method: str | None = option('whose best, median and worst; default: the last')
    zoom: list[float] | None = option(
        'left, top, right, bottom of the part that is enlarged, shares of the image; default: eyes and mouth',
        min_length=4,
        max_length=4,
    )
    page_images: Natural = option('faces on the HTML page', 6)

    @field_validator('zoom')
    @classmethod
    def _a_part(cls, value: list[float] | None) -> list[float] | None:
        if value and not (0 <= value[0] < value[2] <= 1 and 0 <= value[1] < value[3] <= 1):
            raise ValueError(f'must be left, top, right, bottom between 0 and 1, not {value!r}')
        return value


class CompareFile(Section):
    """A file of ``facesr compare``."""

    name: str = stock('names the comparison: results/<name>', ...)
    scale: Count | None = stock('LR-to-HR factor of sets that state none')
    num_gpu: Gpus = stock('auto: a GPU where there is one; 0: the CPU', 'auto')
    precision: Literal['fp32', 'bf16', 'fp16'] = option('of the networks; fp16 on CUDA alone', 'fp32')
    channels_last: bool = option('memory layout of networks and images', False)
    degradation: DegradationPart | None = option('how the LQ of all sets is made: a preset, or a type; 8 bit')
    datasets: dict[str, CompareSet] = stock('name -> images', ..., min_length=1)
    methods: dict[str, Method] = option('name -> method', ..., min_length=1)
    force_yml: list[str] = option('what is to differ in every training, before what force_yml of the method says', [])
    reference: str | None = option('the method that others are compared with; default: the first')
    val: CompareVal = stock('what is measured', ...)
    published: list[PublishedRows] = option('rows of others', [])
    pictures: Pictures = option('what is shown', Pictures())
    level: float = option('of the intervals', 0.95, gt=0, lt=1)

    @field_validator('name')
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        return file_name(value, 'name')

    @field_validator('datasets', 'methods')
    @classmethod
    def _name_folders(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            file_name(name, 'each key')
        return value

    @field_validator('reference')
    @classmethod
    def _is_a_method(cls, value: str | None, info: ValidationInfo) -> str | None:
        methods = info.data.get('methods')
        if value is not None and methods and value not in methods:
            raise ValueError(f'must be one of methods: {", ".join(methods)}, not {value!r}')
        return value
