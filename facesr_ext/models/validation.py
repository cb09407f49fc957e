"""Validation and test of one data set: figures beside bicubic's, losses, images, per-image CSV, contact sheet."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from os import path as osp
from pathlib import PurePath
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from basicsr.utils import get_root_logger
from tqdm import tqdm

from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import write_image
from facesr_ext.models.batch import Batch, Output
from facesr_ext.models.device import leaves_a_core
from facesr_ext.models.tiles import Tiling
from facesr_ext.runs.atomic import replaced_when_whole
from facesr_ext.runs.folder import MEAN, RunFolder
from facesr_ext.settings.val import Val

SHEET_ROWS = 10
CAPTION_FIGURES = 3
BASELINE = 'bicubic'
_ROOTS = ('dataroot_lq', 'dataroot_gt', 'dataroot')


class Judged(NamedTuple):
    """What there is to say of one image.

    Attributes:
        images (dict): What to show of it, (H, W, 3) uint8 RGB by headline.
        result (ndarray): The one to save.
        figures (dict): What is measured of it, a column of the CSV each; a key with ``_bicubic`` is the baseline's.
        losses (dict): Its losses, by their names in the log.
        features (dict): What metrics of whole sets need to know of it, by their names: (3, D) of result, baseline and
            GT. Default: {}.
    """

    images: dict[str, np.ndarray]
    result: np.ndarray
    figures: dict[str, float]
    losses: dict[str, float]
    features: Mapping[str, np.ndarray] = {}


class Judge(Protocol):
    """What a model does for a validation."""

    device: torch.device

    def prepare_validation(self, data: dict[str, Any], lq_enlarged: bool) -> Batch:
        """One image as the network takes it."""

    def evaluating(self) -> AbstractContextManager[Any]:
        """A block in which the network is evaluated, by whatever thread."""

    def infer(self, batch: Batch, tiling: Tiling | None, self_ensemble: bool) -> Output:
        """The result for a batch."""

    def judge(self, path: str, batch: Batch, out: Output, whole: bool) -> Judged:
        """What there is to say of one image; ``whole`` where it was not cut into tiles."""

    def whole_figures(self, features: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Figures of the whole set, of the features (N, 3, D) of its images."""

    def best_figures(self, set_name: str, means: Mapping[str, float]) -> Mapping[str, Mapping[str, Any]]:
        """Takes note of a set's means; the best of each figure so far."""

    def stop_if_asked(self) -> None:
        """Raises RunInterrupted where a signal has asked for the end."""


