"""Validation and test of one data set: metrics beside bicubic's, losses, images, per-image CSV, contact sheet."""

from __future__ import annotations

import csv
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from os import path as osp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from basicsr.metrics import calculate_metric
from basicsr.utils import get_root_logger
from tqdm import tqdm

from facesr_ext.data.contact_sheet import contact_sheet
from facesr_ext.data.image_io import write_image
from facesr_ext.errors import OptionError
from facesr_ext.host.parts import require_keys, whole_number
from facesr_ext.imaging import to_images
from facesr_ext.models.batch import Batch, Output
from facesr_ext.models.tiles import Tiling

if TYPE_CHECKING:
    from facesr_ext.models.face_sr_model import FaceSRModel

SHEET_ROWS = 8
BASELINE = 'bicubic'


class Validation:
    """One pass over one data set.

    The file says bicubic's figures beside the model's for every metric: a model below them has learnt nothing.
    ``val:`` may have ``max_images`` (only the first so many), ``batch_size`` (so many of one size at a time; each is
    degraded and measured by itself all the same), ``self_ensemble`` (the mean with the mirrored picture's result) and
    ``tile`` (``{size, overlap}`` in pixels of the network's input: larger pictures are cut; they have no losses, since
    their intermediate results are not put together).

    Args:
        model (FaceSRModel): The model.
        dataloader (DataLoader): BasicSR's: one picture at a time.
        current_iter (int | str): The iteration, or in a test the run's name.

    Raises:
        OptionError: for a value of ``val:`` that does not fit.
    """

    def __init__(self, model: FaceSRModel, dataloader: Any, current_iter: int | str) -> None:
        self.model, self.loader, self.current_iter = model, dataloader, current_iter
        self.opt, self.set_opt = model.opt, dataloader.dataset.opt
        self.name: str = self.set_opt['name']
        self.metrics: dict[str, dict[str, Any]] = self.opt['val'].get('metrics') or {}
        self.limit = whole_number(('val', 'max_images'), self.opt['val'].get('max_images'))
        self.batch_size = whole_number(('val', 'batch_size'), self.opt['val'].get('batch_size')) or 1
        self.tiling = self._read_tiling(self.opt['val'].get('tile'))
        self.self_ensemble = bool(self.opt['val'].get('self_ensemble'))
        self.rows: list[dict[str, Any]] = []
        self.losses: dict[str, list[float]] = defaultdict(list)
        self.sheet: list[list[np.ndarray]] = []
        self.titles: list[str] = []

    def _read_tiling(self, opt: dict[str, Any] | None) -> Tiling | None:
        if not opt:
            return None
        require_keys(('val', 'tile'), opt, ('size', 'overlap'), ())
        size, overlap = (whole_number(('val', 'tile', key), opt[key], 0) or 0 for key in ('size', 'overlap'))
        tiling = Tiling(size, overlap)
        tiling.check(('val', 'tile'), self.model.info.sizes.multiple_of)
        return tiling

    def run(self, tb_logger: Any, save_img: bool) -> None:
        """Goes over the set, then writes and logs what was found."""
        for group in self._groups():
            self.model.stop_if_asked()
            out = self.model.infer(Batch.join([batch for _, batch in group]), self.tiling, self.self_ensemble)
            for i, (path, batch) in enumerate(group):
                self._take(path, batch, out.sample(i), save_img)
        self._write_sheet()
        if self.rows and len(self.rows[0]) > 1:  # more than names
            self._write_csv()
            means = self._means()
            self._log(means, tb_logger)
            if self.opt['is_train']:
                self.model.keep_best(self.name, means)
        elif self.sheet:
            get_root_logger().info(f'{self.name}: nothing to measure; sheet: {self._report_path(".png")}')

    def _groups(self) -> Iterator[list[tuple[str, Batch]]]:
        """Path and batch of one of the pictures that go through the network together."""
        enlarged = bool(self.set_opt.get('lq_enlarged'))
        group: list[tuple[str, Batch]] = []
        for data in self._progress(itertools.islice(self.loader, self.limit)):
            batch = self.model.prepare_validation(data, enlarged)
            if group and (len(group) == self.batch_size or not batch.fits(group[0][1])):
                yield group
                group = []
            group.append((self._path(data), batch))
        if group:
            yield group

    def _path(self, data: dict[str, Any]) -> str:
        """What the result is named after."""
        path: str = (data.get('lq_path') or data['gt_path'])[0]
        return path

    def _progress(self, loader: Iterable[Any]) -> Iterable[Any]:
        if not self.opt['val'].get('pbar', False):
            return loader
        return tqdm(loader, unit='image', desc=self.name, total=min(len(self.loader), self.limit or len(self.loader)))

    def _take(self, path: str, batch: Batch, out: Output, save_img: bool) -> None:
        """Measures one picture, saves it and puts it on the sheet."""
        pictures = {'LQ': batch.small(self.model.factor), BASELINE: batch.enlarged, 'SR': out.sr, 'GT': batch.gt}
        images = {title: to_images(t)[0] for title, t in pictures.items() if t is not None}
        name = osp.splitext(osp.basename(path))[0]
        if save_img:
            write_image(self._image_path(name), images['SR'])
        if batch.gt is not None:
            self.rows.append({'name': name, **self._measure(images)})
            whole = self.tiling is None or not self.tiling.needed(batch.lq)
            for key, value in (self.model.validation_losses(out, batch) if whole else {}).items():
                self.losses[key].append(value)
        if len(self.sheet) < SHEET_ROWS:
            self.titles = list(images)
            self.sheet.append(list(images.values()))

    def _measure(self, images: dict[str, np.ndarray]) -> dict[str, float]:
        """Each metric of the result, and of the enlarged LQ."""
        out = {}
        gt = images['GT'][..., ::-1]
        for key, metric_opt in self.metrics.items():
            for suffix, title in (('', 'SR'), (f'_{BASELINE}', BASELINE)):
                data = {'img': np.ascontiguousarray(images[title][..., ::-1]), 'img2': np.ascontiguousarray(gt)}
                try:
                    out[key + suffix] = float(calculate_metric(data, metric_opt))
                except (KeyError, TypeError) as err:
                    raise OptionError(str(err), ('val', 'metrics', key)) from err
        return out

    def _image_path(self, name: str) -> str:
        root = self.opt['path']['visualization']
        if self.opt['is_train']:
            return osp.join(root, name, f'{name}_{self.current_iter}.png')
        return osp.join(root, self.name, f'{name}_{self.opt["val"].get("suffix") or self.opt["name"]}.png')

    def _report_path(self, suffix: str) -> Path:
        """Training keeps a file for each iteration, a test one for the set."""
        name = f'{self.name}_{self.current_iter}' if self.opt['is_train'] else self.name
        return Path(self.opt['path']['visualization']) / f'{name}{suffix}'

    def _write_sheet(self) -> None:
        if self.sheet:
            write_image(self._report_path('.png'), contact_sheet(self.sheet, self.titles))

    def _write_csv(self) -> None:
        path = self._report_path('.csv')
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open('w', newline='', encoding='utf-8') as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)

    def _means(self) -> dict[str, float]:
        keys = [key for key in self.rows[0] if key != 'name']
        return {key: math.fsum(row[key] for row in self.rows) / len(self.rows) for key in keys}

    def _log(self, means: dict[str, float], tb_logger: Any) -> None:
        """The figures on the screen, in TensorBoard and among the best ones."""
        model = self.model
        model.metric_results = {key: means[key] for key in self.metrics}
        model._initialize_best_metric_results(self.name)
        capped = f' (the first of {len(self.loader)})' if len(self.rows) < len(self.loader) else ''
        lines = [f'Validation {self.name}, {len(self.rows)} images{capped}']
        for key in self.metrics:
            line = f'\t # {key}: {means[key]:.4f}\t{BASELINE}: {means[f"{key}_{BASELINE}"]:.4f}'
            if self.opt['is_train']:
                model._update_best_metric_result(self.name, key, means[key], self.current_iter)
                best = model.best_metric_results[self.name][key]
                line += f'\tBest: {best["val"]:.4f} @ {best["iter"]} iter'
            lines.append(line)
        losses = {key: math.fsum(values) / len(values) for key, values in self.losses.items()}
        lines += [f'\t # {key}: {value:.4e}' for key, value in losses.items()]
        get_root_logger().info('\n'.join(lines) + f'\n\t # sheet: {self._report_path(".png")}')
        if tb_logger:
            for key, value in {**means, **losses}.items():
                tb_logger.add_scalar(f'metrics/{self.name}/{key}', value, self.current_iter)