class _Aside:
    """Does one thing while the caller goes on; the next one waits for it, and so does the end.

    Args:
        aside (bool): Else everything is done at once, where there is no core for it. There the threads of both would
            wait for each other.
    """

    def __init__(self, aside: bool) -> None:
        self._pool = ThreadPoolExecutor(1) if aside else None
        self._last: Future[None] | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Does it; raises what the one before has raised."""
        if self._pool is None:
            work()
            return
        self._finish()
        self._last = self._pool.submit(work)

    def _finish(self) -> None:
        if self._last is not None:
            self._last.result()

    def __enter__(self) -> _Aside:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if self._pool is not None:
            self._pool.shutdown()
        if kind is None:
            self._finish()


class Validation:
    """One pass over one data set.

    The file says bicubic's figures beside the model's for every metric: a model below them has learnt nothing.

    Args:
        model (Judge): The model.
        loader (DataLoader): BasicSR's: one image at a time.
        val (Val): ``val:`` of the option file. A batch of several images is degraded and measured one by one all the
            same; images in tiles have no losses, since their intermediate results are not put together.
        folder (RunFolder): Where the files go.
        iteration (int | None): Of a training; None in a test.
        run_name (str): What a test's images end in where ``val`` has no suffix. Default: ''.
    """

    def __init__(
        self, model: Judge, loader: Any, val: Val, folder: RunFolder, iteration: int | None, run_name: str = ''
    ) -> None:
        self.model, self.loader, self.val, self.folder, self.iteration = model, loader, val, folder, iteration
        self.suffix = val.suffix or run_name
        self.enlarged = bool(loader.dataset.opt.get('lq_enlarged'))
        self.name: str = loader.dataset.opt['name']
        self.tiling = Tiling(val.tile.size, val.tile.overlap) if val.tile else None
        self.rows: list[dict[str, Any]] = []
        self.losses: list[dict[str, float]] = []
        self.features: dict[str, list[np.ndarray]] = {}
        self.sheet: list[list[np.ndarray]] = []
        self.titles: list[str] = []
        self.captions: list[str] = []
        self._names: dict[str, str] = {}

    def run(self, tb_logger: Any, save_img: bool) -> dict[str, float]:
        """Goes over the set, then writes and logs what was found.

        Args:
            tb_logger (SummaryWriter | None): TensorBoard.
            save_img (bool): Save the results.

        Returns:
            dict: The mean of each figure over the images that have it, as one without a face has no landmarks, and the
            figures of the whole set; empty where there is nothing to measure.
        """
        with self.model.evaluating(), _Aside(leaves_a_core(self.model.device)) as aside:
            for group in self._groups():
                self.model.stop_if_asked()
                batch = Batch.join([batch for _, batch in group])
                out = self.model.infer(batch, self.tiling, self.val.self_ensemble)
                aside.do(partial(self._take_group, group, out, save_img))
        sheet = self.folder.sheet(self.name, self.iteration)
        if self.sheet:
            write_image(sheet, contact_sheet(self.sheet, self.titles, captions=self.captions))
        if not self.rows:
            get_root_logger().info(f'{self.name}: nothing to measure; sheet: {sheet}')
            return {}
        means = {key: _mean(self._known(key)) for key in self.rows[0] if key != 'name'}
        means |= self.model.whole_figures({key: np.stack(found) for key, found in self.features.items()})
        # of the images that have them, in the log; in the table where all have
        losses = {key: _mean([one[key] for one in self.losses if key in one]) for key in _keys(self.losses)}
        self._write_table(means, losses)
        self._log(means, losses, tb_logger)
        return means

    def _known(self, key: str) -> list[float]:
        """A figure of the images that have one; none of a figure of the whole set."""
        return [row[key] for row in self.rows if not math.isnan(row.get(key, math.nan))]

    def _groups(self) -> Iterator[list[tuple[str, Batch]]]:
        """Path and batch of the images that go through the network together."""
        group: list[tuple[str, Batch]] = []
        for data in self._progress(itertools.islice(self.loader, self.val.max_images)):
            batch = self.model.prepare_validation(data, self.enlarged)
            if group and (len(group) == self.val.batch_size or not batch.fits(group[0][1])):
                yield group
                group = []
            group.append((_named_after(data, batch), batch))
        if group:
            yield group

    def _progress(self, loader: Iterable[Any]) -> Iterable[Any]:
        """With a bar, which goes again at the end; ``pbar: ~`` (None) leaves it to tqdm to look for a terminal."""
        total = min(len(self.loader), self.val.max_images or len(self.loader))
        hidden = None if self.val.pbar is None else not self.val.pbar
        return tqdm(loader, unit='image', desc=self.name, total=total, disable=hidden, leave=False)

    def _take_group(self, group: list[tuple[str, Batch]], out: Output, save_img: bool) -> None:
        for i, (path, one) in enumerate(group):
            self._take(path, one, out.sample(i), save_img)

    def _take(self, path: str, batch: Batch, out: Output, save_img: bool) -> None:
        """Measures one image, saves its result and puts it on the sheet."""
        name = self._name(path)
        whole = self.tiling is None or not self.tiling.needed(batch.lq)
        judged = self.model.judge(path, batch, out, whole)
        if save_img:
            write_image(self.folder.image(self.name, name, self.iteration, self.suffix), judged.result)
        if judged.figures or judged.features:
            self.rows.append({'name': name, **judged.figures})
            self.losses.append(judged.losses)
        for key, found in judged.features.items():
            self.features.setdefault(key, []).append(found)
        if len(self.sheet) < SHEET_ROWS:
            self.titles = list(judged.images)
            self.sheet.append(list(judged.images.values()))
            self.captions.append(_caption(name, judged.figures))

    def _name(self, path: str) -> str:
        """What an image's result is called: its path below the set's folder; with suffix where that is taken."""
        name = below(path, [self.loader.dataset.opt.get(key) for key in _ROOTS])
        key = osp.splitext(name)[0]
        return key if self._names.setdefault(key, path) == path else name

    def _write_table(self, means: Mapping[str, float], losses: Mapping[str, float]) -> None:
        """A row for each image, with six digits, and their mean; losses where every image has them.

        Figures of the whole set stand in the row of the mean alone.
        """
        told = [key for key in losses if all(key in one for one in self.losses)]
        rows = [{**row, **{key: one[key] for key in told}} for row, one in zip(self.rows, self.losses, strict=True)]
        path = self.folder.table(self.name, self.iteration)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced_when_whole(path) as temporary, temporary.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, ['name', *means, *told])
            writer.writeheader()
            for row in (*rows, {'name': MEAN, **means, **{key: losses[key] for key in told}}):
                writer.writerow({key: value if key == 'name' else f'{value:#.6g}' for key, value in row.items()})

    def _log(self, means: dict[str, float], losses: dict[str, float], tb_logger: Any) -> None:
        """The figures on the screen, in TensorBoard and among the best ones."""
        best = self.model.best_figures(self.name, means)
        capped = f' (the first of {len(self.loader)})' if len(self.rows) < len(self.loader) else ''
        lines = [f'Validation {self.name}, {len(self.rows)} images{capped}']
        for key, value in means.items():
            if key.removesuffix(f'_{BASELINE}') in means and key.endswith(f'_{BASELINE}'):
                continue
            beside = f'\t{BASELINE}: {means[f"{key}_{BASELINE}"]:.4f}' if f'{key}_{BASELINE}' in means else ''
            record = f'\tBest: {best[key]["val"]:.4f} @ {best[key]["iter"]} iter' if key in best else ''
            known = len(self._known(key))
            share = f'\tof {known} images' if 0 < known < len(self.rows) else ''
            lines.append(f'\t # {key}: {value:.4f}{beside}{share}{record}')
        lines += [f'\t # {key}: {value:.4e}' for key, value in losses.items()]
        lines.append(f'\t # sheet: {self.folder.sheet(self.name, self.iteration)}')
        get_root_logger().info('\n'.join(lines))
        if tb_logger:
            for key, value in {**means, **losses}.items():
                tb_logger.add_scalar(f'metrics/{self.name}/{key}', value, self.iteration)


def _named_after(data: Mapping[str, Any], batch: Batch) -> str:
    """The path of the image whose result it is; LR faces of others are nobody's."""
    keys = ('lq_path', 'gt_path') if batch.unpaired is None else ('gt_path', 'lq_path')
    path: str = next(data[key] for key in keys if data.get(key))[0]
    return path


def _keys(items: Iterable[Mapping[str, float]]) -> list[str]:
    """Every key, in the order in which they come."""
    return list(dict.fromkeys(key for item in items for key in item))


def _caption(name: str, figures: Mapping[str, float]) -> str:
    """An image's name and first figures for the sheet, the baseline's in brackets."""
    parts = [name]
    for key in [key for key in figures if not key.endswith(f'_{BASELINE}')][:CAPTION_FIGURES]:
        base = figures.get(f'{key}_{BASELINE}')
        parts.append(f'{key} {figures[key]:#.4g}' + ('' if base is None else f' ({base:#.4g})'))
    return '  '.join(parts)


def below(path: str, roots: Iterable[Any]) -> str:
    """A path below the first of the folders that it lies in, with '/'; its base name where it lies in none."""
    for root in roots:
        for folder in root if isinstance(root, (list, tuple)) else [root]:
            place = PurePath(path)
            if folder and place.is_relative_to(folder := PurePath(osp.expanduser(str(folder)))):
                return place.relative_to(folder).as_posix()
    return PurePath(path).name


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan
